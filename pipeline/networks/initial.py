"""The weights that training starts from."""

from pathlib import Path

from pipeline.config.learning import ModelParams
from pipeline.networks.network import Encoder
from pipeline.networks.saved import load_checked


def load_initial(encoder: Encoder, params: ModelParams) -> dict[str, str]:
    """Load the weights that ``params`` names into the encoder; returns what the run records about them.

    The record has ``weights`` and, where there is a file or an entry of a library's registry, its name; for a file also
    its SHA-256.

    Raises:
        WeightsError: the file is missing, is of no known format, or does not fit; every key at fault is named.
    """
    read = params.chosen_backbone().weights[params.weights].read
    if read is None:
        return {"weights": params.weights}
    state = read(Path(params.weights_file or ""))
    load_checked(encoder.trunk, state.tensors, state.origin, ignored=state.ignored)
    return {"weights": params.weights, **state.record}


def without_statistics(params: ModelParams) -> bool:
    """Whether the batch norms of these weights are still to be measured (``pipeline.networks.statistics``)."""
    return params.chosen_backbone().weights[params.weights].measured
