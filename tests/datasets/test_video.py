"""A video as a set of pictures: the frames that were asked for, in any order and in any process."""

import pickle
from pathlib import Path

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
    assert list(videos.frame_numbers(film, 4)) == [0, 4, 8]
