"""ECAN: class-re-weighted marginal MMD plus class-conditional MMD (Li and Deng, IEEE TAC 2020)."""

from torch import Tensor

from pipeline.compute.device import upload
from pipeline.config.methods.ecan import EcanParams
from pipeline.losses.domain import conditional_mmd, gaussian_kernels, mmd
from pipeline.methods.parts.reweighting import class_ratios, one_hot, picture_weights
from pipeline.methods.parts.two_domains import Domains, TwoDomains


class Ecan(TwoDomains):
    """Class ratios and pseudo-labels come from each epoch's predictions for the target."""

    params: EcanParams

    def prepare_epoch(self, epoch: int) -> dict[str, float]:
        _, probabilities = self.predict_whole_target()
        self._pseudo_labels = probabilities.argmax(dim=1)
        labels = self.source.labels[self.source.rows].to(probabilities.device)
        self._ratios = class_ratios(labels, self._pseudo_labels, self.params.cap)
        return {"largest_ratio": self._ratios.max().item()}

    def losses(self, batch: Domains) -> dict[str, Tensor]:
        kernels = gaussian_kernels(batch.source, batch.target, self.params.kernels)
        pseudo_labels = self._pseudo_labels[upload(batch.target_index, self.team.device)]
        conditional = conditional_mmd(kernels, one_hot(batch.labels), one_hot(pseudo_labels))
        return {
            "source": self.supervised(batch),
            "domain": self.params.marginal * mmd(kernels, picture_weights(self._ratios, batch.labels)),
            "classes": self.params.conditional * conditional,
        }
