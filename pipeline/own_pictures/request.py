"""The arguments of ``pocan adapt``, and the parameters of the run; checked before any work."""

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.config.load import changed, parse_as, read, with_changes
from pipeline.config.methods import METHODS
from pipeline.config.pictures import distinct_expressions
from pipeline.config.project import params_file
from pipeline.config.schema import ModelRunParams, RunParams
from pipeline.data.outcome import RowSample
from pipeline.data.prepared import PreparedData, Split
from pipeline.datasets.folder import UnlabelledFolder
from pipeline.datasets.parts.base import Dataset
from pipeline.datasets.parts.videos import SUFFIXES, is_video
from pipeline.datasets.video import VideoDataset
from pipeline.errors import DatasetError, ParamsError
from pipeline.files.atomic import require_apart
from pipeline.files.names import as_text, require_utf8
from pipeline.methods import default_method, require_fitting, require_statistics
from pipeline.networks.network import PrototypeClassifier
from pipeline.networks.trained import TrainedModel
from pipeline.own_pictures import defaults
from pipeline.validators import LAST, VALIDATORS, chooser

CHANGEABLE = ("adapt", "methods", "compute", "tracking", "seed", "faces", "report")
"""Sections of the parameter file that a request may change; the others are stored in the model."""

CHOICE, SOURCE_FREE_CHOICE = "warrant", "information"
"""Default validators that decide which model is kept. The first needs the source's test pictures."""


