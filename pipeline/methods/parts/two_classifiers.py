"""Adaptation by the disagreement of two classifiers on one embedding (Saito et al., CVPR 2018)."""

from abc import abstractmethod
from dataclasses import replace

import torch
from torch import Tensor, nn

from pipeline.config.methods.two_domains import TwoClassifiersParams
from pipeline.losses.classification import weighted_cross_entropy
from pipeline.methods.parts.own_share import gradient_norm
from pipeline.methods.parts.two_domains import Batch, Domains, TwoDomains
from pipeline.networks.network import Prototypes


class TwoClassifiers(TwoDomains):
    """Both classifiers are prototype matrices that start near M_s. Their mean is M, which predicts."""

    params: TwoClassifiersParams

    def own_modules(self) -> dict[str, nn.Module]:
        """Create the two matrices: M_s, and M_s plus noise, because equal matrices would never disagree."""
        first, second = (Prototypes(self.network.head.dim) for _ in range(2))
        with torch.no_grad():
            matrix = self.prototypes.matrix.cpu()
            first.matrix.copy_(matrix)
            second.matrix.copy_(matrix + self.params.apart * matrix.std() * torch.randn(matrix.shape))
        return {"first": first, "second": second}

    def losses(self, batch: Domains) -> dict[str, Tensor]:
        """Return the losses of step A: cross entropy of both classifiers on the source."""
        return {
            f"source_{name}": weighted_cross_entropy(batch.source, matrix, batch.labels, self._weights)
            for name, matrix in self._matrices().items()
        }

    def step(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Take the three steps of Saito et al., sec. 3.3.

        A trains f, g and both classifiers on the source. B trains the classifiers to disagree on the target. C trains f
        and g to make them agree.
        """
        self.set_rates(progress)
        # In A and B, the classifiers must see source embeddings from the same kind of pass through batch norms.
        separate = self.params.domain_passes == "separate"
        domains = self.embedded(replace(batch, target=None) if separate else batch, progress)
        terms = self.losses(domains)
        loss = torch.stack(list(terms.values())).sum()
        of_source = gradient_norm(loss, [domains.source]) if self.is_last_step() else 0.0
        self.descend(loss)
        with torch.no_grad():  # step B does not train f and g
            both = self.embedded(batch, progress)
        apart = self.discrepancy(both.target, self._matrices())
        self.descend(torch.stack(list(self.losses(both).values())).sum() - apart)
        for _ in range(self.params.repeats):
            target = self.whole(self.embed(both.target_views, "target"), batch.target)
            together = self.discrepancy(target, {name: m.detach() for name, m in self._matrices().items()})
            if of_source > 0:
                self._metrics["own_share"] = gradient_norm(together, [target]) / of_source
            self.descend(together)
        self._mean_of_both()
        self._average.update()
        reported = {**terms, "loss": loss, "apart": apart, "together": together}
        return {name: value.detach() for name, value in reported.items()}

    @abstractmethod
    def discrepancy(self, z: Tensor, matrices: dict[str, Tensor]) -> Tensor:
        """Return the discrepancy of the two classifiers' predictions.

        Args:
            z: N×d float.
            matrices: the two prototype matrices by name, k×d float each.

        Returns:
            A scalar.
        """

    def _matrices(self) -> dict[str, Tensor]:
        return {name: module.get_parameter("matrix") for name, module in self.own.items()}

    @torch.no_grad()
    def _mean_of_both(self) -> None:
        self.prototypes.matrix.copy_(torch.stack(list(self._matrices().values())).mean(dim=0))
