"""Stage 1: supervised contrastive pre-training of f and g on the source (paper, sec. 3.2, eq. 4)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pipeline.compute.device import upload
from pipeline.compute.team import Team
from pipeline.config.schema import AugmentParams, PretrainParams
from pipeline.data.batches import DeviceCrops, generator_for, shuffled_batches
from pipeline.data.views import Pictures, TwoViews
from pipeline.losses.contrastive import supervised_contrastive
from pipeline.networks.network import Network
from pipeline.training.loop import Epoch, Resumable


@dataclass(frozen=True)
class Batch:
    """The pictures of one step and their labels (int64, on the device, of the whole team's batch)."""

    pictures: Pictures
    labels: Tensor


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
        team: Team,
    ) -> None:
        self.network = network.train()
        self.epochs = params.epochs
        self._rows, self._labels = rows, labels
        self._params, self._seed, self._team = params, seed, team
        self._project = team.setup(network)
        self._source = TwoViews(crops, augment_params, team)
        self._steps = max(1, len(rows) // params.batch_size)
        self._optimiser = torch.optim.SGD(
            network.parameters(), lr=params.lr, momentum=params.momentum, weight_decay=params.weight_decay, fused=True
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
        """Batches from the epoch's own random stream."""
        images = 2 * self._steps * min(self._params.batch_size, len(self._rows))
        return Epoch(self._batches(epoch), self._steps, images, {"lr": self._optimiser.param_groups[0]["lr"]})

    def _batches(self, epoch: int) -> Iterator[Batch]:
        generator = generator_for(self._seed, self.name, epoch)
        for rows in shuffled_batches(self._rows, self._params.batch_size, self._steps, generator):
            yield Batch(self._source.pictures(rows, generator), upload(self._labels[rows], self._team.device))

    def step(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """One update of f and g on eq. 4."""
        z = self._project(self._source.views(batch.pictures))
        z = self._team.whole_views(z, batch.pictures.count)
        loss = supervised_contrastive(z, batch.labels.repeat(2), self._params.tau)
        self._optimiser.zero_grad()
        self._team.backward(loss)
        self._optimiser.step()
        self._schedule.step()
        return {"loss": loss.detach()}
