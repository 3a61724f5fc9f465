"""DETN: MMD between the domains, with the source re-weighted to the target's class shares (Li and Deng, ICPR 2018)."""

from torch import Tensor

from pipeline.config.methods.detn import DetnParams
from pipeline.losses.domain import gaussian_kernels, mmd
from pipeline.methods.parts.reweighting import class_ratios, picture_weights
from pipeline.methods.parts.two_domains import Domains, TwoDomains


class Detn(TwoDomains):
    """The class ratios are estimated from each epoch's predictions for the target."""

    params: DetnParams

    def prepare_epoch(self, epoch: int) -> dict[str, float]:
        _, probabilities = self.predict_whole_target()
        labels = self.source.labels[self.source.rows].to(probabilities.device)
        self._ratios = class_ratios(labels, probabilities.argmax(dim=1), self.params.cap)
        return {"largest_ratio": self._ratios.max().item()}

    def losses(self, batch: Domains) -> dict[str, Tensor]:
        kernels = gaussian_kernels(batch.source, batch.target, self.params.kernels)
        distance = mmd(kernels, picture_weights(self._ratios, batch.labels))
        return {"source": self.supervised(batch), "domain": self.params.weight * distance}
