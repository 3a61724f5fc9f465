"""The trained models of a run, opened from where its stages left them."""

from typing import Any

from pipeline import layout, models
from pipeline.nets import AdaptedNetwork, Network, Prototypes
from pipeline.params import ModelParams


def network(params: ModelParams) -> Network:
    """f and g after stage 1, on the CPU.

    Raises:
        WeightsError: the model is missing, damaged or of other parameters.
    """
    pretrained = Network(params)
    models.load(layout.PRETRAINED, {"network": pretrained})
    return pretrained


def source_model(params: ModelParams) -> tuple[AdaptedNetwork, dict[str, Any]]:
    """f, g and M_s, with which DT predicts, on the CPU; and the description of what made them.

    Raises:
        WeightsError: a model is missing, damaged or of other parameters.
    """
    model = _empty(params)
    models.load(layout.PRETRAINED, {"network": model.network})
    return model, models.load(layout.PROTOTYPES, {"prototypes": model.prototypes})


def adapted_model(params: ModelParams, target: str) -> AdaptedNetwork:
    """f, g and M_t after the last epoch of adaptation to ``target``, on the CPU.

    Raises:
        WeightsError: the model is missing, damaged or of other parameters.
    """
    model = _empty(params)
    models.load(layout.adapted(target), {"network": model.network, "prototypes": model.prototypes})
    return model


def _empty(params: ModelParams) -> AdaptedNetwork:
    return AdaptedNetwork(Network(params), Prototypes(params.projection_dim))
