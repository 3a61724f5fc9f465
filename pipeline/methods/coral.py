"""Deep CORAL: class scores of both domains with the same covariance (Sun and Saenko, ECCV 2016 workshops)."""

from torch import Tensor

from pipeline.config.methods.coral import CoralParams
from pipeline.methods.parts.two_domains import Domains, TwoDomains


class Coral(TwoDomains):
    """The paper's eq. 6, on the output of the last layer, z·Mᵀ, as published."""

    params: CoralParams

    def losses(self, batch: Domains) -> dict[str, Tensor]:
        distance = coral(self.prototypes(batch.source), self.prototypes(batch.target))
        return {"source": self.supervised(batch), "domain": self.params.weight * distance}


def coral(x: Tensor, y: Tensor) -> Tensor:
    """‖C_x − C_y‖² / (4 d²) of two samples, with unbiased covariances (eqs. 1 to 3).

    Args:
        x: S×d float.
        y: T×d float.

    Returns:
        A scalar.
    """
    return (x.T.cov() - y.T.cov()).square().sum() / (4.0 * x.shape[1] ** 2)
