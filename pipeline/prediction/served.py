"""The old name of ``pipeline.prediction.serving``, which models in MLflow's stores name as what loads them."""

from pipeline.prediction.serving import _load_pyfunc as _load_pyfunc
