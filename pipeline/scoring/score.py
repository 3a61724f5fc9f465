"""The work of ``pocan score``: crops, predictions, scores and output files."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from pipeline.compute.device import pick
from pipeline.config.load import changed
from pipeline.config.pictures import FaceParams
from pipeline.data.batches import DeviceCrops
from pipeline.data.crops import CropStore, read_description
from pipeline.errors import DatasetError, ParamsError
from pipeline.evaluation import comparison, scores
from pipeline.evaluation.calibration import bins, expected_error
from pipeline.evaluation.resampling import units
from pipeline.faces.extract import extract
from pipeline.files.atomic import atomic_folder, require_apart, require_free
from pipeline.files.io import write_csv
from pipeline.files.names import as_text, require_utf8
from pipeline.files.records import write_record
from pipeline.files.temporary import temporary_folder
from pipeline.labels import EXPRESSIONS
from pipeline.locks import exclusive
from pipeline.networks.trained import TrainedModel
from pipeline.prediction.predictor import calibrated
from pipeline.progress import working
from pipeline.scoring import figure
from pipeline.scoring.pictures import LabelledPictures
from pipeline.scoring.predicted import Predicted
from pipeline.scoring.predictions_csv import read_predictions
from pipeline.scoring.records import Bin, Comparison, Difference, ModelScores, Points
from pipeline.tracking.models import open_model

SEED = 0
"""Seed of the resampling for intervals."""

UNREADABLE_ALLOWED = 1.0
"""Allowed share of unreadable pictures: they are counted and left out, for all models alike."""


@dataclass(frozen=True)
class ScoreRequest:
    """The arguments of ``pocan score``.

    Attributes:
        pictures: a data set of the parameter file, or a folder.
        models: trained models, folders or MLflow URIs.
        predictions: CSV files of predictions.
        out: a new folder for the results; None: write nothing.
        reader: the data set whose layout the folder has; None: one sub-folder per class.
        part: a part of the pictures (``pipeline.scoring.pictures.CHOICES``); None: see ``LabelledPictures.open``.
        changes: changes to each model's section ``faces``, such as ``margin=0.1``.
        params: the parameter file that lists data sets; None: params.yaml, if there is one.
        device: auto, cpu or cuda.
    """

    pictures: str
    models: Sequence[str]
    predictions: Sequence[Path]
    out: Path | None
    reader: str | None
    part: str | None
    changes: Sequence[str]
    params: Path | None
    device: str


def score(request: ScoreRequest) -> Comparison:
    """Score models and predictions on the same labelled pictures, and write the results to ``request.out``.

    If it is interrupted, the same request reuses finished crops; without ``out`` it starts again.

    Returns:
        The scores.

    Raises:
        DatasetError: pictures, labels or a file of predictions are missing or faulty, or ``out`` exists.
        ParamsError: an option is invalid.
        WeightsError: a model is missing or damaged.
        StorageError: a file cannot be written.
    """
    _check(request)
    pictures = LabelledPictures.open(request.pictures, request.reader, request.part, request.params)
    if request.out is None:
        with temporary_folder() as folder:
            return _scored(request, pictures, folder)[0]
    require_apart(request.out, pictures.dataset.root, "--out")
    with exclusive(request.out):
        in_progress = request.out.with_name(f".{request.out.name}.in-progress")
        found, predicted = _scored(request, pictures, in_progress)
        with atomic_folder(request.out) as folder:
            _write(folder, found, pictures, predicted)
        shutil.rmtree(in_progress, ignore_errors=True)
    return found


def _scored(request: ScoreRequest, pictures: LabelledPictures, in_progress: Path) -> tuple[Comparison, list[Predicted]]:
    """Return the scores and all predictions; crops are stored in ``in_progress``."""
    device = pick(request.device)
    given = [read_predictions(path, pictures.keys) for path in request.predictions]
    trained = [open_model(model) for model in request.models]
    crops = _Crops(pictures, in_progress, device)
    faces = [changed(one.faces, "faces", request.changes) for one in trained]
    predicted = [
        _predict(as_text(name), one, crops.of(faced), pictures, device)
        for name, one, faced in zip(request.models, trained, faces, strict=True)
    ] + given
    digests = [one.description["weights_sha256"] for one in trained] + [None] * len(given)
    with working("scores"):
        return _compared(pictures, predicted, digests, len(crops.unreadable)), predicted


def _check(request: ScoreRequest) -> None:
    """Check the request before any file is opened."""
    if request.out is not None:
        require_utf8(request.out, "--out")
        require_free(request.out, "--out")
    names = [*map(as_text, request.models), *map(as_text, request.predictions)]
    if not names:
        raise ParamsError("nothing to score: name a model with --model, or a CSV of predictions with --predictions")
    places = [Path(name).resolve() if Path(name).exists() else name for name in names]
    if twice := next((name for name, place in zip(names, places, strict=True) if places.count(place) > 1), None):
        raise ParamsError(f"{twice}: named twice; name each model and each file once")


class _Crops:
    """The crops of the pictures, computed once for all models with the same face parameters."""

    def __init__(self, pictures: LabelledPictures, folder: Path, device: torch.device) -> None:
        self._pictures, self._folder, self._device = pictures, folder, device
        self.unreadable: dict[str, str] = {}

    def of(self, faces: FaceParams) -> CropStore:
        """Return the crops for these face parameters: those of dvc repro if available, else computed here."""
        if store := self._pictures.at_hand(faces):
            return store
        listed = [self._pictures.dataset.root.resolve().as_posix(), self._pictures.keys, faces.model_dump(mode="json")]
        place = self._folder / hashlib.sha256(json.dumps(listed).encode()).hexdigest()[:16]
        if not place.exists():
            partial = place.with_name(f"{place.name}-partial")
            extract(self._pictures.dataset, place, partial, faces, UNREADABLE_ALLOWED, self._device)
        self.unreadable |= read_description(place)["unreadable"]
        return CropStore.open(place)


def _predict(
    name: str, trained: TrainedModel, store: CropStore, pictures: LabelledPictures, device: torch.device
) -> Predicted:
    """Predict every picture that has a crop."""
    places = {key: row for row, key in enumerate(store.samples["key"].tolist())}
    known = np.array([key in places for key in pictures.keys])
    rows = torch.tensor([places[key] for key in pictures.keys if key in places], dtype=torch.int64)
    p = np.zeros((len(known), len(EXPRESSIONS)))
    model = trained.model.to(device)
    _, p[known] = calibrated(model, DeviceCrops(store.images, device), rows, trained.eval_crop, show_progress=True)
    model.cpu()
    whole = int((store.manifest["method"].to_numpy()[rows.numpy()] == "whole").sum())
    notes = (f"{whole} pictures in which no face was found were predicted whole",) if whole else ()
    return Predicted(name, "model", trained.drawn, known, p.argmax(axis=1).astype(np.int64), p, notes)


def _compared(
    pictures: LabelledPictures, predicted: Sequence[Predicted], digests: Sequence[str | None], unreadable: int
) -> Comparison:
    """Score all models on the pictures that all of them predict."""
    known = np.stack([one.known for one in predicted])
    rows = np.flatnonzero(known.all(axis=0)).astype(np.int64)
    if len(rows) < 2:
        raise DatasetError(
            f"{len(rows)} of {len(pictures.samples)} pictures are predicted by all, too few to compare: check that the "
            "files of predictions are for these pictures"
        )
    labels = pictures.labels()[rows]
    unit, groups = units(pictures.table().iloc[rows])
    common = [one.at(rows) for one in predicted]
    models = tuple(
        ModelScores(
            name=one.name,
            kind=one.kind,
            drawn=one.drawn,
            unpredicted=int((~whole.known).sum()),
            notes=one.notes,
            weights_sha256=digest,
            metrics=scores.score_with_intervals(labels, one.classes, groups, comparison.RESAMPLES, SEED),
            calibration_error=None if one.probabilities is None else expected_error(one.probabilities, labels),
            reliability=() if one.probabilities is None else _reliability(one.probabilities, labels),
        )
        for one, whole, digest in zip(common, predicted, digests, strict=True)
    )
    return Comparison(
        title=pictures.dataset.title,
        part=pictures.part,
        caveat=pictures.dataset.caveat,
        provenance=pictures.dataset.provenance,
        labelled=len(pictures.samples),
        pictures=len(rows),
        unreadable=unreadable,
        unit=unit,
        units=len(np.unique(groups)),
        models=models,
        differences=_differences(common, labels, groups),
        version=version("pocan"),
    )


def _reliability(p: NDArray[np.float64], labels: NDArray[np.int64]) -> tuple[Bin, ...]:
    rows = bins(p, labels).to_dict("records")
    return tuple(
        Bin(count=int(row["count"]), confidence=float(row["confidence"]), accuracy=float(row["accuracy"]))
        for row in rows
    )


def _differences(
    common: Sequence[Predicted], labels: NDArray[np.int64], groups: NDArray[np.int64]
) -> tuple[Difference, ...]:
    """Compare each model with every later one."""
    pairs = list(combinations(common, 2))
    compared = [comparison.compare(one.classes, other.classes, labels, groups, seed=SEED) for one, other in pairs]
    plain = comparison.holm([each.accuracy.p for each in compared])
    balanced = comparison.holm([each.balanced_accuracy.p for each in compared])
    return tuple(
        Difference(
            first=one.name,
            second=other.name,
            accuracy=_points(each.accuracy, p),
            balanced_accuracy=_points(each.balanced_accuracy, of_balanced),
        )
        for (one, other), each, p, of_balanced in zip(pairs, compared, plain, balanced, strict=True)
    )


def _points(found: comparison.PairedDifference, p: float) -> Points:
    return Points(difference=found.difference, low=found.low, high=found.high, p=min(1.0, max(0.0, p)))


def _write(folder: Path, found: Comparison, pictures: LabelledPictures, predicted: Sequence[Predicted]) -> None:
    """Write scores.csv, differences.csv, scores.json, scores.png and one numbered file of predictions per model."""
    write_csv(folder / "scores.csv", scores_table(found))
    if found.differences:
        write_csv(folder / "differences.csv", pd.json_normalize([one.to_json() for one in found.differences], sep="_"))
    for number, one in enumerate(predicted, start=1):
        write_csv(folder / f"predictions-{number}.csv", _predictions_table(pictures, one))
    figure.write(found, folder / "scores.png")
    write_record(folder / "scores.json", found)


def below(found: Comparison, least: float) -> list[str]:
    """Return one message per model whose accuracy is below ``least`` per cent, with its number in the table."""
    return [
        f"{number} {one.name}: accuracy {100 * one.metrics.accuracy:.1f} % is below {least:g} %"
        for number, one in enumerate(found.models, start=1)
        if 100 * one.metrics.accuracy < least
    ]


def scores_table(found: Comparison) -> pd.DataFrame:
    """Return one row per model: scores as fractions, with the bounds of 95 % intervals."""
    rows = []
    for number, one in enumerate(found.models, start=1):
        scored = one.metrics
        unknown = (None, None)
        low, high = scored.interval or unknown
        balanced_low, balanced_high = scored.balanced_interval or unknown
        rows.append(
            {
                "number": number,
                "name": one.name,
                "kind": one.kind,
                "drawn": found.is_drawn(one),
                "pictures": found.pictures,
                "accuracy": scored.accuracy,
                "accuracy_low": low,
                "accuracy_high": high,
                "balanced_accuracy": scored.balanced_accuracy,
                "balanced_low": balanced_low,
                "balanced_high": balanced_high,
                "macro_f1": scored.macro_f1,
                "calibration_error": one.calibration_error,
                **{f"f1_{name}": f1 for name, f1 in zip(EXPRESSIONS, scored.f1, strict=True)},
            }
        )
    return pd.DataFrame(rows)


def _predictions_table(pictures: LabelledPictures, one: Predicted) -> pd.DataFrame:
    """Return one row per predicted picture, in a form that ``--predictions`` reads."""
    table = pd.DataFrame({"picture": pictures.keys, "label": [EXPRESSIONS[label] for label in pictures.labels()]})
    table["expression"] = [EXPRESSIONS[index] for index in one.classes]
    if one.probabilities is not None:
        for index, name in enumerate(EXPRESSIONS):
            table[f"p_{name}"] = one.probabilities[:, index]
    return table[one.known]
