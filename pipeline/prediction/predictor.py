"""Detection and classification of all faces of pictures, in batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.config.load import changed
from pipeline.data.batches import DeviceCrops, NetworkInputs
from pipeline.faces.crop import Face, Image, crop_face
from pipeline.faces.finder import FaceFinder, whole_picture
from pipeline.labels import EXPRESSIONS
from pipeline.networks.features import digest as module_digest
from pipeline.networks.inference import classify
from pipeline.networks.network import Classifier
from pipeline.networks.trained import TrainedModel


@dataclass(frozen=True, eq=False)
class Prediction:
    """A face and its expression.

    Attributes:
        face: the face's position, in pixels of the picture.
        probabilities: calibrated probabilities in the order of EXPRESSIONS, 7 float32.
    """

    face: Face
    probabilities: NDArray[np.float32]

    @property
    def expression(self) -> str:
        """The most probable expression."""
        return EXPRESSIONS[int(self.probabilities.argmax())]

    @property
    def confidence(self) -> float:
        """The probability of ``expression``."""
        return float(self.probabilities.max())

    def by_expression(self) -> dict[str, float]:
        """Return the probabilities by name of the expression."""
        return {name: float(value) for name, value in zip(EXPRESSIONS, self.probabilities, strict=True)}

    def as_json(self) -> dict[str, Any]:
        """Return values for JSON: ``box`` to a tenth of a pixel, ``score`` and ``probabilities`` to four digits."""
        return {
            "box": [round(edge, 1) for edge in self.face.box],
            "score": round(self.face.score or 0.0, 4),
            "expression": self.expression,
            "confidence": round(self.confidence, 4),
            "probabilities": {name: round(value, 4) for name, value in self.by_expression().items()},
        }


class Predictor:
    """Finds, crops and classifies faces as in the model's training, but all faces of a picture instead of one."""

    def __init__(self, trained: TrainedModel, device: torch.device, changes: Sequence[str] = ()) -> None:
        """Move the model to ``device`` and load the detector.

        Args:
            trained: the model.
            device: the device of detector and network.
            changes: changes to the model's section ``faces``, such as ``min_face=60``.

        Raises:
            ParamsError: a change is invalid.
            WeightsError: a detector's weights are missing.
        """
        self.faces = changed(trained.every_face, "faces", changes)
        self.drawn, self.name, self.short_digest = trained.drawn, trained.name, trained.short_digest
        self.device = device
        self.eval_crop = trained.eval_crop
        self._model = trained.model.to(device)
        self._finder = FaceFinder(self.faces, device)

    @property
    def digest(self) -> str:
        """The SHA-256 of the model's parameters."""
        return module_digest(self._model)

    def predict(self, images: Sequence[Image]) -> list[list[Prediction]]:
        """Find and classify every face of each picture.

        Args:
            images: uint8 H×W×3 RGB; sizes may differ.

        Returns:
            For each picture its faces, by descending score of the detector; [] if there is none.
        """
        found = self._finder.find_all(images)
        crops = [
            crop_face(image, face, self.faces) for image, faces in zip(images, found, strict=True) for face in faces
        ]
        rows = iter(self.classify(crops))
        return [[Prediction(face, next(rows)) for face in faces] for faces in found]

    def classify(self, crops: Sequence[Image]) -> NDArray[np.float32]:
        """Classify cropped faces.

        Args:
            crops: uint8 112×112×3 RGB.

        Returns:
            Calibrated probabilities, float32 n×7.
        """
        if not crops:
            return np.empty((0, len(EXPRESSIONS)), dtype=np.float32)
        return self._calibrated(crops)[1]

    def embed(self, images: Sequence[Image]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Embeddings and expressions of pictures that are one face each already: none is looked for.

        Args:
            images: uint8 H×W×3 RGB, at least one; each is resized to a crop as a whole.

        Returns:
            What the decision is made from (z), float32 n×d, and calibrated probabilities, float32 n×7.
        """
        return self._calibrated([crop_face(image, whole_picture(image, "given"), self.faces) for image in images])

    def _calibrated(self, crops: Sequence[Image]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        held = DeviceCrops(np.stack(crops), self.device)
        return calibrated(self._model, held, torch.arange(held.count), self.eval_crop, show_progress=False)


def calibrated(
    model: Classifier, inputs: NetworkInputs, rows: Tensor, eval_crop: float, show_progress: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return embeddings and calibrated probabilities, as users see them.

    Args:
        model: the classifier.
        inputs: the pictures.
        rows: rows of ``inputs`` to predict, int64, on the CPU.
        eval_crop: side of the centre crop, as a share of the picture's side.
        show_progress: show a progress bar.

    Returns:
        Embeddings, float32 len(rows)×d, and calibrated probabilities, float32 len(rows)×7.
    """
    embeddings, found = classify(model, inputs, rows, eval_crop, show_progress)
    with torch.no_grad():
        probabilities = model.calibration(found)
    return embeddings.float().cpu().numpy(), probabilities.float().cpu().numpy()
