"""FTDNN: the source model trained on by cross entropy, the target unseen (Zavarez et al., SIBGRAPI 2017)."""

from torch import Tensor

from pipeline.config.methods.ftdnn import FtdnnParams
from pipeline.methods.parts.two_domains import Domains, TwoDomains


class Ftdnn(TwoDomains):
    """Trains f, g and M together, where the source model's M was learned on a network that stood still."""

    params: FtdnnParams

    def losses(self, batch: Domains) -> dict[str, Tensor]:
        return {"source": self.supervised(batch)}
