"""Typed records of results: a stage writes them, and the report reads them.

Accuracies, F1 scores and interval bounds are fractions in [0, 1]. Lists by class follow
``pipeline.labels.EXPRESSIONS``.
"""

from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from pipeline.config.section import Fraction
from pipeline.evaluation.resampling import Unit
from pipeline.files.records import Record
from pipeline.labels import NUM_CLASSES, Provenance
from pipeline.splits.report import Count, SplitReport

PerClassScore = Annotated[tuple[Fraction | None, ...], Field(min_length=NUM_CLASSES, max_length=NUM_CLASSES)]
PerClassCount = Annotated[tuple[Count, ...], Field(min_length=NUM_CLASSES, max_length=NUM_CLASSES)]
ConfusionMatrix = Annotated[tuple[PerClassCount, ...], Field(min_length=NUM_CLASSES, max_length=NUM_CLASSES)]


class Metrics(Record):
    """Scores on the labelled test part.

    Attributes:
        accuracy: share of correctly predicted pictures.
        balanced_accuracy: mean recall over the classes of the test part.
        macro_f1: mean F1 over the classes of the test part.
        f1: F1 by class; None for a class that is neither in the test part nor predicted.
        support: number of test pictures by class.
        confusion: counts; rows are true classes, columns predicted classes.
        interval: bounds of the bootstrap's 95 % interval of the accuracy.
        balanced_interval: the same for the balanced accuracy; None in results of older versions.
    """

    accuracy: Fraction
    balanced_accuracy: Fraction
    macro_f1: Fraction
    f1: PerClassScore
    support: PerClassCount
    confusion: ConfusionMatrix
    interval: tuple[Fraction, Fraction] | None
    balanced_interval: tuple[Fraction, Fraction] | None = None

    @model_validator(mode="after")
    def _confusion_has_the_support(self) -> Self:
        if tuple(sum(row) for row in self.confusion) != self.support:
            raise ValueError("the rows of confusion do not sum to support")
        return self


class Oracle(Record):
    """The best test accuracy of all epochs of adaptation (0: the source model), chosen by the test labels.

    ``balanced_accuracy`` is that of the same epoch; None in results of older versions.
    """

    accuracy: Fraction
    balanced_accuracy: Fraction | None = None
    epoch: int


class ChosenEpoch(Record):
    """The epoch of adaptation (0: the source model) that a validator chooses, and its test accuracies.

    ``balanced_accuracy`` is None in results of older versions.
    """

    epoch: int
    accuracy: Fraction
    balanced_accuracy: Fraction | None = None


class UnlabelledScores(Record):
    """Measures of one model that need no target labels (``pipeline.validators.measures``).

    Attributes:
        entropy: mean entropy of the predictions, in [0, log 7].
        information: mutual information: entropy of the mean prediction minus ``entropy``.
        neighbourhood_density: soft neighbourhood density of the predictions.
        source_accuracy: accuracy on a sample of the source's test pictures.
    """

    entropy: float
    information: float
    neighbourhood_density: float
    source_accuracy: Fraction


class Unlabelled(Record):
    """Measures of an adaptation that need no target labels, and the epochs that they would choose.

    Attributes:
        before: measures of the source model.
        after: measures of the adapted model.
        choices: the epoch that each validator (``pipeline.validators``) chooses, and the last one (``last``); not in
            the file if nothing was scored.
    """

    before: UnlabelledScores
    after: UnlabelledScores
    choices: dict[str, ChosenEpoch] = Field(default_factory=dict)


class CalibrationError(Record):
    """Expected calibration error of the probabilities before and after temperature scaling."""

    before: Fraction
    after: Fraction


class CalibrationScores(Record):
    """The adapted model's temperature and its effect.

    Attributes:
        temperature: temperature fitted on the source's test sample.
        source: calibration error on that sample; None without a sample.
        target: calibration error on the target's test part; None without labels.
    """

    temperature: float
    source: CalibrationError | None
    target: CalibrationError | None


class ProvenancePair(Record):
    """Whether source and target are real or drawn stand-ins."""

    source: Provenance
    target: Provenance


class Epochs(Record):
    """Numbers of epochs of the three training stages."""

    pretrain: int
    prototypes: int
    adapt: int


Digits = Annotated[str, Field(pattern=f"^[0-{NUM_CLASSES - 1}]+$")]


class Tested(Record):
    """Label and predictions of each test picture, in their order; each class is one digit.

    Attributes:
        labels: the true classes.
        before: predictions of the source model.
        after: predictions of the adapted model.
        unit: the kind of group that the bootstrap draws (``pipeline.evaluation.resampling.units``).
        units: the group of each picture; empty if every picture is its own group.
    """

    labels: Digits
    before: Digits
    after: Digits
    unit: Unit
    units: tuple[Count, ...]

    @model_validator(mode="after")
    def _of_the_same_pictures(self) -> Self:
        lengths = {len(self.labels), len(self.before), len(self.after)}
        if self.unit != "picture":
            lengths.add(len(self.units))
        if len(lengths) > 1:
            raise ValueError("labels, before, after and units differ in length")
        return self

    @property
    def groups(self) -> NDArray[np.int64]:
        """The group of each picture, N int64."""
        return np.arange(len(self.labels)) if self.unit == "picture" else np.array(self.units, dtype=np.int64)

    def classes(self, of: Literal["labels", "before", "after"]) -> NDArray[np.int64]:
        """Return the labels or one of the predictions, N int64."""
        digits: str = getattr(self, of)
        return np.frombuffer(digits.encode(), dtype=np.uint8).astype(np.int64) - ord("0")