@dataclass(frozen=True)
class AdaptRequest:
    """The arguments of ``pocan adapt``.

    Attributes:
        pictures: a folder of pictures, or a video.
        out: the output folder, a new one.
        model: the source model, a folder or an MLflow URI.
        method: name of the method; None: that of ``params`` if given, else by the available data (``plan``).
        choose: ``adapt.choose``, which replaces that of the parameter file; None: ``CHOICE`` or ``SOURCE_FREE_CHOICE``.
        changes: changed parameters, such as ``adapt.tau=0.6``.
        every: for a video: use only every n-th frame.
        params: a parameter file whose sections adapt and methods are used; None: ``defaults``, with the other sections
            of params.yaml if there is one.
        device: auto, cpu or cuda.
        labels: a CSV file or a folder with the expressions of a few pictures; None: no labels.
        expressions: the expressions that occur in the pictures; no other is predicted. None: unknown.
    """

    pictures: Path
    out: Path
    model: str
    method: str | None
    choose: str | None
    changes: Sequence[str]
    every: int
    params: Path | None
    device: str
    labels: Path | None = None
    expressions: Sequence[str] | None = None

    @property
    def known_expressions(self) -> tuple[str, ...] | None:
        """``expressions``, after validation.

        Raises:
            ParamsError: a name is unknown or repeated, or there are fewer than two.
        """
        if self.expressions is None:
            return None
        try:
            found = distinct_expressions(self.expressions)
        except ValueError as error:
            raise ParamsError(f"--expressions: {error}") from error
        if len(found) < 2:
            raise ParamsError("--expressions: name at least two, separated by commas, such as anger,happiness")
        return found

    @property
    def is_video(self) -> bool:
        """Whether ``pictures`` is a video."""
        return self.pictures.is_file()

    @property
    def unit(self) -> str:
        """The word for one picture: "frame" or "picture"."""
        return "frame" if self.is_video else "picture"

    def dataset(self) -> Dataset:
        """Open the user's pictures or video.

        Raises:
            DatasetError: they are missing, the video cannot be read, or ``out`` is inside the folder of pictures.
        """
        require_utf8(self.out, "--out")
        if self.is_video:
            if not is_video(self.pictures):
                raise DatasetError(f"{self.pictures}: neither a folder of pictures nor a video; name one of these")
            return VideoDataset(self.pictures, self.every)
        found = UnlabelledFolder(self.pictures)
        require_apart(self.out, self.pictures, "--out")
        found.samples()
        return found

    def videos_left_out(self, found: Dataset) -> str:
        """Return a message on videos in the folder of pictures, which are not used; empty if there are none.

        Args:
            found: the result of ``dataset``.
        """
        count = 0 if self.is_video else sum(n for kind, n in found.skipped_files().items() if kind in SUFFIXES)
        if not count:
            return ""
        told = "1 video was" if count == 1 else f"{count} videos were"
        return (
            f"{as_text(self.pictures)}: {told} left out, as only the pictures of a folder are adapted to; for the "
            "frames of a video name the video itself: pocan adapt clip.mp4 --out of-clip"
        )

    def plan(self, trained: TrainedModel, name: str) -> "Plan":
        """Return the parameters of the run: defaults or parameter file, then changes, and those stored in the model.

        Args:
            trained: the source model.
            name: name of the set of pictures.

        Raises:
            DatasetError: the requested method needs source pictures that are missing or have changed.
            ParamsError: a change is invalid, the model is already an adapted one, the method cannot adapt an imported
                model, or the validator needs source pictures that the method does not use.
            WeightsError: the method needs class statistics, and the model has none.
        """
        for change in self.changes:
            if re.split(r"[.=]", change)[0] not in CHANGEABLE:
                raise ParamsError(
                    f"{change}: only {', '.join(CHANGEABLE)} can be changed here; the rest is stored in the model"
                )
        if trained.adapted:
            raise ParamsError(
                f"{self.model}: adapted already, to {trained.description['target']['name']}; name the source model "
                "that it was made from with --model"
            )
        method, why, at_hand = self._method(trained)
        settings = self._settings(trained, name, method)
        require_fitting(settings.adapt, trained.model)
        pictures = source(trained, settings, at_hand)
        _refuse_blind_choice(settings)
        require_statistics(settings.adapt, trained.model)
        rule = settings.adapt.choose
        if self.labels is not None:
            self._refuse_unfit_for_labels(trained, settings)
            if not (self._chosen or settings.adapt.search):  # labels then choose between source model and last epoch
                settings = _choosing(settings, LAST)
        return Plan(settings, pictures, why, rule)

    def _method(self, trained: TrainedModel) -> tuple[str | None, str, PreparedData | None]:
        """Choose the method.

        Returns:
            Its name (None: the parameter file names it), the reason, and the source pictures if they were opened.
        """
        asked = self._asked("adapt.method")
        if self.method or asked:
            return self.method or asked[-1], "as requested", None
        if self.params is not None:
            return None, f"from {self.params}", None
        if trained.imported:
            method = default_method(trained.model) if self.labels is None else defaults.WITH_NOTHING
            return method, "which needs no source pictures", None
        try:
            at_hand = pictures_of(trained)
        except DatasetError as error:
            missing = str(error).splitlines()[0].partition(";")[0]
            stored = isinstance(trained.model, PrototypeClassifier) and trained.model.statistics is not None
            free = defaults.WITH_STATISTICS if stored else defaults.WITH_NOTHING
            return free, f"because the model's training pictures are not here ({missing})", None
        return defaults.WITH_SOURCE, "because the model's training pictures are here", at_hand

    def _asked(self, key: str) -> list[str]:
        """Return the values that ``changes`` gives to a key."""
        return [change.partition("=")[2] for change in self.changes if change.partition("=")[0] == key]

    @property
    def _chosen(self) -> bool:
        """Whether the user has set ``adapt.choose``."""
        return self.choose is not None or bool(self._asked("adapt.choose"))

    def _refuse_unfit_for_labels(self, trained: TrainedModel, settings: ModelRunParams) -> None:
        """Check that method and model allow a fit to labels.

        Raises:
            ParamsError: the method does not work on features, or the model has no g and M.
        """
        if settings.adapt.trains != "head":
            raise ParamsError(
                f"--labels: the fit works on features of f, but {settings.adapt.title} needs more than these; choose "
                "another --method"
            )
        if not isinstance(trained.model, PrototypeClassifier):
            raise ParamsError(f"--labels: {self.model} has no head g and no prototypes that could be fitted")

    def _settings(self, trained: TrainedModel, name: str, method: str | None) -> ModelRunParams:
        decision = trained.description.get("prototypes", {})
        own = defaults.changes(method, decision, not trained.imported) if method and self.params is None else []
        options = [*own, *([f"adapt.method={method}"] if method else [])]
        of_faces = [change for change in self.changes if change.startswith("faces.")]
        rest = [change for change in self.changes if change not in of_faces]
        settings = self._asked_for([*options, f"adapt.choose={self.choose or CHOICE}", *rest])
        made = {
            "source": trained.description["source"]["name"],
            "targets": (name,),
            "model": trained.params,
            "augment": trained.augment,
            "faces": changed(trained.faces, "faces", [change.removeprefix("faces.") for change in of_faces]),
            "device": self.device,
            "compute": settings.compute.model_copy(update={"devices": 1}),
        }
        whole = ModelRunParams.model_construct(**{**dict(settings), **made})  # not validated: targets may be any name
        free = settings.adapt.source_free and not self._chosen
        return _choosing(whole, SOURCE_FREE_CHOICE) if free else whole

    def _asked_for(self, changes: Sequence[str]) -> RunParams:
        """Return the parameters of the parameter file, or the defaults if there is none, with ``changes`` applied."""
        file = params_file(self.params)
        raw = copy.deepcopy(defaults.WITHOUT_PROJECT) if file is None else read(file)
        sections = {"methods", *RunParams.model_fields}
        own = {key: value for key, value in raw.items() if key in sections}
        return parse_as(with_changes(own, changes), "the request" if file is None else str(file), RunParams)


