"""scores.json: what a comparison on labelled pictures has found."""

from typing import Annotated

from pydantic import Field

from pipeline.config.section import Fraction
from pipeline.evaluation.records import Metrics
from pipeline.evaluation.resampling import Unit
from pipeline.files.records import Record
from pipeline.labels import Provenance
from pipeline.scoring.predicted import Kind
from pipeline.splits.report import Count


class Bin(Record):
    """The pictures whose confidence is alike: their number, mean confidence and accuracy."""

    count: Count
    confidence: Fraction
    accuracy: Fraction


class ModelScores(Record):
    """One model, or the predictions of a file.

    Attributes:
        name: as the user calls it.
        kind: a model, or predictions from a file.
        drawn: whether it has learned from drawn faces.
        unpredicted: labelled pictures that it predicts nothing for; nobody is scored on them.
        notes: what must be said of it.
        weights_sha256: of a model.
        metrics: its scores, with 95 % intervals.
        calibration_error: the expected calibration error; None without probabilities.
        reliability: by confidence; empty without probabilities.
    """

    name: str
    kind: Kind
    drawn: bool
    unpredicted: Count
    notes: tuple[str, ...]
    weights_sha256: str | None
    metrics: Metrics
    calibration_error: Fraction | None
    reliability: tuple[Bin, ...]


class Points(Record):
    """A paired difference in percentage points, with the bounds of its 95 % interval and its two-sided p value."""

    difference: float
    low: float
    high: float
    p: Fraction


class Difference(Record):
    """One less another, on the same pictures; p values are adjusted for the number of pairs (Holm).

    Attributes:
        first: what is compared, by its name.
        second: what it is compared with.
        accuracy: of the accuracies.
        balanced_accuracy: of the balanced accuracies.
    """

    first: str
    second: str
    accuracy: Points
    balanced_accuracy: Points


class Comparison(Record):
    """Scores of models and predictions on the same labelled pictures.

    Attributes:
        title: of the set.
        part: which of its pictures, in words.
        caveat: what must be said of the set; mostly empty.
        provenance: whether they are real.
        labelled: labelled pictures of that part.
        pictures: those that everybody predicts, which are scored.
        unreadable: those that could not be decoded.
        unit: what is drawn as a whole where chance is judged.
        units: how many of them.
        models: in the order in which they were named.
        differences: each with each that comes later.
        version: of this project.
    """

    title: str
    part: str
    caveat: str
    provenance: Provenance
    labelled: Count
    pictures: Annotated[int, Field(ge=2)]
    unreadable: Count
    unit: Unit
    units: Count
    models: Annotated[tuple[ModelScores, ...], Field(min_length=1)]
    differences: tuple[Difference, ...]
    version: str

    def is_drawn(self, model: ModelScores) -> bool:
        """Whether drawn stand-ins are behind the numbers of a model."""
        return model.drawn or self.provenance == "stand-in"
