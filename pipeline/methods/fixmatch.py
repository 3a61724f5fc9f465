"""FixMatch (Sohn et al., NeurIPS 2020) with RLSbench's two steps for unlike class shares (Garg et al., ICML 2023)."""

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
from pipeline.methods.parts.reweighting import estimated_shares
from pipeline.methods.parts.two_domains import Batch, Domains, TwoDomains
from pipeline.networks.network import Decision

WEAK = {"jitter": 0.0, "grayscale": 0.0, "blur": 0.0}
"""What a training view leaves out to be a weak one: it keeps crop and flip."""


class Fixmatch(TwoDomains):
    """A target picture's training view is taught what is predicted of its weak one, where that is sure.

    Both domains are sampled with classes alike in number, the target's by pseudo-labels, and what predicts is weighted
    by the shares that the target's classes are estimated to have.
    """

    params: FixmatchParams
    views: ClassVar[int] = 2

    def prepare(self) -> None:
        super().prepare()
        strengths = self.augment_params, self.augment_params.model_copy(update=WEAK)
        self._strengths = [Views(self.target.inputs, params, self.team, 1) for params in strengths]
        self._teacher_decision = self._decision()  # without the target's shares, which would feed back on themselves
        self.parts["decision"] = self.model.decision

    def _decision(self) -> Decision:
        if self.params.sampling == "balanced":
            # Every class is met as often as any other, and then counts by its weight.
            weighted = torch.where(self._trained_shares > 0, self._weights.cpu(), 0.0)
            self._trained_shares = weighted / weighted.sum().clamp(min=1e-12)
        return super()._decision()

    def prepare_epoch(self, epoch: int) -> dict[str, float]:
        predicted = self.predict_whole_target()[1]
        plain = self.model.decision.convert(predicted, self._teacher_decision).cpu()
        self._pseudo_labels = plain.argmax(dim=1)
        if not self.params.reweighted:
            return {}
        prior = torch.where(self._trained_shares > 0, self._trained_shares ** (1.0 - self.params.logit_adjustment), 0.0)
        prior = prior / prior.sum()
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
        """What is predicted of the weak views of the whole team's batch, in a training pass of their own: T×k."""
        _, weak = batch.target_views.chunk(2)
        z = self.team.gather(self.embed(weak, "target"), len(batch.target_index))
        probabilities: Tensor = self._teacher_decision(self.prototypes(z))
        return probabilities


def consistency(strong: Tensor, weak: Tensor, threshold: float) -> Tensor:
    """The cross entropy of what weak views are predicted as, 0 where that is not sure; the mean over all pictures.

    Args:
        strong: logits of the strong views, N×k float.
        weak: probabilities of the weak views, N×k float without gradient.
        threshold: a prediction is sure where its largest probability is at least this.

    Returns:
        A scalar.
    """
    confidence, labels = weak.max(dim=1)
    return (F.cross_entropy(strong, labels, reduction="none") * (confidence >= threshold)).mean()
