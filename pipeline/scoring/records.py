"""The content of scores.json: a comparison of models on labelled pictures."""

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
    """A bin of pictures by confidence: their number, mean confidence and accuracy."""

    count: Count
    confidence: Fraction
    accuracy: Fraction


class ModelScores(Record):
    """One model, or the predictions of a file.

    Attributes:
        name: name, as the user gave it.
        kind: a model, or predictions from a file.
        drawn: whether the model was trained on drawn faces.
        unpredicted: number of labelled pictures without a prediction, on which no model is scored.
        notes: remarks for the user.
        weights_sha256: SHA-256 of a model's weights.
        metrics: scores with 95 % intervals.
        calibration_error: expected calibration error; None without probabilities.
        reliability: bins by confidence; empty without probabilities.
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
    """The difference of two models (first minus second) on the same pictures; p values are Holm-adjusted.

    Attributes:
        first: name of the first model.
        second: name of the second model.
        accuracy: difference of the accuracies.
        balanced_accuracy: difference of the balanced accuracies.
    """

    first: str
    second: str
    accuracy: Points
    balanced_accuracy: Points


class Comparison(Record):
    """Scores of models and predictions on the same labelled pictures.

    Attributes:
        title: title of the data set.
        part: the scored part, in words.
        caveat: a remark on the data set; usually empty.
        provenance: whether the pictures are real or drawn.
        labelled: number of labelled pictures in the part.
        pictures: number of pictures that all models predict, on which they are scored.
        unreadable: number of pictures that could not be decoded.
        unit: the unit of resampling.
        units: number of units.
        models: the models, in the order given by the user.
        differences: differences of each model and every later one.
        version: version of this project.
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
        """Return whether a model's scores depend on drawn faces."""
        return model.drawn or self.provenance == "stand-in"
