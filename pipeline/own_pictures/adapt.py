"""What ``pocan adapt`` does: a model adapted to a folder of unlabelled pictures or a video, and its predictions."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from pipeline.adaptation import Adaptation, adapt
from pipeline.compute.team import Team
from pipeline.config import dependencies
from pipeline.config.paths import AdaptationPaths
from pipeline.config.pictures import FaceParams
from pipeline.config.schema import Params
from pipeline.data.crops import CropStore
from pipeline.data.outcome import Outcome
from pipeline.data.prepared import PreparedData, Split
from pipeline.errors import DatasetError
from pipeline.evaluation.records import ProvenancePair
from pipeline.evaluation.scorecard import predictions_table
from pipeline.faces.crop import Face
from pipeline.files.io import read_json, write_json, write_text
from pipeline.files.names import as_text
from pipeline.locks import exclusive
from pipeline.methods import implementation
from pipeline.networks import saved
from pipeline.networks.calibration import rescaled
from pipeline.own_pictures import page, report
from pipeline.own_pictures.request import AdaptRequest, source
from pipeline.prediction.outputs import Row, csv_text
from pipeline.prediction.predictor import Prediction
from pipeline.progress import working
from pipeline.reporting.folder_faces import extract_pictures
from pipeline.reporting.results import read_curve
from pipeline.tracking import models
from pipeline.tracking.runs import stage_run
from pipeline.training import loop

REPORT, PREDICTIONS, PAGE, MODEL = "report.md", "predictions.csv", "index.html", "model"
"""What is written for the user into the folder of the request, beside faces.md, contact sheets, crops and curves."""


def adapt_to_pictures(request: AdaptRequest) -> None:
    """Find the faces of ``request.pictures``, adapt the model to them, and write all results into ``request.out``.

    Interrupted at any moment, the same request goes on where it was.

    Raises:
        DatasetError: there is nothing to adapt to, the source's pictures are missing where the method needs them, or
            the output is there already.
        PipelineError: a parameter, the model, the disk or MLflow is at fault.
    """
    with exclusive(request.out):
        _run(request)


def _run(request: AdaptRequest) -> None:
    pictures = request.dataset()
    trained = models.open_model(request.model)
    settings = request.settings(trained, pictures.name)
    source_data = source(trained, settings)
    in_progress = _claim(request, settings.faces)
    with Team.start(settings.device, settings.compute) as team:
        extract_pictures(pictures, request.out, in_progress / "crops", settings.faces, team.device, None)
        loop.prepare(settings.seed, team.device)
        work = Adaptation(
            trained,
            source_data,
            _target(pictures.name, request.out / "crops"),
            settings.adapt,
            settings.augment,
            settings.seed,
            None,
            dependencies.code_digests("adapt", settings, implementation(settings.adapt)),
            AdaptationPaths.below(request.out, in_progress),
        )
        if settings.adapt.trains == "head":
            _make_features(work, team.device)
        name = re.sub(r"[^\w.-]+", "-", pictures.name)
        adapt(
            work,
            lambda checkpoint: stage_run(settings, "adapt", name, checkpoint),
            team,
            f"{settings.tracking.experiment}-own-{name}",
            lambda outcome: _write(request, settings, work, outcome),
        )
    shutil.rmtree(in_progress)


def _make_features(work: Adaptation, device: torch.device) -> None:
    """Compute the features that the adaptation reads, into the work in progress."""
    for request in work.feature_requests():
        if request is not None:
            request.write(work.outputs.features / request.name, device)


def _claim(request: AdaptRequest, faces: FaceParams) -> Path:
    """The folder of work in progress within the output, marked as that of these pictures and parameters.

    Raises:
        DatasetError: the output is there already, and is no unfinished work on these pictures.
    """
    in_progress = request.out / ".in-progress"
    note = in_progress / "pictures.json"
    wanted = {
        "pictures": str(request.pictures.resolve()),
        "every": request.every,
        "faces": faces.model_dump(mode="json"),
    }
    if note.is_file():
        try:
            found = read_json(note)
        except ValueError:  # damaged
            found = {}
        if found != wanted:
            raise DatasetError(
                f"{request.out}: holds unfinished work on {found.get('pictures', 'other pictures')} or with other "
                "faces; remove it or name another folder with --out"
            )
    elif request.out.exists() and (not request.out.is_dir() or any(request.out.iterdir())):
        raise DatasetError(f"{request.out}: exists already; remove it or name another folder with --out")
    else:
        write_json(note, wanted)
    return in_progress


def _target(name: str, crops: Path) -> PreparedData:
    """The pictures in which there is a face: all of them are adapted to and predicted.

    Raises:
        DatasetError: there are fewer than two.
    """
    store = CropStore.open(crops)
    rows = np.flatnonzero(store.manifest["method"].to_numpy() != "whole").astype(np.int64)
    if len(rows) < 2:
        raise DatasetError(
            f"{len(rows)} of {len(store.images)} pictures have a face, too few to adapt to; look at "
            f"{crops.parent / 'faces.md'}, try -S faces.min_face=20, or add pictures"
        )
    return PreparedData(name, store, Split(rows, rows))


def _write(request: AdaptRequest, settings: Params, work: Adaptation, outcome: Outcome) -> list[Path]:
    """Write the predictions of every picture with a face, the report and the page; returns what MLflow keeps."""
    description = saved.describe(work.outputs.model)
    probabilities = rescaled(outcome.after.probabilities, description["temperature"])
    every = predictions_table(work.target, probabilities)
    table = every.iloc[work.target.split.test]
    labels = None if work.source is None else work.source.store.labels()
    # Numbers of a model that has learned from drawn faces are as little comparable as those on drawn pictures.
    data = work.trained.description["source"], work.target.store.description
    provenance = ProvenancePair(source=data[0]["provenance"], target=data[1]["provenance"])
    drawn = "stand-in" in (provenance.source, provenance.target)
    scores = report.judged(work.target, outcome, labels)
    text = report.text(
        settings,
        as_text(request.model),
        work.target,
        request.unit,
        outcome,
        description["kept_epoch"],
        scores,
        work.source is not None,
        table,
        provenance,
        report.UNCALIBRATED if work.trained.imported else report.CALIBRATED,
    )
    curve = read_curve(work.outputs.curve, "the same command again")
    with working("draw the page"):
        html = page.html(settings, text, work.source, work.target, outcome, scores, every, curve, provenance)
    write_text(request.out / PREDICTIONS, csv_text(_rows(request, work.target, probabilities, drawn)))
    write_text(request.out / REPORT, text)
    write_text(request.out / PAGE, html)
    return [request.out / PREDICTIONS, request.out / REPORT]


def _rows(
    request: AdaptRequest, target: PreparedData, probabilities: NDArray[np.float64], drawn: bool
) -> Iterator[Row]:
    """The predictions as ``pocan predict`` has them, but of one face a picture, the one that was adapted to.

    The model is named from the folder of the file: the same work gives the same bytes wherever it lies.
    """
    faces = target.store.manifest.iloc[target.split.test].to_dict("records")
    for face, shares in zip(faces, probabilities[target.split.test], strict=True):
        left, top, right, bottom = face["box"]
        score = None if pd.isna(face["score"]) else float(face["score"])
        place = Face(face["method"], face["faces"], (left, top, right, bottom), score)
        found = Prediction(place, shares.astype(np.float32))
        if request.is_video:
            yield Row(as_text(request.pictures), int(face["frame"]), 1, found, MODEL, drawn)
        else:
            yield Row(as_text(request.pictures / face["key"]), None, 1, found, MODEL, drawn)
