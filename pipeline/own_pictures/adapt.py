"""``pocan adapt``: any folder of unlabelled pictures, or a video, becomes an adapted model with its predictions."""

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.adaptation.adapt import Adaptation, adapt
from pipeline.adaptation.places import Places
from pipeline.compute.team import Team
from pipeline.config import code
from pipeline.config.load import changed, load
from pipeline.config.methods import METHODS
from pipeline.config.pictures import FaceParams
from pipeline.config.schema import Params
from pipeline.data.crops import CropStore
from pipeline.data.outcome import Outcome
from pipeline.data.prepared import Prepared
from pipeline.data.split import Split
from pipeline.datasets import AnyFolder, Dataset, Footage
from pipeline.datasets.parts.videos import is_video
from pipeline.errors import DatasetError, ParamsError
from pipeline.evaluation import calibration
from pipeline.evaluation.scorecard import predictions_table
from pipeline.files.reading import read_json
from pipeline.files.writing import write_csv, write_json, write_text
from pipeline.locks import alone
from pipeline.methods import implementation
from pipeline.networks import saved
from pipeline.networks.trained import Trained
from pipeline.own_pictures import page, report
from pipeline.reporting.csv_tables import read_curve
from pipeline.reporting.folder_faces import extract_pictures, require_apart
from pipeline.reporting.titles import DRAWN_MARK
from pipeline.tracking import models
from pipeline.tracking.runs import stage_run
from pipeline.training import loop
from pipeline.validators import LAST, VALIDATORS, chooser

OWN = ("adapt", "methods", "compute", "tracking", "seed", "faces", "report")
"""Sections that may be changed here: the model brings the others with it."""

REPORT, PREDICTIONS, PAGE = "report.md", "predictions.csv", "index.html"


@dataclass(frozen=True)
class Wish:
    """What the user asks for. changes: other parameters, as ``adapt.tau=0.6``. every: of a video's frames."""

    pictures: Path
    out: Path
    model: str
    method: str | None
    changes: Sequence[str]
    every: int
    file: Path
    device: str


def adapt_to(wish: Wish) -> list[Path]:
    """Faces, adaptation and report of ``wish.pictures`` in ``wish.out``; returns the files and folders for the user.

    Interrupted at any moment, the same wish goes on where it was.

    Raises:
        DatasetError: there is nothing to adapt to, the source's pictures are missing where the method needs them, or
            the output is there already. Further PipelineErrors: a parameter, the model, the disk, MLflow.
    """
    with alone(wish.out):
        return _adapted(wish)


def _adapted(wish: Wish) -> list[Path]:
    pictures = _pictures(wish)
    trained = models.opened(wish.model)
    faces = changed(trained.faces, "faces", [change[6:] for change in wish.changes if change.startswith("faces.")])
    settings = _settings(wish, trained, pictures.name, faces)
    _refuse_blind_choice(settings)
    source = _source(trained, settings)
    in_progress = _take(wish, faces)
    with Team.start(settings.device, settings.compute) as team:
        extract_pictures(pictures, wish.out, in_progress / "crops", faces, team.device, None)
        loop.prepare(settings.seed, team.device)
        work = Adaptation(
            trained,
            source,
            _target(pictures.name, wish.out / "crops"),
            settings.adapt,
            settings.augment,
            settings.seed,
            None,
            code.digests("adapt", settings, implementation(settings.adapt)),
            Places.below(wish.out, in_progress),
        )
        name = re.sub(r"[^\w.-]+", "-", pictures.name)
        adapt(
            work,
            lambda checkpoint: stage_run(settings, "adapt", name, checkpoint),
            team,
            f"{settings.tracking.experiment}-own-{name}",
            lambda outcome: _write(wish, settings, work, outcome),
        )
    shutil.rmtree(in_progress)
    return [wish.out / name for name in (REPORT, PAGE, PREDICTIONS, "model")]


def _pictures(wish: Wish) -> Dataset:
    """The user's pictures or video, looked at before any work.

    Raises:
        DatasetError: they are not there, or no video that can be read; or the output would lie among them.
    """
    if wish.pictures.is_file():
        if not is_video(wish.pictures):
            raise DatasetError(f"{wish.pictures}: neither a folder of pictures nor a video; name one of these")
        return Footage(wish.pictures, wish.every)
    found = AnyFolder(wish.pictures)
    require_apart(wish.out, wish.pictures)
    found.samples()
    return found


