"""LAME: probabilities that agree with those of the nearest pictures, nothing else changed (Boudiaf et al., CVPR 2022).

The paper corrects the probabilities of the pictures that it is given, all together, and says nothing of others. What
predicts here remembers the target's training pictures: for one of these it gives what the paper does, for another
picture one step of the same with the neighbours that it has among them.
"""

from typing import Self

import torch
from torch import Tensor, nn

from pipeline.config.learning import ModelParams
from pipeline.config.methods.lame import LameParams
from pipeline.labels import NUM_CLASSES
from pipeline.methods.parts.training_free import TrainingFree
from pipeline.networks.network import PrototypeClassifier

REMEMBERED = 4096
"""Pictures of the target that the model keeps, at most; of more, so many evenly spread."""

NEAREST = 20
"""Neighbours that are looked for, of which the nearest ``neighbours`` count."""

SAME = 1.0 - 1e-5
"""Cosine above which two pictures are one: a picture is no neighbour of itself."""

STEPS, TOLERANCE = 100, 1e-8
"""When the iteration ends, as in the released code: after so many steps, or so small a relative change of energy."""


class Memory(nn.Module):
    """The target's pictures and their probabilities after agreement; empty to begin with.

    Attributes:
        z: REMEMBERED×d float, unit rows; 0 where nothing is remembered.
        agreed: REMEMBERED×k float, their probabilities.
        neighbours: int64, how many count.
    """

    z: Tensor
    agreed: Tensor
    neighbours: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("z", torch.zeros(REMEMBERED, dim))
        self.register_buffer("agreed", torch.zeros(REMEMBERED, NUM_CLASSES))
        self.register_buffer("neighbours", torch.zeros((), dtype=torch.long))

    def nearest(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Find each picture's neighbours.

        Args:
            z: N×d float, unit rows.

        Returns:
            Their places (N×NEAREST int64) and whether each counts (N×NEAREST float, 1 or 0).
        """
        cosines = z @ self.z.T
        empty = self.z.abs().sum(dim=1) == 0
        found = cosines.masked_fill(empty | (cosines > SAME), -torch.inf).topk(NEAREST, dim=1)
        ranks = torch.arange(NEAREST, device=z.device)
        return found.indices, ((ranks < self.neighbours) & found.values.isfinite()).to(z.dtype)

    def forward(self, z: Tensor) -> Tensor:
        """N×d float in, the sum of the neighbours' probabilities out, N×k."""
        places, counts = self.nearest(z)
        return (self.agreed[places] * counts[:, :, None]).sum(dim=1)


class LameClassifier(PrototypeClassifier):
    """softmax(log p + the sum of the neighbours' probabilities) of p = softmax(z·Mᵀ)."""

    def __init__(self, plain: PrototypeClassifier) -> None:
        """Put a memory beside f, g and M of ``plain``, which are shared."""
        super().__init__(plain.network, plain.prototypes, plain.decision, plain.statistics)
        self.memory = Memory(plain.network.head.dim)

    @classmethod
    def untrained(cls, params: ModelParams) -> Self:
        return cls(PrototypeClassifier.untrained(params))

    def embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return z and the probabilities that agree with the memory's."""
        z, probabilities = super().embed(images)
        return z, self.agreeing(probabilities, self.memory(self.prototypes.directions(z)))

    def agreeing(self, probabilities: Tensor, around: Tensor) -> Tensor:
        """One step: N×k probabilities and sums of the neighbours' in, N×k out."""
        scores = (probabilities + 1e-10).log() + around
        return torch.softmax(scores.masked_fill(~self.decision.possible, -torch.inf), dim=1)


class Lame(TrainingFree):
    """f, g and M stay; the model remembers the target."""

    params: LameParams
    model: LameClassifier

    def predictor(self) -> LameClassifier:
        return LameClassifier(self.source_model)

    def correct(self, z: Tensor, probabilities: Tensor) -> Tensor:
        z = self.model.prototypes.directions(z)
        memory, count = self.model.memory, min(len(z), REMEMBERED)
        kept = torch.arange(count, device=z.device) * len(z) // count
        memory.z[:count] = z[kept]
        memory.neighbours.fill_(self.params.neighbours)
        memory.agreed[:count] = self._agreed(z[kept], probabilities[kept])
        return self.model.agreeing(probabilities, memory(z))

    def _agreed(self, z: Tensor, probabilities: Tensor) -> Tensor:
        """Iterate over the remembered pictures to a minimum of the paper's energy: n×d and n×k in, n×k out."""
        places, counts = self.model.memory.nearest(z)
        places = places.clamp(max=len(z) - 1)  # with few pictures some places are empty, and count for nothing
        unary, agreed, last = (probabilities + 1e-10).log(), probabilities, torch.inf
        for step in range(STEPS):
            around = (agreed[places] * counts[:, :, None]).sum(dim=1)
            agreed = self.model.agreeing(probabilities, around)
            energy = (agreed * ((agreed.clamp(min=1e-20)).log() - unary - around)).sum().item()
            if step > 1 and abs(energy - last) <= TOLERANCE * abs(last):
                break
            last = energy
        return agreed
