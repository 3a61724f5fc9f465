"""What other stages wrote for the report, as typed records: the keys of the JSON files, and what must agree in them.

Accuracies, F1 scores and interval bounds are fractions in [0, 1]; class lists follow ``pipeline.labels.EXPRESSIONS``.
"""

from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.config.section import Fraction
from pipeline.errors import PipelineError
from pipeline.labels import NUM_CLASSES, Provenance
from pipeline.validators import Validator, chooser

Count = Annotated[int, Field(ge=0)]
PerClassScore = Annotated[tuple[Fraction | None, ...], Field(min_length=NUM_CLASSES, max_length=NUM_CLASSES)]
PerClassCount = Annotated[tuple[Count, ...], Field(min_length=NUM_CLASSES, max_length=NUM_CLASSES)]
ConfusionMatrix = Annotated[tuple[PerClassCount, ...], Field(min_length=NUM_CLASSES, max_length=NUM_CLASSES)]


class Record(BaseModel):
    """A JSON object. Keys that the report does not use may stand beside those it does."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, allow_inf_nan=False)


R = TypeVar("R", bound=Record)


class Metrics(Record):
    """Scores on the labelled test part.

    interval: bounds of the bootstrap's 95 % interval of the accuracy. f1: missing for a class that is neither in the
    test part nor predicted. macro_f1, balanced_accuracy (of the recall): means over the classes of the test part.
    support: test pictures per class. confusion: rows are the true class, columns the predicted one.
    """

    accuracy: Fraction
    interval: tuple[Fraction, Fraction] | None
    balanced_accuracy: Fraction
    macro_f1: Fraction
    f1: PerClassScore
    support: PerClassCount
    confusion: ConfusionMatrix

    @model_validator(mode="after")
    def _confusion_has_the_support(self) -> Self:
        if tuple(sum(row) for row in self.confusion) != self.support:
            raise ValueError("the rows of confusion do not sum to support")
        return self


class EpochAccuracy(Record):
    """The accuracy after so many epochs of adaptation (0: DT)."""

    accuracy: Fraction
    epoch: int


class UnlabelledScores(Record):
    """What is said of a model without the target's labels (``pipeline.evaluation.unlabelled``)."""

    entropy: float
    information: float
    neighbourhood_density: float
    source_accuracy: Fraction


class Unlabelled(Record):
    """Of the source model on this target, and of the adapted one.

    choices: by validator (``pipeline.validators``), the epoch that it finds best, and the last one; missing where
    nothing was scored.
    """

    before: UnlabelledScores
    after: UnlabelledScores
    choices: dict[str, EpochAccuracy] = {}


class CalibrationError(Record):
    """The expected calibration error of the probabilities as they are and at the temperature."""

    before: Fraction
    after: Fraction


class CalibrationScores(Record):
    """The adapted model's temperature, and what it does on the source's test sample and the target's test part."""

    temperature: float
    source: CalibrationError | None
    target: CalibrationError | None


class ProvenancePair(Record):
    """Whether the pictures of source and target are drawn stand-ins or the real sets."""

    source: Provenance
    target: Provenance


class Epochs(Record):
    """Epochs of the three training stages."""

    pretrain: int
    prototypes: int
    adapt: int


class Shared(Record):
    """How many test pictures have themselves, their sequence or their subject in the training part; None: unknown."""

    picture: Count
    sequence: Count | None
    subject: Count | None


class Pairs(Record):
    """Exact and near duplicates that were counted, and how many pictures these are."""

    exact: Count
    near: Count
    pictures: Count


class Duplicates(Record):
    """Duplicates within a set and with others; how many training pictures are, or nearly are, test pictures."""

    within: Pairs
    train_like_test: Count
    with_: Annotated[dict[str, Pairs], Field(alias="with")]


class Protocol(Record):
    """How a set was divided and what was known of it, as in section split of the parameters."""

    protocol: str
    test: int | float | None
    seed: int
    duplicates: str
    classes: tuple[str, ...] | None = None


class Correctness(Record):
    """A character a test picture, in their order: 1 where it is predicted right, else 0."""

    before: Annotated[str, Field(pattern="^[01]+$")]
    after: Annotated[str, Field(pattern="^[01]+$")]


class SplitReport(Record):
    """What the split stage reported of the target (data/splits/TARGET.json)."""

    protocol: Protocol
    test_in_train: Shared
    duplicates: Duplicates
    dropped: Count | None = None


class Result(Record):
    """One target's result.json. ``before`` is the source model (DT), ``after`` the adapted model.

    kept_epoch: the epoch of adaptation that the adapted model is of, the last one but where ``adapt.choose`` names a
    validator. adapts: false for DT. without: parts of the method that were switched off. parameters: every one that
    decided the numbers, by its full name. oracle: the best epoch by the target's test labels. environment: precision,
    device and versions, by training stage.

    A target without labels has ``n_test`` 0 and no metrics.
    """

    source: str
    target: str
    method: str
    adapts: bool
    without: tuple[str, ...]
    provenance: ProvenancePair
    backbone: str
    weights: str
    seed: int
    epochs: Epochs
    kept_epoch: Count
    parameters: dict[str, str | int | float | bool]
    environment: dict[str, dict[str, str | bool]]
    split: SplitReport
    n_train: Count
    n_test: Count
    before: Metrics | None
    after: Metrics | None
    oracle: EpochAccuracy | None
    right: Correctness | None
    unlabelled: Unlabelled
    calibration: CalibrationScores
    revision: str | None
    experiment: str | None
    run_id: str | None

    @model_validator(mode="after")
    def _metrics_go_with_labels(self) -> Self:
        for name, metrics in (("before", self.before), ("after", self.after)):
            if (metrics is None) != (self.n_test == 0):
                raise ValueError(f"n_test is {self.n_test}, but {name} is {'missing' if metrics is None else 'there'}")
            if metrics is not None and sum(metrics.support) != self.n_test:
                raise ValueError(f"n_test is {self.n_test}, but {name}.support sums to {sum(metrics.support)}")
        if (self.right is None) != (self.n_test == 0) or (self.right and len(self.right.after) != self.n_test):
            raise ValueError(f"n_test is {self.n_test}, but right is of other pictures")
        return self

    @property
    def drawn(self) -> bool:
        """Whether any picture behind these numbers is a drawn stand-in, in the source or in the target."""
        return "stand-in" in (self.provenance.source, self.provenance.target)

    @property
    def chosen_by(self) -> Validator | None:
        """The validator that chose the epoch; None: it is the last one."""
        return chooser(str(self.parameters["adapt.choose"]))

    def adapted(self) -> Metrics | None:
        """Metrics after adaptation; none where nothing was adapted or the target has no labels."""
        return self.after if self.adapts else None


class SourceMetrics(Record):
    """Scores of the source model on the source's own test part.

    own_shares_accuracy: where it decides by the source's shares of the classes, not as for the targets.
    """

    dataset: str
    provenance: Provenance
    accuracy: Fraction
    balanced_accuracy: Fraction
    macro_f1: Fraction
    own_shares_accuracy: Fraction
    n_test: int


class SourceReport(Record):
    """reports/source.json: one key, which tells its numbers from those of the targets where DVC shows metrics."""

    source: SourceMetrics


def parse(model: type[R], path: Path, command: str) -> R:
    """The file at ``path`` as a record; ``command`` makes it.

    Raises:
        PipelineError: it is missing or damaged; every fault is named.
    """
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise PipelineError(f"{path}: missing; run {command}") from None
    except ValidationError as error:
        faults = "\n".join(f"  {'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise PipelineError(f"{path}: damaged; run {command}\n{faults}") from None
