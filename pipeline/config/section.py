"""What every section of params.yaml is made of."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipeline.registry import NAME

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveInt = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0.0)]
NonNegativeFloat = Annotated[float, Field(ge=0.0)]
Momentum = Annotated[float, Field(ge=0.0, lt=1.0)]
Decay = Annotated[float, Field(gt=0.0, lt=1.0)]
Name = Annotated[str, Field(pattern=f"^{NAME}$")]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""What NumPy's, PyTorch's and scikit-learn's generators all take."""
ClassWeights = Literal["printed", "code", "balanced", "none"]
"""See ``pipeline.losses.classification.class_weights``."""
BatchNormMode = Literal["shared", "source", "target", "frozen"]
"""Whose training passes the running statistics of batch norms follow: both domains', one's, or nobody's."""


class Section(BaseModel):
    """A section of params.yaml: every key must be known, every value of its type, nothing changes later.

    pydantic builds what checks a section at its first use: of all methods' sections a run needs one or two.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)


class Balance(Section):
    """Of ``class_weights: balanced``: (1 / (classes · share))^exponent, at most ``cap``.

    Attributes:
        exponent: 1 makes all classes weigh the same, 0 is no weight.
        cap: what a class of a few pictures cannot exceed.
    """

    exponent: Annotated[float, Field(ge=0.0, le=1.0)] = 1.0
    cap: Annotated[float, Field(ge=1.0)] = 8.0
