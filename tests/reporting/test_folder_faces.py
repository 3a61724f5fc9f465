"""The command ``pocan faces``: any folder of pictures becomes crops with a report."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from pipeline.data.crops import CropStore, read_description
from pipeline.faces.batches import FaceBatches
from pipeline.files.names import title_of
from pocan.cli import app
from tests.faces.scenes import noise, photograph

ROOT = Path(__file__).parents[2]


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Sub-folders that would be no data set: one is named after a class, one is not, and a picture lies beside them."""
    group = np.hstack([photograph(), photograph()[:, ::-1]])
    pictures = {"Ä lake/one.png": photograph(), "happy/two.png": noise(40, 40), "three.png": group}
    for name, picture in pictures.items():
        path = tmp_path / "album" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    (tmp_path / "album/broken.jpg").write_bytes(b"")
    return tmp_path / "album"


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["faces", "--params", str(ROOT / "params.yaml"), *arguments])


def test_every_picture_of_any_folder_is_taken(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    answer = invoke(str(album), "--out", str(out))
    assert answer.exit_code == 0, answer.output
    store = CropStore.open(out / "crops")
    assert store.manifest["key"].tolist() == ["happy/two.png", "three.png", "Ä lake/one.png"]
    assert store.manifest["method"].tolist() == ["whole", "mtcnn", "mtcnn"]
    assert store.labels().tolist() == [-1, -1, -1]
    assert read_description(store.folder)["unreadable"] == {"broken.jpg": "broken.jpg: the file is empty"}
    found = "a face in 2 of 3 readable pictures: MTCNN found one in 2; several in 1, of which one each is used; 1 could"
    assert found in answer.stderr
    written = ["crops", "faces.md", "contact-sheets/album.png", "contact-sheets/album-fallbacks-1.png"]
    assert answer.stdout.splitlines() == [str(out / name) for name in written]
    assert all((out / name).exists() for name in written)
    assert "broken.jpg" in (out / "faces.md").read_text(encoding="utf-8")
    assert sorted(path.name for path in out.iterdir()) == ["contact-sheets", "crops", "faces.md"]


def test_every_file_is_a_crop_a_reason_or_counted(album: Path, tmp_path: Path) -> None:
    (album / "happy/two.png").rename(album / "happy/two.jfif")
    (album / "clip.mp4").write_bytes(b"\x00\x00\x00\x20ftypisom\x00\x00")
    (album / "clip.MP4").write_bytes(b"")
    (album / "notes").write_text("by the lake")
    (album / "happy/Thumbs.db").write_bytes(b"\xd0\xcf")
    (album / ".hidden").mkdir()
    (album / "again").symlink_to(album / "happy")
    answer = invoke(str(album), "--out", str(tmp_path / "out"))
    assert answer.exit_code == 0, answer.output
    description = read_description(tmp_path / "out/crops")
    assert description["passed_over"] == {
        ".db": 1,
        ".mp4": 2,
        "hidden folders": 1,
        "links to folders": 1,
        "without an ending": 1,
    }
    assert description["crops"] + len(description["unreadable"]) == 4
    assert "**Skipped**, because they are not pictures: 1 `.db`, 2 `.mp4`, " in (tmp_path / "out/faces.md").read_text()
    assert "faces album: skipped, because they are not pictures: 1 .db, 2 .mp4, " in answer.output


def test_values_are_changed_by_name_and_checked(album: Path, tmp_path: Path) -> None:
    answer = invoke(str(album), "--out", str(tmp_path / "out"), "-S", "search=exact", "-S", "choose=central")
    assert answer.exit_code == 0, answer.output
    answer = invoke(str(album), "--out", str(tmp_path / "other"), "-S", "aling=box")
    assert answer.exit_code == 1
    assert "faces.aling: unknown key (did you mean 'align'?)" in answer.stderr


def test_crops_that_are_there_are_not_overwritten(album: Path, tmp_path: Path) -> None:
    (tmp_path / "out/crops").mkdir(parents=True)
    (tmp_path / "out/faces.md").touch()
    answer = invoke(str(album), "--out", str(tmp_path / "out"))
    assert answer.exit_code == 1
    assert "there are crops already" in answer.stderr


def test_only_the_report_is_made_again_where_it_was_interrupted(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    invoke(str(album), "--out", str(out))
    crops = (out / "crops/crops.npy").stat().st_mtime_ns
    (out / "faces.md").unlink()
    assert invoke(str(album), "--out", str(out)).exit_code == 0
    assert (out / "faces.md").exists()
    assert (out / "crops/crops.npy").stat().st_mtime_ns == crops


def test_crops_do_not_go_among_the_pictures(album: Path) -> None:
    answer = invoke(str(album), "--out", str(album / "faces"))
    assert answer.exit_code == 1
    assert "name a folder beside it" in answer.stderr
    assert not (album / "faces").exists()


class DyingLoader:
    """PyTorch's DataLoader, one of whose processes is killed behind its first batch."""

    def __init__(self, work: Any, *, sampler: Any, **_: Any) -> None:
        self._work, self._batches = work, sampler

    def __iter__(self) -> Iterator[Any]:
        yield self._work[self._batches[0]]
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")


def test_what_was_done_before_a_process_died_is_kept(
    album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = (str(album), "--out", str(tmp_path / "out"), "-S", "batch_size=1")
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.faces.processes.DataLoader", DyingLoader)
        answer = invoke(*command, "--processes", "2")
    assert answer.exit_code == 1
    assert "error: a process that reads pictures died" in answer.stderr
    taken, find = list[list[Any]](), FaceBatches.__getitem__

    def counted(work: FaceBatches, batch: list[Any]) -> Any:
        taken.append(batch)
        return find(work, batch)

    monkeypatch.setattr(FaceBatches, "__getitem__", counted)
    answer = invoke(*command, "--processes", "1")
    assert answer.exit_code == 0, answer.output
    assert len(taken) == 3  # of four pictures


def test_a_device_that_there_is_not_is_named(album: Path, tmp_path: Path) -> None:
    answer = invoke(str(album), "--out", str(tmp_path / "out"), "--device", "gpu")
    assert answer.exit_code == 1
    assert "device: 'gpu' is unknown; write auto, cpu or cuda" in answer.output


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    answer = invoke(str(tmp_path / "nowhere"), "--out", str(tmp_path / "out"))
    assert answer.exit_code == 1
    assert "no such folder" in answer.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("out", ["blocked", "blocked/below"])
def test_a_file_in_the_place_of_the_output_is_one_message(album: Path, tmp_path: Path, out: str) -> None:
    (tmp_path / "blocked").touch()
    answer = invoke(str(album), "--out", str(tmp_path / out))
    assert answer.exit_code == 1
    assert answer.stderr.splitlines()[-1].startswith(f"error: {tmp_path / 'blocked'}")
    assert "cannot be written (Not a directory)" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize(
    ("number", "named", "told"),
    [
        (errno.EROFS, True, ".contact-sheets.new: cannot be written"),
        (errno.EACCES, True, ".contact-sheets.new: cannot be read or written"),
        (errno.ENOSPC, False, "error: a file or the standard output: cannot be written"),
        (errno.EBADF, True, None),
    ],
)
def test_what_the_system_refuses_is_reported_and_a_fault_of_ours_is_not(
    album: Path, tmp_path: Path, number: int, named: bool, told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    mkdir = os.mkdir

    def refuse(path: str | Path, *mode: int) -> None:
        if "contact-sheets" in str(path):
            raise OSError(number, os.strerror(number), *([str(path)] if named else []))
        mkdir(path, *mode)

    monkeypatch.setattr(os, "mkdir", refuse)
    answer = invoke(str(album), "--out", str(tmp_path / "out"))
    assert answer.exit_code == 1
    assert isinstance(answer.exception, SystemExit if told else OSError)
    if told:
        assert f"{told} ({os.strerror(number)})" in answer.stderr


@pytest.mark.parametrize("name", [b"dossier\xe9", b"d" * 255])
def test_any_name_of_a_folder_is_taken(name: bytes, album: Path, tmp_path: Path) -> None:
    folder = album.rename(tmp_path / os.fsdecode(name))
    answer = invoke(str(folder), "--out", str(tmp_path / "out"))
    assert answer.exit_code == 0, answer.output
    assert read_description(tmp_path / "out/crops")["dataset"] == title_of(folder)
    assert "a face in 2 of 3 readable pictures: MTCNN found one in 2; " in answer.stderr
    answer = invoke(str(folder), "--out", str(tmp_path / os.fsdecode(b"out\xe9")))
    assert answer.exit_code == 1
    assert r"out\xe9: not UTF-8" in answer.stderr
