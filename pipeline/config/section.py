"""The base class of the sections of params.yaml, and their common types."""

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
"""A seed that NumPy, PyTorch and scikit-learn all accept."""
ClassWeights = Literal["printed", "code", "balanced", "none"]
"""See ``pipeline.losses.classification.class_weights``."""
BatchNormMode = Literal["shared", "source", "target", "frozen"]
"""Which training passes update the running statistics of batch norms: both domains, one domain, or none."""


class Section(BaseModel):
    """A section of params.yaml: unknown keys and wrong types are errors, and instances are frozen.

    pydantic builds a section's validator at its first use, because a run needs only one or two methods' sections.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)


class Balance(Section):
    """Settings of ``class_weights: balanced``: the weight is (1 / (classes · share))^exponent, at most ``cap``.

    Attributes:
        exponent: 1: all classes have the same total weight; 0: no weights.
        cap: maximum weight, for classes with few pictures.
    """

    exponent: Annotated[float, Field(ge=0.0, le=1.0)] = 1.0
    cap: Annotated[float, Field(ge=1.0)] = 8.0
