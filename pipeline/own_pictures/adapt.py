"""``pocan adapt``: any folder of unlabelled pictures, or a video, becomes an adapted model with its predictions."""

import re
import shutil
from pathlib import Path

import numpy as np

from pipeline.adaptation.adapt import Adaptation, adapt
from pipeline.adaptation.places import Places
from pipeline.compute.team import Team
from pipeline.config import code
from pipeline.config.pictures import FaceParams
from pipeline.config.schema import Params
from pipeline.data.crops import CropStore
from pipeline.data.outcome import Outcome
from pipeline.data.prepared import PreparedData, Split
from pipeline.errors import DatasetError
from pipeline.evaluation import calibration
from pipeline.evaluation.scorecard import predictions_table
from pipeline.files.io import read_json, write_csv, write_json, write_text
from pipeline.locks import alone
from pipeline.methods import implementation
from pipeline.networks import saved
from pipeline.own_pictures import page, report
from pipeline.own_pictures.wish import Wish, source
from pipeline.reporting.csv_tables import read_curve
from pipeline.reporting.folder_faces import extract_pictures
from pipeline.reporting.titles import DRAWN_MARK
from pipeline.tracking import models
from pipeline.tracking.runs import stage_run
from pipeline.training import loop

REPORT, PREDICTIONS, PAGE = "report.md", "predictions.csv", "index.html"


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
    pictures = wish.dataset()
    trained = models.opened(wish.model)
    settings = wish.settings(trained, pictures.name)
    needed = source(trained, settings)
    in_progress = _take(wish, settings.faces)
    with Team.start(settings.device, settings.compute) as team:
        extract_pictures(pictures, wish.out, in_progress / "crops", settings.faces, team.device, None)
        loop.prepare(settings.seed, team.device)
        work = Adaptation(
            trained,
            needed,
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


def _target(name: str, crops: Path) -> PreparedData:
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
    return PreparedData(name, store, Split(rows, rows))


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
