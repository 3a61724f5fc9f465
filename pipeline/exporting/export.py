"""The command pocan export: a model's ONNX files, checked, and its card."""

from pathlib import Path

import numpy as np

from pipeline.config import layout
from pipeline.data.crops import CropStore
from pipeline.errors import DatasetError, PipelineError
from pipeline.evaluation.records import Result
from pipeline.exporting import onnx
from pipeline.exporting.card import card
from pipeline.files.atomic import atomic_folder
from pipeline.files.writing import write_text
from pipeline.networks.trained import Trained

COMPARED = 256
"""Crops on which the files are compared with PyTorch, at most."""

TOLERANCE = 1e-4
"""Difference of a probability above which an export is refused as wrong."""


def export(trained: Trained, out: Path, crops: Path | None, int8: bool) -> list[Path]:
    """Write ``out`` with model.onnx, with ``int8`` model-int8.onnx, and card.md; returns the files.

    crops: a crop store to check on, and to measure int8's ranges on; by default that of the set that it was trained on
    last, or noise where this is not at hand (then there is no int8).

    Raises:
        PipelineError: ``out`` exists, packages are missing, or the file does not compute what the model does.
    """
    if out.exists():
        raise PipelineError(f"{out}: is there already; remove it or name another folder with --out")
    pictures, store = _crops(trained, crops)
    if int8 and store is None:
        raise DatasetError("int8 needs crops to measure activations on: name a crop store with --crops")
    files = {}
    with atomic_folder(out) as folder:
        onnx.export(trained, folder / "model.onnx")
        differs = onnx.difference(trained, folder / "model.onnx", pictures)
        if not differs <= TOLERANCE:
            raise PipelineError(f"the exported model differs from its own by {differs:.2g}: it is not written")
        on = "noise" if store is None else f"{len(pictures)} crops of {store.description['dataset']}"
        files["model.onnx"] = f"float32; largest difference to PyTorch {differs:.1e} on {on}"
        if int8 and store is not None:
            files["model-int8.onnx"] = _int8(folder, store, pictures)
        write_text(folder / "card.md", card(trained, _result(trained), files))
    return [out / name for name in (*files, "card.md")]


def _crops(trained: Trained, where: Path | None) -> tuple[onnx.Crops, CropStore | None]:
    data = trained.description.get("target") or trained.description["source"]
    folder = where or layout.crops(data["name"])
    if where is None and not (folder / "store.json").is_file():
        return np.random.Generator(np.random.PCG64(0)).integers(0, 256, (16, 112, 112, 3), dtype=np.uint8), None
    store = CropStore.open(folder)
    rows = np.arange(min(len(store.images), COMPARED)) * len(store.images) // min(len(store.images), COMPARED)
    return np.asarray(store.images[rows]), store


def _int8(folder: Path, store: CropStore, pictures: onnx.Crops) -> str:
    """Write the int8 model; returns what it costs: decisions that change, and accuracy where there are labels."""
    onnx.quantise(folder / "model.onnx", folder / "model-int8.onnx", pictures)
    exact, rounded = (onnx.predict(folder / name, pictures) for name in ("model.onnx", "model-int8.onnx"))
    same = float((exact.argmax(axis=1) == rounded.argmax(axis=1)).mean())
    text = f"int8; decides as model.onnx on {100 * same:.1f} % of {len(pictures)} crops"
    rows = np.arange(len(pictures)) * len(store.images) // len(pictures)
    labels = store.labels()[rows]
    if (known := labels >= 0).any():
        scores = [100 * float((p.argmax(axis=1) == labels)[known].mean()) for p in (exact, rounded)]
        text += f"; accuracy on those with labels {scores[0]:.1f} → {scores[1]:.1f} %"
    size = [(folder / name).stat().st_size / 2**20 for name in ("model.onnx", "model-int8.onnx")]
    return f"{text}; {size[0]:.1f} → {size[1]:.1f} MiB"


def _result(trained: Trained) -> Result | None:
    """The scores of this very model, where its evaluation is at hand."""
    if not trained.adapted:
        return None
    target = trained.description["target"]["name"]
    path, model = layout.result(target), layout.model_description(layout.adapted(target))
    if not path.is_file() or not model.is_file() or trained.description["weights_sha256"] not in model.read_text():
        return None
    return Result.model_validate_json(path.read_bytes())
