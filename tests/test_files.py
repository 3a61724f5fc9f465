"""Atomic writes: whole or not at all, and an error that names the file."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import SafetensorError

from pipeline import files, reading
from pipeline.errors import DamagedFileError, StorageError
from pipeline.networks import saved
from pipeline.training.checkpoints import Checkpoint

ROOT = Path(__file__).parents[1]


TABLE = pd.DataFrame({"epoch": range(40), "loss": [1.25] * 40})
READERS: dict[str, tuple[Callable[[Path], object], Callable[[Path], object]]] = {
    # ending: how a file of this kind is written, how it is read
    "json": (lambda path: files.write_json(path, {"seed": list(range(99))}), files.read_json),
    "csv": (lambda path: files.write_csv(path, TABLE), lambda path: reading.read_csv(path, len(TABLE))),
    "parquet": (lambda path: TABLE.to_parquet(path, index=False), reading.read_parquet),
    "npy": (lambda path: np.save(path, np.arange(99)), reading.read_array),
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
        files.read_json(tmp_path)


def test_a_file_that_cannot_be_written_is_named_and_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    files.write_json(path, {"old": 1})
    with pytest.raises(StorageError, match=r"kept\.json: cannot be written \(No space left on device\)\. Make room"):
        write_and_fail(path)
    assert files.read_json(path) == {"old": 1}
    assert [found.name for found in tmp_path.iterdir()] == ["kept.json"]
    with pytest.raises(StorageError, match=r"kept\.json/below: cannot be written"):
        files.write_text(path / "below", "a file cannot be in a file")


def write_and_fail(path: Path) -> None:
    with files.atomic_path(path) as temporary:
        temporary.write_text("half")
        raise OSError(28, "No space left on device")


def test_a_model_that_the_library_cannot_write_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise SafetensorError("I/O error: no space")

    monkeypatch.setattr(saved, "save_file", fail)
    with pytest.raises(StorageError, match=r"model\.safetensors: cannot be written \(I/O error: no space\)"):
        saved.save(tmp_path, {"linear": torch.nn.Linear(1, 1)}, {})


def test_what_a_killed_write_left_is_removed_with_the_checkpoint(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "c.pt", {})
    (tmp_path / ".c.pt.abcd.pt").write_bytes(b"half a checkpoint")
    checkpoint.settle()
    assert checkpoint.load() is None
    assert list(tmp_path.iterdir()) == []
    checkpoint.save({"curve": [], "costs": [], "task": {}})
    checkpoint.keep_run({"run_id": "1"})
    (tmp_path / ".c.pt.efgh.pt").write_bytes(b"half a checkpoint")
    checkpoint.remove()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next_that_writes_and_a_live_ones_is_not(tmp_path: Path) -> None:
    program = "import sys, time; from pathlib import Path; from pipeline.files import atomic_path\n"
    program += "with atomic_path(Path(sys.argv[1])) as part: part.write_text('half'); print(flush=True); time.sleep(60)"
    path = tmp_path / "metrics.json"
    mine = [tmp_path / name for name in (".metrics.json.swp", ".metrics.json.part-abcdefgh.csv", ".other.json")]
    for file in mine:
        file.touch()
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, cwd=ROOT) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"\n"
        files.write_json(path, {})
        (part,) = set(tmp_path.iterdir()) - {path, *mine}
        assert part.read_text() == "half"
        other.kill()
        other.wait()
    assert part.exists()
    files.write_json(path, {})
    assert set(tmp_path.iterdir()) == {path, *mine}
