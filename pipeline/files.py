"""Atomic writes: a reader sees the old file or the whole new one, never a part."""

import hashlib
import json
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from pipeline.errors import DamagedFileError, StorageError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it replaces ``path``, on any error it is removed.

    Raises:
        StorageError: the system refuses to write, for example on a full disk; the file that was there stays.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    except OSError as error:
        raise not_written(path, error) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files private to the user; outputs follow the umask as any other file does.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        with temporary.open("r+b") as written:  # Windows syncs no file that is open for reading alone
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        raise not_written(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``, which is not there; on success it becomes ``path``, else it is removed.

    Raises:
        StorageError: the system refuses to write.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    except OSError as error:
        raise not_written(path, error) from error
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o777 & ~umask)
        temporary.rename(path)
    except OSError as error:
        raise not_written(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let one process of this machine at a time work on ``folder``; the end of a process, of any kind, lets go of it.

    Raises:
        StorageError: another one does.
    """
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    lock = FileLock(Path(tempfile.gettempdir(), f"pocan-{name}.lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise StorageError(f"{folder}: another process is at work there; wait for it, or name another folder") from None
    try:
        yield
    finally:
        lock.release()


def not_written(path: Path | str, error: Exception) -> StorageError:
    """The error to raise where ``path`` could not be written, from whatever a library raised."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return StorageError(
        f"{path}: cannot be written ({reason}). Make room or change its permissions, and run the same command again; "
        "what was complete before is kept"
    )


def remove_leftovers(path: Path) -> None:
    """Remove the temporary files of writes of ``path`` that were killed. No other process may be writing it."""
    for leftover in path.parent.glob(f".{path.name}.*"):
        leftover.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically. NaN and infinity are refused: JSON has no such numbers."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Write a table without its index, atomically; floats keep six significant digits."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal, in constant memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def code_digests(paths: Iterable[Path]) -> dict[str, str]:
    """The SHA-256 of every Python file that ``paths`` are or hold, by name; a path that is not there is passed over."""
    files = {file for path in paths for file in (path.rglob("*.py") if path.is_dir() else [path]) if file.is_file()}
    return {file.as_posix(): sha256(file) for file in sorted(files)}


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str | int | float | bool]:
    """Nested values as ``section.key``, as DVC writes them; lists become comma-separated text, None ``null``."""
    flat: dict[str, str | int | float | bool] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            flat[f"{prefix}{key}"] = ",".join(map(str, value))
        else:
            flat[f"{prefix}{key}"] = "null" if value is None else value
    return flat


def package_folder(name: str) -> Path | None:
    """Where the installed top-level package of that name lies, found without an import; None: it is not installed."""
    spec = find_spec(name)
    locations = spec.submodule_search_locations if spec is not None else None
    return Path(locations[0]) if locations else None


UNLIKE_WRITTEN = (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile, zlib.error)
"""What the readers of JSON, NumPy's files, CSV and parquet raise where a file is cut short or holds other bytes."""


@contextmanager
def intact(path: Path) -> Iterator[None]:
    """Read the file at ``path`` within: nothing else, for every complaint is laid to the file.

    Raises:
        DamagedFileError: it is missing or damaged.
    """
    try:
        yield
    except FileNotFoundError:
        raise DamagedFileError(f"{path}: no such file; run the stage that makes it (dvc repro)") from None
    except UNLIKE_WRITTEN as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise DamagedFileError(f"{path}: cannot be read ({error.strerror})") from error
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DamagedFileError(
            f"{path}: the file is damaged ({reason}); take it from DVC's cache (dvc checkout --force {path}) or "
            "remove it and run the stage that makes it again (dvc repro). If it is damaged again: docs/faults.md"
        ) from error


def read_json(path: Path) -> Any:
    """Read one JSON file.

    Raises:
        DamagedFileError: it is missing or damaged.
    """
    with intact(path):
        return json.loads(path.read_text(encoding="utf-8"))


def read_array(path: Path) -> "NDArray[Any]":
    """Open one .npy file by memory map.

    Raises:
        DamagedFileError: it is missing or damaged.
    """
    import numpy as np

    with intact(path):
        array: NDArray[Any] = np.load(path, mmap_mode="r")
    return array


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> "pd.DataFrame":
    """Read one parquet file, or some of its columns.

    Raises:
        DamagedFileError: it is missing or damaged.
    """
    import pandas as pd

    with intact(path):
        return pd.read_parquet(path, columns=None if columns is None else list(columns))


def read_csv(path: Path, rows: int | None = None, **options: Any) -> "pd.DataFrame":
    """Read what ``write_csv`` wrote. rows: how many there must be, where that is known. options: of pandas.

    Raises:
        DamagedFileError: it is missing or damaged.
    """
    import pandas as pd

    with intact(path):
        if not path.read_bytes().endswith(b"\n"):  # the last number may have lost digits
            raise ValueError("the last line has no end")
        table: pd.DataFrame = pd.read_csv(path, **options)
        if rows is not None and len(table) != rows:
            raise ValueError(f"{len(table)} rows, there should be {rows}")
    return table
