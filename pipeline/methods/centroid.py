"""Centroids: classify the target by the nearest class centroid, SHOT's relabelling (Liang et al., ICML 2020)."""

from torch import Tensor

from pipeline.config.methods.centroid import CentroidParams
from pipeline.methods.parts.directions import centroids, decide_by_directions
from pipeline.methods.parts.training_free import TrainingFree


class Centroid(TrainingFree):
    """f and g are fixed; the target's centroids replace the prototypes."""

    params: CentroidParams

    def correct(self, z: Tensor, probabilities: Tensor) -> Tensor:
        directions, found = centroids(self.model.prototypes.directions(z), probabilities, self.params.rounds)
        return decide_by_directions(self.model, directions, found, z, probabilities)
