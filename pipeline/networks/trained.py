"""Trained models, opened from the folders that stages write. Such a folder contains everything needed to use the model.

Code that predicts, adapts, exports or serves opens its model with ``open_model``. It does not read params.yaml to learn
how the model was made.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from pipeline.config import paths
from pipeline.config.learning import AugmentParams, LinearModelParams, ModelParams
from pipeline.config.methods import METHODS
from pipeline.config.pictures import FaceParams
from pipeline.config.section import Section
from pipeline.errors import ParamsError, WeightsError
from pipeline.files.records import faults
from pipeline.networks import saved
from pipeline.networks.grey_levels import GreyLevels, ToneCurve
from pipeline.networks.network import Classifier, Encoder, Network, PrototypeClassifier
from pipeline.networks.restoration import Restoration
from pipeline.networks.statistics import ClassStatistics
from pipeline.registry import imported_of

S = TypeVar("S", bound=Section)


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A trained model with everything needed to use it.

    Attributes:
        model: on the CPU, in evaluation mode. Its inputs are crops made with ``faces``, after
            ``data.augment.evaluation_view`` with ``eval_crop``.
        params: parameters of its networks.
        augment: augmentation of its training views.
        faces: how the faces of its last training set were found and cropped.
        description: everything that made it, the content of model.json.
    """

    model: Classifier
    params: ModelParams
    augment: AugmentParams
    faces: FaceParams
    description: dict[str, Any]

    @property
    def eval_crop(self) -> float:
        """The side of the central part of a crop that the model sees, as a share of the crop's side."""
        return self.augment.eval_crop

    @property
    def adapted(self) -> bool:
        """Whether the model was adapted to a target; otherwise it is the source model."""
        return "adapt" in self.description

    @property
    def imported(self) -> bool:
        """Whether the network was trained elsewhere. The source's pictures and class statistics are then unknown."""
        return "imported" in self.description

    @property
    def name(self) -> str:
        """The model's data sets and method: "rafdb → ckplus, pocan" or "rafdb, source model"."""
        source = self.description["source"]["name"]
        if not self.adapted:
            return f"{source}, {'imported' if self.imported else 'source model'}"
        return f"{source} → {self.description['target']['name']}, {self.description['adapt']['method']}"

    @property
    def short_digest(self) -> str:
        """The first twelve digits of model.json's ``weights_sha256``; they differ between trainings."""
        return str(self.description["weights_sha256"])[:12]

    @property
    def drawn(self) -> bool:
        """Whether the model was trained or adapted on drawn stand-ins."""
        learned_from = (self.description[role] for role in ("source", "target") if role in self.description)
        return any(data.get("provenance") == "stand-in" for data in learned_from)

    @property
    def every_face(self) -> FaceParams:
        """The parameters to find all faces of a picture: ``faces``, but with the exact search.

        The other search ends at the first large face. It misses small faces, and chooses faces by size alone.
        """
        return self.faces.model_copy(update={"search": "exact"})


def open_model(folder: Path) -> TrainedModel:
    """Open the model in ``folder``: an adapted model, or the source model in ``models/prototypes``.

    The source model's folder contains only the prototypes. Encoder and head are read from the folder ``pretrained``
    beside it.

    Raises:
        WeightsError: the model is missing, damaged or of another version, or cannot predict.
        ParamsError: this version has no such backbone or method.
    """
    description = saved.describe(folder)
    if description.get("stage") == "pretrain":
        raise WeightsError(
            f"{folder}: only encoder and head, which cannot predict; use {folder.parent / paths.PROTOTYPES.name}"
        )
    try:
        linear = description["model"].get("classifier") == "linear"
        params = _section(LinearModelParams if linear else ModelParams, description["model"])
        augment = _section(AugmentParams, description["augment"])
        faces = _section(FaceParams, (description.get("target") or description["source"])["faces"])
        kind = _kind(description)
        _require_data(description)
    except ParamsError:
        raise
    except (AttributeError, KeyError, TypeError, ValidationError) as error:
        raise WeightsError(
            f"{paths.model_description(folder)}: not as this version of the project writes it ({_reason(error)}); "
            "train the model again, or use the version that wrote it"
        ) from error
    model, here = kind.untrained(params), saved.parts(folder)
    if "statistics" in here and isinstance(model, PrototypeClassifier):
        model.statistics = ClassStatistics(params.projection_dim)
    if "grey_levels" in here and isinstance(model, PrototypeClassifier):
        model.grey_levels = GreyLevels()
    taken = description.get("encoder_statistics", {})
    for part in model.modules():
        if isinstance(part, Encoder):
            part.tone = ToneCurve() if taken.get("matched") else part.tone
            part.restoration = Restoration(part.dim) if taken.get("restored") else None
    parts = dict(model.named_children())
    saved.load(folder, {name: part for name, part in parts.items() if name in here or name != "network"})
    if "network" not in here:
        _load_pretrained(folder, parts["network"], description)
    return TrainedModel(model.eval(), params, augment, faces, description)


def pretrained_network(params: ModelParams) -> Network:
    """Return the encoder f and the head g after stage 1, on the CPU.

    Raises:
        WeightsError: the model is missing, damaged or of other parameters.
    """
    pretrained = Network(params)
    saved.load(paths.PRETRAINED, {"network": pretrained})
    return pretrained


def _kind(description: dict[str, Any]) -> type[Classifier]:
    """Return the model's class by its method's name. A class name in a file from elsewhere could run any code."""
    if "adapt" not in description or description.get("labels", {}).get("kept", "adapted") != "adapted":
        return PrototypeClassifier
    found: type[Classifier] = imported_of(METHODS[description["adapt"].get("method", "")], "classifier")
    return found


def _require_data(description: dict[str, Any]) -> None:
    """Check that the description says what users of the model need to know about the data.

    Raises:
        KeyError, TypeError: an entry is missing, or has the wrong type.
    """
    for role in ("source", "target") if "target" in description else ("source",):
        for key in ("name", "provenance"):
            if not isinstance(description[role][key], str):
                raise TypeError(f"{key} is not text")
    if not isinstance(description.get("prototypes", {}), dict):
        raise TypeError("prototypes is not a mapping")


def _section(kind: type[S], values: Any) -> S:
    """Return parameters from JSON values, in which tuples are lists."""
    return kind.model_validate_json(json.dumps(values))


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(faults(error))
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _load_pretrained(folder: Path, encoder_and_head: Any, description: dict[str, Any]) -> None:
    """Load the encoder and head that the prototypes in ``folder`` were trained with.

    Raises:
        WeightsError: they are not beside the prototypes, or have been trained again since.
    """
    beside = folder.resolve().parent / paths.PRETRAINED.name
    found = saved.load(beside, {"network": encoder_and_head})["weights_sha256"]
    if found != description.get("pretrained_sha256"):
        raise WeightsError(f"{folder}: trained with another model than the one in {beside}; run dvc repro prototypes")
