"""DAN: minimise the multi-kernel MMD between both domains' embeddings (Long et al., ICML 2015)."""

from torch import Tensor

from pipeline.config.methods.dan import DanParams
from pipeline.losses.domain import gaussian_kernels, mmd
from pipeline.methods.parts.two_domains import Domains, TwoDomains


class Dan(TwoDomains):
    """The paper's objective for one layer, z, with equally weighted kernels."""

    params: DanParams

    def losses(self, batch: Domains) -> dict[str, Tensor]:
        distance = mmd(gaussian_kernels(batch.source, batch.target, self.params.kernels))
        return {"source": self.supervised(batch), "domain": self.params.weight * distance}
