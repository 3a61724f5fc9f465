"""KDEF, RaFD, CAER-S, ExpW, FERPlus and AffectNet, at stand-in size in their own layouts."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets import open_dataset
from pipeline.errors import DatasetError, UnreadableImageError
from pipeline.labels import ANGER, DISGUST, FEAR, HAPPINESS, NEUTRAL, SADNESS, SURPRISE
from tests.datasets.drawing import save

VOTES = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"


def found(name: str, root: Path) -> dict[str, tuple[int | None, str | None]]:
    return {sample.key: (sample.label, sample.split) for sample in open_dataset(name, root).samples()}


def test_kdef_reads_straight_faces(tmp_path: Path) -> None:
    for name in ("AF01AFS", "AF01ANS", "BM02DIS", "BM02SUS", "AF01HAFL", "BM02NEHR", "AM31H"):
        save(tmp_path / "KDEF" / name[:4] / f"{name}.JPG", "RGB")
    samples = open_dataset("kdef", tmp_path).samples()
    assert [(s.key.split("/")[-1], s.label, s.subject) for s in samples] == [
        ("AF01AFS.JPG", FEAR, "F01"),
        ("AF01ANS.JPG", ANGER, "F01"),
        ("BM02DIS.JPG", DISGUST, "M02"),
        ("BM02SUS.JPG", SURPRISE, "M02"),
    ]
    save(tmp_path / "KDEF/holiday.JPG")
    with pytest.raises(DatasetError, match=r"holiday\.JPG: the name is not of the form AF01ANS\.JPG"):
        found("kdef", tmp_path)


def test_rafd_reads_the_frontal_camera_without_contempt(tmp_path: Path) -> None:
    for name in ("090_01_Caucasian_female_angry_frontal", "090_02_Moroccan_male_fearful_left"):
        save(tmp_path / f"Rafd{name}.jpg", "RGB")
    for name in ("045_01_Caucasian_female_angry_frontal", "090_01_Caucasian_female_contemptuous_frontal"):
        save(tmp_path / f"Rafd{name}.jpg", "RGB")
    samples = open_dataset("rafd", tmp_path).samples()
    assert [(s.label, s.subject) for s in samples] == [(ANGER, "01"), (FEAR, "02")]
    save(tmp_path / "Rafd090_01_Caucasian_female_proud_frontal.jpg")
    with pytest.raises(DatasetError, match="unknown expression 'proud'"):
        found("rafd", tmp_path)


def test_caers_has_parts_and_classes(tmp_path: Path) -> None:
    save(tmp_path / "CAER-S/train/Anger/0001.png", "RGB")
    save(tmp_path / "CAER-S/test/Neutral/0001.png", "RGB")
    assert found("caers", tmp_path) == {
        "CAER-S/train/Anger/0001.png": (ANGER, "train"),
        "CAER-S/test/Neutral/0001.png": (NEUTRAL, "test"),
    }
    save(tmp_path / "CAER-S/others/Neutral/0001.png", "RGB")
    with pytest.raises(DatasetError, match="'others' is none of train, val and test; move the folder away"):
        found("caers", tmp_path)


def test_expw_reads_each_face_of_a_picture_by_its_box(tmp_path: Path) -> None:
    picture = np.zeros((100, 120, 3), dtype=np.uint8)
    picture[20:41, 30:51] = 200
    (tmp_path / "image/origin").mkdir(parents=True)
    Image.fromarray(picture).save(tmp_path / "image/origin/a.png")
    (tmp_path / "label.lst").write_text("a.png 0 20 30 50 40 99.5 3\na.png 1 500 500 510 510 10 6\n\n")
    dataset = open_dataset("expw", tmp_path)
    samples = dataset.samples()
    assert [(s.key, s.label) for s in samples] == [
        ("image/origin/a.png:0", HAPPINESS),
        ("image/origin/a.png:1", NEUTRAL),
    ]
    # top 20, left 30, right 50, bottom 40, and half as much around: rows 10 to 50, columns 20 to 60
    assert np.array_equal(dataset.read(samples[0]), picture[10:51, 20:61])
    assert dataset.read(samples[1]).shape == picture.shape
    assert open_dataset("expw", tmp_path).file(samples[0]) == tmp_path / "image/origin/a.png"
    (tmp_path / "image/origin/a.png").unlink()
    with pytest.raises(UnreadableImageError, match=r"a\.png:0: no such file"):
        dataset.read(samples[0])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a.png 0 1 2 3 4 99", "label.lst, line 1: 7 columns instead of 8"),
        ("a.png 0 1 2 3 4 99 7", "line 1: label '7' is not one of 0–6"),
        ("a.png 0 1 x 3 4 99 6", "line 1: '1 x 3 4' is no box"),
    ],
)
def test_a_bad_line_of_expw_is_named(line: str, message: str, tmp_path: Path) -> None:
    save(tmp_path / "image/origin/a.png")
    (tmp_path / "label.lst").write_text(line)
    with pytest.raises(DatasetError, match=message):
        found("expw", tmp_path)


def fer2013(root: Path, rows: int) -> None:
    pixels = " ".join(["7"] * 48 * 48)
    lines = [f"0,{pixels},{usage}" for usage in ("Training", "PublicTest", "PrivateTest") * rows][:rows]
    (root / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *lines]))


def test_ferplus_takes_the_majority_and_leaves_out_what_has_none(tmp_path: Path) -> None:
    fer2013(tmp_path, 6)
    votes = ["4,6", "0,0,10", "5,5", "0,0,0,0,0,0,0,8,2", "0,0,0,6,4", "0,0,0,0,0,0,0,0,0,10"]
    rows = [f"Training,fer{n}.png,{v}" + ",0" * (9 - v.count(",")) for n, v in enumerate(votes)]
    (tmp_path / "fer2013new.csv").write_text(VOTES + "\n".join(rows) + "\n")
    dataset = open_dataset("ferplus", tmp_path)
    assert [(s.key, s.label, s.split) for s in dataset.samples()] == [
        ("fer2013.csv:1", HAPPINESS, "train"),
        ("fer2013.csv:2", SURPRISE, "val"),
        ("fer2013.csv:5", SADNESS, "val"),
    ]
    assert dataset.read(dataset.samples()[2])[0, 0].tolist() == [7, 7, 7]


def test_votes_for_another_number_of_pictures_are_refused(tmp_path: Path) -> None:
    fer2013(tmp_path, 3)
    (tmp_path / "fer2013new.csv").write_text(VOTES + "Training,fer0.png" + ",1" * 10 + "\n")
    with pytest.raises(DatasetError, match="1 rows of votes for 3 pictures"):
        found("ferplus", tmp_path)
    (tmp_path / "fer2013new.csv").write_text(VOTES + "Training,fer0.png,many\n")
    with pytest.raises(DatasetError, match="line 2: not ten whole numbers of votes"):
        found("ferplus", tmp_path)


def test_affectnet_as_first_released(tmp_path: Path) -> None:
    for name in ("1/a.jpg", "2/b.jpg", "2/c.jpg"):
        save(tmp_path / "Manually_Annotated_Images" / name, "RGB")
    head = "subDirectory_filePath,face_x,expression,valence\n"
    (tmp_path / "training.csv").write_text(f"{head}1/a.jpg,3,6,0.1\n2/b.jpg,3,7,0.1\n2/b.jpg,3,10,0\n")
    (tmp_path / "validation.csv").write_text(f"{head}2/c.jpg,3,0,0.1\n")
    assert found("affectnet", tmp_path) == {
        "Manually_Annotated_Images/1/a.jpg": (ANGER, "train"),
        "Manually_Annotated_Images/2/c.jpg": (NEUTRAL, "val"),
    }
    (tmp_path / "validation.csv").write_text(f"{head}2/c.jpg,3,11,0.1\n")
    with pytest.raises(DatasetError, match=r"validation\.csv, line 2: expression 11 is not one of 0–10"):
        found("affectnet", tmp_path)


def test_affectnet_of_eight_classes(tmp_path: Path) -> None:
    for part, number, code in (("train_set", 0, "2"), ("train_set", 1, "7"), ("val_set", 0, "5")):
        save(tmp_path / f"AffectNet/{part}/images/{number}.jpg", "RGB")
        (tmp_path / f"AffectNet/{part}/annotations").mkdir(exist_ok=True)
        np.save(tmp_path / f"AffectNet/{part}/annotations/{number}_exp.npy", np.array(code))
    assert found("affectnet", tmp_path) == {
        "AffectNet/train_set/images/0.jpg": (SADNESS, "train"),
        "AffectNet/val_set/images/0.jpg": (DISGUST, "val"),
    }
    (tmp_path / "AffectNet/val_set/annotations/0_exp.npy").unlink()
    with pytest.raises(DatasetError, match=r"0_exp\.npy: cannot be read"):
        found("affectnet", tmp_path)
