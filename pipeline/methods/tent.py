"""Tent: train scale and shift of batch norms by entropy minimisation (Wang et al., ICLR 2021)."""

import torch
from torch import Tensor

from pipeline.config.methods.tent import TentParams
from pipeline.methods.parts.decision import decision_logits, entropy
from pipeline.methods.parts.norms import BATCH_NORMS, norms_of, train_only
from pipeline.methods.parts.two_domains import Domains, TwoDomains


class Tent(TwoDomains):
    """Uses the target alone. Training passes normalise by the batch; predictions use the running statistics."""

    params: TentParams

    def prepare(self) -> None:
        train_only(self.source_model, norms_of(self.source_model.network, BATCH_NORMS))
        super().prepare()

    def losses(self, batch: Domains) -> dict[str, Tensor]:
        logits = decision_logits(self.prototypes(batch.target), self.model.decision)
        return {"entropy": entropy(torch.softmax(logits, dim=1)).mean()}
