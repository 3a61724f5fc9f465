"""What ``pocan adapt`` was called with: pictures and parameters, checked before any work."""

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
from pipeline.files.names import as_text, require_utf8
from pipeline.methods import default_method, require_fitting, require_statistics
from pipeline.networks.network import PrototypeClassifier
from pipeline.networks.trained import TrainedModel
from pipeline.own_pictures import defaults
from pipeline.reporting.folder_faces import require_apart
from pipeline.validators import LAST, VALIDATORS, chooser

CHANGEABLE = ("adapt", "methods", "compute", "tracking", "seed", "faces", "report")
"""Sections of the parameter file that a request may change; the others come from the model."""

CHOICE, SOURCE_FREE_CHOICE = "warrant", "information"
"""What decides whether the adapted model is kept: the first looks at the source's test pictures, too."""


@dataclass(frozen=True)
class AdaptRequest:
    """What a user wants.

    Attributes:
        pictures: a folder, or a video.
        out: a new folder.
        model: the source model, a folder or an MLflow URI.
        method: None: that of the parameter file where one is named, else by what is at hand (``plan``).
        choose: the epoch whose model is kept, whatever the parameter file says: nobody has labels here to see an
            adaptation go wrong. None: by the label-free rule that what is at hand allows.
        changes: other values of parameters, as ``adapt.tau=0.6``.
        every: of a video, only every so many-th frame is taken.
        params: the parameter file whose sections adapt and methods hold; None: ``defaults``, and the rest of
            params.yaml where there is one.
        device: auto, cpu or cuda.
        labels: a CSV file or a folder with the expressions of a few of the pictures; None: none is known.
        expressions: those that occur in the pictures; no other is predicted. None: that is not known.
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
        """``expressions``, checked.

        Raises:
            ParamsError: one is unknown or named twice, or there are fewer than two.
        """
        if self.expressions is None:
            return None
        try:
            found = distinct_expressions(self.expressions)
        except ValueError as error:
            raise ParamsError(f"--expressions: {error}") from error
        if len(found) < 2:
            raise ParamsError("--expressions: name at least two, with commas between them, as anger,happiness")
        return found

    @property
    def is_video(self) -> bool:
        """Whether the frames of a video are adapted to, and not the pictures of a folder."""
        return self.pictures.is_file()

    @property
    def unit(self) -> str:
        """What is adapted to, in the singular."""
        return "frame" if self.is_video else "picture"

    def dataset(self) -> Dataset:
        """The user's pictures or video.

        Raises:
            DatasetError: they are missing, the video cannot be read, or the output would lie among the pictures.
        """
        require_utf8(self.out, "--out")
        if self.is_video:
            if not is_video(self.pictures):
                raise DatasetError(f"{self.pictures}: neither a folder of pictures nor a video; name one of these")
            return VideoDataset(self.pictures, self.every)
        found = UnlabelledFolder(self.pictures)
        require_apart(self.out, self.pictures)
        found.samples()
        return found

    def videos_left_out(self, found: Dataset) -> str:
        """What to say of the videos in the folder, which are not adapted to; empty: there is none.

        Args:
            found: what ``dataset`` has returned.
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
        """The parameters of the run: the defaults or the parameter file, the changes, and what the model was made with.

        Args:
            trained: the source model.
            name: what the pictures are called.

        Raises:
            DatasetError: the method that is asked for needs the source's pictures, and they are missing or changed.
            ParamsError: a change is refused, the model was adapted already, the method cannot adapt an imported one, or
                the epoch would be chosen by pictures of the source, which are not used.
            WeightsError: the method needs class statistics, and the model has none.
        """
        for change in self.changes:
            if re.split(r"[.=]", change)[0] not in CHANGEABLE:
                raise ParamsError(
                    f"{change}: only {', '.join(CHANGEABLE)} can be changed here; the model brings the rest with it"
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
            if not (self._chosen or settings.adapt.search):  # the labels compare the source model with the last epoch
                settings = _choosing(settings, LAST)
        return Plan(settings, pictures, why, rule)

    def _method(self, trained: TrainedModel) -> tuple[str | None, str, PreparedData | None]:
        """The method's name, None where the parameter file says it; why that one; the source's pictures, if opened."""
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
        """The values that changes give a key."""
        return [change.partition("=")[2] for change in self.changes if change.partition("=")[0] == key]

    @property
    def _chosen(self) -> bool:
        """Whether the user says which epoch is kept."""
        return self.choose is not None or bool(self._asked("adapt.choose"))

    def _refuse_unfit_for_labels(self, trained: TrainedModel, settings: ModelRunParams) -> None:
        """Refuse what labels cannot be fitted on.

        Raises:
            ParamsError: the method does not work on features, or the model has no g and M.
        """
        if settings.adapt.trains != "head":
            raise ParamsError(
                f"--labels: they are fitted on features of f, which {settings.adapt.title} does not train on alone; "
                "choose another --method"
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
        whole = ModelRunParams.model_construct(**{**dict(settings), **made})  # any name of a folder is a target's here
        free = settings.adapt.source_free and not self._chosen
        return _choosing(whole, SOURCE_FREE_CHOICE) if free else whole

    def _asked_for(self, changes: Sequence[str]) -> RunParams:
        """What the parameter file says, or in a folder without one the defaults, but for ``changes``."""
        file = params_file(self.params)
        raw = copy.deepcopy(defaults.WITHOUT_PROJECT) if file is None else read(file)
        sections = {"methods", *RunParams.model_fields}
        own = {key: value for key, value in raw.items() if key in sections}
        return parse_as(with_changes(own, changes), "the request" if file is None else str(file), RunParams)


@dataclass(frozen=True)
class Plan:
    """What is done.

    Attributes:
        settings: all parameters.
        source: the pictures that the model was trained on; None where the method needs none.
        why: why this method, as the end of a sentence.
        rule: the label-free rule that says whether the source model or the adapted one is kept; where there are labels,
            which of them comes first.
    """

    settings: ModelRunParams
    source: PreparedData | None
    why: str
    rule: str


def _choosing(settings: ModelRunParams, rule: str) -> ModelRunParams:
    return settings.model_copy(update={"adapt": settings.adapt.model_copy(update={"choose": rule})})


def source(trained: TrainedModel, settings: ModelRunParams, at_hand: PreparedData | None = None) -> PreparedData | None:
    """The pictures that the model was trained on; None where the method needs none.

    Args:
        trained: the model.
        settings: of the run.
        at_hand: the pictures, where they are open already.

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
    judges = RowSample.draw(found.split.test, 0).rows  # more are not looked at, and their features take time
    return replace(found, split=Split(found.split.train, judges))


def pictures_of(trained: TrainedModel) -> PreparedData:
    """The pictures that a model was trained on.

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
    """Refuse a validator that needs the source's pictures where the method does not use them.

    Raises:
        ParamsError: the validator needs them.
    """
    validator = chooser(settings.adapt.choose)
    if settings.adapt.source_free and validator and validator.needs_source:
        able = ", ".join(one.name for one in VALIDATORS if not one.needs_source)
        raise ParamsError(
            f"adapt.choose: {validator.name} judges by the source's pictures, without which {settings.adapt.title} "
            f"adapts here; choose {LAST}, {able}"
        )
