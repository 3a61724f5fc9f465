"""Atomic writes: a reader sees the old file or the whole new one, never a part."""

import errno
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import lock_descriptor

from pipeline.errors import DatasetError, StorageError

LONGEST_PLAIN = 200
"""Maximum length of a file's name and suffix, in bytes, up to which its temporary files contain the name."""

LONGEST_SUFFIX = 16
"""Maximum length of a suffix, in characters, that is kept in the temporary files of a longer name."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``. On success it replaces ``path``, on any error it is removed.

    If the process is killed, the next process that writes ``path`` removes the temporary file.

    Args:
        path: the file to write; its folder is created if it is missing.

    Yields:
        An empty temporary file with the suffix of ``path``.

    Raises:
        StorageError: the file cannot be written, for example because the disk is full; the old file stays.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path)
        beginning, end = _part(path)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=beginning, suffix=end)
        os.close(handle)
        temporary = Path(name)
        with _locked(temporary):
            try:
                yield temporary
                _share(temporary, 0o666)
                _sync(temporary)
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``. On success it becomes ``path``, on any error it is removed.

    If the process is killed, the next process that writes ``path`` removes the temporary folder.

    Args:
        path: the folder to write, which must not exist.

    Yields:
        An empty temporary folder.

    Raises:
        StorageError: the folder cannot be written, or another process has created it in the meantime.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path)
        temporary = _part_folder(path)
        with _locked(temporary):
            try:
                yield temporary
                _share(temporary, 0o777)
                if os.path.lexists(path):
                    raise StorageError(
                        f"{path}: another process has made it in the meantime; remove one, or name another"
                    )
                temporary.rename(path)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)


def require_free(path: Path | None, option: str) -> None:
    """Check that an output does not exist yet, not even as a broken link.

    Args:
        path: path of the output; None: no output is written.
        option: the command's option for this path, for the message.

    Raises:
        DatasetError: it exists.
    """
    if path is not None and os.path.lexists(path):
        raise DatasetError(f"{path}: exists already; remove it or name another one with {option}")


def require_apart(path: Path, folder: Path, option: str) -> None:
    """Check that an output is not inside a folder of inputs, where the next run would read its pictures as inputs.

    Args:
        path: of the output.
        folder: of the inputs.
        option: the command's option that names the output, for the message.

    Raises:
        DatasetError: it is.
    """
    if path.resolve().is_relative_to(folder.resolve()):
        raise DatasetError(
            f"{path}: is inside {folder}, whose pictures are read; name a folder beside it with {option}"
        )


def remove_folder(path: Path) -> None:
    """Remove a folder in one step: other processes see the whole folder, or none.

    If the process is killed, the next process that writes ``path`` removes what is left.
    """
    aside = _part_folder(path)
    try:
        path.rename(aside / path.name)
    finally:
        shutil.rmtree(aside)


def _part(path: Path) -> tuple[str, str]:
    """Return prefix and suffix of the names of ``path``'s temporary files and folders."""
    name, end = path.name, path.suffix
    if len(os.fsencode(name + end)) > LONGEST_PLAIN:  # the temporary name would be too long: use a digest
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
        end = end if len(end) <= LONGEST_SUFFIX else ""
    return f".{name}.part-", end


def _part_folder(path: Path) -> Path:
    beginning, end = _part(path)
    return Path(tempfile.mkdtemp(dir=path.parent, prefix=beginning, suffix=end))


def remove_leftovers(path: Path) -> None:
    """Remove the temporary files and folders of ``path`` that killed processes left.

    Those of running processes stay, because they are locked.
    """
    beginning, end = map(re.escape, _part(path))
    written = re.compile(rf"{beginning}[a-z0-9_]{{8}}{end}")  # the names that tempfile generates
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    for found in [each for each in beside if written.fullmatch(each.name)]:
        with _locked(found) as dead:
            if dead and found.is_dir():
                shutil.rmtree(found, ignore_errors=True)
            elif dead:
                found.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Lock a file or folder within the context.

    Yields:
        Whether it was locked. False: another process has locked it, it belongs to another user, it no longer exists, or
        the file system has no locks.
    """
    with ExitStack() as stack:
        locked = False
        with suppress(OSError):
            handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
            stack.callback(os.close, handle)
            locked = lock_descriptor(handle, blocking=False)
        yield locked


def move_folder(folder: Path, to: Path) -> None:
    """Rename a folder of plain files. To another disk it is copied, and appears there in one step.

    Args:
        folder: the folder to move.
        to: the new path, which must not exist.

    Raises:
        OSError: it cannot be moved; ``folder`` is unchanged.
    """
    try:
        folder.rename(to)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
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
    """Give an output the permissions of any new file. ``tempfile`` creates files that only the user can read."""
    umask = os.umask(0)
    os.umask(umask)
    path.chmod(mode & ~umask)


def _sync(path: Path) -> None:
    with path.open("r+b") as written:  # Windows cannot sync a file that is open only for reading
        os.fsync(written.fileno())


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn operating system errors while writing ``path``, or something in it, into StorageErrors.

    Raises:
        StorageError: writing failed, for example because the disk is full.
    """
    try:
        yield
    except OSError as error:
        raise storage_error(path, error) from error


def storage_error(path: Path | str, error: Exception, what: str = "written") -> StorageError:
    """Return the error to raise when something cannot be written.

    Args:
        path: the file or folder.
        error: the original error.
        what: the participle in the message "PATH cannot be ...".
    """
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return StorageError(
        f"{path}: cannot be {what} ({reason}). {_advice(Path(path), error)}, and run the same command again; "
        "what was complete before is kept"
    )


def _advice(path: Path, error: Exception) -> str:
    """Return what the user should do about the error, as the beginning of a sentence."""
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOTDIR, errno.EEXIST):
        for above in (*reversed(path.parents), path):
            if os.path.isfile(above):  # noqa: PTH113 - Path.is_file raises if a parent folder cannot be read
                return f"{above} is a file where a folder should be: move it away"
            if os.path.islink(above) and not os.path.exists(above):  # noqa: PTH110, PTH114 - as above
                return f"{above} is a link that leads nowhere: move it away"
    if number in (errno.EISDIR, errno.ENOTEMPTY):
        return "There is a folder where a file should be: move it away"
    if number == errno.ENAMETOOLONG:
        return "Choose a shorter name"
    return "Make room or change its permissions"
