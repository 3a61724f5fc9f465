"""The weights that training starts from, and batch norms among them whose statistics are measured on crops.

Networks are also published with affine layers y = scale·x + shift where batch norms were trained (dlib's). Trained
further, a batch norm replaces x's mean and variance by those of its batch; so it must hold what they are. They are
measured without a change of the function.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.config.learning import ModelParams
from pipeline.data.batches import DeviceCrops
from pipeline.networks.inference import evaluating, evaluation_views
from pipeline.networks.network import Encoder
from pipeline.networks.saved import load_checked

MEASURED_ON = 2048
"""Crops; more change the statistics by less than a percent."""


def load_initial(encoder: Encoder, params: ModelParams) -> dict[str, str]:
    """Load the weights that ``params`` names into the encoder.

    Returns:
        What the run records: ``weights`` and, where there is a file or an entry of a library's registry, its name; for
        a file also its SHA-256.

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
    """Whether the batch norms of these weights are still to be measured (``measure``)."""
    return params.chosen_backbone().weights[params.weights].measured


class _Sums:
    """Of all inputs that a batch norm has had: how many, their sum and that of their squares, by channel."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        self.count = 0
        self.first = torch.zeros(norm.num_features, dtype=torch.double, device=norm.weight.device)
        self.second = torch.zeros_like(self.first)

    def add(self, _module: nn.Module, inputs: tuple[Any, ...]) -> None:
        """A forward pre-hook."""
        values: Tensor = inputs[0].double()
        self.count += values.numel() // values.shape[1]
        self.first += values.sum(dim=(0, 2, 3))
        self.second += values.square().sum(dim=(0, 2, 3))

    def mean_and_variance(self) -> tuple[Tensor, Tensor]:
        """By channel, double."""
        mean = self.first / self.count
        return mean, (self.second / self.count - mean.square()).clamp(min=0.0)


@torch.no_grad()
def measure(encoder: Encoder, crops: DeviceCrops, rows: Tensor, eval_crop: float) -> None:
    """Give every batch norm of the encoder's trunk the statistics of its inputs over evaluation views.

    Scale and shift follow, so that the encoder computes what it did, up to rounding.

    Args:
        encoder: changed in place.
        crops: of the source.
        rows: int64, on the CPU; at most MEASURED_ON of them, evenly spread, are used.
        eval_crop: the views' side, as a share of the crop's.
    """
    norms = [module for module in encoder.trunk.modules() if isinstance(module, nn.BatchNorm2d)]
    few = rows[:: max(1, -(-len(rows) // MEASURED_ON))]
    with _recorded(norms) as sums, evaluating(encoder):
        for images in evaluation_views(crops, few, eval_crop, show_progress=False):
            encoder(images)
    for norm, inputs in zip(norms, sums, strict=True):
        _set_statistics(norm, *inputs.mean_and_variance())


@contextmanager
def _recorded(norms: list[nn.BatchNorm2d]) -> Iterator[list[_Sums]]:
    """Collect sums of the inputs of ``norms`` while the context lasts."""
    sums = [_Sums(norm) for norm in norms]
    hooks = [norm.register_forward_pre_hook(inputs.add) for norm, inputs in zip(norms, sums, strict=True)]
    try:
        yield sums
    finally:
        for hook in hooks:
            hook.remove()


def _set_statistics(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    """Set a batch norm's statistics, and its scale and shift so that y(x) stays the same."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    slope = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    at_mean = norm.bias.double() + slope * (mean - norm.running_mean.double())
    norm.weight.copy_(slope * (variance + norm.eps).sqrt())
    norm.bias.copy_(at_mean)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
