"""What ``pocan adapt`` was called with: pictures and parameters, checked before any work."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.config.load import changed, load
from pipeline.config.methods import METHODS
from pipeline.config.schema import Params
from pipeline.data.prepared import PreparedData
from pipeline.datasets.folder import UnlabelledFolder
from pipeline.datasets.parts.base import Dataset
from pipeline.datasets.parts.videos import is_video
from pipeline.datasets.video import VideoDataset
from pipeline.errors import DatasetError, ParamsError
from pipeline.files.names import require_utf8
from pipeline.methods import default_method, require_fitting, require_statistics
from pipeline.networks.trained import TrainedModel
from pipeline.reporting.folder_faces import require_apart
from pipeline.validators import LAST, VALIDATORS, chooser

CHANGEABLE = ("adapt", "methods", "compute", "tracking", "seed", "faces", "report")
"""Sections of the parameter file that a request may change; the others come from the model."""


@dataclass(frozen=True)
class AdaptRequest:
    """What a user wants.

    Attributes:
        pictures: a folder, or a video.
        out: a new folder.
        model: the source model, a folder or an MLflow URI.
        method: in place of ``adapt.method`` of the parameter file, or of the one for imported models, if not None.
        choose: the epoch whose model is kept, in place of ``adapt.choose``, whatever the parameter file says: nobody
            has labels here to see an adaptation go wrong.
        changes: other values of parameters, as ``adapt.tau=0.6``.
        every: of a video, only every so many-th frame is taken.
        params: the parameter file that is changed.
        device: auto, cpu or cuda.
    """

    pictures: Path
    out: Path
    model: str
    method: str | None
    choose: str
    changes: Sequence[str]
    every: int
    params: Path
    device: str

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

    def settings(self, trained: TrainedModel, name: str) -> Params:
        """The parameters of the run: the parameter file, the changes, and what the model was made with.

        Args:
            trained: the source model.
            name: what the pictures are called.

        Raises:
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
        method = self.method or (default_method(trained.model) if trained.imported else None)
        options = [f"adapt.choose={self.choose}", *([f"adapt.method={method}"] if method else [])]
        of_faces = [change for change in self.changes if change.startswith("faces.")]
        settings = load(self.params, [*options, *(change for change in self.changes if change not in of_faces)])
        made = {
            "source": trained.description["source"]["name"],
            "targets": (name,),
            "model": trained.params,
            "augment": trained.augment,
            "faces": changed(trained.faces, "faces", [change.removeprefix("faces.") for change in of_faces]),
            "device": self.device,
            "compute": settings.compute.model_copy(update={"devices": 1}),
        }
        settings = settings.model_copy(update=made)
        require_fitting(settings.adapt, trained.model)
        _refuse_blind_choice(settings)
        require_statistics(settings.adapt, trained.model)
        return settings


def source(trained: TrainedModel, settings: Params) -> PreparedData | None:
    """The pictures that the model was trained on; None where the method needs none.

    Raises:
        DatasetError: they are missing, or have changed since.
    """
    if settings.adapt.source_free:
        return None
    need = f"{settings.adapt.title} needs the pictures that the model was trained on"
    try:
        found = PreparedData.open(settings.source)
    except DatasetError as error:
        free = ", ".join(name for name, method in METHODS.items() if method.source_free)
        raise DatasetError(f"{need}: {error}, or bring them with dvc pull; --method {free} need none") from None
    made, here = trained.description["source"], found.description()
    if any(made.get(key) != here[key] for key in ("digest", "split")):
        raise DatasetError(f"{need}, but data/crops/{settings.source} or its split has changed since: train it again")
    return found


def _refuse_blind_choice(settings: Params) -> None:
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
