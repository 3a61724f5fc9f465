"""Atomic writes: a reader sees the old file or the whole new one, never a part."""

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import lock_descriptor

from pipeline.errors import StorageError
from pipeline.reading import intact

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Report what the system refuses while ``path``, or something in it, is written.

    Raises:
        StorageError: it does, for example on a full disk.
    """
    try:
        yield
    except OSError as error:
        raise not_written(path, error) from error


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it replaces ``path``, on any error it is removed.

    Where the process is killed, the next one that writes ``path`` removes it.

    Raises:
        StorageError: the system refuses to write, for example on a full disk; the file that was there stays.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_dead(path)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=_part(path), suffix=path.suffix)
        temporary = Path(name)
        try:
            _lock(handle)
            yield temporary
            _share(temporary, 0o666)
            _sync(temporary)
            temporary.replace(path)
        finally:
            os.close(handle)
            temporary.unlink(missing_ok=True)


def _part(path: Path) -> str:
    """How the name of a temporary file of ``path`` begins."""
    return f".{path.name}.part-"


def _remove_dead(path: Path) -> None:
    """Remove the temporary files of writes of ``path`` that were killed: who is at it has his locked."""
    written = re.compile(rf"{re.escape(_part(path))}[a-z0-9_]{{8}}{re.escape(path.suffix)}")  # as tempfile draws it
    for found in [each for each in path.parent.iterdir() if written.fullmatch(each.name)]:
        try:
            handle = os.open(found, os.O_RDWR)
        except OSError:  # another user's, or gone
            continue
        try:
            if _lock(handle):
                found.unlink(missing_ok=True)
        finally:
            os.close(handle)


def _lock(handle: int) -> bool:
    """Lock an open file until it is closed; False: another process has, or the file system knows no locks."""
    try:
        return lock_descriptor(handle, blocking=False)
    except OSError:
        return False


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``, which is not there; on success it becomes ``path``, else it is removed.

    Raises:
        StorageError: the system refuses to write.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        try:
            yield temporary
            _share(temporary, 0o777)
            temporary.rename(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def move_folder(folder: Path, to: Path) -> None:
    """Rename a folder of plain files to a path that is not there; to another disk it is copied, and appears as a whole.

    Raises:
        OSError: the system refuses it; ``folder`` is as it was.
    """
    try:
        folder.rename(to)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        for leftover in to.parent.glob(f".{to.name}.*"):  # of a copy that was killed
            shutil.rmtree(leftover)
        with atomic_folder(to) as copy:
            for path in sorted(folder.rglob("*")):
                place = copy / path.relative_to(folder)
                if path.is_dir():
                    place.mkdir()
                else:
                    shutil.copyfile(path, place)
                    _sync(place)
        shutil.rmtree(folder)


def _share(path: Path, mode: int) -> None:
    """``tempfile`` makes everything private to the user; outputs follow the umask as any other file does."""
    umask = os.umask(0)
    os.umask(umask)
    path.chmod(mode & ~umask)


def _sync(path: Path) -> None:
    with path.open("r+b") as written:  # Windows syncs no file that is open for reading alone
        os.fsync(written.fileno())


def not_written(path: Path | str, error: Exception, what: str = "written") -> StorageError:
    """The error to raise where ``path`` could not be ``what``, from whatever a library raised."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return StorageError(
        f"{path}: cannot be {what} ({reason}). {_advice(Path(path), error)}, and run the same command again; "
        "what was complete before is kept"
    )


def _advice(path: Path, error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOTDIR, errno.EEXIST):
        for above in (*reversed(path.parents), path):
            if os.path.isfile(above):  # noqa: PTH113 - Path.is_file raises where a folder above may not be looked into
                return f"{above} is a file where a folder should be: move it away"
    if number in (errno.EISDIR, errno.ENOTEMPTY):
        return "There is a folder where a file should be: move it away"
    return "Make room or change its permissions"


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


def read_json(path: Path) -> Any:
    """Read one JSON file.

    Raises:
        DamagedFileError: it is missing or damaged.
    """
    with intact(path):
        return json.loads(path.read_text(encoding="utf-8"))
