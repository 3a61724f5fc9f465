"""Training of the source prototypes M_s: minimise eq. 2 over M_s alone, with f and g frozen (paper, sec. 3.1)."""

from typing import ClassVar

import torch
from torch import Tensor

from pipeline.config.learning import PrototypeParams
from pipeline.data.batches import generator_for, shuffled_batches
from pipeline.losses.classification import source_weights, weighted_cross_entropy
from pipeline.networks.network import Prototypes
from pipeline.training.loop import Epoch, Resumable


class PrototypeLearning(Resumable):
    """The training task of M_s. f and g do not change, so the projections are computed only once, before.

    Attributes:
        trained_shares: each class's share of the total weight in this training, k float, for ``Decision.adjust``.
    """

    name: ClassVar[str] = "prototypes"

    def __init__(
        self, prototypes: Prototypes, projections: Tensor, labels: Tensor, params: PrototypeParams, seed: int
    ) -> None:
        """Create optimiser and schedule.

        Args:
            prototypes: M_s, trained in place.
            projections: N×d float, on the device of the training.
            labels: N int64, on the same device.
            params: parameters of this stage.
            seed: seed of all random numbers.
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
        """Draw batches of rows (int64) of the projections."""
        generator = generator_for(self._seed, self.name, epoch)
        rows = torch.arange(len(self._labels))
        batches = shuffled_batches(rows, self._params.batch_size, self._steps, generator)
        images = self._steps * min(self._params.batch_size, len(rows))
        return Epoch(batches, self._steps, images, {"lr": self._optimiser.param_groups[0]["lr"]})

    def step(self, batch: Tensor, progress: float) -> dict[str, Tensor]:
        """Update M_s once by eq. 2."""
        rows = batch.to(self._projections.device)
        loss = weighted_cross_entropy(
            self._projections[rows], self.prototypes.matrix, self._labels[rows], self._weights
        )
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()
        self._schedule.step()
        return {"loss": loss}
