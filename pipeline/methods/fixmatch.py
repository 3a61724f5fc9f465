"""FixMatch (Sohn et al., NeurIPS 2020) with RLSbench's two steps against label shift (Garg et al., ICML 2023)."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.config.methods.fixmatch import FixmatchParams
from pipeline.data.batches import balanced_batches
from pipeline.data.views import Views
from pipeline.labels import EXPRESSIONS
from pipeline.methods.parts.decision import decision_logits
from pipeline.methods.parts.reweighting import adjusted_prior, estimated_shares
from pipeline.methods.parts.two_domains import Batch, Domains, TwoDomains
from pipeline.networks.network import Decision

WEAK = {"jitter": 0.0, "grayscale": 0.0, "blur": 0.0}
"""Augmentations that a weak view does not have; it keeps crop and flip."""


class Fixmatch(TwoDomains):
    """The training view of a target picture learns the prediction for its weak view, if that is confident.

    RLSbench's two steps: both domains are sampled with balanced classes (the target by pseudo-labels), and predictions
    are re-weighted by the estimated class shares of the target.
    """

    params: FixmatchParams
    views: ClassVar[int] = 2

    def prepare(self) -> None:
        super().prepare()
        strengths = self.augment_params, self.augment_params.model_copy(update=WEAK)
        self._strengths = [Views(self.target.inputs, params, self.team, 1) for params in strengths]
        self._teacher_decision = self._decision()  # without the estimated shares, which would reinforce themselves
        self.parts["decision"] = self.model.decision

    def _decision(self) -> Decision:
        if self.params.sampling == "balanced":
            # Balanced sampling makes class shares equal; only the class weights are left.
            weighted = torch.where(self._trained_shares > 0, self._weights.cpu(), 0.0)
            self._trained_shares = weighted / weighted.sum().clamp(min=1e-12)
        return super()._decision()

    def prepare_epoch(self, epoch: int) -> dict[str, float]:
        predicted = self.predict_whole_target()[1]
        plain = self.model.decision.convert(predicted, self._teacher_decision).cpu()
        self._pseudo_labels = plain.argmax(dim=1)
        if not self.params.reweighted:
            return {}
        prior = adjusted_prior(self._trained_shares, self.params.logit_adjustment)
        shares = estimated_shares(plain, prior).clamp(min=0.5 / len(plain))  # half a picture: no class is ruled out
        ratios = torch.where(prior > 0, shares / prior.clamp(min=1e-12), 1.0).to(predicted.device)
        self.model.decision.adjustment.copy_(self._teacher_decision.adjustment - ratios.log())
        return {f"share.{name}": share for name, share in zip(EXPRESSIONS, shares.tolist(), strict=True)}

    def drawn(self, steps: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        if self.params.sampling == "uniform":
            return super().drawn(steps, generator)
        labels = self.source.labels[self.source.rows], self._pseudo_labels
        source, target = (
            balanced_batches(rows, of_rows, self.params.batch_size, steps, generator)
            for rows, of_rows in zip(self._pools(), labels, strict=True)
        )
        return zip(source, target, strict=True)

    def training_views(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Draw this process's views: the source's, and the target's training views, then its weak ones."""
        assert batch.target is not None
        parts = zip(self._strengths, batch.target.draws.chunk(2), strict=True)
        drawn = [views.views(replace(batch.target, draws=draws)) for views, draws in parts]
        return super().training_views(replace(batch, target=None))[0], torch.cat(drawn)

    def losses(self, batch: Domains) -> dict[str, Tensor]:
        strong = decision_logits(self.prototypes(batch.target), self._teacher_decision)
        taught = consistency(strong, self._weak_probabilities(batch), self.params.threshold)
        return {"source": self.supervised(batch), "consistency": self.params.weight * taught}

    @torch.no_grad()
    def _weak_probabilities(self, batch: Domains) -> Tensor:
        """Return the predictions for the weak views of the whole team's batch, by a separate training pass: T×k."""
        _, weak = batch.target_views.chunk(2)
        z = self.team.gather(self.embed(weak, "target"), len(batch.target_index))
        probabilities: Tensor = self._teacher_decision(self.prototypes(z))
        return probabilities


def consistency(strong: Tensor, weak: Tensor, threshold: float) -> Tensor:
    """Return the cross entropy of strong views against the classes predicted for weak ones, averaged over all pictures.

    Args:
        strong: logits of the strong views, N×k float.
        weak: probabilities of the weak views, N×k float without gradient.
        threshold: pictures whose largest weak probability is below this contribute 0.

    Returns:
        A scalar.
    """
    confidence, labels = weak.max(dim=1)
    return (F.cross_entropy(strong, labels, reduction="none") * (confidence >= threshold)).mean()
