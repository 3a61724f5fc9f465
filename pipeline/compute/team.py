"""A team: the processes that train one model together, one per device. Usually there is only one.

Lightning Fabric starts the processes. It is imported only if there are several, because the import takes seconds.

The pictures of a batch are divided among the processes. Each process runs the networks on its part. The projections of
all parts are gathered, and every process computes the same losses of the whole batch. So the contrastive losses see all
pairs, and the result does not depend on the number of processes.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal, Self

import psutil
import torch
import torch.distributed as dist
from torch import Tensor, nn

from pipeline.compute import batchnorm, device
from pipeline.config.learning import ComputeParams
from pipeline.errors import ParamsError, PipelineError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

CLEANUP_SECONDS = 60.0
"""Seconds that the leader has to report an error and close its run before the other processes end."""


class Team:
    """The team as seen by one of its processes.

    Attributes:
        device: this process's device.
        leads: whether this process writes logs, checkpoints and outputs; exactly one process of the team does.
        size: number of processes.
        precision: precision of the networks' training passes, "fp32" or "bf16".
    """

    def __init__(
        self, fabric: Fabric | None, on: torch.device, precision: Literal["fp32", "bf16"], compiles: bool
    ) -> None:
        """Join a team.

        Args:
            fabric: the processes; None: there is only this one.
            on: the device if there is only one process.
            precision: precision of the networks' training passes.
            compiles: whether to compile the networks by torch.compile.
        """
        self._fabric = fabric
        self._compiles = compiles
        self.precision = precision
        self.device = fabric.device if fabric else on
        self.leads = fabric is None or fabric.is_global_zero
        self.size = fabric.world_size if fabric else 1
        self._rank = fabric.global_rank if fabric else 0

    @classmethod
    def start(cls, device_name: str, params: ComputeParams) -> Self:
        """Start ``params.devices`` processes. Each of them runs the whole program up to this call again.

        Under torchrun, torchrun sets the number of processes.

        Args:
            device_name: ``device`` in params.yaml.
            params: number of processes, and how they compute.

        Raises:
            ParamsError: there are fewer devices of that kind than asked for, or none.
        """
        kind = device.pick(device_name).type
        count, nodes = params.devices, 1
        if "LOCAL_WORLD_SIZE" in os.environ:  # set by torchrun
            count = int(os.environ["LOCAL_WORLD_SIZE"])
            nodes = int(os.environ["WORLD_SIZE"]) // count
        elif os.environ.get("LOCAL_RANK", "0") != "0":  # started by Fabric in the leading process
            threading.Thread(target=_end_with, args=(psutil.Process().parent(),), daemon=True).start()
        if kind == "cuda" and count > torch.cuda.device_count():
            raise ParamsError(
                f"{count} processes (compute.devices, or torchrun's), but this machine has "
                f"{torch.cuda.device_count()} GPUs: ask for at most that many"
            )
        fabric = _launched(kind, count, nodes) if count * nodes > 1 else None
        precision = precision_on(kind) if params.precision == "auto" else params.precision
        on = torch.device("cuda", 0) if kind == "cuda" else torch.device(kind)
        return cls(fabric, on, precision, params.compile)

    @classmethod
    def single_process(cls, device_name: str) -> Self:
        """Return a team of one process, in float32."""
        return cls.start(device_name, ComputeParams(precision="fp32", compile=False, devices=1))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        """End the whole team if this process fails.

        If all processes fail alike (a loss that is not finite, Ctrl-C), the leader reports the error and cleans up.
        Fabric kills the leader as soon as another process ends, so the others wait. The leader must not wait for them
        when it ends, as NCCL would.
        """
        if error is None or self.size == 1:
            return
        if self.leads:
            atexit.register(_leave)
        elif isinstance(error, PipelineError | KeyboardInterrupt):
            time.sleep(CLEANUP_SECONDS)

    def compute_settings(self) -> dict[str, str | bool]:
        """Return how this team computes, as far as parameters decide it."""
        return {"precision": self.precision, "compile": self._compiles}

    def environment(self) -> dict[str, str | bool]:
        """Return everything that rounding depends on: how the team computes, device, versions of libraries."""
        return {**self.compute_settings(), **device.describe(self.device)}

    def tags(self) -> dict[str, str]:
        """Return what a run's speed depends on: hardware, processes and precision."""
        described = device.describe(self.device)
        return {"hardware": described["hardware"], "processes": str(self.size), "precision": self.precision}

    def setup(self, network: nn.Module) -> Callable[[Tensor], Tensor]:
        """Place a network on this device for training. The backward pass averages its gradients over the processes.

        For evaluation, call ``network`` itself, which computes in float32.

        Returns:
            The function to call in training steps: it computes in the team's precision and returns float32.
        """
        if self.size > 1:
            network = batchnorm.synchronised(network, self.device)
        network.to(self.device)
        if self._compiles:
            torch.use_deterministic_algorithms(torch.are_deterministic_algorithms_enabled())  # also tells the compiler
            network.compile()
        wrapped: nn.Module = network
        if self._fabric:
            with warnings.catch_warnings():
                # PyTorch 2.15 renames this argument; older versions do not know the new name.
                warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated")
                wrapped = self._fabric.setup_module(network)

        def project(images: Tensor) -> Tensor:
            with self.autocast():
                projections: Tensor = wrapped(images)
            return projections

        return project

    def backward(self, loss: Tensor, beside: Iterable[nn.Parameter] = ()) -> None:
        """Compute the gradients of a loss of the whole batch, which every process computes from gathered projections.

        Each process's gradient flows only through its own part. The team averages the gradients over the processes, so
        the loss is multiplied by their number.

        Args:
            loss: the loss of the whole batch.
            beside: parameters that act on the gathered projections and were not passed to ``setup``. Every process
                computes their whole gradient, so it is not multiplied.
        """
        if self._fabric is None:
            loss.backward()
            return
        self._fabric.backward(loss * self.size)
        for parameter in beside:
            if parameter.grad is not None:
                parameter.grad /= self.size

    def part(self, count: int) -> slice:
        """Return this process's part of ``count`` items; the parts' sizes differ by at most one."""
        return slice(count * self._rank // self.size, count * (self._rank + 1) // self.size)

    def gather(self, part: Tensor, count: int, dim: int = 0) -> Tensor:
        """Gather the parts of all processes. The gradient flows only into this process's own part.

        Args:
            part: this process's part.
            count: size of the whole along ``dim``.
            dim: the dimension along which the parts were made.
        """
        if self.size == 1:
            return part
        shape = (*part.shape[:dim], count, *part.shape[dim + 1 :])
        total = torch.zeros(shape, dtype=part.dtype, device=part.device)
        own = (*[slice(None)] * dim, self.part(count))
        total[own] = part.detach()
        dist.all_reduce(total)
        total[own] = part
        return total

    def gather_views(self, z: Tensor, count: int) -> Tensor:
        """Gather the parts of all processes, of a batch with two stacked views.

        Args:
            z: the first views of this process's pictures, then their second views, 2b×d.
            count: number of pictures in the whole batch.

        Returns:
            The first views of all pictures, then their second views, 2·count×d.
        """
        return self.gather(z.unflatten(0, (2, -1)), count, dim=1).flatten(0, 1)

    def from_leader(self, value: Tensor) -> Tensor:
        """Return the leader's ``value`` on every process, so that decisions do not depend on the rounding of GPUs."""
        if self.size > 1:
            dist.broadcast(value, src=0)
        return value

    def all_equal(self, value: int) -> bool:
        """Return whether ``value`` is the same on all processes."""
        own = torch.tensor(value, device=self.device)
        return self._fabric is None or bool(self._fabric.all_reduce(own.double(), reduce_op="mean") == own)

    def autocast(self) -> torch.autocast:
        """Return a context with the precision of training passes, for passes that do not use ``setup``'s function."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")


def precision_on(kind: str) -> Literal["fp32", "bf16"]:
    """Return the precision for ``compute.precision: auto``: bf16 on GPUs that support it in hardware, else fp32.

    On the CPU it is always fp32. Only some processors have bf16, and the same parameters and seed must give the same
    result on all of them.

    Args:
        kind: "cpu" or "cuda".
    """
    return "bf16" if kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"


def _launched(kind: str, devices: int, nodes: int) -> Fabric:
    """Start the processes of a team. Each runs the whole program up to this call again."""
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.ddp import DDPStrategy

    # All processes update the statistics of batch norms alike, so buffers need not be broadcast.
    strategy = DDPStrategy(broadcast_buffers=False)
    fabric = Fabric(accelerator=kind, devices=devices, num_nodes=nodes, strategy=strategy)
    fabric.launch()
    return fabric


def _end_with(leader: psutil.Process) -> None:
    """End this process when its leader has ended. Otherwise it would wait for the leader on GPUs for many minutes."""
    leader.wait()
    os._exit(1)


def _leave() -> None:
    """End this process at once, without waiting for the others."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
