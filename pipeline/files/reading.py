"""Reading what the project has written: as it was, or one error that names the file."""

import json
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import DamagedFileError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

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
