"""What a validator is shown of a model."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Seen:
    """Pictures of the target without labels, and pictures of the source's test part with them.

    embeddings N×d and probabilities N×k of the target's; source_embeddings n×d, source_probabilities n×k and
    source_labels (n int64) of the source's.
    """

    embeddings: Floats
    probabilities: Floats
    source_embeddings: Floats
    source_probabilities: Floats
    source_labels: NDArray[np.int64]
