"""The thin upper layer: one module for each DVC stage, run as ``python -m stages.NAME``."""

import gc
import sys
from types import TracebackType


def _interrupted(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Ctrl-C is one line also while libraries are loaded, which ``pipeline.command_line.run`` is not there to see."""
    if issubclass(kind, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


if sys.argv[0] == "-m":  # the program is one of these modules, and Python is looking for it
    # Loading PyTorch and MLflow makes a million objects that stay. Looking through them for garbage again and again
    # takes a third of the loading time; ``pipeline.command_line.run`` sets the collector going when it is done.
    gc.disable()
    sys.excepthook = _interrupted
