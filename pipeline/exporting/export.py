"""The work of ``pocan export``: a model's ONNX files, checked against PyTorch, and its model card."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.config import paths
from pipeline.data.crops import CropStore
from pipeline.data.prepared import read_split
from pipeline.errors import DatasetError, PipelineError
from pipeline.evaluation.records import Result
from pipeline.exporting import onnx, use
from pipeline.exporting.card import Scored, card
from pipeline.files.atomic import atomic_folder, require_free
from pipeline.files.io import write_text
from pipeline.files.names import as_text, require_utf8
from pipeline.locks import exclusive
from pipeline.networks.trained import TrainedModel
from pipeline.progress import say

STORE, CROPS = "store.json", "crops"
"""A file in every crop store, and the sub-folder with the store of ``pocan faces``."""

CROPPING = ("align", "margin", "upscale")
"""The face parameters that determine the content of a crop."""

COMPARED = 256
"""Maximum number of crops on which the files are compared with PyTorch."""

TOLERANCE = 1e-4
"""Maximum difference of a probability; above it the export fails."""

AGREEMENT = 0.95
"""Minimum share of crops for which the int8 model predicts the same class as the float model."""

FEWEST = 40
"""Minimum number of crops for int8."""


def export(trained: TrainedModel, called: str, out: Path, crops: Path | None, int8: bool) -> list[Path]:
    """Write a model as ONNX with its model card.

    Args:
        trained: the model.
        called: the folder or URI from which it was opened, for the card.
        out: a new folder for model.onnx, card.md and, with ``int8``, model-int8.onnx.
        crops: a crop store, or the output of ``pocan faces``, for the comparison and for int8 calibration. Default: the
            store of the model's last training set, or noise if that is not available (int8 is then impossible).
        int8: also write an int8 model.

    Returns:
        The files.

    Raises:
        PipelineError: ``out`` exists or is not UTF-8, packages are missing, or a file's predictions differ from the
            model's.
    """
    require_utf8(out, "--out")
    require_free(out, "--out")
    pictures, store = _compared_crops(trained, crops)
    if int8 and (store is None or len(store.images) < FEWEST):
        given = "there are none" if store is None else f"there are {len(store.images)}"
        raise DatasetError(
            f"int8 needs {FEWEST} crops to measure activations on, and {given}: make them of your own pictures with "
            "pocan faces FOLDER --out DIR, and name them with --crops DIR"
        )
    if store is not None and (message := _cropped_otherwise(trained, store)):
        say(f"warning: {message}")
    files = {}
    with exclusive(out), atomic_folder(out) as folder:
        onnx.export(trained, folder / "model.onnx")
        difference = onnx.difference(trained, folder / "model.onnx", pictures)
        if not difference <= TOLERANCE:
            raise PipelineError(f"the exported model differs from its own by {difference:.2g}: it is not written")
        on = "noise" if store is None else f"{len(pictures)} crops of {store.description['dataset']}"
        files["model.onnx"] = f"float32; largest difference to PyTorch {difference:.1e} on {on}"
        if int8 and store is not None:
            files["model-int8.onnx"] = _int8(folder, store)
        latency = use.measured(folder / "model.onnx")
        write_text(folder / "card.md", card(trained, as_text(called), _scored(trained), files, latency))
    return [out / name for name in (*files, "card.md")]


def _compared_crops(trained: TrainedModel, where: Path | None) -> tuple[onnx.Crops, CropStore | None]:
    """Return the crops for the comparison with PyTorch, and their store; None if they are noise."""
    data = trained.description.get("target") or trained.description["source"]
    folder = where or paths.crops(data["name"])
    if not (folder / STORE).is_file() and (folder / CROPS / STORE).is_file():
        folder /= CROPS
    if where is None and not (folder / STORE).is_file():
        return np.random.Generator(np.random.PCG64(0)).integers(0, 256, (16, 112, 112, 3), dtype=np.uint8), None
    store = CropStore.open(folder)
    return np.asarray(store.images[_spread(store, COMPARED)]), store


def _cropped_otherwise(trained: TrainedModel, store: CropStore) -> str:
    """Return a warning if the crops were cut differently than those in the model's training; else empty."""
    found, own = store.description["faces"], trained.faces.model_dump(mode="json")
    differ = [name for name in CROPPING if found.get(name) != own[name]]
    if not differ:
        return ""
    theirs = ", ".join(f"{name} {found.get(name)}" for name in differ)
    return (
        f"{as_text(store.folder)}: crops with {theirs}, unlike those the model has learned from; make them again by "
        f"pocan faces with {' '.join(f'-S {name}={own[name]}' for name in differ)}"
    )


def _spread(store: CropStore, most: int) -> NDArray[np.int64]:
    """Return at most ``most`` evenly spaced rows of a store."""
    count = min(len(store.images), most)
    return np.arange(count) * len(store.images) // count


def _int8(folder: Path, store: CropStore) -> str:
    """Write the int8 model; return a sentence on its agreement with the float model and, if known, its accuracy.

    Raises:
        PipelineError: the agreement is too low.
    """
    # Calibrate on every second crop and compare on the others.
    rows = _spread(store, 2 * COMPARED)
    measured, compared = rows[::2], rows[1::2]
    pictures = np.asarray(store.images[compared])
    onnx.quantise(folder / "model.onnx", folder / "model-int8.onnx", np.asarray(store.images[measured]))
    exact, rounded = (onnx.predict(folder / name, pictures) for name in ("model.onnx", "model-int8.onnx"))
    same = float((exact.argmax(axis=1) == rounded.argmax(axis=1)).mean())
    text = f"decides as model.onnx on {100 * same:.1f} % of {len(pictures)} other crops than its ranges are from"
    if same < AGREEMENT:
        raise PipelineError(
            f"the int8 model {text}; below {AGREEMENT:.0%} nothing is written. Export without --int8, or name more "
            "crops, which are like yours, with --crops"
        )
    text = f"int8; {text}"
    labels = store.labels()[compared]
    if (known := labels >= 0).any():
        scores = [100 * float((p.argmax(axis=1) == labels)[known].mean()) for p in (exact, rounded)]
        text += f"; accuracy on those with labels {scores[0]:.1f} → {scores[1]:.1f} %"
    size = [(folder / name).stat().st_size / 2**20 for name in ("model.onnx", "model-int8.onnx")]
    return f"{text}; {size[0]:.1f} → {size[1]:.1f} MiB"


def _scored(trained: TrainedModel) -> Scored | None:
    """Return the scores of this model if its evaluation is available."""
    if not trained.adapted:
        return None
    target = trained.description["target"]["name"]
    path, model = paths.result(target), paths.model_description(paths.adapted(target))
    if (
        not path.is_file()
        or not model.is_file()
        or trained.description["weights_sha256"] not in model.read_text("utf-8")
    ):
        return None
    result, seen = Result.model_validate_json(path.read_bytes()), None
    if paths.split(target).is_file():
        split = read_split(paths.split(target))
        # A split of another size is not that of the scores.
        seen = np.isin(split.test, split.train) if len(split.test) == result.n_test else None
    return Scored(result, seen)
