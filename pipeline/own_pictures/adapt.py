"""The work of ``pocan adapt``: adapt a model to a folder of pictures or a video, and predict its faces."""

import copy
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from pipeline.adaptation import Adaptation, Final, adapt
from pipeline.compute.device import pick
from pipeline.compute.team import Team
from pipeline.config import dependencies
from pipeline.config.paths import AdaptationPaths
from pipeline.config.pictures import FaceParams
from pipeline.data.crops import CropStore
from pipeline.data.prepared import PreparedData, Split
from pipeline.errors import DamagedFileError, DatasetError
from pipeline.files.io import read_json, write_json
from pipeline.labels import EXPRESSIONS
from pipeline.locks import exclusive
from pipeline.methods import implementation
from pipeline.own_pictures import outputs, verdicts
from pipeline.own_pictures.labelled import Labelled
from pipeline.own_pictures.request import AdaptRequest, Plan
from pipeline.own_pictures.user_labels import UserLabel, digest, read_labels, single_labels
from pipeline.progress import say
from pipeline.reporting.folder_faces import extract_pictures, nothing_left
from pipeline.tracking import models
from pipeline.tracking.runs import stage_run
from pipeline.training import loop


def adapt_to_pictures(request: AdaptRequest) -> None:
    """Find the faces of ``request.pictures``, adapt the model to them, and write all results into ``request.out``.

    If it is interrupted, the next call with the same request continues.

    Raises:
        DatasetError: there is nothing to adapt to, the method needs source pictures that are missing, or the output
            already exists.
        PipelineError: a parameter or the model is invalid, or the disk or MLflow fails.
    """
    with exclusive(request.out):
        _run(request)


def _run(request: AdaptRequest) -> None:
    pick(request.device)
    known = request.known_expressions
    pictures = request.dataset()
    trained = models.open_model(request.model)
    # Read it now, because a method may train this model in place.
    temperature = float(trained.model.calibration.temperature)
    given = [] if request.labels is None else read_labels(request.labels, pictures)
    _require_known(given, known)
    plan = request.plan(trained, pictures.name)
    settings = plan.settings
    for message in filter(None, [request.videos_left_out(pictures), *single_labels(given)]):
        say(f"note: {message}")
    in_progress = _claim(request, settings.faces, given)
    with Team.start(settings.device, settings.compute) as team:
        with nothing_left(request.out, in_progress):
            extract_pictures(pictures, request.out, in_progress / "crops", settings.faces, team.device, None)
        loop.prepare(settings.seed, team.device)
        work = Adaptation(
            trained=trained,
            source=plan.source,
            target=_target(pictures.name, request.out / "crops"),
            params=settings.adapt,
            augment=settings.augment,
            seed=settings.seed,
            known_classes=known,
            code=dependencies.code_digests("adapt", settings, implementation(settings.adapt)),
            outputs=AdaptationPaths.below(request.out, in_progress),
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
            lambda outcome: outputs.write(request, plan, work, outcome, temperature, labelled),
            labelled or Final.of,
        )
    shutil.rmtree(in_progress)


def _make_features(work: Adaptation, device: torch.device) -> None:
    """Compute the features that the adaptation reads; they are intermediate files."""
    for request in work.feature_requests:
        if request is not None:
            request.write(work.outputs.features / request.name, device)


def _require_known(given: Sequence[UserLabel], known: Sequence[str] | None) -> None:
    """Check that every label is one of the known expressions.

    Raises:
        DatasetError: a label is another expression.
    """
    for one in given:
        if known and EXPRESSIONS[one.label] not in known:
            raise DatasetError(f"{one.place}: {EXPRESSIONS[one.label]} is not among --expressions; correct one of them")


def _labelled(plan: Plan, work: Adaptation, given: Sequence[UserLabel]) -> Labelled:
    """Prepare the choice of a model by the user's labels, with a copy of the source model.

    Raises:
        DatasetError: too few labelled pictures have a face.
    """
    model = copy.deepcopy(work.source_model)
    keys, faces = work.target.store.samples["key"].tolist(), work.target.split.train
    taken = verdicts.taken_over(work.statistics)
    return Labelled(given, keys, faces, model, work.params.title, taken, plan.rule, work.seed)


def _claim(request: AdaptRequest, faces: FaceParams, given: Sequence[UserLabel]) -> Path:
    """Return the folder of intermediate files in the output folder, with a note of the pictures and parameters.

    Raises:
        DatasetError: the output folder exists, and is not unfinished work on the same pictures and parameters.
    """
    in_progress = request.out / ".in-progress"
    note = in_progress / "pictures.json"
    wanted = {
        "pictures": str(request.pictures.resolve()),
        "every": request.every,
        "faces": faces.model_dump(mode="json"),
    } | ({"labels": digest(given)} if given else {})
    if known := request.known_expressions:
        wanted["expressions"] = [*known]
    if note.is_file():
        try:
            found = read_json(note)
        except DamagedFileError as error:
            raise DatasetError(
                f"{note}: damaged, so the unfinished work there cannot be identified; remove {request.out} or name "
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
    """Return the user's pictures with a face as the target: all of them are training and test rows.

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
