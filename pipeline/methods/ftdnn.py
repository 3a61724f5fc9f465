"""FTDNN: fine-tune the source model on the source, without the target (Zavarez et al., SIBGRAPI 2017)."""

from torch import Tensor

from pipeline.config.methods.ftdnn import FtdnnParams
from pipeline.methods.parts.two_domains import Domains, TwoDomains


class Ftdnn(TwoDomains):
    """Trains f, g and M together; the source model's M was trained with f and g frozen."""

    params: FtdnnParams

    def losses(self, batch: Domains) -> dict[str, Tensor]:
        return {"source": self.supervised(batch)}
