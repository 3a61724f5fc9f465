"""Tables that other stages wrote as CSV, read back: or one error that says what to run."""

from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.errors import DamagedFileError, PipelineError
from pipeline.files.io import read_csv


def read_table(path: Path, command: str, **options: Any) -> pd.DataFrame:
    """The table at ``path``; ``command`` makes it. options: of pandas.

    Raises:
        PipelineError: it is missing or damaged.
    """
    if not path.is_file():
        raise PipelineError(f"{path}: missing; run {command}")
    try:
        return read_csv(path, **options)
    except DamagedFileError as error:
        raise PipelineError(f"{path}: damaged ({error.__cause__}); run {command}") from None


def read_curve(path: Path, command: str) -> pd.DataFrame:
    """A table with a column ``epoch``, all of numbers; without rows where nothing was trained.

    Raises:
        PipelineError: it is missing or damaged; ``command`` makes it.
    """
    table = read_table(path, command, dtype="float64")
    if "epoch" not in table:
        raise PipelineError(f"{path}: damaged (no column epoch); run {command}")
    return table
