"""MCD: maximum classifier discrepancy (Saito et al., CVPR 2018)."""

import torch
from torch import Tensor

from pipeline.methods.parts.two_classifiers import TwoClassifiers


class Mcd(TwoClassifiers):
    """The discrepancy is the mean absolute difference of the two predictions, as published."""

    def discrepancy(self, z: Tensor, matrices: dict[str, Tensor]) -> Tensor:
        first, second = (torch.softmax(z @ matrix.T, dim=1) for matrix in matrices.values())
        return (first - second).abs().mean()
