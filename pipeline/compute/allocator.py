"""Memory that PyTorch frees on the CPU and asks for again a moment later."""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4  # malloc.h of glibc
_MIB = 1 << 20


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
