"""The base class of most methods: gradient descent on f, g and M with a labelled source and an unlabelled target."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from pipeline.compute.batchnorm import training_pass
from pipeline.compute.device import upload
from pipeline.config.methods.two_domains import TwoDomainsParams
from pipeline.data.batches import generator_for, shuffled_batches
from pipeline.data.views import Pictures, Views
from pipeline.losses.classification import source_weights, weighted_cross_entropy
from pipeline.methods.parts.base import Method
from pipeline.methods.parts.own_share import own_share
from pipeline.networks.network import Decision, Network, PrototypeClassifier, Prototypes
from pipeline.training.average import Average
from pipeline.training.loop import Epoch


@dataclass(frozen=True)
class Batch:
    """The pictures of one step.

    Attributes:
        source: this process's source pictures; None if the method does not use them.
        target: this process's target pictures; None if the method does not use them.
        labels: labels of the source pictures in the whole team's batch, int64 on the device.
        target_index: indices into the target's training rows, for the whole team's batch, int64 on the CPU.
    """

    source: Pictures | None
    target: Pictures | None
    labels: Tensor
    target_index: Tensor


@dataclass(frozen=True)
class Domains:
    """The inputs of a step's loss, for the whole team's batch.

    Attributes:
        source: z of the source, S×d float.
        labels: labels of the source, S int64.
        target: z of the target, T×d float.
        target_index: indices of these pictures into the target's training rows, T int64 on the CPU.
        target_views: target views of this process alone, t×3×H×W float; second views, if any, follow in the same order.
        progress: share of stage 2 that is done, in [0, 1).
    """

    source: Tensor
    labels: Tensor
    target: Tensor
    target_index: Tensor
    target_views: Tensor
    progress: float


class TwoDomains(Method):
    """Stochastic gradient descent on the sum of ``losses``.

    Attributes:
        network: f and g of the source model, trained in place.
        prototypes: M of the source model, trained in place.
        own: the method's own modules, trained as well.
        views: number of training views per target picture and step; only the first is embedded.
        averages_statistics: whether ``ema`` also averages the statistics of batch norms.
    """

    params: TwoDomainsParams
    views: ClassVar[int] = 1
    averages_statistics: ClassVar[bool] = True

    def prepare(self) -> None:
        """Create the optimiser, the weight average and the training views.

        Raises:
            TrainingError: the target has fewer than two pictures to adapt to.
        """
        self.require_pictures(2)
        params, device = self.params, self.target.inputs.device
        self.network, self.prototypes = self.source_model.network, self.source_model.prototypes
        self.own = nn.ModuleDict(self.own_modules()).to(device)
        trained = {"network": self.network, "prototypes": self.prototypes, "own": self.own}
        self._average = Average(self.averaged(), params.ema, self.averages_statistics)
        labels = self.source.labels[self.source.rows]
        weights, self._trained_shares = source_weights(labels, params.class_weights, params.balance)
        self._weights = weights.to(device)
        self.model = self._predictor()
        self._embed = self.team.setup(self.embedder())
        self._source_views = Views(self.source.inputs, self.augment_params, self.team, 1)
        self._target_views = Views(self.target.inputs, self.augment_params, self.team, self.views)
        matrix, own = list(self.prototypes.parameters()), list(self.own.parameters())
        self._beside = [*matrix, *own]
        self.optimiser = torch.optim.SGD(
            [
                {"params": list(self.network.parameters()), "lr": params.lr},
                {"params": matrix, "lr": params.prototype_lr},
                {"params": own, "lr": params.own_lr},
            ],
            momentum=params.momentum,
            nesterov=params.nesterov,
            weight_decay=params.weight_decay,
            fused=True,
        )
        self._rates = [group["lr"] for group in self.optimiser.param_groups]
        self._steps_left, self._metrics = 0, dict[str, float]()
        self.parts = {**trained, **self._average.parts(), "optimiser": self.optimiser}

    def own_modules(self) -> dict[str, nn.Module]:
        """Create the method's own modules, by name. They must be called on the whole team's batch."""
        return {}

    def averaged(self) -> dict[str, nn.Module]:
        """Return the modules that ``ema`` averages, by name, before they are set up for several processes."""
        return {"network": self.network, "prototypes": self.prototypes}

    def embedder(self) -> nn.Module:
        """Return the module that embeds the views of both domains: float N×… in, N×d out; trained at ``lr``."""
        return self.network

    @abstractmethod
    def losses(self, batch: Domains) -> dict[str, Tensor]:
        """Return the terms of the step's loss, by name. Their sum is minimised over f, g, M and the own modules."""

    def supervised(self, batch: Domains) -> Tensor:
        """Return the class-weighted cross entropy on the source."""
        return weighted_cross_entropy(batch.source, self.prototypes.matrix, batch.labels, self._weights)

    def _predictor(self) -> PrototypeClassifier:
        network, prototypes = self._average["network"], self._average["prototypes"]
        assert isinstance(network, Network)
        assert isinstance(prototypes, Prototypes)
        return PrototypeClassifier(network, prototypes, self._decision())

    def _decision(self) -> Decision:
        """Return the source model's decision if the method is source-free, else one adjusted to the trained shares."""
        decision = self.source_model.decision
        if self.params.source_free:
            return decision
        return decision.adjusted(self._trained_shares, self.params.logit_adjustment)

    def begin_epoch(self, epoch: int) -> Epoch:
        """Predict the target, then draw the epoch's batches; by default until the larger domain has been seen once."""
        self.network.train()
        metrics = self.prepare_epoch(epoch)
        size = self.params.batch_size
        counts = [len(rows) for rows in self._pools()]
        steps = self.params.steps_per_epoch or max(1, *(count // size for count in counts))
        sizes = [min(size, count) for count in counts]
        images = steps * (sizes[0] + self.views * sizes[1])
        self._steps_left, self._metrics = steps, metrics
        return Epoch(self._batches(epoch, steps), steps, images, metrics)

    def prepare_epoch(self, epoch: int) -> dict[str, float]:
        """Predict the target and do what else the method needs before an epoch.

        Returns:
            Metrics to log, by name.
        """
        self.predict_target()
        return {}

    def _pools(self) -> tuple[Tensor, Tensor]:
        """Return what batches are drawn from: source rows, and indices into the target's training rows."""
        source, target = self.source.rows, torch.arange(len(self.target.train_rows))
        return source[: 0 if self.params.source_free else None], target[: None if self.params.uses_target else 0]

    def _batches(self, epoch: int, steps: int) -> Iterator[Batch]:
        generator = generator_for(self.seed, self.name, epoch)
        for source_rows, target_index in self.drawn(steps, generator):
            target_rows = self.target.train_rows[target_index]
            yield Batch(
                self._source_views.pictures(source_rows, generator) if len(source_rows) else None,
                self._target_views.pictures(target_rows, generator) if len(target_rows) else None,
                upload(self.source.labels[source_rows], self.team.device),
                target_index,
            )

    def drawn(self, steps: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Draw, for each step, source rows and indices into the target's training rows, int64 on the CPU."""
        source, target = (shuffled_batches(rows, self.params.batch_size, steps, generator) for rows in self._pools())
        return zip(source, target, strict=True)

    def step(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        self.set_rates(progress)
        domains = self.embedded(batch, progress)
        terms = self.losses(domains)
        self.note_own_share(terms, domains)
        loss = torch.stack(list(terms.values())).sum()
        self.descend(loss)
        self._average.update()
        return {name: value.detach() for name, value in {**terms, "loss": loss}.items()}

    def note_own_share(self, terms: dict[str, Tensor], domains: Domains) -> None:
        """At the last step of an epoch, add ``own_share`` to its metrics."""
        if self.is_last_step() and (share := own_share(terms, [domains.source, domains.target])) is not None:
            self._metrics["own_share"] = share

    def is_last_step(self) -> bool:
        """Count a step and return whether it is the epoch's last. Call it once per step."""
        self._steps_left -= 1
        return self._steps_left == 0

    def set_rates(self, progress: float) -> None:
        """Set the learning rates for ``progress``, by ``schedule``."""
        factor = (1.0 + 10.0 * progress) ** -0.75 if self.params.schedule == "inverse" else 1.0
        for group, rate in zip(self.optimiser.param_groups, self._rates, strict=True):
            group["lr"] = factor * rate

    def descend(self, loss: Tensor) -> None:
        """Take one optimiser step on ``loss``."""
        self.optimiser.zero_grad()
        self.team.backward(loss, self._beside)
        self.optimiser.step()

    def embedded(self, batch: Batch, progress: float) -> Domains:
        """Embed both domains in a training pass, with gradients."""
        source, drawn = self.training_views(batch)
        target = drawn[: len(drawn) // self.views]
        if self.params.domain_passes == "joint" and len(source) and len(target):
            both = self.embed(torch.cat([source, target]), "both")
            z_source, z_target = both.split([len(source), len(target)])
        else:
            z_source = self.embed(source, "source") if len(source) else None
            z_target = self.embed(target, "target") if len(target) else None
        return Domains(
            self.whole(z_source, batch.source),
            batch.labels,
            self.whole(z_target, batch.target),
            batch.target_index,
            drawn,
            progress,
        )

    def embed(self, views: Tensor, domain: Literal["source", "target", "both"]) -> Tensor:
        """Embed this process's views in a training pass; batch norm treats the domain as ``batch_norm`` says."""
        with training_pass(self.network, self.params.batch_norm, domain):
            return self._embed(views)

    def training_views(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Draw this process's training views of both domains, N×… float each."""
        source = self._source_views.views(batch.source) if batch.source else self._source_views.empty_batch()
        target = self._target_views.views(batch.target) if batch.target else self._target_views.empty_batch()
        return source, target

    def whole(self, z: Tensor | None, pictures: Pictures | None) -> Tensor:
        """Gather one domain's embeddings from all processes of the team; 0×d if the method does not use the domain."""
        if z is None or pictures is None:
            return torch.empty(0, self.network.head.dim, device=self.team.device)
        return self.team.gather(z, pictures.count)
