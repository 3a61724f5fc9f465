"""The thin upper layer: one module for each DVC stage, run as ``python -m stages.NAME``."""

import gc
import sys

if sys.argv[0] == "-m":  # the program is one of these modules, and Python is looking for it
    # Loading PyTorch and MLflow makes a million objects that stay. Looking through them for garbage again and again
    # takes a third of the loading time; ``pipeline.command_line.run`` sets the collector going when it is done.
    gc.disable()
