"""KDEF, RaFD, CAER-S, ExpW, FERPlus and AffectNet, at stand-in size in their own layouts."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets import open_dataset
from pipeline.errors import DatasetError, UnreadableImageError
from pipeline.labels import ANGER, DISGUST, FEAR, HAPPINESS, NEUTRAL, SADNESS, SURPRISE
from tests.datasets.drawing import save

USAGES = ("Training", "PublicTest", "PrivateTest")
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
    assert open_dataset("kdef", tmp_path).reading_notes == ""
    dataset = open_dataset("kdef", tmp_path)
    save(tmp_path / "KDEF/AF01/AF01NAS.JPG")
    assert len(dataset.samples()) == 4
    assert dataset.reading_notes == (
        "all pictures but 2, whose names do not say expression and angle (KDEF/AF01/AF01NAS.JPG, KDEF/AM31/AM31H.JPG); "
        "to have them read, rename them"
    )
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
    with pytest.raises(DatasetError, match="'others' is not train, val or test; move the folder away"):
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
    with pytest.raises(
        UnreadableImageError, match=r"a\.png:1: the face's box .* does not lie in its picture of 120×100"
    ):
        dataset.read(samples[1])
    assert open_dataset("expw", tmp_path).file(samples[0]) == tmp_path / "image/origin/a.png"
    (tmp_path / "image/origin/a.png").unlink()
    with pytest.raises(UnreadableImageError, match=r"a\.png:0: no such file"):
        dataset.read(samples[0])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a.png 0 1 2 3 4 99", "label.lst, line 1: 7 columns instead of 8"),
        ("a.png 0 1 2 3 4 99 7", "line 1: label '7' is not one of 0–6"),
        ("a.png 0 1 x 3 4 99 6", "line 1: '1 x 3 4' is not a box"),
        ("a.png 0 1 1_0 3 4 99 6", "line 1: '1 1_0 3 4' is not a box"),
        ("\na.png 0 1 2 inf 4 99 6", "line 2: '1 2 inf 4' is not a box"),
        ("a.png 0 1 2 -1e999 4 99 6", "line 1: '1 2 -1e999 4' is not a box"),
        ("a.png 0 1 nan 3 4 99 6", "line 1: '1 nan 3 4' is not a box"),
    ],
)
def test_a_bad_line_of_expw_is_named(line: str, message: str, tmp_path: Path) -> None:
    save(tmp_path / "image/origin/a.png")
    (tmp_path / "label.lst").write_text(line)
    with pytest.raises(DatasetError, match=message):
        found("expw", tmp_path)


def fer2013(root: Path, rows: int) -> None:
    pixels = " ".join(["7"] * 48 * 48)
    lines = [f"0,{pixels},{usage}" for usage in USAGES * rows][:rows]
    (root / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *lines]))


def write_votes(root: Path, rows: list[tuple[str, list[int]]], usages: tuple[str, ...] = USAGES) -> None:
    lines = [
        f"{usages[row % 3]},{name},{','.join(str(vote) for vote in votes)}\n" for row, (name, votes) in enumerate(rows)
    ]
    (root / "fer2013new.csv").write_text(VOTES + "".join(lines))


def test_ferplus_takes_the_majority_and_leaves_out_what_has_none(tmp_path: Path) -> None:
    fer2013(tmp_path, 6)
    votes = ["4,6", "0,0,10", "5,5", "0,0,0,0,0,0,0,8,2", "0,0,0,6,4", "0,0,0,0,0,0,0,0,0,10"]
    filled = [[*map(int, v.split(",")), *[0] * (9 - v.count(","))] for v in votes]
    write_votes(tmp_path, [(f"fer{row}.png", each) for row, each in enumerate(filled)])
    dataset = open_dataset("ferplus", tmp_path)
    assert [(s.key, s.label, s.split) for s in dataset.samples()] == [
        ("fer2013.csv:1", HAPPINESS, "train"),
        ("fer2013.csv:2", SURPRISE, "val"),
        ("fer2013.csv:5", SADNESS, "val"),
    ]
    assert dataset.read(dataset.samples()[2])[0, 0].tolist() == [7, 7, 7]


def authors_rule(votes: list[float]) -> int:
    """The column that mode "majority" of the authors' ferplus.py takes; 8 is unknown, and what has no majority."""
    kept = np.where(np.array(votes) < 1.0 + np.finfo(float).eps, 0.0, votes)
    return int(kept.argmax()) if kept.max() > 0.5 * kept.sum() else 8


def test_ferplus_follows_the_authors_rule(tmp_path: Path) -> None:
    chance = np.random.Generator(np.random.PCG64(0))
    votes = [chance.multinomial(10, chance.dirichlet(np.full(10, 0.3))).tolist() for _ in range(300)]
    fer2013(tmp_path, len(votes))
    write_votes(tmp_path, [(f"fer{row:07d}.png", each) for row, each in enumerate(votes)])
    read = {sample.key: sample.label for sample in open_dataset("ferplus", tmp_path).samples()}
    labels = [NEUTRAL, HAPPINESS, SURPRISE, SADNESS, ANGER, DISGUST, FEAR]
    chosen = {f"fer2013.csv:{row}": authors_rule(each) for row, each in enumerate(votes, start=1)}
    assert read == {key: labels[column] for key, column in chosen.items() if column < len(labels)}
    assert 100 < len(read) < 300


