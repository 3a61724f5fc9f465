"""Every face of a picture with its expression: detection, crops and the network, each on whole batches."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.config.load import changed
from pipeline.data.batches import DeviceCrops
from pipeline.faces.crop import Image
from pipeline.faces.cut import cut
from pipeline.faces.finder import Face, FaceFinder
from pipeline.labels import EXPRESSIONS
from pipeline.networks.inference import classify
from pipeline.networks.trained import TrainedModel


@dataclass(frozen=True, eq=False)
class Prediction:
    """A face and its ``probabilities``: 7 float32, in the order of EXPRESSIONS."""

    face: Face
    probabilities: NDArray[np.float32]

    @property
    def expression(self) -> str:
        """The most probable one."""
        return EXPRESSIONS[int(self.probabilities.argmax())]

    @property
    def confidence(self) -> float:
        """Its probability."""
        return float(self.probabilities.max())


class Predictor:
    """Finds, crops and classifies as the model was trained, except that it looks for every face of a picture."""

    def __init__(self, trained: TrainedModel, device: torch.device, changes: Sequence[str] = ()) -> None:
        """``changes``: other parameters of the model's ``faces``, as ``min_face=60``.

        Raises:
            ParamsError: a change is refused. WeightsError: a detector's files are missing.
        """
        # A search that ends at the first large face passes over the small ones, and chooses among them by size alone.
        every = trained.faces.model_copy(update={"search": "exact"})
        self.faces = changed(every, "faces", changes)
        self._model, self._device, self._eval_crop = trained.model.to(device), device, trained.eval_crop
        self._finder = FaceFinder(self.faces, device)

    def predict(self, images: Sequence[Image]) -> list[list[Prediction]]:
        """The faces of each picture (uint8 H×W×3 RGB, sizes may differ), the best detected first; [] without a face."""
        found = self._finder.find_all(images)
        crops = [cut(image, face, self.faces) for image, faces in zip(images, found, strict=True) for face in faces]
        rows = iter(self.classify(crops))
        return [[Prediction(face, next(rows)) for face in faces] for faces in found]

    def classify(self, crops: Sequence[Image]) -> NDArray[np.float32]:
        """The calibrated probabilities of crops (uint8 112×112×3 RGB): n×7 float32."""
        if not crops:
            return np.empty((0, len(EXPRESSIONS)), dtype=np.float32)
        held = DeviceCrops(np.stack(crops), self._device)
        _, found = classify(self._model, held, torch.arange(held.count), self._eval_crop, show_progress=False)
        with torch.no_grad():
            probabilities = self._model.calibration(found)
        return np.asarray(probabilities.float().cpu().numpy())
