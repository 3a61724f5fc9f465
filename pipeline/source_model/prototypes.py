"""The source prototypes M_s: eq. 2 minimised over M_s alone, f and g frozen (paper, sec. 3.1)."""

from typing import ClassVar

import torch
from torch import Tensor

from pipeline.config.learning import PrototypeParams
from pipeline.data.batches import generator_for, shuffled_batches
from pipeline.losses.classification import source_weights, weighted_cross_entropy
from pipeline.networks.network import Prototypes
from pipeline.training.loop import Epoch, Resumable


class PrototypeLearning(Resumable):
    """The training task of M_s. f and g do not change, so it runs on projections that were computed once.

    Attributes:
        trained_shares: how much each class counts in this training, k float, for ``Decision.adjust``.
    """

    name: ClassVar[str] = "prototypes"

    def __init__(
        self, prototypes: Prototypes, projections: Tensor, labels: Tensor, params: PrototypeParams, seed: int
    ) -> None:
        """Make optimiser and schedule.

        Args:
            prototypes: M_s, trained in place.
            projections: N×d float, on the device that trains.
            labels: N int64, on the same device.
            params: of this stage.
            seed: of all chance.
        """
        self.prototypes = prototypes.to(projections.device)
        self.epochs = params.epochs
        self._projections, self._labels = projections, labels
        self._weights, self.trained_shares = source_weights(labels, params.class_weights, params.balance)
        self._params, self._seed = params, seed
        self._steps = max(1, len(labels) // params.batch_size)
        self._optimiser = torch.optim.SGD(prototypes.parameters(), lr=params.lr, momentum=params.momentum, fused=True)
        self._schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self._optimiser, params.epochs * self._steps)
        self.parts = {"prototypes": prototypes, "optimiser": self._optimiser, "schedule": self._schedule}

    def begin_epoch(self, epoch: int) -> Epoch:
        """Draw batches of row numbers (int64) into the projections."""
        generator = generator_for(self._seed, self.name, epoch)
        rows = torch.arange(len(self._labels))
        batches = shuffled_batches(rows, self._params.batch_size, self._steps, generator)
        images = self._steps * min(self._params.batch_size, len(rows))
        return Epoch(batches, self._steps, images, {"lr": self._optimiser.param_groups[0]["lr"]})

    def step(self, batch: Tensor, progress: float) -> dict[str, Tensor]:
        """Make one update of M_s by eq. 2."""
        rows = batch.to(self._projections.device)
        loss = weighted_cross_entropy(
            self._projections[rows], self.prototypes.matrix, self._labels[rows], self._weights
        )
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()
        self._schedule.step()
        return {"loss": loss}