def test_ferplus_leaves_out_rows_without_a_picture_and_reads_quoted_and_reordered_columns(tmp_path: Path) -> None:
    fer2013(tmp_path, 3)
    head = '\ufeff"NF", "Usage","Image name",' + ",".join(f'"{c}"' for c in VOTES.strip().split(",")[2:-1])
    rows = ['0,"Training","fer0000000.png",10', "0,PublicTest,,0,10", "0, PrivateTest,fer0000002.png,0,2.0,8"]
    lines = [head, *(row + ",0" * (11 - row.count(",")) for row in rows)]
    (tmp_path / "FER2013new.CSV").write_text("\r\n".join(lines), encoding="utf-8")
    assert found("ferplus", tmp_path) == {
        "fer2013.csv:1": (NEUTRAL, "train"),
        "fer2013.csv:3": (SURPRISE, "test"),
    }


def test_votes_that_seldom_agree_with_fer2013_are_doubted(tmp_path: Path) -> None:
    fer2013(tmp_path, 100)  # all of them anger
    for angry, doubted in ((40, False), (39, True)):
        columns = [4] * angry + [0] * (100 - angry)
        write_votes(tmp_path, [("a.png", [10 * (column == place) for place in range(10)]) for column in columns])
        dataset = open_dataset("ferplus", tmp_path)
        assert len(dataset.samples()) == 100
        assert dataset.reading_notes.startswith("only 39 of 100 labels are equal to FER2013") == doubted


def test_votes_in_another_order_than_the_pictures_are_refused(tmp_path: Path) -> None:
    fer2013(tmp_path, 3)
    write_votes(tmp_path, [("a.png", [10] + [0] * 9)] * 3, ("Training", "PrivateTest", "PublicTest"))
    with pytest.raises(
        DatasetError, match=r"new\.csv, line 3: Usage 'PrivateTest', but fer2013\.csv:2 is a picture of the part val"
    ):
        found("ferplus", tmp_path)
    write_votes(tmp_path, [("a.png", [10] + [0] * 9)] * 3, ("train", "PublicTest", "PrivateTest"))
    with pytest.raises(
        DatasetError, match=r"new\.csv, line 2: Usage 'train' is not one of Training, PublicTest, Private"
    ):
        found("ferplus", tmp_path)


def test_votes_for_another_number_of_pictures_are_refused(tmp_path: Path) -> None:
    fer2013(tmp_path, 3)
    (tmp_path / "fer2013new.csv").write_text(VOTES + "Training,fer0.png" + ",1" * 10 + "\n")
    with pytest.raises(DatasetError, match="1 rows of votes for 3 pictures"):
        found("ferplus", tmp_path)
    fer2013(tmp_path, 1)
    for wrong in ("many", "inf", "-1", "1.5", "9" * 5000, "1e200", ""):
        (tmp_path / "fer2013new.csv").write_text(VOTES + f"Training,fer0.png{',1' * 9},{wrong}\n")
        with pytest.raises(DatasetError, match="line 2: not ten whole numbers of votes"):
            found("ferplus", tmp_path)
    (tmp_path / "fer2013new.csv").write_text(VOTES + "Training,fer0.png,10\n")
    with pytest.raises(DatasetError, match="line 2: 3 columns instead of 12"):
        found("ferplus", tmp_path)
    (tmp_path / "fer2013new.csv").write_text(VOTES.replace("Image name", "name"))
    with pytest.raises(DatasetError, match="line 1: no column 'Image name', found 'Usage, name, neutral"):
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
    with pytest.raises(DatasetError, match=r"validation\.csv, line 2: expression '11' is not one of 0–10"):
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


def annotated(home: Path) -> Path:
    """AffectNet of eight classes with one picture; the path of its annotation."""
    save(home / "train_set/images/0.jpg", "RGB")
    (home / "train_set/annotations").mkdir()
    return home / "train_set/annotations/0_exp.npy"


@pytest.mark.parametrize(
    "value",
    [np.int64(6), np.float64(6), np.array([6]), np.array([[6.0]]), np.array("6"), np.array(["6.0"]), np.array(b"6")],
)
def test_one_number_of_any_type_and_shape_is_an_annotation(value: np.generic | np.ndarray, tmp_path: Path) -> None:
    np.save(annotated(tmp_path), value)
    assert found("affectnet", tmp_path) == {"train_set/images/0.jpg": (ANGER, "train")}
    (tmp_path / "train_set/annotations/0_exp.npy").rename(tmp_path / "train_set/annotations/0_EXP.NPY")
    assert len(found("affectnet", tmp_path)) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a NumPy array"),
        (b"6\n", "not a NumPy array"),
        (b"PK\x03\x04" + bytes(60), "not a NumPy array"),
        (np.array(6), "not a NumPy array"),  # cut short
        (np.array([None]), "not a NumPy array"),
        (np.zeros(0), r"0 values \(shape \(0,\)\) instead of one"),
        (np.zeros((2, 4)), r"8 values \(shape \(2, 4\)\) instead of one"),
        (np.array(6.5), "expression '6.5' is not one of 0–10"),
        (np.array(np.nan), "expression 'nan' is not one of 0–10"),
        (np.array(11.0), "expression '11.0' is not one of 0–10"),
        (np.array(True), "expression 'True' is not one of 0–10"),
    ],
)
def test_an_annotation_that_is_none_is_named(content: bytes | np.ndarray, message: str, tmp_path: Path) -> None:
    path = annotated(tmp_path)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
        if content.dtype == np.int64:
            path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DatasetError, match=rf"^{path}: {message}.*; (unpack|correct)"):
        found("affectnet", tmp_path)
