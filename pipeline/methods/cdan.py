"""CDAN+E: a domain discriminator conditioned on the predictions (Long et al., NeurIPS 2018)."""

import torch
from torch import Tensor, nn

from pipeline.config.methods.cdan import CdanParams
from pipeline.labels import NUM_CLASSES
from pipeline.losses.domain import lambda_t
from pipeline.methods.parts.adversary import Discriminator, certainty, domain_loss, multilinear, reversed_gradient
from pipeline.methods.parts.two_domains import Domains, TwoDomains


class Cdan(TwoDomains):
    """The discriminator's input is the outer product of z and the probabilities (the paper's multilinear map)."""

    params: CdanParams

    def own_modules(self) -> dict[str, nn.Module]:
        return {"discriminator": Discriminator(NUM_CLASSES * self.network.head.dim, self.params.hidden)}

    def losses(self, batch: Domains) -> dict[str, Tensor]:
        logits, weights = [], []
        for z in (batch.source, batch.target):
            probabilities = torch.softmax(self.prototypes(z), dim=1).detach()
            joint = multilinear(reversed_gradient(z, lambda_t(batch.progress)), probabilities)
            logits.append(self.own["discriminator"](joint))
            weights.append(certainty(probabilities) if self.params.entropy else None)
        return {"source": self.supervised(batch), "domain": self.params.weight * domain_loss(*logits, *weights)}
