"""What was written is read whole, or named as damaged."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import DamagedFileError, WeightsError
from pipeline.files import io
from pipeline.files.io import package_file, write_csv, write_json

TABLE = pd.DataFrame({"epoch": range(40), "loss": [1.25] * 40})
READERS: dict[str, tuple[Callable[[Path], object], Callable[[Path], object]]] = {
    # ending: how a file of this kind is written, how it is read
    "json": (lambda path: write_json(path, {"seed": list(range(99))}), io.read_json),
    "csv": (lambda path: write_csv(path, TABLE), lambda path: io.read_csv(path, len(TABLE))),
    "parquet": (lambda path: TABLE.to_parquet(path, index=False), io.read_parquet),
    "npy": (lambda path: np.save(path, np.arange(99)), io.read_array),
}


@pytest.mark.parametrize("ending", READERS)
def test_a_file_cut_at_any_length_is_named_as_damaged(tmp_path: Path, ending: str) -> None:
    write, read = READERS[ending]
    path = tmp_path / f"made.{ending}"
    write(path)
    whole = path.read_bytes()
    read(path)
    for length in range(0, len(whole) - 1, 1 + len(whole) // 200):
        path.write_bytes(whole[:length])
        with pytest.raises(
            DamagedFileError, match=rf"made\.{ending}: the file is damaged \(.+ checkout --force"
        ) as raised:
            read(path)
        assert "\n" not in str(raised.value)
    path.unlink()
    with pytest.raises(DamagedFileError, match=rf"made\.{ending}: no such file; run the stage that makes it"):
        read(path)


def test_what_the_system_does_not_let_read_is_not_called_damaged(tmp_path: Path) -> None:
    with pytest.raises(DamagedFileError, match=r": cannot be read \(Is a directory\)$"):
        io.read_json(tmp_path)


def test_a_file_of_a_package_is_found_or_its_absence_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(tmp_path, "weighty").mkdir()
    Path(tmp_path, "weighty", "__init__.py").touch()
    Path(tmp_path, "weighty", "w.bin").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert package_file("weighty", "w.bin", "install it") == tmp_path / "weighty/w.bin"
    with pytest.raises(WeightsError, match=r"weighty/v\.bin: missing; the package weighty is damaged .*: install it"):
        package_file("weighty", "v.bin", "install it")
    with pytest.raises(WeightsError, match="the package no_such, which has the weights, is not installed: install it"):
        package_file("no_such", "w.bin", "install it")
