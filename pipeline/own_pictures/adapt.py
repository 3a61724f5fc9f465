"""What ``pocan adapt`` does: a model adapted to a folder of pictures or a video, and its predictions."""

import copy
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from pipeline.adaptation import Adaptation, Final, adapt
from pipeline.compute.device import pick
from pipeline.compute.team import Team
from pipeline.config import dependencies
from pipeline.config.paths import AdaptationPaths
from pipeline.config.pictures import FaceParams
from pipeline.data.crops import CropStore
from pipeline.data.outcome import Outcome
from pipeline.data.prepared import PreparedData, Split
from pipeline.errors import DamagedFileError, DatasetError
from pipeline.evaluation.records import ProvenancePair
from pipeline.evaluation.scorecard import predictions_table
from pipeline.faces.crop import Face
from pipeline.files.io import read_json, read_parquet, write_csv, write_json, write_text
from pipeline.files.names import as_text
from pipeline.locks import exclusive
from pipeline.methods import implementation
from pipeline.networks import saved
from pipeline.networks.calibration import rescaled
from pipeline.networks.network import PrototypeClassifier
from pipeline.own_pictures import next_labels, page, report
from pipeline.own_pictures.changed import changes
from pipeline.own_pictures.labelled import Labelled
from pipeline.own_pictures.request import AdaptRequest, Plan
from pipeline.own_pictures.user_labels import UserLabel, digest, read_labels, single_labels
from pipeline.prediction.outputs import Row, csv_text
from pipeline.prediction.predictor import Prediction
from pipeline.progress import working
from pipeline.reporting.folder_faces import extract_pictures, nothing_left
from pipeline.reporting.results import read_curve
from pipeline.tracking import models
from pipeline.tracking.runs import stage_run
from pipeline.training import loop

