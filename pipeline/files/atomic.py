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
"""Bytes of a name and its ending up to which temporary files are named after it; they need some more for themselves."""

LONGEST_SUFFIX = 16
"""Characters of an ending that temporary files of a longer name keep."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it replaces ``path``, on any error it is removed.

    Where the process is killed, the next one that writes ``path`` removes it.

    Args:
        path: the file to write; its folder is made where it is missing.

    Yields:
        An empty temporary file with the suffix of ``path``.

    Raises:
        StorageError: the system refuses to write, for example on a full disk; the file that was there stays.
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
    """Yield a temporary folder beside ``path``; on success it becomes ``path``, on any error it is removed.

    Where the process is killed, the next one that writes ``path`` removes it.

    Args:
        path: the folder to write, which must not be there yet.

    Yields:
        An empty temporary folder.

    Raises:
        StorageError: the system refuses to write.
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
    """Check that an output is not there yet, not even as a link that leads nowhere.

    Args:
        path: of the output; None: there will be none.
        option: the command's option that names it, for the message.

    Raises:
        DatasetError: it is there already.
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
    """Remove a folder at once, so that nobody meets a part of it.

    Where the process is killed, the next one that writes ``path`` removes what is left.
    """
    aside = _part_folder(path)
    try:
        path.rename(aside / path.name)
    finally:
        shutil.rmtree(aside)


def _part(path: Path) -> tuple[str, str]:
    """How the names of temporary files and folders of ``path`` begin and end."""
    name, end = path.name, path.suffix
    if len(os.fsencode(name + end)) > LONGEST_PLAIN:  # as long as a name may be: its digest stands for it
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
        end = end if len(end) <= LONGEST_SUFFIX else ""
    return f".{name}.part-", end


def _part_folder(path: Path) -> Path:
    beginning, end = _part(path)
    return Path(tempfile.mkdtemp(dir=path.parent, prefix=beginning, suffix=end))


def remove_leftovers(path: Path) -> None:
    """Remove the temporary files and folders that killed processes left when they wrote ``path``.

    Those of running processes stay: they are locked.
    """
    beginning, end = map(re.escape, _part(path))
    written = re.compile(rf"{beginning}[a-z0-9_]{{8}}{end}")  # as tempfile draws it
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    for found in [each for each in beside if written.fullmatch(each.name)]:
        with _locked(found) as dead:
            if dead and found.is_dir():
                shutil.rmtree(found, ignore_errors=True)
            elif dead:
                found.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Lock a file or folder for as long as the context lasts.

    Yields:
        Whether that succeeded. If not, another process has it locked, it is another user's or gone, or nothing can be
        locked on this file system.
    """
    with ExitStack() as stack:
        locked = False
        with suppress(OSError):
            handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
            stack.callback(os.close, handle)
            locked = lock_descriptor(handle, blocking=False)
        yield locked


def move_folder(folder: Path, to: Path) -> None:
    """Rename a folder of plain files; to another disk it is copied, and appears there as a whole.

    Args:
        folder: what to move.
        to: a path that is not there yet.

    Raises:
        OSError: the system refuses it; ``folder`` is as it was.
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
    """``tempfile`` makes everything private to the user; outputs follow the umask as any other file does."""
    umask = os.umask(0)
    os.umask(umask)
    path.chmod(mode & ~umask)


def _sync(path: Path) -> None:
    with path.open("r+b") as written:  # Windows syncs no file that is open for reading alone
        os.fsync(written.fileno())


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Report what the system refuses while ``path``, or something in it, is written.

    Raises:
        StorageError: the system refuses something, for example on a full disk.
    """
    try:
        yield
    except OSError as error:
        raise storage_error(path, error) from error


def storage_error(path: Path | str, error: Exception, what: str = "written") -> StorageError:
    """The error to raise where the system refused to write.

    Args:
        path: what was written.
        error: what a library raised.
        what: the participle for the message: the path cannot be ``what``.
    """
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
            if os.path.islink(above) and not os.path.exists(above):  # noqa: PTH110, PTH114 - as above
                return f"{above} is a link that leads nowhere: move it away"
    if number in (errno.EISDIR, errno.ENOTEMPTY):
        return "There is a folder where a file should be: move it away"
    if number == errno.ENAMETOOLONG:
        return "Choose a shorter name"
    return "Make room or change its permissions"
