"""The system's folder for temporary files, on a disk that may be full."""

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
"""Bytes of room at which a disk counts as full: a library that met the end of it may not say so."""

FULL = os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT)

COPIED_FROM = re.compile("'[^']*' -> ")
"""What an error of a copy says before the file that could not be written."""


def temporary_root() -> Path:
    """The system's folder for temporary files.

    Raises:
        StorageError: nothing can be written in any of those that Python tries.
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
        StorageError: what was done within failed, and there is no room in it.
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
