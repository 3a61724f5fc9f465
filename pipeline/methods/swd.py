"""SWD: MCD with a sliced Wasserstein discrepancy (Lee et al., CVPR 2019)."""

import torch
from torch import Tensor

from pipeline.compute.device import upload
from pipeline.config.methods.swd import SwdParams
from pipeline.data.batches import generator_for
from pipeline.labels import NUM_CLASSES
from pipeline.methods.parts.two_classifiers import TwoClassifiers


class Swd(TwoClassifiers):
    """New directions are drawn for each comparison, from a random generator per epoch."""

    params: SwdParams

    def prepare_epoch(self, epoch: int) -> dict[str, float]:
        self._generator = generator_for(self.seed, f"{self.name} directions", epoch)
        return super().prepare_epoch(epoch)

    def discrepancy(self, z: Tensor, matrices: dict[str, Tensor]) -> Tensor:
        drawn = torch.randn(self.params.directions, NUM_CLASSES, generator=self._generator)
        directions = upload(torch.nn.functional.normalize(drawn), z.device)
        first, second = (torch.softmax(z @ matrix.T, dim=1) for matrix in matrices.values())
        return sliced_wasserstein(first, second, directions)


def sliced_wasserstein(x: Tensor, y: Tensor, directions: Tensor) -> Tensor:
    """Return the mean over directions of the squared Wasserstein-2 distance of two samples (eq. 7).

    In one dimension it is the mean squared difference of the sorted values.

    Args:
        x: N×k float.
        y: N×k float.
        directions: D×k float, unit rows.

    Returns:
        A scalar.
    """
    first, second = ((sample @ directions.T).sort(dim=0).values for sample in (x, y))
    return (first - second).square().mean()
