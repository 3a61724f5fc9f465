"""Trained weights on disk: a folder with one safetensors file and a JSON description of how they were made.

The JSON contains only parameters and digests of data. It contains nothing that changes from run to run (time, host, run
ID). So the same input gives the same bytes, and DVC sees that nothing changed.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pipeline.config import paths
from pipeline.errors import DamagedFileError, WeightsError
from pipeline.files.atomic import atomic_path, storage_error
from pipeline.files.io import damage, read_json, sha256, write_json
from pipeline.files.names import is_utf8

WEIGHTS_FILE = "model.safetensors"

FORMAT = 1
"""Version of the folder's format. It is raised when this code can no longer open older models."""


def save(folder: Path, modules: Mapping[str, nn.Module], description: Mapping[str, Any]) -> None:
    """Write the state of modules and a description of how they were made.

    Args:
        folder: the folder to write to.
        modules: the modules by name; the names become prefixes of the tensors' names.
        description: JSON-serialisable; the weights' SHA-256 and the format are added.

    Raises:
        StorageError: a file cannot be written.
    """
    tensors = {
        f"{name}.{key}": value.contiguous().cpu()
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }
    write_tensors(folder / WEIGHTS_FILE, tensors)
    about = {**description, "format": FORMAT, "weights_sha256": sha256(folder / WEIGHTS_FILE)}
    write_json(paths.model_description(folder), about)


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors on the CPU into a safetensors file.

    Raises:
        StorageError: the file cannot be written.
    """
    with atomic_path(path) as temporary:
        try:
            save_file(dict(tensors), temporary)
        except SafetensorError as error:
            raise storage_error(path, error) from error


def load(folder: Path, modules: Mapping[str, nn.Module]) -> dict[str, Any]:
    """Load the state that ``save`` wrote, and check its SHA-256.

    Args:
        folder: the folder that was written.
        modules: the modules by the names used in ``save``; changed in place.

    Returns:
        The description.

    Raises:
        WeightsError: a file is missing, damaged or of another version; or tensors are missing, unexpected or have the
            wrong shape. Each is named.
    """
    path = folder / WEIGHTS_FILE
    description = describe(folder)
    with _reading(path):
        if sha256(path) != description.get("weights_sha256"):
            raise ValueError(f"its SHA-256 is not the one in {paths.model_description(folder).name}")
        tensors = load_file(path)
    for name, module in modules.items():
        prefix = f"{name}."
        state = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        load_checked(module, state, f"{path} ({name})")
    return description


def describe(folder: Path) -> dict[str, Any]:
    """Return the description that ``save`` wrote to ``folder``, without reading the weights.

    Raises:
        WeightsError: the file is missing, damaged or of another version of this project.
    """
    path = paths.model_description(folder)
    with _reading(path):
        description: dict[str, Any] = read_json(path)
    found = description.get("format") if isinstance(description, dict) else None
    if found != FORMAT:
        raise WeightsError(
            f"{path}: a model of another version of this project (its format is {found}, this version reads {FORMAT}); "
            "train it again, or use the version that wrote it"
        )
    return description


def parts(folder: Path) -> set[str]:
    """Return the names of the modules that were saved in ``folder``.

    Raises:
        WeightsError: the weights are missing or damaged.
    """
    path = folder / WEIGHTS_FILE
    with _reading(path), safe_open(path, framework="pt") as tensors:
        return {key.partition(".")[0] for key in tensors.keys()}  # noqa: SIM118  (``tensors`` is not a mapping)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn the errors of reading ``path`` into WeightsErrors that name it."""
    if not is_utf8(path):  # safetensors would say that the file is damaged
        raise WeightsError(
            f"{path}: not UTF-8, or the locale is not, so a model cannot be read there; rename the folder"
        )
    try:
        yield
    except DamagedFileError as error:
        raise WeightsError(str(error)) from error
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such file; run the stage that trains it (dvc repro)") from None
    except (SafetensorError, ValueError) as error:
        raise WeightsError(damage(path, error)) from error
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror or error})") from error


def load_checked(
    module: nn.Module, state: Mapping[str, Any], origin: str, ignored: frozenset[str] = frozenset()
) -> None:
    """Load a state like ``load_state_dict``, but name every tensor that is missing, unexpected or of the wrong shape.

    Args:
        module: changed in place.
        state: tensors by name.
        origin: name of the weights in error messages.
        ignored: keys of ``state`` that may be present and are not used.

    Raises:
        WeightsError: the weights do not fit.
    """
    own = module.state_dict()
    # Older exports lack the counters that PyTorch added to batch norm; they do not influence the network.
    missing = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in state if key not in own and key not in ignored]
    shapes = [
        f"{key} is {tuple(state[key].shape)}, expected {tuple(own[key].shape)}"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    faults = [
        f"{title}: {', '.join(keys)}"
        for title, keys in (("missing", missing), ("unexpected", unexpected), ("wrong shape", shapes))
        if keys
    ]
    if faults:
        raise WeightsError(f"{origin} does not fit the network; {'; '.join(faults)}")
    module.load_state_dict({key: value for key, value in state.items() if key in own}, strict=False)
