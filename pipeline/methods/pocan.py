"""POCAN's stage 2: contrastive, prototype and adversarial adaptation (paper, secs. 3.3–3.6)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from pipeline import augment, losses, pseudolabels
from pipeline.batches import generator_for, shuffled_batches
from pipeline.errors import TrainingError
from pipeline.methods.base import Method
from pipeline.training import Epoch, Resumable


@dataclass(frozen=True)
class Batch:
    """Rows of one step. The target's trusted rows come first; ``pseudo_labels``: int64, one for each of them."""

    source_rows: Tensor
    target_rows: Tensor
    pseudo_labels: Tensor


@dataclass(frozen=True)
class Projections:
    """z of both views of a step: source 2S×d with labels 2S; target 2T×d, of which ``trusted`` with pseudo-labels."""

    source: Tensor
    source_labels: Tensor
    target: Tensor
    trusted: Tensor
    pseudo_labels: Tensor


class Pocan(Resumable, Method):
    """The training task of stage 2: eqs. 15 and 16 in turn at every step."""

    name: ClassVar[str] = "pocan"

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.target.train_rows) < 2:
            raise TrainingError(
                "the target's split has fewer than two pictures to adapt to: add pictures or change its split"
            )
        params, source = self.params, self.source
        self._generator = generator_for(self.seed, self.name, 0)
        source_labels = source.labels[source.rows]
        self._source_weights = pseudolabels.class_weights(source_labels, params.class_weights, code_power=2)
        self._source_weights = self._source_weights.to(self.target.crops.device)
        self._target_weights = torch.ones_like(self._source_weights)
        self._network_optimiser = torch.optim.SGD(
            self.network.parameters(), lr=params.lr, momentum=params.momentum, weight_decay=params.weight_decay
        )
        self._prototype_optimiser = torch.optim.SGD(
            [self.source_prototypes.matrix, self.target_prototypes.matrix],
            lr=params.prototype_lr,
            momentum=params.momentum,
            weight_decay=params.weight_decay,
        )
        self.parts = {
            "network": self.network,
            "source_prototypes": self.source_prototypes,
            "target_prototypes": self.target_prototypes,
            "network_optimiser": self._network_optimiser,
            "prototype_optimiser": self._prototype_optimiser,
        }

    def begin_epoch(self, epoch: int) -> Epoch:
        """Pseudo-label the whole target training set with M_t, then draw the epoch's batches."""
        self.network.train()
        self._generator = generator_for(self.seed, self.name, epoch)
        dropped = epoch >= self.params.prototype_lr_drop_epoch
        self._prototype_optimiser.param_groups[0]["lr"] = self.params.prototype_lr * (0.1 if dropped else 1.0)
        pseudo = self._pseudo_label()
        trusted = pseudo.trusted.nonzero().squeeze(1)
        untrusted = (~pseudo.trusted).nonzero().squeeze(1)
        trusted_share = len(trusted) / len(pseudo.labels)
        trusted_size = _share_of_batch(self.params.batch_size, trusted_share)
        untrusted_size = self.params.batch_size - trusted_size
        steps = self.params.steps_per_epoch or self._steps_of_longest_pool(
            len(trusted), trusted_size, len(untrusted), untrusted_size
        )
        finite = pseudo.thresholds[pseudo.thresholds.isfinite()]
        metrics = {
            "trusted_share": trusted_share,
            "threshold_mean": finite.mean().item(),
            "pseudo_classes": float(len(finite)),
            "prototype_lr": self._prototype_optimiser.param_groups[0]["lr"],
        }
        batches = self._batches(steps, trusted, trusted_size, untrusted, untrusted_size, pseudo.labels)
        return Epoch(batches, steps, metrics)

    def _pseudo_label(self) -> pseudolabels.PseudoLabels:
        """Pseudo-labels on the CPU, one for each training row; also this epoch's class weights and test prediction."""
        pseudo = pseudolabels.assign(self.probabilities(self.target.train_rows).cpu(), self.params.beta)
        weights = pseudolabels.class_weights(pseudo.labels, self.params.class_weights, code_power=1)
        self._target_weights = weights.to(self._target_weights.device)
        self.predict_test()
        return pseudo

    def _steps_of_longest_pool(self, trusted: int, trusted_size: int, untrusted: int, untrusted_size: int) -> int:
        """The released code's epoch: as many steps as the longest of the three pools of images lasts."""
        pools = ((len(self.source.rows), self.params.batch_size), (trusted, trusted_size), (untrusted, untrusted_size))
        return max(1, *(count // size for count, size in pools if size))

    def _batches(
        self, steps: int, trusted: Tensor, trusted_size: int, untrusted: Tensor, untrusted_size: int, labels: Tensor
    ) -> Iterator[Batch]:
        """Source and target rows of each step, the target's split between trusted and untrusted as in the whole set."""
        draws = zip(
            shuffled_batches(self.source.rows, self.params.batch_size, steps, self._generator),
            shuffled_batches(trusted, trusted_size, steps, self._generator),
            shuffled_batches(untrusted, untrusted_size, steps, self._generator),
            strict=True,
        )
        for source_rows, trusted_index, untrusted_index in draws:
            target_rows = self.target.train_rows[torch.cat([trusted_index, untrusted_index])]
            yield Batch(source_rows, target_rows, labels[trusted_index])

    def step(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Eq. 15 moves f and g, then eq. 16 moves M_s and M_t."""
        lambda_t = losses.lambda_t(progress)
        source_views = self._views(self.source.crops.batch(batch.source_rows))
        target_views = self._views(self.target.crops.batch(batch.target_rows))
        # Each domain passes by itself: the batch norms see one domain at a time, as in the released code.
        z = self._with_labels(self.network(source_views), self.network(target_views), batch)
        terms = self.network_losses(z, lambda_t)
        loss = torch.stack(list(terms.values())).sum()
        self._network_optimiser.zero_grad()
        loss.backward()
        self._network_optimiser.step()

        z = self._with_labels(*self._frozen_projections(source_views, target_views), batch)
        prototype_terms = self.prototype_losses(z, lambda_t)
        prototype_loss = torch.stack(list(prototype_terms.values())).sum()
        self._prototype_optimiser.zero_grad()
        prototype_loss.backward()
        self._prototype_optimiser.step()
        return {**terms, "loss": loss, **prototype_terms, "prototype_loss": prototype_loss}

    def network_losses(self, z: Projections, lambda_t: float) -> dict[str, Tensor]:
        """The terms of eq. 15, L_in + L_cross + L_st, with M_s and M_t frozen."""
        m_s, m_t = self.source_prototypes.matrix.detach(), self.target_prototypes.matrix.detach()
        w_s, w_t = self._source_weights, self._target_weights
        terms: dict[str, Tensor] = {}
        if self.params.use_l_in:
            pseudo = losses.weighted_cross_entropy(z.trusted, m_t, z.pseudo_labels, w_t)
            terms["l_target"] = losses.nt_xent(z.target, self.params.tau) + lambda_t * pseudo
            supervised = losses.weighted_cross_entropy(z.source, m_s, z.source_labels, w_s)
            contrastive = losses.supervised_contrastive(z.source, z.source_labels, self.params.tau_source)
            terms["l_source"] = contrastive + supervised
        if self.params.use_l_cross:
            source_to_target = losses.weighted_cross_entropy(z.source, m_t, z.source_labels, w_s)
            target_to_source = losses.weighted_cross_entropy(z.trusted, m_s, z.pseudo_labels, w_t)
            terms["l_cross"] = source_to_target + target_to_source
        if self.params.use_l_ad:
            terms["l_st"] = losses.domain_confusion(z.source, z.target, m_s, m_t)
        return terms

    def prototype_losses(self, z: Projections, lambda_t: float) -> dict[str, Tensor]:
        """The terms of eq. 16, L_sp + L_tp + L_dis; the projections carry no gradient to f and g."""
        m_s, m_t = self.source_prototypes.matrix, self.target_prototypes.matrix
        factor = lambda_t if self.params.lambda_on_prototypes else 1.0
        terms = {
            "l_sp": losses.weighted_cross_entropy(z.source, m_s, z.source_labels, self._source_weights),
            "l_tp": factor * losses.weighted_cross_entropy(z.trusted, m_t, z.pseudo_labels, self._target_weights),
        }
        if self.params.use_l_ad:
            terms["l_dis"] = losses.domain_discrimination(z.source, z.target, m_s, m_t)
        return terms

    def _views(self, crops: Tensor) -> Tensor:
        """Two training views of uint8 B×3×S×S, stacked: 2B×3×S×S float."""
        images = augment.to_float(crops)
        return torch.cat([augment.training_view(images, self.augment_params, self._generator) for _ in range(2)])

    def _with_labels(self, z_source: Tensor, z_target: Tensor, batch: Batch) -> Projections:
        labels = self.source.labels[batch.source_rows].to(z_source.device).repeat(2)
        pseudo_labels = batch.pseudo_labels.to(z_target.device).repeat(2)
        trusted = torch.cat([view[: len(batch.pseudo_labels)] for view in z_target.chunk(2)])
        return Projections(z_source, labels, z_target, trusted, pseudo_labels)

    @torch.no_grad()
    def _frozen_projections(self, source_views: Tensor, target_views: Tensor) -> tuple[Tensor, Tensor]:
        """z of the updated f and g in evaluation mode, for eq. 16 (docs/method.md; as the released code does)."""
        self.network.eval()
        projections = self.network(source_views), self.network(target_views)
        self.network.train()
        return projections

    def state(self) -> dict[str, Any]:
        """Network, both prototype matrices, both optimisers and the predictions so far."""
        return {**super().state(), "predictions": self.predictions}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from ``state``."""
        super().restore(state)
        self.predictions = list(state["predictions"])


def _share_of_batch(size: int, share: float) -> int:
    """The trusted part of a batch: in proportion, but not 0 or all of it while both kinds exist."""
    if share in (0.0, 1.0):
        return round(size * share)
    return min(max(round(size * share), 1), size - 1)