REPORT, PREDICTIONS, PAGE, MODEL = "report.md", "predictions.csv", "index.html", "model"
NEXT, LABEL_PAGE = "label-next.csv", "label.html"
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
    pick(request.device)
    pictures = request.dataset()
    trained = models.open_model(request.model)
    # Now: a method may train this very model.
    temperature = float(trained.model.calibration.temperature)
    given = [] if request.labels is None else read_labels(request.labels, pictures)
    plan = request.plan(trained, pictures.name)
    settings = plan.settings
    for message in filter(None, [request.videos_left_out(pictures), *single_labels(given)]):
        tqdm.write(f"note: {message}", file=sys.stderr)
    in_progress = _claim(request, settings.faces, given)
    with Team.start(settings.device, settings.compute) as team:
        with nothing_left(request.out, in_progress):
            extract_pictures(pictures, request.out, in_progress / "crops", settings.faces, team.device, None)
        loop.prepare(settings.seed, team.device)
        work = Adaptation(
            trained,
            plan.source,
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
        labelled = _labelled(plan, work, given) if given else None
        name = re.sub(r"[^\w.-]+", "-", pictures.name)
        adapt(
            work,
            lambda checkpoint: stage_run(settings, "adapt", name, checkpoint),
            team,
            f"{settings.tracking.experiment}-own-{name}",
            lambda outcome: _write(request, plan, work, outcome, temperature, labelled),
            labelled or Final.of,
        )
    shutil.rmtree(in_progress)


def _make_features(work: Adaptation, device: torch.device) -> None:
    """Compute the features that the adaptation reads, into the work in progress."""
    for request in work.feature_requests:
        if request is not None:
            request.write(work.outputs.features / request.name, device)


def _labelled(plan: Plan, work: Adaptation, given: Sequence[UserLabel]) -> Labelled:
    """What the labels are compared by; the source model is copied before a method trains it in place.

    Raises:
        DatasetError: too few labelled pictures have a face.
    """
    model = copy.deepcopy(work.trained.model)
    assert isinstance(model, PrototypeClassifier)
    keys, faces = work.target.store.samples["key"].tolist(), work.target.split.train
    return Labelled(given, keys, faces, model, work.params.title, plan.rule, work.seed)


def _claim(request: AdaptRequest, faces: FaceParams, given: Sequence[UserLabel]) -> Path:
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
    } | ({"labels": digest(given)} if given else {})
    if note.is_file():
        try:
            found = read_json(note)
        except DamagedFileError as error:
            raise DatasetError(
                f"{note}: damaged, so what the unfinished work there is on is unknown; remove {request.out} or name "
                "another folder with --out"
            ) from error
        if other := [name for name in wanted | found if found.get(name) != wanted.get(name)]:
            raise DatasetError(
                f"{request.out}: holds unfinished work on {found.get('pictures', 'unknown pictures')}, with other "
                f"{', '.join(other)}; remove it or name another folder with --out"
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


def _write(
    request: AdaptRequest,
    plan: Plan,
    work: Adaptation,
    outcome: Outcome,
    temperature: float,
    labelled: Labelled | None,
) -> list[Path]:
    """Write the predictions of every picture with a face, what to label next, the report and the page.

    Args:
        request: what the user wants.
        plan: what was done.
        work: the adaptation.
        outcome: what both models predict.
        temperature: the source model's.
        labelled: the user's labels; None: there are none.

    Returns:
        What MLflow keeps.
    """
    settings, target, out = plan.settings, work.target, request.out
    description = saved.describe(work.outputs.model)
    probabilities = rescaled(outcome.after.probabilities, description["temperature"])
    every = predictions_table(target, probabilities)
    before = rescaled(outcome.before.probabilities, temperature)
    # Numbers of a model that has learned from drawn faces are as little comparable as those on drawn pictures.
    data = work.trained.description["source"], target.store.description
    provenance = ProvenancePair(source=data[0]["provenance"], target=data[1]["provenance"])
    drawn = "stand-in" in (provenance.source, provenance.target)
    scores = report.judged(target, outcome, None if work.source is None else work.source.store.labels())
    queries = _queries(outcome, probabilities, labelled)
    report_data = report.ReportData(
        settings=settings,
        model=as_text(request.model),
        why=plan.why,
        target=target,
        unit=request.unit,
        outcome=outcome,
        kept_epoch=description["kept_epoch"],
        moved=_moved(work, description["kept_epoch"]),
        scores=scores,
        with_source=work.source is not None,
        predictions=every.iloc[target.split.test],
        changes=changes(target, before, probabilities),
        validations=pd.read_csv(work.outputs.validations),
        verdict=labelled.verdict if labelled else None,
        queries=target.store.samples["key"].iloc[[one.row for one in queries]].tolist(),
        provenance=provenance,
        imported=work.trained.imported,
    )
    text = report.text(report_data)
    curve = read_curve(work.outputs.curve, "the same command again")
    with working("draw the page"):
        html = page.html(
            settings,
            text,
            work.source,
            target,
            outcome,
            scores,
            every,
            before,
            curve,
            provenance,
            report_data.kept_source,
        )
    write_csv(out / NEXT, next_labels.table(queries, target.store))
    given = labelled.by_row if labelled else {}
    write_text(out / LABEL_PAGE, next_labels.html(target.name, queries, target.store, given))
    write_text(out / PREDICTIONS, csv_text(_rows(request, target, probabilities, drawn)))
    write_text(out / REPORT, text)
    write_text(out / PAGE, html)
    return [out / PREDICTIONS, out / REPORT]


def _queries(
    outcome: Outcome, probabilities: NDArray[np.float64], labelled: Labelled | None
) -> list[next_labels.LabelQuery]:
    """What to label next, of the pictures with a face whose embeddings are kept."""
    rows = outcome.target.rows
    known = labelled.by_row if labelled else {}
    return next_labels.most_telling(rows, probabilities[rows], outcome.after.target, known)


def _moved(work: Adaptation, kept_epoch: int) -> float:
    """The share of pictures whose class is another after adaptation than before.

    Of a search that of the kept configuration; where the source model is kept, of the one that moves most.
    """
    classes = read_parquet(work.outputs.epochs)
    moved = (classes.iloc[:, 1:].ne(classes.iloc[:, 0], axis=0)).mean()
    if not len(moved):
        return 0.0
    if work.params.search:
        return float(moved.iloc[kept_epoch - 1] if kept_epoch else moved.max())
    return float(moved.iloc[-1])


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
