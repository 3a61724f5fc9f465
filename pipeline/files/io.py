"""Reading and writing the project's files: written as a whole, read as they were written, known by their digests."""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import DamagedFileError, WeightsError
from pipeline.files.atomic import atomic_path

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

READ_ERRORS = (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile, zlib.error)
"""What the readers of JSON, NumPy's files, CSV and parquet raise where a file is cut short or holds other bytes."""


@contextmanager
def damage_reported(path: Path) -> Iterator[None]:
    """Name ``path`` in every error that is raised while it is read; within, nothing else should happen.

    Raises:
        DamagedFileError: the file is missing or damaged.
    """
    try:
        yield
    except FileNotFoundError:
        raise DamagedFileError(f"{path}: no such file; run the stage that makes it (dvc repro)") from None
    except READ_ERRORS as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise DamagedFileError(f"{path}: cannot be read ({error.strerror})") from error
        raise DamagedFileError(damage(path, error)) from error


def damage(path: Path, error: Exception) -> str:
    """The message on a damaged file, and what to do: ``dvc repro`` alone may say that nothing has changed."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return (
        f"{path}: the file is damaged ({reason}); take it from DVC's cache (dvc checkout --force {path}) or "
        "remove it and run the stage that makes it again (dvc repro). If it is damaged again: docs/faults.md"
    )


def read_json(path: Path) -> Any:
    """Read one JSON file.

    Raises:
        DamagedFileError: it is missing or damaged.
    """
    with damage_reported(path):
        return json.loads(path.read_text(encoding="utf-8"))


def read_array(path: Path) -> "NDArray[Any]":
    """Open one .npy file by memory map.

    Raises:
        DamagedFileError: it is missing or damaged.
    """
    import numpy as np

    with damage_reported(path):
        array: NDArray[Any] = np.load(path, mmap_mode="r")
    return array


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> "pd.DataFrame":
    """Read one parquet file.

    Args:
        path: of the file.
        columns: those to read; None: all.

    Raises:
        DamagedFileError: it is missing or damaged.
    """
    import pandas as pd

    with damage_reported(path):
        return pd.read_parquet(path, columns=None if columns is None else list(columns))


def read_csv(path: Path, rows: int | None = None, **options: Any) -> "pd.DataFrame":
    """Read what ``write_csv`` wrote.

    Args:
        path: of the file.
        rows: how many there must be, where that is known.
        **options: of ``pandas.read_csv``.

    Raises:
        DamagedFileError: it is missing or damaged.
    """
    import pandas as pd

    with damage_reported(path):
        if not path.read_bytes().endswith(b"\n"):  # the last number may have lost digits
            raise ValueError("the last line has no end")
        table: pd.DataFrame = pd.read_csv(path, **options)
        if rows is not None and len(table) != rows:
            raise ValueError(f"{len(table)} rows, there should be {rows}")
    return table


def write_text(path: Path, text: str) -> None:
    r"""Write ``text`` as UTF-8, atomically; bytes of file names that are not UTF-8 as ``\udce9``.

    JSON reads such an escape back as what it was.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically.

    Raises:
        ValueError: a number is NaN or infinite; JSON has no such numbers.
    """
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Write a table without its index, atomically; floats keep six significant digits."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal, in constant memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def python_digests(paths: Iterable[Path]) -> dict[str, str]:
    """The SHA-256 of Python files by their names.

    Args:
        paths: files, and folders of which every Python file counts; what is not there is passed over.
    """
    files = {file for path in paths for file in (path.rglob("*.py") if path.is_dir() else [path]) if file.is_file()}
    return {file.as_posix(): sha256(file) for file in sorted(files)}


def package_folder(name: str) -> Path | None:
    """Where an installed top-level package lies, found without importing it.

    Returns:
        Its folder; None: the package is not installed.
    """
    spec = find_spec(name)
    locations = spec.submodule_search_locations if spec is not None else None
    return Path(locations[0]) if locations else None


def package_file(package: str, file: str, advice: str) -> Path:
    """A file of an installed package that has weights, found without importing it.

    Args:
        package: its name.
        file: within it.
        advice: what to do where the package is not there, for the message.

    Raises:
        WeightsError: the package is not installed, or has no such file.
    """
    folder = package_folder(package)
    if folder is None:
        raise WeightsError(f"the package {package}, which has the weights, is not installed: {advice}")
    path = folder / file
    if not path.is_file():
        raise WeightsError(f"{path}: missing; the package {package} is damaged or has another version: {advice}")
    return path
