"""T3A: prototypes from the target's most confident pictures and the rows of M (Iwasawa & Matsuo, NeurIPS 2021)."""

import torch
from torch import Tensor

from pipeline.config.methods.t3a import T3aParams
from pipeline.labels import NUM_CLASSES
from pipeline.methods.parts.directions import decide_by_directions
from pipeline.methods.parts.training_free import TrainingFree
from pipeline.networks.network import PrototypeClassifier, unit_rows


class T3a(TrainingFree):
    """f and g are fixed; the normalised means of the supports replace the prototypes."""

    params: T3aParams

    def correct(self, z: Tensor, probabilities: Tensor) -> Tensor:
        directions = templates(z, probabilities, self.model, self.params.supports)
        return decide_by_directions(self.model, directions, self.model.decision.possible, z, probabilities)


def templates(z: Tensor, probabilities: Tensor, model: PrototypeClassifier, most: int | None) -> Tensor:
    """Return the normalised mean of each class's supports.

    A class's supports are its row of M and all pictures predicted as it, as unit vectors. The ``most`` supports with
    the lowest prediction entropy are kept.

    Args:
        z: embeddings of the target's pictures, N×d float.
        probabilities: predictions for them, N×k float.
        model: the source model; its M also predicts the class of its own rows.
        most: maximum number of supports per class (M in the paper); None: all.

    Returns:
        Unit rows, k×d float.
    """
    matrix = model.prototypes.matrix.detach()
    supports = torch.cat([unit_rows(matrix), model.prototypes.directions(z)])
    labels = torch.cat([torch.arange(NUM_CLASSES, device=z.device), probabilities.argmax(dim=1)])
    entropies = torch.special.entr(torch.cat([model.decision(model.prototypes(matrix)), probabilities])).sum(dim=1)
    of_classes = ((labels == index).nonzero().squeeze(1) for index in range(NUM_CLASSES))
    kept = (mine[entropies[mine].argsort(stable=True)[:most]] for mine in of_classes)
    return unit_rows(torch.stack([supports[mine].mean(dim=0) for mine in kept]))
