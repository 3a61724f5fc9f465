"""The base class of methods that correct the source model in one pass over the target, without gradients."""

from abc import abstractmethod

import torch
from torch import Tensor

from pipeline.methods.parts.base import Method
from pipeline.methods.parts.decision import entropy
from pipeline.networks.network import PrototypeClassifier
from pipeline.training.loop import Epoch


class TrainingFree(Method):
    """A method with one epoch of one step: predict the whole target, then correct the model."""

    def prepare(self) -> None:
        """Start from the source model.

        Raises:
            TrainingError: the target has no pictures to adapt to.
        """
        self.require_pictures(1)
        self.model = self.predictor().to(self.team.device)
        self.parts = {"model": self.model}

    def predictor(self) -> PrototypeClassifier:
        """Return the classifier to correct, which must predict as the source model does before that."""
        return self.source_model

    @abstractmethod
    def correct(self, z: Tensor, probabilities: Tensor) -> Tensor:
        """Correct ``model`` by its predictions for the target.

        Args:
            z: embeddings of the training pictures, N×d float; unit rows except for a linear classifier.
            probabilities: predictions for them before the correction, N×k float.

        Returns:
            Predictions for them after the correction, N×k float.
        """

    def begin_epoch(self, epoch: int) -> Epoch:
        """Predict the target; the predictions are the only batch."""
        predicted = self.predict_whole_target()
        return Epoch(iter([predicted]), 1, len(self.target.train_rows), {})

    @torch.no_grad()
    def step(self, batch: tuple[Tensor, Tensor], progress: float) -> dict[str, Tensor]:
        """Correct the model.

        Args:
            batch: z and probabilities of the target's training pictures.
            progress: not used.

        Returns:
            ``loss``: mean entropy of the new predictions, which is not minimised. ``changed``: share of pictures whose
            predicted class has changed.
        """
        z, before = batch
        after = self.correct(z, before)
        changed = (after.argmax(dim=1) != before.argmax(dim=1)).float().mean()
        return {"loss": entropy(after).mean().float(), "changed": changed}
