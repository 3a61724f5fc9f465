"""The old name of ``pipeline.prediction.serving``: models logged by older versions name it as their loader module."""

from pipeline.prediction.serving import _load_pyfunc as _load_pyfunc
