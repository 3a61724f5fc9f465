"""Temporary files, and clear errors if their disk is full."""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import PipelineError, StorageError

NEARLY_NOTHING = 1 << 20
"""A disk with less free space, in bytes, counts as full: a library's error may not say that it is."""

FULL = os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT)

COPIED_FROM = re.compile("'[^']*' -> ")
"""The part of a copy's error message before the file that could not be written."""


def temporary_root() -> Path:
    """Return the system's folder for temporary files.

    Raises:
        StorageError: none of the folders that Python tries can be written.
    """
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        raise StorageError(
            f"{error.strerror}: make room in one of them, or name a folder with room in TMPDIR, and run the same "
            "command again"
        ) from error


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a new folder for temporary files, which is removed at the end.

    Raises:
        StorageError: the work within the context failed, and the disk of the folder is full.
    """
    root = temporary_root()
    with tempfile.TemporaryDirectory(dir=root, ignore_cleanup_errors=True) as name:
        try:
            yield Path(name)
        except Exception as error:
            written = COPIED_FROM.sub("", str(error))
            named = name in written and any(reason in written for reason in FULL)
            if named or (not isinstance(error, PipelineError) and _is_full(root)):
                raise StorageError(
                    f"{root}: there is no room for temporary files. Make room there, or name a folder with more in "
                    "TMPDIR, and run the same command again; what was complete before is kept"
                ) from error
            raise


def _is_full(folder: Path) -> bool:
    return shutil.disk_usage(folder).free < NEARLY_NOTHING
