"""What the stages write of their results, as typed records: made by the stage, read back by the report.

Accuracies, F1 scores and interval bounds are fractions in [0, 1]; class lists follow ``pipeline.labels.EXPRESSIONS``.
"""

from typing import Annotated, Self

from pydantic import Field, model_validator

from pipeline.config.section import Fraction
from pipeline.files.records import Record
from pipeline.labels import NUM_CLASSES, Provenance
from pipeline.splits.report import Count, SplitReport

PerClassScore = Annotated[tuple[Fraction | None, ...], Field(min_length=NUM_CLASSES, max_length=NUM_CLASSES)]
PerClassCount = Annotated[tuple[Count, ...], Field(min_length=NUM_CLASSES, max_length=NUM_CLASSES)]
ConfusionMatrix = Annotated[tuple[PerClassCount, ...], Field(min_length=NUM_CLASSES, max_length=NUM_CLASSES)]


class Metrics(Record):
    """Scores on the labelled test part.

    Attributes:
        accuracy: Share of the pictures that are predicted right.
        balanced_accuracy: Mean recall over the classes of the test part.
        macro_f1: Mean F1 over the classes of the test part.
        f1: By class; None for a class that is neither in the test part nor predicted.
        support: Test pictures per class.
        confusion: Counts; rows are the true class, columns the predicted one.
        interval: Bounds of the bootstrap's 95 % interval of the accuracy.
    """

    accuracy: Fraction
    balanced_accuracy: Fraction
    macro_f1: Fraction
    f1: PerClassScore
    support: PerClassCount
    confusion: ConfusionMatrix
    interval: tuple[Fraction, Fraction] | None

    @model_validator(mode="after")
    def _confusion_has_the_support(self) -> Self:
        if tuple(sum(row) for row in self.confusion) != self.support:
            raise ValueError("the rows of confusion do not sum to support")
        return self


class Oracle(Record):
    """The best test accuracy of any epoch of adaptation (0: the source model), chosen by the labels themselves."""

    accuracy: Fraction
    epoch: int


class ChosenEpoch(Record):
    """The epoch of adaptation (0: the source model) that a validator chooses, and the test accuracy there."""

    epoch: int
    accuracy: Fraction


class UnlabelledScores(Record):
    """What can be said of one model without the target's labels (``pipeline.validators.measures``).

    Attributes:
        entropy: Mean entropy of the predictions, in [0, log 7].
        information: Entropy of the mean prediction less that.
        neighbourhood_density: Soft neighbourhood density of the embeddings.
        source_accuracy: On a sample of the source's test pictures.
    """

    entropy: float
    information: float
    neighbourhood_density: float
    source_accuracy: Fraction


class Unlabelled(Record):
    """What can be said of an adaptation without the target's labels, and what choosing an epoch by that would give.

    Attributes:
        before: Of the source model.
        after: Of the adapted one.
        choices: By validator (``pipeline.validators``) the epoch that it finds best, and the last one (``last``); not
            in the file where nothing was scored.
    """

    before: UnlabelledScores
    after: UnlabelledScores
    choices: dict[str, ChosenEpoch] = Field(default_factory=dict)


class CalibrationError(Record):
    """The expected calibration error of the probabilities as they are and at the temperature."""

    before: Fraction
    after: Fraction


class CalibrationScores(Record):
    """The adapted model's temperature, and what it does.

    Attributes:
        temperature: Fitted on the source's test sample.
        source: On that sample; None where there is none.
        target: On the target's test part; None where it has no labels.
    """

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


class Correctness(Record):
    """A character a test picture, in their order: 1 where it is predicted right, else 0."""

    before: Annotated[str, Field(pattern="^[01]+$")]
    after: Annotated[str, Field(pattern="^[01]+$")]


class Result(Record):
    """One target's result.json: what was run on what, and what came out.

    A target without labels has ``n_test`` 0 and no metrics.

    Attributes:
        source: The source data set's name.
        target: The target's name.
        method: The method's name.
        adapts: False for direct transfer.
        without: Parts of the method that were switched off.
        provenance: Whether the pictures are real.
        backbone: The encoder's name.
        weights: What the encoder was initialised with.
        seed: Of the whole run.
        epochs: Of the three trainings.
        parameters: Every one that decided the numbers, by its full name.
        kept_epoch: The epoch of adaptation that the adapted model is of, the last one but where ``adapt.choose`` names
            a validator.
        environment: Precision, device and versions, by training stage.
        split: How the target was divided.
        n_train: Pictures adapted to.
        n_test: Pictures scored.
        before: Scores of the source model (direct transfer).
        after: Scores of the adapted model.
        oracle: The best epoch by the target's test labels.
        right: Which test pictures were predicted right.
        unlabelled: What can be said without labels.
        calibration: How far confidence can be believed.
        revision: The git commit; None outside of git.
        experiment: The DVC experiment; None outside of one.
        run_id: The MLflow run.
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
    parameters: dict[str, str | int | float | bool]
    kept_epoch: Count
    environment: dict[str, dict[str, str | bool]]
    split: SplitReport
    n_train: Count
    n_test: Count
    before: Metrics | None
    after: Metrics | None
    oracle: Oracle | None
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

    def adapted(self) -> Metrics | None:
        """Metrics after adaptation; none where nothing was adapted or the target has no labels."""
        return self.after if self.adapts else None


class SourceMetrics(Record):
    """Scores of the source model on the source's own test part.

    Attributes:
        dataset: The source's name.
        provenance: Whether its pictures are real.
        accuracy: Deciding as for the targets.
        balanced_accuracy: Likewise.
        macro_f1: Likewise.
        own_shares_accuracy: Deciding by the source's shares of the classes, not as for the targets.
        n_test: Pictures scored.
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
