"""What is said where the system refuses to write."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import StorageError


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
