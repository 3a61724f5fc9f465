"""The device that a stage computes on, and its memory."""

import ctypes
import sys

import numpy as np
import torch

from pipeline.errors import ParamsError

DEVICES = ("auto", "cpu", "cuda")

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4  # malloc.h of glibc
_MIB = 1 << 20


def pick(name: str) -> torch.device:
    """Return the device for ``device`` in params.yaml.

    Args:
        name: auto (cuda if available, else cpu), cpu or cuda.

    Raises:
        ParamsError: cuda is asked for but not available, or the name is unknown.
    """
    if name not in DEVICES:
        raise ParamsError(f"device: {name!r} is unknown; write {', '.join(DEVICES[:-1])} or {DEVICES[-1]}")
    if name == "cuda" and not torch.cuda.is_available():
        raise ParamsError("device: cuda, but PyTorch sees no CUDA device here; set device: auto or cpu")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def describe(device: torch.device) -> dict[str, str]:
    """Return what else numbers depend on: kind of device, its instruction set or name, versions of libraries."""
    if device.type == "cuda":
        hardware = torch.cuda.get_device_name(device)
        versions = {"cuda": str(torch.version.cuda), "cudnn": str(torch.backends.cudnn.version())}
    else:
        hardware, versions = torch.backends.cpu.get_cpu_capability(), {}
    return {"device": device.type, "hardware": hardware, "torch": torch.__version__, "numpy": np.__version__} | versions


def upload(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copy a CPU tensor to ``device``. A copy to a GPU uses pinned memory, so the CPU does not wait for it."""
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def keep_freed_memory() -> None:
    """Make glibc keep freed memory; by default it returns every large tensor to the system.

    Each training step frees and allocates the same tensors. Getting their memory pages from the system again costs up
    to a third of a small network's step (a page fault per 4 KiB). Without glibc, this function does nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(_M_TOP_PAD, 64 * _MIB)
