"""Expressions of every face in a picture, and models adapted to one's own unlabelled pictures.

    import pocan

    model = pocan.load_model("mine/model")
    for face in model.predict("party.jpg"):
        print(face.box, face.expression, face.probabilities)

``docs/python.md`` tells the rest. Importing this package loads neither PyTorch nor MLflow; loading a model does.
"""

from typing import TYPE_CHECKING

from pipeline.errors import PipelineError
from pipeline.labels import EXPRESSIONS
from pocan.api import AdaptResult, Face, Model, adapt, import_model, load_model

__all__ = [
    "EXPRESSIONS",
    "AdaptResult",
    "Face",
    "Model",
    "PipelineError",
    "__version__",
    "adapt",
    "import_model",
    "load_model",
]


__version__: str

if not TYPE_CHECKING:  # to whom every name would exist

    def __getattr__(name: str) -> str:
        """The version, looked up when it is asked for: that takes a third of the time of importing this package."""
        if name == "__version__":
            from importlib.metadata import version

            return version("pocan")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
