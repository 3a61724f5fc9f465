"""The base class of every method's parameters: the keys that all methods share, and facts about the method."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from pipeline.config.learning import EncoderRules, StatisticsRule, WhenRule
from pipeline.config.methods.space import Space
from pipeline.config.section import Name, PositiveInt, Section
from pipeline.registry import unknown
from pipeline.validators import LAST, VALIDATORS, chooser

Changes = Literal["weights", "statistics", "decision"]


class AdaptParams(Section):
    """Parameters of stage 2 that all methods share.

    Each method has a subclass with its own parameters; their defaults are the published values.

    Attributes:
        method: name of the method.
        epochs: number of epochs.
        steps_per_epoch: null: the method's own rule.
        batch_size: pictures per domain and step.
        trains: all (f, g and M) or head (g and M, on features of f that are computed once; docs/training.md).
        source_pictures: for head: number of source training pictures that are used; null: all.
        source_views: for head: number of training views per source picture, in addition to the evaluation view.
        target_views: for head: the same for target pictures.
        encoder_statistics: for head: statistics of the encoder's batch norms for the target: source, target (AdaBN), or
            entropy: target if that clearly lowers the mean entropy of the source model's predictions, alone or together
            with a restoration.
        histogram_matching: for head: whether a tone curve maps the target's grey levels to the source's: never, always,
            or entropy: if that lowers the mean entropy of the source model's predictions.
        restoration: for head: whether a linear map, fitted on the source's pictures as the target's camera would show
            them, restores the target's features: never, always, or entropy: if that clearly lowers the mean entropy of
            the source model's predictions, with the target's statistics if these are chosen by entropy, too.
        search: number of configurations to train; ``choose`` then keeps the last epoch of one of them, or the source
            model. 0: train only the configured one.
        choose: the epoch whose model is kept and scored: last, or the name of a validator (``pipeline.validators``),
            which finds the best epoch without the target's labels. Epoch 0, the source model, can win.
    """

    name: ClassVar[str]
    """The name in params.yaml."""
    title: ClassVar[str]
    """The name in tables and messages."""
    citation: ClassVar[str]
    """The publication."""
    implementation: ClassVar[str]
    """The class of the method as "module:class". It is imported only when used, because it needs PyTorch."""
    classifier: ClassVar[str] = "pipeline.networks.network:PrototypeClassifier"
    """The class of the adapted model as "module:class", a ``pipeline.networks.network.Classifier``."""
    adapts: ClassVar[bool] = True
    """Whether the method changes the source model; only DT does not."""
    source_free: ClassVar[bool] = False
    """Whether it needs no source pictures, only the source model."""
    uses_target: ClassVar[bool] = True
    """Whether it uses the target; some of the paper's baselines only continue to train on the source."""
    needs_encoder: ClassVar[bool] = False
    """Whether it needs pictures or inner layers of f, so that features of f are not enough."""

    ranked: ClassVar[bool] = True
    """Whether studies of all methods include it; False if it cannot work as published in this protocol."""
    changes: ClassVar[Changes] = "weights"
    """What it changes: weights, by training; statistics of batch norms, in one pass over the target; or the decision on
    z, in one pass without steps (``epochs`` has no effect)."""
    ramp: ClassVar[str] = ""
    """What λ_t (``pipeline.losses.domain.lambda_t``), which rises during training, multiplies; empty: no λ_t."""
    needs_statistics: ClassVar[bool] = False
    """Whether it uses the class statistics stored in the source model."""

    space: ClassVar[Space] = {}
    """The parameters that a search varies."""

    works_by_norms: ClassVar[Literal["none", "batch", "all"]] = "none"
    """If it changes only normalisation layers: which ones, batch norms or all kinds. A model must have some."""

    method: Name
    epochs: PositiveInt
    steps_per_epoch: PositiveInt | None
    batch_size: Annotated[int, Field(ge=2)]
    trains: Literal["all", "head"] = "all"
    source_pictures: Annotated[int, Field(ge=2)] | None = None
    source_views: PositiveInt = 1
    target_views: PositiveInt = 3
    encoder_statistics: StatisticsRule = "source"
    histogram_matching: WhenRule = "never"
    restoration: WhenRule = "never"
    search: Annotated[int, Field(ge=0)] = 0
    choose: Name = LAST

    @property
    def encoder_rules(self) -> EncoderRules:
        """When the encoder takes something over from the target."""
        return EncoderRules(self.encoder_statistics, self.histogram_matching, self.restoration)

    @field_validator("choose")
    @classmethod
    def _somebody_chooses(cls, name: str) -> str:
        if name != LAST and chooser(name) is None:
            raise ValueError(f"unknown choice {unknown(name, [LAST, *(one.name for one in VALIDATORS)])}")
        return name

    @model_validator(mode="after")
    def _features_suffice(self) -> Self:
        if self.trains == "head" and self.needs_encoder:
            raise ValueError(f"trains: {self.title} needs more than the features of f; set adapt.trains: all")
        return self

    @model_validator(mode="after")
    def _search_has_a_rule(self) -> Self:
        if self.search and self.choose == LAST:
            names = ", ".join(one.name for one in VALIDATORS)
            raise ValueError(f"search: it needs a rule that chooses a configuration; set adapt.choose to {names}")
        return self

    @property
    def passes(self) -> int:
        """The number of epochs that are run: ``epochs``, or 1 for a method that changes only the decision."""
        return 1 if self.changes == "decision" else self.epochs

    def left_out(self) -> tuple[str, ...]:
        """Return the parts of the method that these parameters switch off, as tables name them."""
        return ()


SHARED = frozenset(AdaptParams.model_fields)
"""The keys of section ``adapt`` that all methods share."""
