"""One module for each DVC stage, run as ``python -m stages.NAME``. Stages only call the library ``pipeline``."""

import gc
import sys

if sys.argv[0] == "-m":  # Python was started with -m and is importing the stage's module
    # Importing PyTorch and MLflow creates a million long-lived objects. Repeated garbage collection would take a third
    # of the import time. ``pipeline.command_line.run`` enables the collector afterwards.
    gc.disable()
