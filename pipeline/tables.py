"""CSV files that DVC and people read: plain numbers, atomic writes."""

from pathlib import Path

import pandas as pd

from pipeline.files import atomic_path


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table without its index; floats keep six significant digits."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