def _settings(wish: Wish, trained: Trained, name: str, faces: FaceParams) -> Params:
    """The parameter file with the wish's changes, and with what the model was made with in place of its own.

    Raises:
        ParamsError: a change is refused, or the model was adapted already.
    """
    for change in wish.changes:
        if re.split(r"[.=]", change)[0] not in OWN:
            raise ParamsError(f"{change}: only {', '.join(OWN)} can be changed here; the model brings the rest with it")
    if trained.adapted:
        raise ParamsError(
            f"{wish.model}: adapted already, to {trained.description['target']['name']}; name the source model that "
            "it was made from with --model"
        )
    method = [f"adapt.method={wish.method}"] if wish.method else []
    settings = load(wish.file, [*method, *(change for change in wish.changes if not change.startswith("faces."))])
    made = {
        "source": trained.description["source"]["name"],
        "targets": (name,),
        "model": trained.params,
        "augment": trained.augment,
        "faces": faces,
        "device": wish.device,
        "compute": settings.compute.model_copy(update={"devices": 1}),
    }
    return settings.model_copy(update=made)


def _refuse_blind_choice(settings: Params) -> None:
    """Nobody may choose the epoch by the source's pictures where these are not looked at.

    Raises:
        ParamsError: it is so.
    """
    validator = chooser(settings.adapt.choose)
    if settings.adapt.source_free and validator and validator.needs_source:
        able = ", ".join(one.name for one in VALIDATORS if not one.needs_source)
        raise ParamsError(
            f"adapt.choose: {validator.name} judges by the source's pictures, without which {settings.adapt.title} "
            f"adapts here; choose {LAST}, {able}"
        )


def _source(trained: Trained, settings: Params) -> Prepared | None:
    """The pictures that the model was trained on, where the method needs them.

    Raises:
        DatasetError: they are not there, or are others.
    """
    if settings.adapt.source_free:
        return None
    need = f"{settings.adapt.title} needs the pictures that the model was trained on"
    try:
        found = Prepared.open(settings.source)
    except DatasetError as error:
        free = ", ".join(name for name, method in METHODS.items() if method.source_free)
        raise DatasetError(f"{need}: {error}, or bring them with dvc pull; --method {free} need none") from None
    made, here = trained.description["source"], found.description()
    if any(made.get(key) != here[key] for key in ("digest", "split")):
        raise DatasetError(f"{need}, but data/crops/{settings.source} or its split has changed since: train it again")
    return found


def _take(wish: Wish, faces: FaceParams) -> Path:
    """The folder of work in progress within the output, for this wish alone.

    Raises:
        DatasetError: the output is there already, and is no unfinished work on these pictures.
    """
    in_progress = wish.out / ".in-progress"
    note = in_progress / "pictures.json"
    asked = {"pictures": str(wish.pictures.resolve()), "every": wish.every, "faces": faces.model_dump(mode="json")}
    if note.is_file():
        try:
            found = read_json(note)
        except ValueError:  # damaged
            found = {}
        if found != asked:
            raise DatasetError(
                f"{wish.out}: holds unfinished work on {found.get('pictures', 'other pictures')} or with other faces; "
                "remove it or name another folder with --out"
            )
    elif wish.out.exists() and (not wish.out.is_dir() or any(wish.out.iterdir())):
        raise DatasetError(f"{wish.out}: exists already; remove it or name another folder with --out")
    else:
        write_json(note, asked)
    return in_progress


def _target(name: str, crops: Path) -> Prepared:
    """The pictures in which there is a face, all of them to adapt to and to predict.

    Raises:
        DatasetError: there are not two.
    """
    store = CropStore.open(crops)
    rows = np.flatnonzero(store.manifest["method"].to_numpy() != "whole").astype(np.int64)
    if len(rows) < 2:
        raise DatasetError(
            f"{len(rows)} of {len(store.images)} pictures have a face, too few to adapt to; look at "
            f"{crops.parent / 'faces.md'}, try -S faces.min_face=20, or add pictures"
        )
    return Prepared(name, store, Split(rows, rows))


def _write(wish: Wish, settings: Params, work: Adaptation, outcome: Outcome) -> list[Path]:
    """The predictions of every picture with a face, the report, and the page that shows both."""
    made = saved.describe(work.places.model)
    every = predictions_table(work.target, calibration.rescaled(outcome.after.probabilities, made["temperature"]))
    table = every.iloc[work.target.split.test]
    labels = None if work.source is None else work.source.store.labels()
    # Numbers of a model that has learned from drawn faces are as little comparable as those on drawn pictures.
    seen = work.trained.description["source"], work.target.store.description
    mark = f" {DRAWN_MARK}" if any(one["provenance"] == "stand-in" for one in seen) else ""
    text = report.text(settings, wish.model, work.target, outcome, made["kept_epoch"], labels, table, mark)
    curve = read_curve(work.places.curve, "the same command again")
    shown = page.html(settings, text, work.source, work.target, outcome, every, curve, mark)
    write_csv(wish.out / PREDICTIONS, table)
    write_text(wish.out / REPORT, text)
    write_text(wish.out / PAGE, shown)
    return [wish.out / PREDICTIONS, wish.out / REPORT]
