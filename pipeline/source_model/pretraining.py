"""Stage 1: train f and g on the source by eq. 4 (paper, sec. 3.2), by cross entropy, or by both."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.compute.device import upload
from pipeline.compute.team import Team
from pipeline.config.learning import AugmentParams, PretrainParams
from pipeline.data.batches import DeviceCrops, balanced_batches, generator_for, shuffled_batches
from pipeline.data.views import Pictures, Views
from pipeline.errors import TrainingError
from pipeline.losses.contrastive import alignment, spread, supervised_contrastive, uniformity
from pipeline.networks.network import Network, Prototypes
from pipeline.training.average import Average
from pipeline.training.loop import Epoch, Resumable

ONE_POINT = 1e-3
"""With a smaller spread, all projections have one direction, and no loss on them can separate classes."""

NARROW, NO_BETTER = 0.05, 0.01
"""A training has collapsed if the spread is below ``NARROW`` and the contrastive loss is not at least ``NO_BETTER``
below log(2B − 1), the loss of one point. Too high a rate or too low a temperature leads there, sometimes for good."""

MEASURES = {1: (uniformity, spread), 2: (alignment, uniformity, spread)}
"""Reported measures of the projections, by number of views per picture."""

PATIENCE = 100
"""Steps after the warm-up before a collapse stops the training: early in training it can be temporary."""


@dataclass(frozen=True)
class Batch:
    """The pictures of one step.

    Attributes:
        pictures: the pictures, with one or two views.
        labels: labels of the whole team's batch, int64 on the device.
    """

    pictures: Pictures
    labels: Tensor


class Pretraining(Resumable):
    """The training task of stage 1: one or two views per image, SGD, warm-up and cosine decay of the learning rates."""

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
        """Create optimiser, schedule and views.

        Args:
            network: f and g, trained in place.
            crops: the source's crops.
            rows: the source's training rows, int64.
            labels: the label of each crop, int64.
            params: parameters of stage 1.
            augment_params: augmentation of the views.
            seed: seed of all random numbers.
            team: the processes that train together.
        """
        self.network = network.train()
        self.epochs = params.epochs
        self._rows, self._labels = rows, labels
        self._params, self._seed, self._team = params, seed, team
        self._average = Average({"network": network}, params.ema)
        self._project = team.setup(network)
        self._source = Views(crops, augment_params, team, params.views)
        self._steps = max(1, len(rows) // params.batch_size)
        # Only cross entropy uses this classifier. The prototypes stage always trains M_s from the start.
        self.classifier = Prototypes(network.head.dim).to(team.device)
        head_lr = params.lr if params.head_lr is None else params.head_lr
        of_head = [*network.head.parameters(), *self.classifier.parameters()]
        self.optimiser = torch.optim.SGD(
            [{"params": [*network.encoder.parameters()], "lr": params.lr}, {"params": of_head, "lr": head_lr}],
            momentum=params.momentum,
            weight_decay=params.weight_decay,
            fused=True,
        )
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self.optimiser, self._rate)
        self.parts = {
            "network": network,
            "classifier": self.classifier,
            "optimiser": self.optimiser,
            "schedule": self._schedule,
            **self._average.parts(),
        }

    @property
    def trained(self) -> Network:
        """The network that stage 1 results in: the average over the steps, if there is one."""
        network = self._average["network"]
        assert isinstance(network, Network)
        return network

    def _rate(self, step: int) -> float:
        """Return the share of the full learning rate at a step: linear increase, then half a cosine to 0."""
        warmup, total = self._params.warmup_epochs * self._steps, self._params.epochs * self._steps
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / (total - warmup)))

    def begin_epoch(self, epoch: int) -> Epoch:
        images = self._params.views * self._steps * min(self._params.batch_size, len(self._rows))
        return Epoch(self._batches(epoch), self._steps, images, {"lr": self.optimiser.param_groups[0]["lr"]})

    def _batches(self, epoch: int) -> Iterator[Batch]:
        generator = generator_for(self._seed, self.name, epoch)
        size = self._params.batch_size
        if self._params.sampling == "balanced":
            batches = balanced_batches(self._rows, self._labels[self._rows], size, self._steps, generator)
        else:
            batches = shuffled_batches(self._rows, size, self._steps, generator)
        for rows in batches:
            yield Batch(self._source.pictures(rows, generator), upload(self._labels[rows], self._team.device))

    def step(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        z = self._project(self._source.views(batch.pictures))
        z = self._team.gather_views(z, batch.pictures.count)
        terms = self._terms(z, batch.labels.repeat(self._params.views))
        loss = torch.stack(list(terms.values())).sum()
        self.optimiser.zero_grad()
        self._team.backward(loss, self.classifier.parameters())
        self.optimiser.step()
        self._average.update(self._schedule.last_epoch)
        self._schedule.step()
        z = z.detach()
        reported = {"loss": loss, **(terms if len(terms) > 1 else {})}
        measured = {measure.__name__: measure(z) for measure in MEASURES[self._params.views]}
        return {name: term.detach() for name, term in reported.items()} | measured

    def _terms(self, z: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return the losses that ``objective`` adds up, by name; z: N×d, projections of all views; labels: N."""
        terms: dict[str, Tensor] = {}
        if self._params.objective in ("supcon", "both"):
            terms["supcon"] = supervised_contrastive(z, labels, self._params.tau)
        if self._params.objective in ("cross_entropy", "both"):
            smoothing = self._params.label_smoothing
            terms["cross_entropy"] = F.cross_entropy(self.classifier(z), labels, label_smoothing=smoothing)
        return terms

    def judge(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Stop the training if the projections have collapsed to one point.

        They count as collapsed, too, if they are so near to one point that the contrastive loss is not better.

        Raises:
            DivergedError: a weight is not finite.
            TrainingError: the projections are still collapsed ``PATIENCE`` steps after the warm-up.
        """
        super().judge(epoch, metrics)
        warm = (epoch + 1 - self._params.warmup_epochs) * self._steps
        chance = math.log(2 * min(self._params.batch_size, len(self._rows)) - 1)
        contrastive = metrics.get("supcon", metrics["loss"] if self._params.objective == "supcon" else -math.inf)
        no_better = metrics["spread"] < NARROW and contrastive > chance - NO_BETTER
        if warm >= PATIENCE and (no_better or metrics["spread"] < ONE_POINT):
            raise TrainingError(
                f"pretrain: the projections have collapsed: in epoch {epoch + 1} all projections have one direction "
                f"(spread {metrics['spread']:.1e}; the contrastive loss is then log(2B − 1) = {chance:.2f}). Lower "
                "pretrain.lr (for pre-trained weights to 1/100 of the rate for random weights), raise pretrain.tau "
                "or pretrain.warmup_epochs, set model.projection_norm: batch, which keeps projections apart, or train "
                "by cross entropy (pretrain.objective)"
            )
