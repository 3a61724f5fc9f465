"""Reading and writing JSON, CSV, NumPy and parquet files, and digests of files."""

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
"""Errors that the readers of JSON, .npy, CSV and parquet files raise if a file is cut short or has other content."""


@contextmanager
def damage_reported(path: Path) -> Iterator[None]:
    """Turn the errors of reading ``path`` into errors that name it. Use only around the reading itself.

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
    """Open one .npy file as a memory map.

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
        path: the file.
        columns: the columns to read; None: all.

    Raises:
        DamagedFileError: it is missing or damaged.
    """
    import pandas as pd

    with damage_reported(path):
        return pd.read_parquet(path, columns=None if columns is None else list(columns))


def read_csv(path: Path, rows: int | None = None, **options: Any) -> "pd.DataFrame":
    """Read a file that ``write_csv`` wrote.

    Args:
        path: the file.
        rows: the number of rows that it must have; None: any.
        **options: passed to ``pandas.read_csv``.

    Raises:
        DamagedFileError: it is missing or damaged.
    """
    import pandas as pd

    with damage_reported(path):
        if not path.read_bytes().endswith(b"\n"):  # the last number may have lost digits
            raise ValueError("the last line is incomplete")
        table: pd.DataFrame = pd.read_csv(path, **options)
        if rows is not None and len(table) != rows:
            raise ValueError(f"{len(table)} rows instead of {rows}")
    return table


def write_text(path: Path, text: str) -> None:
    r"""Write ``text`` as UTF-8, atomically; non-UTF-8 bytes of file names are written as ``\udce9``.

    JSON readers turn such an escape back into the byte.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically.

    Raises:
        ValueError: a number is NaN or infinite, which JSON does not allow.
    """
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Write a table without its index, atomically; floats keep six significant digits."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal; needs constant memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def python_digests(paths: Iterable[Path]) -> dict[str, str]:
    """Return the SHA-256 of Python files by path.

    Args:
        paths: files, and folders with Python files; missing ones are ignored.
    """
    files = {file for path in paths for file in (path.rglob("*.py") if path.is_dir() else [path]) if file.is_file()}
    return {file.as_posix(): sha256(file) for file in sorted(files)}


def package_folder(name: str) -> Path | None:
    """Find the folder of an installed top-level package without importing it.

    Returns:
        The folder; None: the package is not installed.
    """
    spec = find_spec(name)
    locations = spec.submodule_search_locations if spec is not None else None
    return Path(locations[0]) if locations else None


def package_file(package: str, file: str, advice: str) -> Path:
    """Find a file of an installed package of weights without importing the package.

    Args:
        package: the package's name.
        file: path within the package.
        advice: what to do if the package is missing, for the message.

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
