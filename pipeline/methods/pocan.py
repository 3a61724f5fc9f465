"""POCAN's stage 2: contrastive, prototype and adversarial adaptation (paper, secs. 3.3–3.6)."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.compute.batchnorm import training_pass
from pipeline.compute.device import upload
from pipeline.config.methods.pocan import PocanParams
from pipeline.data.batches import generator_for, shuffled_batches
from pipeline.data.views import Pictures, Views
from pipeline.labels import EXPRESSIONS
from pipeline.losses.classification import (
    TARGET_POWER,
    class_shares,
    class_weights,
    source_weights,
    weighted_cross_entropy,
)
from pipeline.losses.contrastive import nt_xent, supervised_contrastive
from pipeline.losses.domain import domain_confusion, domain_discrimination, lambda_t
from pipeline.methods.parts import pseudolabels
from pipeline.methods.parts.base import Method
from pipeline.methods.parts.decision import decision_logits
from pipeline.methods.parts.reweighting import adjusted_prior, estimated_shares
from pipeline.networks.network import Network, PrototypeClassifier, Prototypes
from pipeline.training.average import Average
from pipeline.training.loop import Epoch


@dataclass(frozen=True)
class Batch:
    """The pictures of one step.

    Attributes:
        source: this process's source pictures.
        target: this process's target pictures; the trusted ones come first.
        labels: labels of the source pictures in the whole team's batch, int64 on the device.
        pseudo_labels: labels of the trusted target pictures in the whole team's batch, int64 on the device.
    """

    source: Pictures
    target: Pictures
    labels: Tensor
    pseudo_labels: Tensor


@dataclass(frozen=True)
class Projections:
    """Projections z of both views of each picture in the whole team's batch.

    Attributes:
        source: 2S×d float.
        source_labels: 2S int64.
        target: 2T×d float.
        trusted: the rows of ``target`` that have a trusted pseudo-label.
        pseudo_labels: the pseudo-labels of ``trusted``, int64.
    """

    source: Tensor
    source_labels: Tensor
    target: Tensor
    trusted: Tensor
    pseudo_labels: Tensor

    def detached(self) -> "Projections":
        """Return the same projections without gradients to f and g."""
        return replace(self, source=self.source.detach(), target=self.target.detach(), trusted=self.trusted.detach())


class Pocan(Method):
    """The training task of stage 2. Every step minimises eq. 15, then eq. 16."""

    params: PocanParams

    def prepare(self) -> None:
        """Start M_t as a copy of M_s; train f, g and M_s of the source model in place.

        Raises:
            TrainingError: the target has fewer than two pictures to adapt to.
        """
        self.require_pictures(2)
        params, source = self.params, self.source
        self.network, self.source_prototypes = self.source_model.network, self.source_model.prototypes
        self.target_prototypes = copy.deepcopy(self.source_prototypes)
        trained = {
            "network": self.network,
            "source_prototypes": self.source_prototypes,
            "target_prototypes": self.target_prototypes,
        }
        self._average = Average(trained, params.ema)
        self._at_start: Tensor | None = None
        self._weigh_classes()
        self.model = self._predictor()
        self._project = self.team.setup(self.network)
        self._source_views = Views(source.inputs, self.augment_params, self.team)
        self._target_views = Views(self.target.inputs, self.augment_params, self.team)
        self._network_optimiser = torch.optim.SGD(
            self.network.parameters(),
            lr=params.lr,
            momentum=params.momentum,
            weight_decay=params.weight_decay,
            fused=True,
        )
        self._prototype_optimiser = torch.optim.SGD(
            [self.source_prototypes.matrix, self.target_prototypes.matrix],
            lr=params.prototype_lr,
            momentum=params.momentum,
            weight_decay=params.weight_decay,
            fused=True,
        )
        self.parts = {
            **trained,
            **self._average.parts(),
            "network_optimiser": self._network_optimiser,
            "prototype_optimiser": self._prototype_optimiser,
        }

    def _weigh_classes(self) -> None:
        """Set the source's class weights and the resulting class shares in training."""
        labels = self.source.labels[self.source.rows]
        weights, self._trained_shares = source_weights(labels, self.params.class_weights, self.params.balance)
        self._source_weights = weights.to(self.target.inputs.device)
        self._target_weights = torch.ones_like(self._source_weights)

    def _predictor(self) -> PrototypeClassifier:
        """Return the classifier that pseudo-labels and predicts: f, g and M_t, or their averages (``ema``)."""
        network, prototypes = self._average["network"], self._average["target_prototypes"]
        assert isinstance(network, Network)
        assert isinstance(prototypes, Prototypes)
        self._decision = self.source_model.decision.adjusted(self._trained_shares, self.params.logit_adjustment)
        return PrototypeClassifier(network, prototypes, self._decision)

    def begin_epoch(self, epoch: int) -> Epoch:
        """Pseudo-label the whole target training set with M_t, then draw the epoch's batches."""
        self.network.train()
        dropped = epoch >= self.params.prototype_lr_drop_epoch
        self._prototype_optimiser.param_groups[0]["lr"] = self.params.prototype_lr * (0.1 if dropped else 1.0)
        pseudo = self._pseudo_label()
        pools = self._pools(pseudo)
        steps = self.params.steps_per_epoch or max(1, *(len(rows) // size for rows, size in pools if size))
        metrics = self._pseudo_label_metrics(pseudo)
        metrics["prototype_lr"] = self._prototype_optimiser.param_groups[0]["lr"]
        images = 2 * steps * sum(min(len(rows), size) for rows, size in pools)
        return Epoch(self._batches(epoch, steps, pools, pseudo.labels), steps, images, metrics)

    def _pseudo_label(self) -> pseudolabels.PseudoLabels:
        """Pseudo-label the training rows (on the CPU), predict the test rows and set the target's class weights."""
        params = self.params
        probabilities = self.predict_whole_target()[1].cpu()
        if self._at_start is None:
            self._at_start = class_shares(probabilities.argmax(dim=1)) > 0
        alive = self._at_start if params.keep_alive else None
        bounds = pseudolabels.Bounds(params.trusted_floor, params.trusted_cap, alive)
        pseudo = pseudolabels.assign(probabilities, params.beta, bounds)
        if params.target_shares == "em":
            prior = adjusted_prior(self._trained_shares, params.logit_adjustment)
            target_shares = estimated_shares(probabilities, prior)
        else:
            target_shares = class_shares(pseudo.labels)
        weights = class_weights(target_shares, params.class_weights, TARGET_POWER, params.balance)
        self._target_weights = weights.to(self._target_weights.device)
        return pseudo

    def _pseudo_label_metrics(self, pseudo: pseudolabels.PseudoLabels) -> dict[str, float]:
        """Return metrics that show drifting pseudo-labels: the share of each class, and how many have died out."""
        finite = pseudo.thresholds[pseudo.thresholds.isfinite()]
        given = class_shares(pseudo.labels)
        assert self._at_start is not None
        return {
            "trusted_share": pseudo.trusted.double().mean().item(),
            "threshold_mean": finite.mean().item(),
            "pseudo_classes": float((given > 0).sum()),
            "died_out": float((self._at_start & (given == 0)).sum()),
            **{f"pseudo_share.{name}": share for name, share in zip(EXPRESSIONS, given.tolist(), strict=True)},
        }

    def _pools(self, pseudo: pseudolabels.PseudoLabels) -> tuple[tuple[Tensor, int], ...]:
        """Return what batches are drawn from, each with its number of pictures per batch.

        These are source rows, indices of trusted target rows and indices of untrusted ones. A batch has the same
        proportion of trusted pictures as the whole target. As in the released code, an epoch lasts until each of the
        three has been seen once.
        """
        size = self.params.batch_size
        trusted, untrusted = (chosen.nonzero().squeeze(1) for chosen in (pseudo.trusted, ~pseudo.trusted))
        trusted_size = _share_of_batch(size, len(trusted) / len(pseudo.labels))
        return (self.source.rows, size), (trusted, trusted_size), (untrusted, size - trusted_size)

    def _batches(
        self, epoch: int, steps: int, pools: tuple[tuple[Tensor, int], ...], pseudo_labels: Tensor
    ) -> Iterator[Batch]:
        generator = generator_for(self.seed, self.name, epoch)
        draws = zip(*(shuffled_batches(rows, size, steps, generator) for rows, size in pools), strict=True)
        for source_rows, trusted, untrusted in draws:
            yield self.batch(source_rows, torch.cat([trusted, untrusted]), pseudo_labels[trusted], generator)

    def batch(
        self, source_rows: Tensor, target_index: Tensor, pseudo_labels: Tensor, generator: torch.Generator
    ) -> Batch:
        """Fetch one step's pictures.

        Args:
            source_rows: rows of the source, int64 on the CPU.
            target_index: indices into the target's training rows, trusted ones first, int64 on the CPU.
            pseudo_labels: labels of the trusted ones, int64 on the CPU.
            generator: random generator of the views.
        """
        return Batch(
            self._source_views.pictures(source_rows, generator),
            self._target_views.pictures(self.target.train_rows[target_index], generator),
            upload(self.source.labels[source_rows], self.team.device),
            upload(pseudo_labels, self.team.device),
        )

    def step(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Update f and g by eq. 15, then M_s and M_t by eq. 16."""
        weight = lambda_t(progress)
        views = self._source_views.views(batch.source), self._target_views.views(batch.target)
        z = self._with_labels(*self._training_projections(*views), batch)
        terms = self.network_losses(z, weight)
        loss = torch.stack(list(terms.values())).sum()
        self._network_optimiser.zero_grad()
        self.team.backward(loss)
        self._network_optimiser.step()

        if self.params.prototype_projections == "evaluation":
            z = self._with_labels(*self._evaluation_projections(*views), batch)
        prototype_terms = self.prototype_losses(z.detached(), weight)
        prototype_loss = torch.stack(list(prototype_terms.values())).sum()
        self._prototype_optimiser.zero_grad()
        prototype_loss.backward()
        self._prototype_optimiser.step()
        self._average.update()
        reported = {**terms, "loss": loss, **prototype_terms, "prototype_loss": prototype_loss}
        return {name: value.detach() for name, value in reported.items()}

    def network_losses(self, z: Projections, pseudo_weight: float) -> dict[str, Tensor]:
        """Return the terms of eq. 15, L_in + L_cross + L_st, with M_s and M_t frozen.

        Args:
            z: projections with gradients to f and g.
            pseudo_weight: λ_t, the weight of the trusted samples' cross entropy in L_in.
        """
        m_s, m_t = self.source_prototypes.matrix.detach(), self.target_prototypes.matrix.detach()
        w_s = self._source_weights
        terms: dict[str, Tensor] = {}
        if self.params.use_l_in:
            pseudo = self._pseudo_cross_entropy(z, m_t)
            terms["l_target"] = nt_xent(z.target, self.params.tau) + pseudo_weight * pseudo
            supervised = weighted_cross_entropy(z.source, m_s, z.source_labels, w_s)
            contrastive = supervised_contrastive(z.source, z.source_labels, self.params.tau_source)
            terms["l_source"] = contrastive + supervised
        if self.params.use_l_cross:
            source_to_target = weighted_cross_entropy(z.source, m_t, z.source_labels, w_s)
            target_to_source = self._pseudo_cross_entropy(z, m_s)
            terms["l_cross"] = source_to_target + target_to_source
        if self.params.use_l_ad:
            terms["l_st"] = domain_confusion(z.source, z.target, m_s, m_t)
        return terms

    def prototype_losses(self, z: Projections, pseudo_weight: float) -> dict[str, Tensor]:
        """Return the terms of eq. 16, L_sp + L_tp + L_dis.

        Args:
            z: projections without gradients to f and g.
            pseudo_weight: λ_t, the weight of L_tp if ``lambda_on_prototypes`` is set.
        """
        m_s, m_t = self.source_prototypes.matrix, self.target_prototypes.matrix
        factor = pseudo_weight if self.params.lambda_on_prototypes else 1.0
        terms = {
            "l_sp": weighted_cross_entropy(z.source, m_s, z.source_labels, self._source_weights),
            "l_tp": factor * self._pseudo_cross_entropy(z, m_t),
        }
        if self.params.use_l_ad:
            terms["l_dis"] = domain_discrimination(z.source, z.target, m_s, m_t)
        return terms

    def _pseudo_cross_entropy(self, z: Projections, matrix: Tensor) -> Tensor:
        """Return the cross entropy of the trusted pseudo-labels with M_s or M_t (eqs. 3, 5 and 9).

        By ``pseudo_loss`` it uses softmax(z·Mᵀ), or the decision that makes the pseudo-labels: softmax(z·Mᵀ − A) over
        the possible classes. The second loss is minimal when the predicted shares equal those of the pseudo-labels; the
        first keeps raising the classes that A favours.
        """
        if self.params.pseudo_loss == "printed" or len(z.pseudo_labels) == 0:
            return weighted_cross_entropy(z.trusted, matrix, z.pseudo_labels, self._target_weights)
        logits = decision_logits(z.trusted @ matrix.T, self._decision)
        losses = F.cross_entropy(logits, z.pseudo_labels, reduction="none")
        return (self._target_weights[z.pseudo_labels] * losses).mean()

    def _training_projections(self, source_views: Tensor, target_views: Tensor) -> tuple[Tensor, Tensor]:
        """Project the views of both domains with gradients, jointly or separately (``domain_passes``)."""
        if self.params.domain_passes == "joint":
            with training_pass(self.network, self.params.batch_norm, "both"):
                both = self._project(torch.cat([source_views, target_views]))
            z_source, z_target = both.split([len(source_views), len(target_views)])
            return z_source, z_target
        with training_pass(self.network, self.params.batch_norm, "source"):
            z_source = self._project(source_views)
        with training_pass(self.network, self.params.batch_norm, "target"):
            return z_source, self._project(target_views)

    @torch.no_grad()
    def _evaluation_projections(self, source_views: Tensor, target_views: Tensor) -> tuple[Tensor, Tensor]:
        """Project with the updated f and g in evaluation mode, for eq. 16, as the released code does."""
        self.network.eval()
        with self.team.autocast():
            projections = self.network(source_views), self.network(target_views)
        self.network.train()
        return projections

    def _with_labels(self, z_source: Tensor, z_target: Tensor, batch: Batch) -> Projections:
        """Gather the projections of all processes of the team, and add the labels."""
        z_source = self.team.gather_views(z_source, batch.source.count)
        z_target = self.team.gather_views(z_target, batch.target.count)
        trusted = torch.cat([view[: len(batch.pseudo_labels)] for view in z_target.chunk(2)])
        return Projections(z_source, batch.labels.repeat(2), z_target, trusted, batch.pseudo_labels.repeat(2))

    def state(self) -> dict[str, Any]:
        """Return the state of every method, and which classes were predicted at the start."""
        return {**super().state(), "at_start": self._at_start}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self._at_start = state["at_start"]

    def modules(self) -> dict[str, nn.Module]:
        """Return f, g, M_t and M_s, or their averages (``ema``)."""
        return {**super().modules(), "source_prototypes": self._average["source_prototypes"]}


def _share_of_batch(size: int, share: float) -> int:
    """Return the number of trusted pictures in a batch: in proportion, but neither 0 nor all if both kinds exist."""
    if share in (0.0, 1.0):
        return round(size * share)
    return min(max(round(size * share), 1), size - 1)
