"""The trained models of a run, opened from where its stages left them."""

import pkgutil
from typing import Any

from pipeline.config import layout
from pipeline.config.methods.base import AdaptParams
from pipeline.config.schema import ModelParams
from pipeline.networks import saved
from pipeline.networks.network import Classifier, Network, PrototypeClassifier


def network(params: ModelParams) -> Network:
    """f and g after stage 1, on the CPU.

    Raises:
        WeightsError: the model is missing, damaged or of other parameters.
    """
    pretrained = Network(params)
    saved.load(layout.PRETRAINED, {"network": pretrained})
    return pretrained


def source_model(params: ModelParams) -> tuple[PrototypeClassifier, dict[str, Any]]:
    """f, g and M_s, with which DT predicts, on the CPU; and the description of what made them.

    Raises:
        WeightsError: a model is missing, damaged or of other parameters.
    """
    model = PrototypeClassifier.blank(params)
    saved.load(layout.PRETRAINED, {"network": model.network})
    learned = {name: part for name, part in model.named_children() if name != "network"}
    return model, saved.load(layout.PROTOTYPES, learned)


def adapted_model(params: ModelParams, method: AdaptParams, target: str) -> tuple[Classifier, dict[str, Any]]:
    """What ``method`` ended with on ``target``, on the CPU; and the description of what made it.

    Raises:
        WeightsError: the model is missing, damaged or of other parameters.
    """
    kind: type[Classifier] = pkgutil.resolve_name(method.classifier)
    model = kind.blank(params)
    return model, saved.load(layout.adapted(target), dict(model.named_children()))
