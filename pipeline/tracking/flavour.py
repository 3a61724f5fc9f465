"""The MLflow flavour of classifiers: MLflow's PyTorch flavour with a pyfunc part that takes pictures.

``mlflow.pytorch`` loads only the network, as a graph that does not need this project. ``mlflow.pyfunc``, and so
``mlflow models serve``, load this project's model folder, with face detection as in ``pocan predict``
(docs/serving.md).
"""

from pathlib import Path
from typing import Any

import mlflow
from mlflow.models import Model, ModelSignature
from mlflow.models.model import MLMODEL_FILE_NAME
from mlflow.types.schema import AnyType, ColSpec, Schema

LOADER = "pipeline.prediction.serving"
"""The loader module, by name, because importing it takes seconds."""

OWN_FILES = "extra_files"
"""The folder, within the logged model, of this project's model files."""

CONFIG = {"device": "auto", "faces": []}
"""Options when a model is served: the device, and changes to its section ``faces``, such as ["min_face=60"]."""

SIGNATURE = ModelSignature(inputs=Schema([ColSpec(AnyType())]))  # type: ignore[no-untyped-call]
"""One column of any type: MLflow's binary type would reject a whole request for one picture that is not base64."""


def save_model(path: str, mlflow_model: Model, **pytorch: Any) -> None:
    """Save a model to a new folder, as every MLflow flavour does.

    Args:
        path: the folder.
        mlflow_model: the MLmodel configuration, which is filled in and saved as well.
        pytorch: arguments of ``mlflow.pytorch.save_model``, with this project's model files as ``extra_files``.
    """
    mlflow.pytorch.save_model(path=path, mlflow_model=mlflow_model, **pytorch)
    environment = mlflow_model.flavors[mlflow.pyfunc.FLAVOR_NAME][mlflow.pyfunc.ENV]
    mlflow.pyfunc.add_to_model(
        mlflow_model,
        loader_module=LOADER,
        data=OWN_FILES,
        conda_env=environment["conda"],
        python_env=environment["virtualenv"],
        model_config=CONFIG,
    )
    # Remove the PyTorch flavour's example, which has crops.
    for example in Path(path).glob("*input_example*.json"):
        example.unlink()
    mlflow_model.saved_input_example_info = None  # type: ignore[assignment]
    mlflow_model.signature = SIGNATURE
    mlflow_model.save(str(Path(path) / MLMODEL_FILE_NAME))
