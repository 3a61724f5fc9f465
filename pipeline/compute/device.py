"""The device a stage computes on, and its memory."""

import ctypes
import sys

import numpy as np
import torch

from pipeline.errors import ParamsError

DEVICES = ("auto", "cpu", "cuda")

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4  # malloc.h of glibc
_MIB = 1 << 20


def pick(name: str) -> torch.device:
    """The device for params.yaml's ``device``.

    Args:
        name: auto (cuda where there is one, else cpu), cpu or cuda.

    Raises:
        ParamsError: cuda is asked for and this machine has none; or there is no device of that name.
    """
    if name not in DEVICES:
        raise ParamsError(f"device: {name!r} is none; write {', '.join(DEVICES[:-1])} or {DEVICES[-1]}")
    if name == "cuda" and not torch.cuda.is_available():
        raise ParamsError("device: cuda, but PyTorch sees no CUDA device here; set device: auto or cpu")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def describe(device: torch.device) -> dict[str, str]:
    """What numbers depend on beside parameters and code: kind of device, its instruction set or name, versions."""
    if device.type == "cuda":
        hardware = torch.cuda.get_device_name(device)
        versions = {"cuda": str(torch.version.cuda), "cudnn": str(torch.backends.cudnn.version())}
    else:
        hardware, versions = torch.backends.cpu.get_cpu_capability(), {}
    return {"device": device.type, "hardware": hardware, "torch": torch.__version__, "numpy": np.__version__} | versions


def upload(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A CPU tensor on ``device``. To a GPU it is copied from pinned memory, so nothing waits for the copy."""
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def keep_freed_memory() -> None:
    """Let glibc keep what is freed: by default it returns every large tensor to the system.

    Each training step frees and needs the same tensors; getting their pages again costs a fault for every 4 KiB, up to
    a third of a small network's step. Elsewhere than on glibc this does nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(_M_TOP_PAD, 64 * _MIB)
