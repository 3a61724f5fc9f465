"""The device a stage computes on."""

import numpy as np
import torch

from pipeline.errors import ParamsError

DEVICES = ("auto", "cpu", "cuda")


def pick(name: str) -> torch.device:
    """The device for params.yaml's ``device``: auto is cuda where there is one, else cpu.

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
