"""The processes that train one model together, one on each device; mostly there is one. Lightning Fabric starts them.

Fabric is loaded where there are several: for one it would do nothing, and loading it takes seconds.

A batch is divided among the processes by pictures. Each runs the networks on its part; the projections of all parts
are put together, and every process computes the same losses of the whole batch. So the contrastive losses see all
pairs, and the result is that of one process with the whole batch, whatever the number of processes.
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
"""Seconds that the leader has to report a fault and to close its run before the other processes end."""


class Team:
    """This process among those that train together.

    Attributes:
        device: this process's own.
        leads: whether it writes logs, checkpoints and outputs; exactly one process of the team does.
        size: how many processes there are.
        precision: of the networks' training passes, "fp32" or "bf16".
    """

    def __init__(
        self, fabric: Fabric | None, on: torch.device, precision: Literal["fp32", "bf16"], compiles: bool
    ) -> None:
        """Take part in a team.

        Args:
            fabric: of several processes; None: there is this one alone.
            on: the device of one alone.
            precision: of the networks' training passes.
            compiles: whether torch.compile fuses the networks.
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
        """Start the processes that ``params.devices`` asks for; each runs the whole program up to here again.

        Under torchrun the number of processes is torchrun's, not the parameter's.

        Args:
            device_name: params.yaml's ``device``.
            params: how many processes, and how they compute.

        Raises:
            ParamsError: there are fewer devices than asked for, or none of that kind.
        """
        kind = device.pick(device_name).type
        count, nodes = params.devices, 1
        if "LOCAL_WORLD_SIZE" in os.environ:  # torchrun's
            count = int(os.environ["LOCAL_WORLD_SIZE"])
            nodes = int(os.environ["WORLD_SIZE"]) // count
        elif os.environ.get("LOCAL_RANK", "0") != "0":  # started by Fabric in the leading process
            threading.Thread(target=_end_with, args=(psutil.Process().parent(),), daemon=True).start()
        if kind == "cuda" and count > torch.cuda.device_count():
            raise ParamsError(
                f"{count} processes (compute.devices, or torchrun's), but this machine has "
                f"{torch.cuda.device_count()} GPUs: ask for no more than these"
            )
        fabric = _launched(kind, count, nodes) if count * nodes > 1 else None
        precision = precision_on(kind) if params.precision == "auto" else params.precision
        on = torch.device("cuda", 0) if kind == "cuda" else torch.device(kind)
        return cls(fabric, on, precision, params.compile)

    @classmethod
    def single_process(cls, device_name: str) -> Self:
        """One process, in float32."""
        return cls.start(device_name, ComputeParams(precision="fp32", compile=False, devices=1))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        """Let the team end together when this process fails.

        A fault that all processes find (a loss that is not finite, Ctrl-C) is for the leader to report and to clean up
        after. Fabric kills the leader as soon as another process ends, so the others wait for it. The leader must not
        wait for them when it ends, which NCCL would do.
        """
        if error is None or self.size == 1:
            return
        if self.leads:
            atexit.register(_leave)
        elif isinstance(error, PipelineError | KeyboardInterrupt):
            time.sleep(CLEANUP_SECONDS)

    def compute_settings(self) -> dict[str, str | bool]:
        """How this team computes, as far as parameters decide it."""
        return {"precision": self.precision, "compile": self._compiles}

    def environment(self) -> dict[str, str | bool]:
        """All that a result's rounding depends on: how the team computes, on which device, with which versions."""
        return {**self.compute_settings(), **device.describe(self.device)}

    def tags(self) -> dict[str, str]:
        """What a run's figures of speed depend on: hardware, processes and precision."""
        described = device.describe(self.device)
        return {"hardware": described["hardware"], "processes": str(self.size), "precision": self.precision}

    def setup(self, network: nn.Module) -> Callable[[Tensor], Tensor]:
        """Place a network on this device for training; its gradients of all processes meet in the backward pass.

        Evaluation calls ``network`` itself, in float32.

        Returns:
            What a training step calls in its place: it computes in the team's precision and returns float32.
        """
        if self.size > 1:
            network = batchnorm.over_processes(network, self.device)
        network.to(self.device)
        if self._compiles:
            torch.use_deterministic_algorithms(torch.are_deterministic_algorithms_enabled())  # tells the compiler, too
            network.compile()
        wrapped: nn.Module = network
        if self._fabric:
            with warnings.catch_warnings():
                # PyTorch 2.15 has another name for it, which older versions do not know.
                warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated")
                wrapped = self._fabric.setup_module(network)

        def project(images: Tensor) -> Tensor:
            with self.autocast():
                projections: Tensor = wrapped(images)
            return projections

        return project

    def backward(self, loss: Tensor, beside: Iterable[nn.Parameter] = ()) -> None:
        """Compute gradients of a loss of the whole batch, which every process has computed from gathered projections.

        Each process's gradient flows through its own part only. The team averages the processes' gradients, so the
        average times their number is the gradient of the loss.

        Args:
            loss: of the whole batch.
            beside: parameters that act on the whole gathered projections and are not set up with the team; every
                process has their whole gradient already.
        """
        if self._fabric is None:
            loss.backward()
            return
        self._fabric.backward(loss * self.size)
        for parameter in beside:
            if parameter.grad is not None:
                parameter.grad /= self.size

    def part(self, count: int) -> slice:
        """This process's part of ``count`` things in a row; parts differ in size by one at most."""
        return slice(count * self._rank // self.size, count * (self._rank + 1) // self.size)

    def gather(self, part: Tensor, count: int, dim: int = 0) -> Tensor:
        """All processes' parts together; the gradient flows into this process's own part only.

        Args:
            part: this process's.
            count: the size of the whole along ``dim``.
            dim: along which parts were made.
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
        """All processes' parts of the two stacked views of a batch.

        Args:
            z: 2b×d, the first views of this process's pictures, then their second views.
            count: pictures in the whole batch.

        Returns:
            2·count×d, stacked likewise.
        """
        return self.gather(z.unflatten(0, (2, -1)), count, dim=1).flatten(0, 1)

    def from_leader(self, value: Tensor) -> Tensor:
        """The leader's ``value`` on every process: no decision may depend on the rounding of unlike GPUs."""
        if self.size > 1:
            dist.broadcast(value, src=0)
        return value

    def all_equal(self, value: int) -> bool:
        """Whether all processes have the same ``value``."""
        own = torch.tensor(value, device=self.device)
        return self._fabric is None or bool(self._fabric.all_reduce(own.double(), reduce_op="mean") == own)

    def autocast(self) -> torch.autocast:
        """The precision of training passes, for a forward pass that does not go through what ``setup`` returns."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")


def precision_on(kind: str) -> Literal["fp32", "bf16"]:
    """What ``compute.precision: auto`` means: bf16 on GPUs that multiply it, else fp32.

    On the CPU it is fp32 everywhere: some processors have bf16 and some do not, and the same parameters and seed must
    give the same result on both.

    Args:
        kind: "cpu" or "cuda".
    """
    return "bf16" if kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"


def _launched(kind: str, devices: int, nodes: int) -> Fabric:
    """Start the processes of a team; each runs the whole program up to here again."""
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.ddp import DDPStrategy

    # Batch norms agree in every forward pass, so their buffers need not be sent around.
    strategy = DDPStrategy(broadcast_buffers=False)
    fabric = Fabric(accelerator=kind, devices=devices, num_nodes=nodes, strategy=strategy)
    fabric.launch()
    return fabric


def _end_with(leader: psutil.Process) -> None:
    """End this process when its leader has ended; else it would wait for it on GPUs for many minutes."""
    leader.wait()
    os._exit(1)


def _leave() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
