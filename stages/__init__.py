"""One module for each DVC stage, run as ``python -m stages.NAME``. Stages only call the library ``pipeline``."""

import gc
import sys
from types import TracebackType


def _interrupted(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Ctrl-C is one line also while libraries are loaded, which ``pipeline.command_line.run`` is not there to see."""
    if issubclass(kind, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


if sys.argv[0] == "-m":  # Python was started with -m and is importing the stage's module
    # Importing PyTorch and MLflow creates a million long-lived objects. Repeated garbage collection would take a third
    # of the import time. ``pipeline.command_line.run`` enables the collector afterwards.
    gc.disable()
    sys.excepthook = _interrupted
