"""DAN: embeddings of both domains with the same distribution by many kernels (Long et al., ICML 2015)."""

from torch import Tensor

from pipeline.config.methods.dan import DanParams
from pipeline.losses.domain import gaussian_kernels, mmd
from pipeline.methods.parts.two_domains import Domains, TwoDomains


class Dan(TwoDomains):
    """The paper's objective with one layer, z, and kernels that weigh the same."""

    params: DanParams

    def losses(self, batch: Domains) -> dict[str, Tensor]:
        distance = mmd(gaussian_kernels(batch.source, batch.target, self.params.kernels))
        return {"source": self.supervised(batch), "domain": self.params.weight * distance}
