"""Initial weights of training, and measuring the statistics of batch norms that were published without them.

Some networks (dlib's) are published with affine layers y = scale·x + shift in place of their trained batch norms. In
training, a batch norm replaces the mean and variance of x by those of the batch. So its stored statistics must be those
of its real inputs. They are measured on crops, without changing the function that the network computes.
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
"""Maximum number of crops; more change the statistics by less than one percent."""


def load_initial(encoder: Encoder, params: ModelParams) -> dict[str, str]:
    """Load the weights named in ``params`` into the encoder.

    Returns:
        What to record about the run: ``weights``; the file's name or the library's name of the weights, if there is
        one; for a file also its SHA-256.

    Raises:
        WeightsError: the file is missing, has an unknown format, or does not fit; every wrong key is named.
    """
    read = params.chosen_backbone().weights[params.weights].read
    if read is None:
        return {"weights": params.weights}
    state = read(Path(params.weights_file or ""))
    load_checked(encoder.trunk, state.tensors, state.origin, ignored=state.ignored)
    return {"weights": params.weights, **state.record}


def without_statistics(params: ModelParams) -> bool:
    """Return whether the batch norms of these weights must be measured first (see ``measure``)."""
    return params.chosen_backbone().weights[params.weights].measured


class _Sums:
    """Count, sum and sum of squares, by channel, of all inputs of a batch norm."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        self.count = 0
        self.first = torch.zeros(norm.num_features, dtype=torch.double, device=norm.weight.device)
        self.second = torch.zeros_like(self.first)

    def add(self, _module: nn.Module, inputs: tuple[Any, ...]) -> None:
        """Add the inputs of one pass; registered as a forward pre-hook."""
        values: Tensor = inputs[0].double()
        self.count += values.numel() // values.shape[1]
        self.first += values.sum(dim=(0, 2, 3))
        self.second += values.square().sum(dim=(0, 2, 3))

    def mean_and_variance(self) -> tuple[Tensor, Tensor]:
        """Return mean and variance by channel, float64."""
        mean = self.first / self.count
        return mean, (self.second / self.count - mean.square()).clamp(min=0.0)


@torch.no_grad()
def measure(encoder: Encoder, crops: DeviceCrops, rows: Tensor, eval_crop: float) -> None:
    """Set the statistics of the encoder's batch norms to those of their inputs over evaluation views.

    Scale and shift are changed with them, so that the encoder computes the same function up to rounding.

    Args:
        encoder: changed in place.
        crops: the source's crops.
        rows: the pictures to choose from, int64, on the CPU; at most MEASURED_ON of them are used, evenly spread.
        eval_crop: side of the views, as a share of the crop's side.
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
    """Within the context, collect sums of the inputs of ``norms``."""
    sums = [_Sums(norm) for norm in norms]
    hooks = [norm.register_forward_pre_hook(inputs.add) for norm, inputs in zip(norms, sums, strict=True)]
    try:
        yield sums
    finally:
        for hook in hooks:
            hook.remove()


def _set_statistics(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    """Set a batch norm's statistics, and change its scale and shift so that y(x) stays the same."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    slope = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    at_mean = norm.bias.double() + slope * (mean - norm.running_mean.double())
    norm.weight.copy_(slope * (variance + norm.eps).sqrt())
    norm.bias.copy_(at_mean)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
