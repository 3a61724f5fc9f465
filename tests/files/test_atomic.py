"""Atomic writes: whole or not at all, and an error that names the file."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from pipeline.errors import StorageError
from pipeline.files.atomic import atomic_folder, atomic_path, remove_folder
from pipeline.files.io import read_json, write_json, write_text
from pipeline.networks import saved
from pipeline.training.checkpoints import Checkpoint

ROOT = Path(__file__).parents[2]


def test_a_file_that_cannot_be_written_is_named_and_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    write_json(path, {"old": 1})
    with pytest.raises(StorageError, match=r"kept\.json: cannot be written \(No space left on device\)\. Make room"):
        write_and_fail(path)
    assert read_json(path) == {"old": 1}
    assert [found.name for found in tmp_path.iterdir()] == ["kept.json"]
    with pytest.raises(StorageError, match=r"kept\.json/below: cannot be written"):
        write_text(path / "below", "a file cannot be in a file")


def write_and_fail(path: Path) -> None:
    with atomic_path(path) as temporary:
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
    (tmp_path / ".c.pt.part-abcd_123.pt").write_bytes(b"half a checkpoint")
    checkpoint.make_current()
    assert checkpoint.load() is None
    assert list(tmp_path.iterdir()) == []
    checkpoint.save({"curve": [], "costs": [], "task": {}})
    checkpoint.keep_run({"run_id": "1"})
    (tmp_path / ".c.pt.part-efgh_456.pt").write_bytes(b"half a checkpoint")
    checkpoint.remove()
    assert list(tmp_path.iterdir()) == []


def test_where_there_is_no_folder_yet_nothing_is_left(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "models/c.pt", {})
    checkpoint.make_current()
    assert list(tmp_path.iterdir()) == []


PROGRAM = """
import sys, time
from pathlib import Path
from pipeline.files.atomic import atomic_folder, atomic_path

with {write}(Path(sys.argv[1])) as part:
    (part / "metrics.json" if part.is_dir() else part).write_text("half")
    print(flush=True)
    time.sleep(60)
"""


@contextmanager
def at_work(write: str, path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Another process in the middle of writing ``path``, which does not end by itself."""
    command = [sys.executable, "-c", PROGRAM.format(write=write), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == b"\n"
            yield other
        finally:
            other.kill()


def test_what_a_killed_process_left_is_removed_by_the_next_that_writes_and_a_live_ones_is_not(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    mine = [tmp_path / name for name in (".metrics.json.swp", ".metrics.json.part-abcdefgh.csv", ".other.json")]
    for file in mine:
        file.touch()
    with at_work("atomic_path", path):
        write_json(path, {})
        (part,) = set(tmp_path.iterdir()) - {path, *mine}
        assert part.read_text() == "half"
    assert part.exists()
    write_json(path, {})
    assert set(tmp_path.iterdir()) == {path, *mine}


def test_so_is_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "drawn.v2"
    mine = [tmp_path / name for name in (".drawn.v2", ".drawn.v2.part-abcdefgh", ".drawn.part-abcdefgh.v2")]
    for folder in mine:
        (folder / "kept").mkdir(parents=True)
    with at_work("atomic_folder", path):
        write_folder(path)
        (part,) = set(tmp_path.iterdir()) - {path, *mine}
        assert (part / "metrics.json").read_text() == "half"
        remove_folder(path)
    assert part.exists()
    write_folder(path)
    assert set(tmp_path.iterdir()) == {path, *mine}


def test_a_folder_that_another_process_has_made_in_the_meantime_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "mine"
    made = pytest.raises(StorageError, match=rf"^{path}: another process has made it in the meantime")
    with made, atomic_folder(path) as part:
        (part / "late").touch()
        path.mkdir()
    assert [*tmp_path.rglob("*")] == [path]


def test_a_link_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    told = re.escape(f"(File exists). {tmp_path}/link is a link that leads nowhere: move it away, and run")
    with pytest.raises(StorageError, match=told):
        write_json(tmp_path / "link/below/a.json", {})


def write_folder(path: Path) -> None:
    with atomic_folder(path) as part:
        (part / "metrics.json").touch()


@pytest.mark.parametrize("name", [b"a" * 251 + b".csv", b"b" * 100 + b"." + b"c" * 154, b"caf\xe9.csv", b"d" * 255])
def test_every_name_that_the_file_system_takes_can_be_written(name: bytes, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(name)
    with atomic_path(path) as temporary:
        temporary.write_text("half")
        left = temporary.rename(tmp_path / re.sub("part-.{8}", "part-deadbeef", temporary.name))
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    write_text(path, "again")  # which removes what the killed one left
    assert not left.exists()
    assert (path.read_text(), len(list(tmp_path.iterdir()))) == ("again", 1)


def test_a_name_that_is_too_long_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"File name too long\)\. Choose a shorter name"):
        write_text(tmp_path / ("a" * 256), "x")


def test_json_with_a_name_that_is_not_utf8_is_read_back_as_it_was(tmp_path: Path) -> None:
    value = {"pictures": os.fsdecode(b"caf\xe9"), "where": "größer"}
    write_json(tmp_path / "note.json", value)
    assert read_json(tmp_path / "note.json") == value
