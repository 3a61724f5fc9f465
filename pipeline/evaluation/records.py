"""What the stages write of their results, as typed records: made by the stage, read back by the report.

Accuracies, F1 scores and interval bounds are fractions in [0, 1]; class lists follow ``pipeline.labels.EXPRESSIONS``.
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
        accuracy: share of the pictures that are predicted right.
        balanced_accuracy: mean recall over the classes of the test part.
        macro_f1: mean F1 over the classes of the test part.
        f1: by class; None for a class that is neither in the test part nor predicted.
        support: test pictures per class.
        confusion: counts; rows are the true class, columns the predicted one.
        interval: bounds of the bootstrap's 95 % interval of the accuracy.
        balanced_interval: the same of the balanced accuracy; None in a result that was made before there was one.
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
    """The best test accuracy of any epoch of adaptation (0: the source model), chosen by the labels themselves.

    ``balanced_accuracy`` is what that epoch has; None in a result that was made before it was kept.
    """

    accuracy: Fraction
    balanced_accuracy: Fraction | None = None
    epoch: int


class ChosenEpoch(Record):
    """The epoch of adaptation (0: the source model) that a validator chooses, and the test accuracies there.

    ``balanced_accuracy`` is None in a result that was made before it was kept.
    """

    epoch: int
    accuracy: Fraction
    balanced_accuracy: Fraction | None = None


class UnlabelledScores(Record):
    """What can be said of one model without the target's labels (``pipeline.validators.measures``).

    Attributes:
        entropy: mean entropy of the predictions, in [0, log 7].
        information: entropy of the mean prediction less that.
        neighbourhood_density: soft neighbourhood density of the predictions.
        source_accuracy: on a sample of the source's test pictures.
    """

    entropy: float
    information: float
    neighbourhood_density: float
    source_accuracy: Fraction


class Unlabelled(Record):
    """What can be said of an adaptation without the target's labels, and what choosing an epoch by that would give.

    Attributes:
        before: of the source model.
        after: of the adapted one.
        choices: by validator (``pipeline.validators``) the epoch that it finds best, and the last one (``last``); not
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
        temperature: fitted on the source's test sample.
        source: on that sample; None where there is none.
        target: on the target's test part; None where it has no labels.
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


Digits = Annotated[str, Field(pattern=f"^[0-{NUM_CLASSES - 1}]+$")]


class Tested(Record):
    """What is known of each test picture, in their order; a class is its digit.

    Attributes:
        labels: the true classes.
        before: those that the source model predicts.
        after: those that the adapted model predicts.
        unit: what is drawn as a whole where chance is judged (``pipeline.evaluation.resampling.units``).
        units: its number for each picture; empty where every picture is one.
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
            raise ValueError("labels, before, after and units are of other pictures")
        return self

    @property
    def groups(self) -> NDArray[np.int64]:
        """The unit of each picture, N int64."""
        return np.arange(len(self.labels)) if self.unit == "picture" else np.array(self.units, dtype=np.int64)

    def classes(self, of: Literal["labels", "before", "after"]) -> NDArray[np.int64]:
        """One of the three as N int64."""
        digits: str = getattr(self, of)
        return np.frombuffer(digits.encode(), dtype=np.uint8).astype(np.int64) - ord("0")


class Candidate(Record):
    """A configuration that a search tried.

    Attributes:
        parameters: those in which the candidates differ.
        validations: what the validators say of its model, without those not computed; empty where its training failed.
        accuracy: on the test part; None where the target has no labels. It chooses nothing.
        balanced_accuracy: likewise.
    """

    parameters: dict[str, str | int | float | bool | None]
    validations: dict[str, float]
    accuracy: float | None
    balanced_accuracy: float | None


class Result(Record):
    """One target's result.json: what was run on what, and what came out.

    A target without labels has ``n_test`` 0 and no metrics.

    Attributes:
        source: the source data set's name.
        target: the target's name.
        method: the method's name.
        adapts: False for direct transfer.
        without: parts of the method that were switched off.
        provenance: whether the pictures are real.
        backbone: the encoder's name.
        weights: what the encoder was initialised with.
        seed: of the whole run.
        epochs: of the three trainings.
        parameters: every one that decided the numbers, by its full name.
        kept_epoch: the epoch of adaptation that the adapted model is of, the last one but where ``adapt.choose`` names
            a validator; of a search the place of the configuration in ``candidates``, from 1. 0 is the source model.
        encoder_statistics: whose statistics the encoder's batch norms have in the adapted model: source or target.
        candidates: the configurations of a search.
        own_share: how much the method's own terms act (``pipeline.methods.parts.own_share``): the length of their
            gradient on z over that of the source's cross entropy, mean over epochs; None where nothing tells.
        environment: precision, device and versions, by training stage.
        split: how the target was divided.
        n_train: pictures adapted to.
        n_test: pictures scored.
        before: scores of the source model (direct transfer).
        after: scores of the adapted model.
        oracle: the best epoch by the target's test labels.
        tested: the test pictures one by one; None in a result that was made before they were kept, too.
        unlabelled: what can be said without labels.
        calibration: how far confidence can be believed.
        revision: the git commit; None outside of git.
        experiment: the DVC experiment; None outside of one.
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
                raise ValueError(f"n_test is {self.n_test}, but {name} is {'missing' if metrics is None else 'there'}")
            if metrics is not None and sum(metrics.support) != self.n_test:
                raise ValueError(f"n_test is {self.n_test}, but {name}.support sums to {sum(metrics.support)}")
        if self.tested and len(self.tested.labels) != self.n_test:
            raise ValueError(f"n_test is {self.n_test}, but tested is of other pictures")
        return self

    @property
    def drawn(self) -> bool:
        """Whether any picture behind these numbers is a drawn stand-in, in the source or in the target."""
        return "stand-in" in (self.provenance.source, self.provenance.target)

    @property
    def kept_source_model(self) -> bool:
        """Whether the rule that chooses without labels has kept the source model, and no adapted one."""
        return self.adapts and self.kept_epoch == 0 and self.encoder_statistics == "source"

    def adapted(self) -> Metrics | None:
        """Metrics after adaptation; none where nothing was adapted or the target has no labels."""
        return self.after if self.adapts else None


class SourceMetrics(Record):
    """Scores of the source model on the source's own test part.

    Attributes:
        dataset: the source's name.
        provenance: whether its pictures are real.
        accuracy: deciding as for the targets.
        balanced_accuracy: likewise.
        macro_f1: likewise.
        own_shares_accuracy: deciding by the source's shares of the classes, not as for the targets.
        n_test: pictures scored.
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
