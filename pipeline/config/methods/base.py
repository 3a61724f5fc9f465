"""What every adaptation method declares of itself, and the part of its parameters that all methods share."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from pipeline.config.methods.space import Space
from pipeline.config.section import Name, PositiveInt, Section
from pipeline.registry import unknown
from pipeline.validators import LAST, VALIDATORS, chooser

Changes = Literal["weights", "statistics", "decision"]


class AdaptParams(Section):
    """Stage 2: the chosen method and how long it trains, the same for every method that is compared.

    A method's own parameters are the further fields of a sub-class, with their published values as defaults.

    Attributes:
        method: its name.
        epochs: how many are trained.
        steps_per_epoch: null: as many as the method says.
        batch_size: pictures of each domain in a step.
        trains: what is trained: all, f and g and M; or head, g and M on features of f that are computed once
            (docs/training.md).
        source_pictures: of head: how many of the source's training pictures are drawn from; null: all.
        source_views: of head: training views of each of them whose features are computed, beside the evaluation view.
        target_views: the same of each of the target's pictures.
        encoder_statistics: of head: whose statistics the encoder's batch norms have for the target: source; target,
            the target's own (AdaBN); or information, whichever gives the higher mutual information of the source
            model's predictions, which needs no label.
        search: how many configurations of the method are trained, of whose last epochs ``choose`` keeps one, or the
            source model; 0: the configured one alone, of which it keeps an epoch.
        choose: the epoch whose model is kept and scored: the last one, or that which a validator
            (``pipeline.validators``) finds best without the target's labels, epoch 0, the source model, among them.
    """

    name: ClassVar[str]
    """As in params.yaml."""
    title: ClassVar[str]
    """As people write it."""
    citation: ClassVar[str]
    """Where it was published."""
    implementation: ClassVar[str]
    """The class that trains it, as "module:class"; imported when it is used, for it needs PyTorch."""
    classifier: ClassVar[str] = "pipeline.networks.network:PrototypeClassifier"
    """The kind of model that it ends with, as "module:class": a ``pipeline.networks.network.Classifier``."""
    adapts: ClassVar[bool] = True
    """Whether anything is trained: DT is the source model itself."""
    source_free: ClassVar[bool] = False
    """Whether it needs nothing of the source but its model."""
    uses_target: ClassVar[bool] = True
    """Whether it sees the target at all: some of the paper's rows only train the source model otherwise."""
    needs_encoder: ClassVar[bool] = False
    """Whether it looks at the pictures or at what f computes within, so that features of f are not enough."""

    ranked: ClassVar[bool] = True
    """Whether a study of every method has it: not where it cannot do here what it was published for."""
    changes: ClassVar[Changes] = "weights"
    """What it changes of the source model: weights, by training; the statistics of batch norms alone, in one pass over
    the target; or how z is decided, in one pass without steps, so that ``epochs`` says nothing."""
    ramp: ClassVar[str] = ""
    """What λ_t (``pipeline.losses.domain.lambda_t``), which rises over the training, weighs; empty: it has no λ_t."""
    needs_statistics: ClassVar[bool] = False
    """Whether it compares the target with the class statistics that the source model keeps."""

    space: ClassVar[Space] = {}
    """What a search varies, beside the configured values."""

    works_by_norms: ClassVar[Literal["none", "batch", "all"]] = "none"
    """Which normalisation layers it changes, and nothing else: batch norms, or all kinds; without one it is idle."""

    method: Name
    epochs: PositiveInt
    steps_per_epoch: PositiveInt | None
    batch_size: Annotated[int, Field(ge=2)]
    trains: Literal["all", "head"] = "all"
    source_pictures: Annotated[int, Field(ge=2)] | None = None
    source_views: PositiveInt = 1
    target_views: PositiveInt = 3
    encoder_statistics: Literal["source", "target", "information"] = "source"
    search: Annotated[int, Field(ge=0)] = 0
    choose: Name = LAST

    @field_validator("choose")
    @classmethod
    def _somebody_chooses(cls, name: str) -> str:
        if name != LAST and chooser(name) is None:
            raise ValueError(f"unknown choice {unknown(name, [LAST, *(one.name for one in VALIDATORS)])}")
        return name

    @model_validator(mode="after")
    def _features_suffice(self) -> Self:
        if self.trains == "head" and self.needs_encoder:
            raise ValueError(f"trains: {self.title} needs more of f than its features; set adapt.trains: all")
        return self

    @model_validator(mode="after")
    def _search_has_a_rule(self) -> Self:
        if self.search and self.choose == LAST:
            names = ", ".join(one.name for one in VALIDATORS)
            raise ValueError(f"search: somebody must choose among the configurations; set adapt.choose to {names}")
        return self

    @property
    def passes(self) -> int:
        """How many times the target is gone through: ``epochs``, or once where nothing is trained on it."""
        return 1 if self.changes == "decision" else self.epochs

    def left_out(self) -> tuple[str, ...]:
        """Return the method's parts that these parameters switch off, as tables name them; empty: the whole method."""
        return ()


SHARED = frozenset(AdaptParams.model_fields)
"""The keys of section ``adapt`` that are no method's own."""
