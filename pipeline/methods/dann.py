"""DANN: adversarial training against a domain discriminator (Ganin et al., JMLR 2016, eqs. 9 to 14)."""

from torch import Tensor, nn

from pipeline.config.methods.dann import DannParams
from pipeline.losses.domain import lambda_t
from pipeline.methods.parts.adversary import Discriminator, domain_loss, reversed_gradient
from pipeline.methods.parts.two_domains import Domains, TwoDomains


class Dann(TwoDomains):
    """The discriminator sees z. Its gradient reaches f and g reversed and multiplied by λ_t."""

    params: DannParams

    def own_modules(self) -> dict[str, nn.Module]:
        return {"discriminator": Discriminator(self.network.head.dim, self.params.hidden)}

    def losses(self, batch: Domains) -> dict[str, Tensor]:
        discriminator, factor = self.own["discriminator"], lambda_t(batch.progress)
        source, target = (discriminator(reversed_gradient(z, factor)) for z in (batch.source, batch.target))
        return {"source": self.supervised(batch), "domain": self.params.weight * domain_loss(source, target)}
