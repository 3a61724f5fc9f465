"""LAME: smooth the probabilities over nearest neighbours, with the model unchanged (Boudiaf et al., CVPR 2022).

The paper corrects the probabilities of a given set of pictures together, and defines nothing for other pictures. The
classifier here stores the target's training pictures. For these it predicts as the paper does; for any other picture it
makes one step of the same iteration with its neighbours among the stored ones.
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
"""Maximum number of stored target pictures; if there are more, this many are chosen, evenly spaced."""

NEAREST = 20
"""Number of neighbours that are searched; the nearest ``neighbours`` of them are used."""

SAME = 1.0 - 1e-5
"""Cosine above which two pictures count as the same, which is not its own neighbour."""

STEPS, TOLERANCE = 100, 1e-8
"""Maximum number of iterations, and the relative change of energy at which they end; as in the released code."""


class Memory(nn.Module):
    """The stored target pictures and their corrected probabilities; initially empty.

    Attributes:
        z: REMEMBERED×d float, unit rows; 0 for unused rows.
        agreed: corrected probabilities, REMEMBERED×k float.
        neighbours: number of neighbours that are used, int64.
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
            Their rows (N×NEAREST int64) and whether each is used (N×NEAREST float, 1 or 0).
        """
        cosines = z @ self.z.T
        empty = self.z.abs().sum(dim=1) == 0
        found = cosines.masked_fill(empty | (cosines > SAME), -torch.inf).topk(NEAREST, dim=1)
        ranks = torch.arange(NEAREST, device=z.device)
        return found.indices, ((ranks < self.neighbours) & found.values.isfinite()).to(z.dtype)

    def forward(self, z: Tensor) -> Tensor:
        """Return the sum of the neighbours' probabilities: N×d float in, N×k out."""
        places, counts = self.nearest(z)
        return (self.agreed[places] * counts[:, :, None]).sum(dim=1)


class LameClassifier(PrototypeClassifier):
    """softmax(log p + the sum of the neighbours' probabilities) of p = softmax(z·Mᵀ)."""

    def __init__(self, plain: PrototypeClassifier) -> None:
        """Add a memory to f, g and M of ``plain``, whose modules are shared, not copied."""
        super().__init__(plain.network, plain.prototypes, plain.decision, plain.statistics)
        self.memory = Memory(plain.network.head.dim)

    @classmethod
    def untrained(cls, params: ModelParams) -> Self:
        return cls(PrototypeClassifier.untrained(params))

    def embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return z and the corrected probabilities."""
        z, probabilities = super().embed(images)
        return z, self.agreeing(probabilities, self.memory(self.prototypes.directions(z)))

    def agreeing(self, probabilities: Tensor, around: Tensor) -> Tensor:
        """Make one step of the iteration: N×k probabilities and sums over the neighbours in, N×k out."""
        scores = (probabilities + 1e-10).log() + around
        return torch.softmax(scores.masked_fill(~self.decision.possible, -torch.inf), dim=1)


class Lame(TrainingFree):
    """f, g and M are fixed; the model stores the target."""

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
        """Iterate over the stored pictures to a minimum of the paper's energy: n×d and n×k in, n×k out."""
        places, counts = self.model.memory.nearest(z)
        places = places.clamp(max=len(z) - 1)  # with few pictures some rows are unused; their count is 0
        unary, agreed, last = (probabilities + 1e-10).log(), probabilities, torch.inf
        for step in range(STEPS):
            around = (agreed[places] * counts[:, :, None]).sum(dim=1)
            agreed = self.model.agreeing(probabilities, around)
            energy = (agreed * ((agreed.clamp(min=1e-20)).log() - unary - around)).sum().item()
            if step > 1 and abs(energy - last) <= TOLERANCE * abs(last):
                break
            last = energy
        return agreed
