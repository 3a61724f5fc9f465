"""MMI: four frames of every labelled video that shows the face from the front."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from pipeline.datasets import open_dataset
from pipeline.datasets.parts.base import Sample
from pipeline.datasets.parts.videos import VideoWriter
from pipeline.errors import DatasetError, UnreadableImageError
from pipeline.labels import ANGER, NEUTRAL, SURPRISE

HAPPY = "4"


def add_session(root: Path, number: int, emotion: str | None, view: str = "0", frames: int = 11) -> Path:
    """A video S00N-00N.mp4 whose frames are grey, one lighter than the other, with its two descriptions."""
    folder = root / f"Sessions/{number}"
    folder.mkdir(parents=True)
    video = folder / f"S{number:03d}-{number:03d}.mp4"
    writer = VideoWriter(video, 25.0, 64, 48)
    for index in range(frames):
        writer.write(np.full((48, 64, 3), 20 * index + 20, dtype=np.uint8))
    writer.close()
    (folder / "session.xml").write_text(f'<session><track type="Video" view="{view}"/><track type="Audio"/></session>')
    tag = "" if emotion is None else f'<Metatag Name="Emotion" Value="{emotion}"/>'
    video.with_suffix(".xml").write_text(f'<Meta><Metatag Name="Pose" Value="3"/>{tag}</Meta>')
    return video


def test_first_frame_and_three_in_the_middle(tmp_path: Path) -> None:
    add_session(tmp_path / "mmi-download", 1, "1")
    add_session(tmp_path / "mmi-download", 12, "6", view="2", frames=4)
    dataset = open_dataset("mmi", tmp_path)
    samples = dataset.samples()
    assert [(s.subject, s.frame, s.label) for s in samples] == [
        *[("S001", 0, NEUTRAL), ("S001", 4, ANGER), ("S001", 5, ANGER), ("S001", 6, ANGER)],
        *[("S012", 0, NEUTRAL), ("S012", 1, SURPRISE), ("S012", 2, SURPRISE), ("S012", 3, SURPRISE)],
    ]
    assert samples[1].key == "mmi-download/Sessions/1/S001-001.mp4:0000004"
    assert {s.sequence for s in samples} == {"S001-001", "S012-012"}

    def shown(sample: Sample) -> int:
        picture = dataset.read(sample)
        assert picture.shape == (48, 64, 3)
        return round(float(picture.mean()) / 20) - 1

    order = [5, 0, 3, 7, 1]
    assert [shown(samples[index]) for index in order] == [samples[index].frame for index in order]
    dataset = pickle.loads(pickle.dumps(dataset))
    assert shown(samples[2]) == 5


def test_profiles_other_emotions_and_unlabelled_sessions_are_left_out(tmp_path: Path) -> None:
    add_session(tmp_path, 1, HAPPY)
    add_session(tmp_path, 2, HAPPY, view="1")
    add_session(tmp_path, 3, "8")
    add_session(tmp_path, 4, None)
    add_session(tmp_path, 5, HAPPY).with_suffix(".xml").unlink()
    upper = add_session(tmp_path, 6, "4.0")
    for path in (upper.with_suffix(".xml"), upper.with_name("session.xml")):
        path.rename(path.with_name(path.name.replace(".xml", ".XML")))
    assert {sample.subject for sample in open_dataset("mmi", tmp_path).samples()} == {"S001", "S006"}


def test_what_is_damaged_is_named(tmp_path: Path) -> None:
    video = add_session(tmp_path, 1, "joy")
    for code in ("joy", "²", "inf"):
        video.with_suffix(".xml").write_text(f'<Meta><Metatag Name="Emotion" Value="{code}"/></Meta>')
        with pytest.raises(DatasetError, match=rf"S001-001\.xml: Emotion '{code}' is not a number"):
            open_dataset("mmi", tmp_path).samples()
    for text in ("<Meta>", "", '<?xml version="1.0" encoding="klingon"?><Meta/>'):
        video.with_suffix(".xml").write_text(text)
        with pytest.raises(DatasetError, match=r"S001-001\.xml: cannot be read"):
            open_dataset("mmi", tmp_path).samples()


def test_videos_that_are_too_short_or_broken(tmp_path: Path) -> None:
    video = add_session(tmp_path, 1, HAPPY, frames=3)
    with pytest.raises(DatasetError, match=r"S001-001\.mp4: 3 frames, but 4 are needed"):
        open_dataset("mmi", tmp_path).samples()
    video.write_bytes(b"no video")
    dataset = open_dataset("mmi", tmp_path)
    with pytest.raises(DatasetError, match="unpack the session again, or move it away"):
        dataset.samples()
    with pytest.raises(UnreadableImageError, match=r"^Sessions/1/S001-001\.mp4:0000000: "):
        dataset.read(Sample("Sessions/1/S001-001.mp4:0000000", NEUTRAL))
    (video.parent / "session.xml").unlink()
    with pytest.raises(DatasetError, match=r"a folder Sessions with session\.xml"):
        dataset.samples()
