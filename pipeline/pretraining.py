"""Stage 1: supervised contrastive pre-training of f and g on the source (paper, sec. 3.2, eq. 4)."""

import math
from typing import ClassVar

import torch
from torch import Tensor

from pipeline import augment, losses
from pipeline.batches import DeviceCrops, generator_for, shuffled_batches
from pipeline.nets import Network
from pipeline.params import AugmentParams, PretrainParams
from pipeline.training import Epoch, Resumable


class Pretraining(Resumable):
    """The training task of stage 1: two views of every image, SGD, warm-up and cosine decay of the learning rate.

    crops: the source's; rows: int64, its training rows; labels: int64, one a row of ``crops``.
    """

    name: ClassVar[str] = "pretrain"

    def __init__(
        self,
        network: Network,
        crops: DeviceCrops,
        rows: Tensor,
        labels: Tensor,
        params: PretrainParams,
        augment_params: AugmentParams,
        seed: int,
    ) -> None:
        self.network = network.to(crops.device).train()
        self.epochs = params.epochs
        self._crops, self._rows, self._labels = crops, rows, labels
        self._params, self._augment, self._seed = params, augment_params, seed
        self._generator = generator_for(seed, self.name, 0)
        self._steps = max(1, len(rows) // params.batch_size)
        self._optimiser = torch.optim.SGD(
            network.parameters(), lr=params.lr, momentum=params.momentum, weight_decay=params.weight_decay
        )
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimiser, self._rate)
        self.parts = {"network": network, "optimiser": self._optimiser, "schedule": self._schedule}

    def _rate(self, step: int) -> float:
        """The share of the full learning rate at a step: a linear rise, then half a cosine to 0."""
        warmup, total = self._params.warmup_epochs * self._steps, self._params.epochs * self._steps
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / (total - warmup)))

    def begin_epoch(self, epoch: int) -> Epoch:
        """Batches of row numbers (int64) from the epoch's own random stream."""
        self._generator = generator_for(self._seed, self.name, epoch)
        batches = shuffled_batches(self._rows, self._params.batch_size, self._steps, self._generator)
        return Epoch(batches, self._steps, {"lr": self._optimiser.param_groups[0]["lr"]})

    def step(self, batch: Tensor, progress: float) -> dict[str, Tensor]:
        """One update of f and g on eq. 4."""
        images = augment.to_float(self._crops.batch(batch))
        views = [augment.training_view(images, self._augment, self._generator) for _ in range(2)]
        labels = self._labels[batch].to(images.device).repeat(2)
        loss = losses.supervised_contrastive(self.network(torch.cat(views)), labels, self._params.tau)
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()
        self._schedule.step()
        return {"loss": loss}
