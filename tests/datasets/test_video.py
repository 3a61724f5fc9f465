"""A video as a set of pictures: the frames that were asked for, in any order and in any process."""

import os
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.datasets.parts import videos
from pipeline.datasets.parts.base import Sample
from pipeline.datasets.parts.videos import VideoWriter
from pipeline.datasets.video import VideoDataset
from pipeline.errors import DatasetError, UnreadableImageError


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Ten frames, each of a grey level of its own."""
    writer = VideoWriter(tmp_path / "film.mp4", 25.0, 64, 48)
    for index in range(10):
        writer.write(np.full((48, 64, 3), 20 * index + 20, dtype=np.uint8))
    writer.close()
    return tmp_path / "film.mp4"


def level(picture: np.ndarray) -> int:
    return round(float(picture.mean()) / 20) - 1


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.avi")
    with pytest.raises(DatasetError, match=r"pipe\.avi: not a regular file$"):
        videos.probe(tmp_path / "pipe.avi")


def test_every_third_frame_is_a_sample(film: Path) -> None:
    video = VideoDataset(film, 3)
    samples = video.samples()
    assert [sample.key for sample in samples] == [f"film.mp4:{number:07d}" for number in (0, 3, 6, 9)]
    assert [level(video.read(sample)) for sample in samples] == [0, 3, 6, 9]
    assert video.read(samples[0]).shape == (48, 64, 3)
    assert (video.name, video.provenance) == ("film", "real")


def test_frames_may_be_asked_for_again_and_elsewhere(film: Path) -> None:
    video = VideoDataset(film, 1)
    samples = video.samples()
    assert [level(video.read(samples[index])) for index in (7, 2, 3, 3, 9)] == [7, 2, 3, 3, 9]
    there = pickle.loads(pickle.dumps(video))
    assert level(there.read(samples[4])) == 4


def test_frames_that_are_not_there(film: Path, tmp_path: Path) -> None:
    video = VideoDataset(film, 2)
    for number in (3, 40):
        with pytest.raises(UnreadableImageError, match="no such frame"):
            video.read(Sample(f"film.mp4:{number:07d}", None))
    assert level(video.read(video.samples()[2])) == 4
    with pytest.raises(DatasetError, match=r"none\.mp4: not a video that can be read"):
        VideoDataset(tmp_path / "none.mp4", 1)


def test_what_a_film_says_of_itself(film: Path) -> None:
    assert videos.probe(film) == videos.VideoInfo(25.0, 10)
    said: list[str] = []
    assert list(videos.frame_numbers(film, 4, said.append)) == [0, 4, 8]
    assert said == []


def write_film(path: Path, codec: str) -> Path:
    """30 frames at 25 a second."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 25.0, (64, 48))
    for index in range(30):
        writer.write(np.random.Generator(np.random.PCG64(index)).integers(0, 256, (48, 64, 3), dtype=np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize("ending", [".avi", ".mkv"])
def test_half_a_film_says_how_much_of_it_could_be_read(tmp_path: Path, ending: str) -> None:
    whole, half = write_film(tmp_path / f"whole{ending}", "MJPG"), tmp_path / f"half{ending}"
    content = whole.read_bytes()
    half.write_bytes(content[: len(content) // 2])
    said: list[str] = []
    assert len(list(videos.frames(whole, 1, said.append))) == 30
    assert said == []
    read = len(list(videos.frames(half, 1, said.append)))
    assert 10 <= read < 20
    assert said == [f"{half}: only {read} of 30 frames could be read"]
    video = VideoDataset(half, 2)
    video.samples()
    assert f"only {read} of 30 frames could be read" in video.reading_notes


@pytest.mark.parametrize("name", [b"19:30.mp4", b"caf\xe9.mp4", b"%02d.mp4", b"a" * 251 + b".mp4"])
def test_any_name_of_a_film_is_read(film: Path, name: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    film.rename(film.parent / os.fsdecode(name))
    monkeypatch.chdir(film.parent)
    video = VideoDataset(Path(os.fsdecode(name)), 3)
    samples = video.samples()
    assert [level(video.read(sample)) for sample in samples] == [0, 3, 6, 9]
    assert all(key.isprintable() for sample in samples for key in sample.key)
    writer = VideoWriter(Path(os.fsdecode(b"new-" + name[-40:])), 25.0, 64, 48)
    writer.write(np.zeros((48, 64, 3), dtype=np.uint8))
    writer.close()
