"""Batch norms: which domain's passes update their statistics, and one batch shared by several processes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

from pipeline.config.section import BatchNormMode
from pipeline.errors import ParamsError


@contextmanager
def training_pass(
    network: nn.Module, mode: BatchNormMode, domain: Literal["source", "target", "both"]
) -> Iterator[None]:
    """Within the context, treat a training pass of a domain as ``mode`` says.

    A pass that does not update the running statistics is still normalised by its own batch. With ``frozen``, it is
    normalised by the running statistics (domain-specific statistics: Chang et al., CVPR 2019).

    Args:
        network: in training mode.
        mode: the domain whose passes update the running statistics; shared: both; frozen: none.
        domain: the domain of the pass; both: one pass of both domains together.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    if mode in ("shared", domain):
        yield
        return
    kept = [(norm.training, norm.momentum) for norm in norms]
    for norm in norms:
        if mode == "frozen":
            norm.eval()
        else:
            norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, (training, momentum) in zip(norms, kept, strict=True):
            norm.train(training)
            norm.momentum = momentum


def synchronised(network: nn.Module, device: torch.device) -> nn.Module:
    """Make a network's batch norms use the statistics of all processes' batches.

    On GPUs this is PyTorch's SyncBatchNorm, which does not support the CPU.

    Args:
        network: changed in place if possible.
        device: the device of the training.

    Returns:
        The network. Its parameters are the same objects, and its state has the same keys.

    Raises:
        ParamsError: a batch norm has a library's own class and would be lost (in timm, some include an activation).
    """
    kinds = {type(module) for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)}
    foreign = sorted(kind.__name__ for kind in kinds - {_CpuSyncBatchNorm} if not kind.__module__.startswith("torch."))
    if foreign:
        raise ParamsError(
            f"compute.devices: this backbone has batch norms that processes cannot share ({', '.join(foreign)}); "
            "set compute.devices: 1 or take another backbone"
        )
    if device.type == "cuda":
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        return converted
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.__class__ = _CpuSyncBatchNorm  # type: ignore[assignment]  # it has the same attributes
    return network


class _CpuSyncBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm over N and further dimensions of all processes' inputs, N×C×…; computed in float32 or better."""

    def _check_input_dim(self, input: Tensor) -> None:
        pass

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        dtype, input = input.dtype, input.to(torch.promote_types(input.dtype, torch.float32))
        dims = [0, *range(2, input.dim())]
        count = _sum_over_processes(torch.tensor(float(input.numel() // input.shape[1])))
        mean = _sum_over_processes(input.sum(dims)) / count
        centred = input - _as_channels(mean, input)
        variance = _sum_over_processes(centred.square().sum(dims)) / count
        self._update_statistics(mean.detach(), variance.detach() * count / (count - 1.0))
        deviation = torch.sqrt(variance + self.eps)
        if not self.affine:
            return (centred / _as_channels(deviation, input)).to(dtype)
        scale = self.weight / deviation
        return torch.addcmul(_as_channels(self.bias, input), centred, _as_channels(scale, input)).to(dtype)

    @torch.no_grad()
    def _update_statistics(self, mean: Tensor, unbiased_variance: Tensor) -> None:
        assert self.momentum is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(unbiased_variance, self.momentum)


class _Sum(torch.autograd.Function):
    """The sum over processes. Each output depends on each process's input, so the backward pass is a sum as well."""

    @staticmethod
    def forward(_ctx: FunctionCtx, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    @once_differentiable
    def backward(_ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total


def _sum_over_processes(value: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(value)
    return total


def _as_channels(values: Tensor, like: Tensor) -> Tensor:
    """Reshape C values so that they broadcast along the channels of ``like``."""
    return values.view(-1, *[1] * (like.dim() - 2))