class Candidate(Record):
    """A configuration that a search tried.

    Attributes:
        parameters: the parameters in which the candidates differ.
        validations: values of the validators that were computed; empty if its training failed.
        accuracy: accuracy on the test part, never used for choosing; None if the target has no labels.
        balanced_accuracy: likewise.
    """

    parameters: dict[str, str | int | float | bool | None]
    validations: dict[str, float]
    accuracy: float | None
    balanced_accuracy: float | None


class Result(Record):
    """One target's result.json: what was run, and its results.

    A target without labels has ``n_test`` 0 and no metrics.

    Attributes:
        source: the source's name.
        target: the target's name.
        method: the method's name.
        adapts: False for direct transfer.
        without: parts of the method that were switched off.
        provenance: whether the pictures are real.
        backbone: the encoder's name.
        weights: the encoder's initial weights.
        seed: seed of the whole run.
        epochs: epochs of the three trainings.
        parameters: all parameters that determined the numbers, by full name.
        kept_epoch: the epoch of the adapted model: the last one, or the one that ``adapt.choose`` kept; 0: the source
            model. After a search: the number of the configuration in ``candidates``, from 1.
        encoder_statistics: whose statistics the encoder's batch norms use in the adapted model: source or target.
        histogram_matched: whether a tone curve matches the target's grey levels in the adapted model.
        features_restored: whether a linear map restores the target's features in the adapted model.
        candidates: the configurations of a search.
        own_share: how much the method's own losses act (``pipeline.methods.parts.own_share``): norm of their gradient
            on z, divided by that of the source's cross entropy, mean over epochs; None if unknown.
        environment: precision, device and versions, by training stage.
        split: how the target was divided.
        n_train: number of pictures adapted to.
        n_test: number of pictures scored.
        before: scores of the source model (direct transfer).
        after: scores of the adapted model.
        oracle: the best epoch by the target's test labels.
        tested: labels and predictions of the test pictures; None in results of older versions.
        unlabelled: measures without labels.
        calibration: calibration of the confidence.
        revision: the git commit; None outside git.
        experiment: the DVC experiment; None outside an experiment.
        run_id: the MLflow run.
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
    encoder_statistics: Literal["source", "target"] = "source"
    histogram_matched: bool = False
    features_restored: bool = False
    candidates: tuple[Candidate, ...] = ()
    own_share: Annotated[float, Field(ge=0)] | None = None
    environment: dict[str, dict[str, str | bool]]
    split: SplitReport
    n_train: Count
    n_test: Count
    before: Metrics | None
    after: Metrics | None
    oracle: Oracle | None
    tested: Tested | None = None
    unlabelled: Unlabelled
    calibration: CalibrationScores
    revision: str | None
    experiment: str | None
    run_id: str | None

    @model_validator(mode="after")
    def _metrics_go_with_labels(self) -> Self:
        for name, metrics in (("before", self.before), ("after", self.after)):
            if (metrics is None) != (self.n_test == 0):
                raise ValueError(
                    f"n_test is {self.n_test}, but {name} is {'missing' if metrics is None else 'present'}"
                )
            if metrics is not None and sum(metrics.support) != self.n_test:
                raise ValueError(f"n_test is {self.n_test}, but {name}.support sums to {sum(metrics.support)}")
        if self.tested and len(self.tested.labels) != self.n_test:
            raise ValueError(f"n_test is {self.n_test}, but tested has {len(self.tested.labels)} pictures")
        return self

    @property
    def drawn(self) -> bool:
        """Whether any picture behind these numbers is a drawn stand-in, in the source or in the target."""
        return "stand-in" in (self.provenance.source, self.provenance.target)

    @property
    def kept_source_model(self) -> bool:
        """Whether the label-free rule kept the source model instead of an adapted one."""
        return self.adapts and self.kept_epoch == 0 and self.encoder_unchanged

    @property
    def encoder_unchanged(self) -> bool:
        """Whether the encoder has taken over nothing from the target."""
        return self.encoder_statistics == "source" and not self.histogram_matched and not self.features_restored

    def adapted(self) -> Metrics | None:
        """Return the metrics after adaptation; None if nothing was adapted or the target has no labels."""
        return self.after if self.adapts else None


class SourceMetrics(Record):
    """Scores of the source model on the source's own test part.

    Attributes:
        dataset: the source's name.
        provenance: whether its pictures are real.
        accuracy: accuracy with the decision that is used for the targets.
        balanced_accuracy: likewise.
        macro_f1: likewise.
        own_shares_accuracy: accuracy with the source's class shares, unlike for the targets.
        n_test: number of pictures scored.
    """

    dataset: str
    provenance: Provenance
    accuracy: Fraction
    balanced_accuracy: Fraction
    macro_f1: Fraction
    own_shares_accuracy: Fraction
    n_test: int


class SourceReport(Record):
    """reports/source.json. Its single key separates its numbers from those of the targets when DVC shows metrics."""

    source: SourceMetrics
