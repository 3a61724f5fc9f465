"""Centroids: the target's pictures by the nearest class mean, SHOT's relabelling alone (Liang et al., ICML 2020)."""

from torch import Tensor

from pipeline.config.methods.centroid import CentroidParams
from pipeline.methods.parts.training_free import TrainingFree, centroids, decide_by_directions


class Centroid(TrainingFree):
    """f and g stay; the target's centroids take the place of the prototypes."""

    params: CentroidParams

    def correct(self, z: Tensor, probabilities: Tensor) -> Tensor:
        directions, found = centroids(self.model.prototypes.directions(z), probabilities, self.params.rounds)
        return decide_by_directions(self.model, directions, found, z, probabilities)