@dataclass(frozen=True)
class Plan:
    """The parameters of a run.

    Attributes:
        settings: all parameters.
        source: the source pictures; None if the method needs none.
        why: the reason for the method, as the end of a sentence.
        rule: the label-free rule that decides whether the source model or the adapted one is kept. With labels, it
            decides which of the two is preferred.
    """

    settings: ModelRunParams
    source: PreparedData | None
    why: str
    rule: str


def _choosing(settings: ModelRunParams, rule: str) -> ModelRunParams:
    return settings.model_copy(update={"adapt": settings.adapt.model_copy(update={"choose": rule})})


def source(trained: TrainedModel, settings: ModelRunParams, at_hand: PreparedData | None = None) -> PreparedData | None:
    """Return the pictures that the model was trained on; None if the method needs none.

    Args:
        trained: the model.
        settings: the parameters of the run.
        at_hand: the pictures, if they are already open.

    Raises:
        DatasetError: they are missing, or have changed since.
    """
    if settings.adapt.source_free:
        return None
    try:
        found = at_hand or pictures_of(trained)
    except DatasetError as error:
        free = ", ".join(name for name, method in METHODS.items() if method.source_free)
        raise DatasetError(
            f"{settings.adapt.title} needs the pictures that the model was trained on: {error}; --method {free} need "
            "none"
        ) from None
    if settings.adapt.trains == "all":
        return found
    judges = RowSample.draw(found.split.test, 0).rows  # no more are used, and their features would take time
    return replace(found, split=Split(found.split.train, judges))


def pictures_of(trained: TrainedModel) -> PreparedData:
    """Open the pictures that a model was trained on.

    Raises:
        DatasetError: they are missing, or have changed since.
    """
    name = trained.description["source"]["name"]
    try:
        found = PreparedData.open(name)
    except DatasetError as error:
        raise DatasetError(f"{error}, or bring them with dvc pull") from None
    made, here = trained.description["source"], found.description()
    if any(made.get(key) != here[key] for key in ("digest", "split")):
        raise DatasetError(f"data/crops/{name} or its split has changed since: train it again")
    return found


def _refuse_blind_choice(settings: ModelRunParams) -> None:
    """Check that the validator does not need source pictures if the method does not use them.

    Raises:
        ParamsError: it needs them.
    """
    validator = chooser(settings.adapt.choose)
    if settings.adapt.source_free and validator and validator.needs_source:
        able = ", ".join(one.name for one in VALIDATORS if not one.needs_source)
        raise ParamsError(
            f"adapt.choose: {validator.name} needs source pictures, which {settings.adapt.title} does not use; choose "
            f"{LAST}, {able}"
        )
