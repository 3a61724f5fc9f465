"""AFE: two lists of faces with boxes, of which the seven expressions are read."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets import open_dataset
from pipeline.errors import DatasetError, UnreadableImageError
from pipeline.labels import ANGER, DISGUST, FEAR, HAPPINESS, NEUTRAL, SADNESS, SURPRISE


def afe(home: Path, train: str, val: str | None = None) -> None:
    (home / "list").mkdir(parents=True, exist_ok=True)
    (home / "images").mkdir(exist_ok=True)
    (home / "list/train_list.txt").write_text(train)
    if val is not None:
        (home / "list/val_list.txt").write_text(val)


def test_both_lists_below_the_archives_folders(tmp_path: Path) -> None:
    afe(
        tmp_path / "Asian_Facial_Expression/AsianMovie_0725_0730",
        "a.jpg 30 20 50 40 0\na.jpg 1 2 3 4 2\na.jpg 70 20 90 40 9\na film/b.jpg 1 2 3 4 1\n\n",
        "c.jpg 1 2 3 4 3\nd.jpg 1 2 3 4 4\ne.jpg 1 2 3 4 5\nf.jpg 1 2 3 4 6\ng.jpg 1 2 3 4 10\n",
    )
    found = [(s.key.partition("images/")[2], s.label, s.split) for s in open_dataset("afe", tmp_path).samples()]
    assert found == [
        ("a film/b.jpg:0", HAPPINESS, "train"),
        ("a.jpg:0", NEUTRAL, "train"),
        ("a.jpg:2", ANGER, "train"),
        ("c.jpg:0", SURPRISE, "val"),
        ("d.jpg:0", SADNESS, "val"),
        ("e.jpg:0", DISGUST, "val"),
        ("f.jpg:0", FEAR, "val"),
    ]


def test_a_face_is_cut_with_half_as_much_around(tmp_path: Path) -> None:
    afe(tmp_path, "a.png 30 20 50 60 4\n")
    picture = np.random.default_rng(0).integers(0, 256, (100, 120, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "images/a.png")
    dataset = open_dataset("afe", tmp_path)
    # left 30, top 20, right 50, bottom 60: columns 20 to 60, rows 0 to 80
    assert np.array_equal(dataset.read(dataset.samples()[0]), picture[0:81, 20:61])


FAR = "1" + "0" * 300
TOO_FAR = "1" + "0" * 400
"""No float is as large."""


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ("30 -60 50 -30", r"\(left 30, top -60, right 50, bottom -30\) does not lie in its picture of 120×100 pixels"),
        ("200 20 220 40", "does not lie in its picture"),
        ("121 20 125 40", "does not lie in its picture"),  # half as much around would reach into the picture
        ("110 20 150 40", "does not lie in its picture"),  # only a quarter of it does
        ("-5000 -5000 5000 5000", "does not lie in its picture"),
        (f"-{FAR} -{FAR} {FAR} {FAR}", "does not lie in its picture"),
        ("50 20 30 60", "is empty"),
        ("30 20 30 60", "is empty"),
        ("30 60 50 20", "is empty"),
    ],
)
def test_a_box_that_does_not_lie_in_its_picture_is_unreadable(box: str, reason: str, tmp_path: Path) -> None:
    afe(tmp_path, f"a.png {box} 4\n")
    Image.new("RGB", (120, 100)).save(tmp_path / "images/a.png")
    dataset = open_dataset("afe", tmp_path)
    with pytest.raises(
        UnreadableImageError, match=rf"^images/a\.png:0: the face's box .*{reason}.*; correct the set's"
    ):
        dataset.read(dataset.samples()[0])


def test_a_face_at_the_edge_is_read_as_far_as_it_is_there(tmp_path: Path) -> None:
    afe(tmp_path, "a.png -9 20 10 40 4\n")
    Image.new("RGB", (120, 100)).save(tmp_path / "images/a.png")
    dataset = open_dataset("afe", tmp_path)
    assert dataset.read(dataset.samples()[0]).shape == (41, 20, 3)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a.jpg 1 2 3 4 11", r"train_list\.txt, line 1: label 11 is not one of 0–10"),
        ("a.jpg 1 2 3 4", "line 1: not a picture, four numbers and a whole number for the label"),
        (f"a.jpg 1 2 {TOO_FAR} 4 5", "line 1: not a picture, four numbers and a whole number for the label"),
        ("a.jpg 1 2 inf 4 5", "line 1: not a picture, four numbers and a whole number for the label"),
        ("a.jpg 1 2 3 4 5.5", "line 1: not a picture, four numbers and a whole number for the label"),
        ("a.jpg 1 2 x 4 5", "line 1: not a picture, four numbers and a whole number for the label"),
        ("/films/a.jpg 1 2 3 4 5", r"/films/a\.jpg: the set's list names it, but it is not in"),
    ],
)
def test_a_bad_line_is_named(line: str, message: str, tmp_path: Path) -> None:
    afe(tmp_path, line)
    with pytest.raises(DatasetError, match=message):
        open_dataset("afe", tmp_path).samples()


def test_lists_without_their_pictures_are_refused(tmp_path: Path) -> None:
    afe(tmp_path, "a.jpg 1 2 3 4 5")
    (tmp_path / "images").rmdir()
    with pytest.raises(DatasetError, match=r"list/train_list\.txt beside a folder images not found"):
        open_dataset("afe", tmp_path).samples()
