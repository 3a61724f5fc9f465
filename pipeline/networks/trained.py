"""Trained models, opened from the folders that their stages left; such a folder says all that using the model needs.

Whatever predicts, adapts further, exports or serves gets its model by ``open_model`` and reads nothing of how it was
made from params.yaml.
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
from pipeline.networks import saved
from pipeline.networks.network import Classifier, Network, PrototypeClassifier
from pipeline.networks.statistics import ClassStatistics
from pipeline.registry import imported_of

S = TypeVar("S", bound=Section)


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A trained model and what its user must know.

    Attributes:
        model: on the CPU, in evaluation mode; it takes crops of ``faces`` after ``data.augment.evaluation_view`` of
            ``eval_crop``.
        params: of its networks.
        augment: of its training views.
        faces: how the faces were found and cropped that it was trained on last.
        description: all that made it, model.json.
    """

    model: Classifier
    params: ModelParams
    augment: AugmentParams
    faces: FaceParams
    description: dict[str, Any]

    @property
    def eval_crop(self) -> float:
        """The share of a crop's side that is predicted from."""
        return self.augment.eval_crop

    @property
    def adapted(self) -> bool:
        """Whether it was adapted to a target; otherwise it is the source model."""
        return "adapt" in self.description

    @property
    def imported(self) -> bool:
        """Whether its network was trained elsewhere: then its source's pictures and class statistics are not known."""
        return "imported" in self.description

    @property
    def name(self) -> str:
        """Which model it is, by the names of its data sets: "rafdb → ckplus, pocan" or "rafdb, source model"."""
        source = self.description["source"]["name"]
        if not self.adapted:
            return f"{source}, {'imported' if self.imported else 'source model'}"
        return f"{source} → {self.description['target']['name']}, {self.description['adapt']['method']}"

    @property
    def short_digest(self) -> str:
        """The first twelve digits of model.json's ``weights_sha256``, which tell one training from another."""
        return str(self.description["weights_sha256"])[:12]

    @property
    def drawn(self) -> bool:
        """Whether it has learned from drawn stand-ins, be it from their labels or without them."""
        learned_from = (self.description[role] for role in ("source", "target") if role in self.description)
        return any(data.get("provenance") == "stand-in" for data in learned_from)

    @property
    def every_face(self) -> FaceParams:
        """How all faces of a picture are found, and not one: as ``faces`` says, but always exactly.

        A search that ends at the first large face passes over the small ones, and chooses among them by size alone.
        """
        return self.faces.model_copy(update={"search": "exact"})


def open_model(folder: Path) -> TrainedModel:
    """The model in ``folder``: an adapted one, or the source model of ``models/prototypes``.

    The latter has the prototypes alone; encoder and head are read from the folder ``pretrained`` beside it.

    Raises:
        WeightsError: the model is missing, damaged or of another version, or is none that predicts.
        ParamsError: it is of a backbone or a method that does not exist here.
    """
    description = saved.describe(folder)
    if description.get("stage") == "pretrain":
        raise WeightsError(
            f"{folder}: encoder and head alone, which predict nothing; name {folder.parent / paths.PROTOTYPES.name}"
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
    parts = dict(model.named_children())
    saved.load(folder, {name: part for name, part in parts.items() if name in here or name != "network"})
    if "network" not in here:
        _load_pretrained(folder, parts["network"], description)
    return TrainedModel(model.eval(), params, augment, faces, description)


def pretrained_network(params: ModelParams) -> Network:
    """The encoder f and the head g after stage 1, on the CPU.

    Raises:
        WeightsError: the model is missing, damaged or of other parameters.
    """
    pretrained = Network(params)
    saved.load(paths.PRETRAINED, {"network": pretrained})
    return pretrained


def _kind(description: dict[str, Any]) -> type[Classifier]:
    """The class of the model, by its method's name: a class's name in a file from elsewhere could run any code."""
    if "adapt" not in description or description.get("labels", {}).get("kept", "adapted") != "adapted":
        return PrototypeClassifier
    found: type[Classifier] = imported_of(METHODS[description["adapt"].get("method", "")], "classifier")
    return found


def _require_data(description: dict[str, Any]) -> None:
    """Look for what is said of the data, which users of the model rely on.

    Raises:
        KeyError, TypeError: something is missing, or of another type.
    """
    for role in ("source", "target") if "target" in description else ("source",):
        for key in ("name", "provenance"):
            if not isinstance(description[role][key], str):
                raise TypeError(f"{key} is no text")
    if not isinstance(description.get("prototypes", {}), dict):
        raise TypeError("prototypes is no mapping")


def _section(kind: type[S], values: Any) -> S:
    """Parameters from values as JSON has them, with lists for tuples."""
    return kind.model_validate_json(json.dumps(values))


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _load_pretrained(folder: Path, encoder_and_head: Any, description: dict[str, Any]) -> None:
    """Load the encoder and head that the prototypes in ``folder`` were learnt on.

    Raises:
        WeightsError: they are not beside the prototypes, or were trained again since.
    """
    beside = folder.resolve().parent / paths.PRETRAINED.name
    found = saved.load(beside, {"network": encoder_and_head})["weights_sha256"]
    if found != description.get("pretrained_sha256"):
        raise WeightsError(f"{folder}: learnt on another model than that of {beside}; run dvc repro prototypes")
