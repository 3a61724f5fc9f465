"""Export of a trained model to ONNX, with preprocessing: uint8 crops in, calibrated probabilities out."""

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.data.crops import CROP_SIZE
from pipeline.errors import ParamsError
from pipeline.files.atomic import atomic_path
from pipeline.files.io import package_folder
from pipeline.labels import EXPRESSIONS
from pipeline.networks.network import Classifier
from pipeline.networks.trained import TrainedModel

OPSET = 20
"""The oldest opset whose GridSample equals PyTorch's; supported by ONNX Runtime since 1.17."""

Crops = NDArray[np.uint8]


class Exported(nn.Module):
    """uint8 N×112×112×3 RGB crops in, float N×k probabilities in the order of EXPRESSIONS out."""

    grid: Tensor

    def __init__(self, model: Classifier, eval_crop: float) -> None:
        super().__init__()
        self.model = model
        # The sampling grid of data.augment.evaluation_view, which is the same for every picture.
        centres = eval_crop * ((2.0 * torch.arange(CROP_SIZE) + 1.0) / CROP_SIZE - 1.0)
        y, x = torch.meshgrid(centres, centres, indexing="ij")
        self.register_buffer("grid", torch.stack([x, y], dim=2)[None])

    def forward(self, crops: Tensor) -> Tensor:
        images = crops.permute(0, 3, 1, 2).float() / 255.0
        grid = self.grid.expand(images.shape[0], -1, -1, -1)
        views = F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
        probabilities: Tensor = self.model(views)
        return probabilities


def export(trained: TrainedModel, path: Path) -> None:
    """Write the model to ``path``, with metadata on inputs, outputs and training.

    Raises:
        ParamsError: the packages for ONNX are not installed.
        StorageError: the file cannot be written.
    """
    _require("onnx", "onnxscript")
    import onnx

    model = Exported(trained.model, trained.eval_crop).eval()
    example = torch.zeros(2, CROP_SIZE, CROP_SIZE, 3, dtype=torch.uint8)
    batch = torch.export.Dim("batch", min=1, max=65_536)
    program = torch.onnx.export(
        model,
        (example,),
        dynamo=True,
        verbose=False,
        opset_version=OPSET,
        input_names=["crops"],
        output_names=["probabilities"],
        dynamic_shapes={"crops": {0: batch}},
    )
    assert program is not None
    proto = program.model_proto
    onnx.helper.set_model_props(proto, metadata(trained))
    with atomic_path(path) as temporary:
        onnx.save(proto, temporary)


def metadata(trained: TrainedModel) -> dict[str, str]:
    """Return the file's metadata."""
    unknown = trained.imported and "labels" not in trained.description
    calibrated = "the imported network's own, not calibrated" if unknown else "calibrated"
    return {
        "expressions": ",".join(EXPRESSIONS),
        "input": f"crops: uint8 N×{CROP_SIZE}×{CROP_SIZE}×3, RGB; one face each, found and cropped as faces says",
        "output": f"probabilities: float N×7, {calibrated}, in the order of expressions",
        "preprocessing": f"inside: /255, central crop of {trained.eval_crop} of the side, resize, normalisation",
        "faces": trained.every_face.model_dump_json(),
        "opset": str(OPSET),
        "made_from": json.dumps(trained.description, sort_keys=True),
    }


def predict(path: Path, crops: Crops) -> NDArray[np.float32]:
    """Predict with ONNX Runtime.

    Args:
        path: an exported model.
        crops: uint8 N×112×112×3, RGB.

    Returns:
        Probabilities, float32 N×k.

    Raises:
        ParamsError: ONNX Runtime is not installed.
    """
    return predictor(path)(crops)


def predictor(path: Path) -> Callable[[Crops], NDArray[np.float32]]:
    """Return a function that predicts with an exported model.

    Raises:
        ParamsError: ONNX Runtime is not installed.
    """
    _require("onnxruntime")
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(crops: Crops) -> NDArray[np.float32]:
        probabilities: NDArray[np.float32] = session.run(None, {"crops": crops})[0]
        return probabilities

    return run


@torch.no_grad()
def difference(trained: TrainedModel, path: Path, crops: Crops) -> float:
    """Return the largest difference of a probability between the file and PyTorch."""
    expected = Exported(trained.model, trained.eval_crop).eval()(torch.from_numpy(crops)).numpy()
    return float(np.abs(predict(path, crops) - expected).max())


def quantise(path: Path, to: Path, crops: Crops) -> None:
    """Quantise weights and activations of convolutions and linear layers to int8.

    Weights have one scale per channel and use 7 of 8 bits. Processors without VNNI add two products of activation and
    weight in 16 bits, which silently overflows with 8-bit weights. With 7 bits all processors compute the same.

    Args:
        path: the exported model.
        to: the new file.
        crops: calibration crops, uint8 N×112×112×3, RGB.

    Raises:
        ParamsError: the packages for it are not installed.
        StorageError: the file cannot be written.
    """
    _require("onnx", "onnxruntime")
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with TemporaryDirectory(dir=to.parent) as folder, atomic_path(to) as temporary:
        prepared = Path(folder) / path.name
        quant_pre_process(path, prepared, skip_symbolic_shape=True)  # symbolic inference fails for a dynamic batch
        quantize_static(
            prepared,
            temporary,
            _Reader(crops),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QUInt8,
            op_types_to_quantize=["Conv", "Gemm"],  # not the prototypes' MatMul, which is small and decisive
        )


class _Reader:
    """Passes crops one by one to ONNX Runtime's quantiser."""

    def __init__(self, crops: Crops) -> None:
        self._crops = iter(crops)

    def get_next(self) -> dict[str, Any] | None:
        """Return a batch of one crop; None at the end."""
        crop = next(self._crops, None)
        return None if crop is None else {"crops": crop[None]}


def _require(*packages: str) -> None:
    """Check that packages are installed and can be imported.

    Raises:
        ParamsError: a package is not installed, or its import fails.
    """
    if missing := [name for name in packages if package_folder(name) is None]:
        raise ParamsError(f"{', '.join(missing)}: not installed; pip install 'pocan[onnx]'")
    for name in packages:
        try:
            import_module(name)
        except ImportError as error:
            raise ParamsError(
                f"{name}: installed, but cannot be loaded ({error}); pip install --force-reinstall --no-deps {name}"
            ) from error
