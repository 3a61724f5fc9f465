"""The MLflow flavour of models that predict: PyTorch's, of which the pyfunc part takes pictures instead of crops.

``mlflow.pytorch`` opens the network alone, as a graph that needs nothing of this project. ``mlflow.pyfunc``, and so
``mlflow models serve``, open the model in this project's own form with all that ``pocan predict`` does around it
(docs/serving.md).
"""

from pathlib import Path
from typing import Any

import mlflow
from mlflow.models import Model, ModelSignature
from mlflow.models.model import MLMODEL_FILE_NAME
from mlflow.types.schema import AnyType, ColSpec, Schema

LOADER = "pipeline.prediction.serving"
"""The module that opens a model and predicts; its name alone, as importing it takes seconds."""

OWN_FILES = "extra_files"
"""Where MLflow puts the files of the project's own form, in the model's folder."""

CONFIG = {"device": "auto", "faces": []}
"""What whoever serves a model may change: the device, and parameters of its faces, as ["min_face=60"]."""

SIGNATURE = ModelSignature(inputs=Schema([ColSpec(AnyType())]))  # type: ignore[no-untyped-call]
"""One column. MLflow's binary type would refuse all pictures of a request for one that is not base64."""


def save_model(path: str, mlflow_model: Model, **pytorch: Any) -> None:
    """Write the model into a new folder, as every MLflow flavour does.

    Args:
        path: the folder.
        mlflow_model: its description, which is filled in and written along.
        pytorch: arguments of ``mlflow.pytorch.save_model``, with the files of the project's own form as
            ``extra_files``.
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
    # The example is of crops.
    for example in Path(path).glob("*input_example*.json"):
        example.unlink()
    mlflow_model.saved_input_example_info = None  # type: ignore[assignment]
    mlflow_model.signature = SIGNATURE
    mlflow_model.save(str(Path(path) / MLMODEL_FILE_NAME))
