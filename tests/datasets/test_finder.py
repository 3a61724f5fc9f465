"""Sets as archives unpack and as copies circulate: folders around them, other folders beside them."""

from pathlib import Path

import pytest

from pipeline.datasets import open_dataset
from pipeline.errors import DatasetError
from pipeline.labels import ANGER, DISGUST, FEAR, HAPPINESS, NEUTRAL, SADNESS, SURPRISE
from tests.datasets.drawing import save

ROW = "0,{},Training\n".format(" ".join(["7"] * 48 * 48))
RAF = {"1": SURPRISE, "2": FEAR, "3": DISGUST, "4": HAPPINESS, "5": SADNESS, "6": ANGER, "7": NEUTRAL}


def ckplus(root: Path, pictures: str, emotions: str) -> None:
    for frame in range(1, 6):
        save(root / pictures / f"cohn-kanade-images/S005/001/S005_001_0000000{frame}.png")
    label = root / emotions / "Emotion/S005/001/S005_001_00000005_emotion.txt"
    label.parent.mkdir(parents=True)
    label.write_text("   3.0000000e+00\n")


@pytest.mark.parametrize(
    ("pictures", "emotions"),
    [("", ""), ("extended-cohn-kanade-images", "Emotion_labels"), ("CK+/a", "CK+/b/c")],
)
def test_ckplus_as_its_archives_unpack(tmp_path: Path, pictures: str, emotions: str) -> None:
    ckplus(tmp_path, pictures, emotions)
    samples = open_dataset("ckplus", tmp_path).samples()
    assert [sample.label for sample in samples] == [NEUTRAL, DISGUST, DISGUST, DISGUST]
    assert all((tmp_path / sample.key).is_file() for sample in samples)


@pytest.mark.parametrize("around", ["", "fer2013", "archive/fer2013/deep"])
def test_fer2013_in_folders_of_archives(tmp_path: Path, around: str) -> None:
    table = tmp_path / around / "fer2013.csv"
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_text("emotion,pixels,Usage\n" + ROW * 2)
    dataset = open_dataset("fer2013", tmp_path)
    prefix = f"{around}/" if around else ""
    assert [sample.key for sample in dataset.samples()] == [f"{prefix}fer2013.csv:1", f"{prefix}fer2013.csv:2"]
    assert dataset.read(dataset.samples()[1])[0, 0].tolist() == [7, 7, 7]


def test_an_unknown_folder_above_the_parts_is_entered(tmp_path: Path) -> None:
    save(tmp_path / "archive/train/angry/1.jpg")
    save(tmp_path / "archive/test/happy/2.jpg")
    for name in ("fer2013", "mine"):
        found = [(sample.label, sample.split) for sample in open_dataset(name, tmp_path).samples()]
        assert sorted(found) == [(ANGER, "train"), (HAPPINESS, "test")]


@pytest.mark.parametrize("around", ["", "DATASET", "rafdb/DATASET"])
def test_rafdb_by_numbers_has_rafdbs_codes(tmp_path: Path, around: str) -> None:
    for part in ("train", "valid"):
        for code in RAF:
            save(tmp_path / around / part / code / f"{part}_0000{code}_aligned.jpg")
    dataset = open_dataset("rafdb", tmp_path)
    samples = dataset.samples()
    assert {(sample.key.split("/")[-2], sample.label) for sample in samples} == set(RAF.items())
    assert {sample.split for sample in samples} == {"train", "val"}
    assert dataset.aligned


def test_rafdbs_originals_are_read_where_the_aligned_folder_is_empty(tmp_path: Path) -> None:
    (tmp_path / "EmoLabel").mkdir()
    (tmp_path / "EmoLabel/list_patition_label.txt").write_text("train_00001.jpg 5\n")
    (tmp_path / "Image/aligned").mkdir(parents=True)
    save(tmp_path / "Image/original/train_00001.jpg")
    dataset = open_dataset("rafdb", tmp_path)
    assert [sample.key for sample in dataset.samples()] == ["Image/original/train_00001.jpg"]
    assert dataset.reading == "Image/original, not Image/aligned, as that has no pictures of train"
    assert not dataset.aligned


def test_of_sfews_raw_and_aligned_pictures_the_aligned_are_taken_and_it_is_said(tmp_path: Path) -> None:
    for part in ("Train", "Val"):
        save(tmp_path / part / part / "Happy/film.png")
        save(tmp_path / part / f"{part}_Aligned_Faces" / "Happy/film.png")
    dataset = open_dataset("sfew", tmp_path)
    keys = [sample.key for sample in dataset.samples()]
    assert keys == ["Train/Train_Aligned_Faces/Happy/film.png", "Val/Val_Aligned_Faces/Happy/film.png"]
    assert dataset.reading == "Train/Train_Aligned_Faces, not Train/Train; Val/Val_Aligned_Faces, not Val/Val"


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("jaffe", ["KA.AN1.39.tiff"]),
        ("ckplus48", ["anger/S010_004_00000017.png"]),
        ("oulu", [f"VL/Strong/P001/Anger/00{frame}.jpeg" for frame in range(5)]),
    ],
)
def test_others_below_an_archives_folder(tmp_path: Path, name: str, files: list[str]) -> None:
    for file in files:
        save(tmp_path / "unpacked here/again" / file)
    save(tmp_path / "__MACOSX/again" / files[0])
    samples = open_dataset(name, tmp_path).samples()
    assert all(sample.key.startswith("unpacked here/again/") for sample in samples)


def test_numbers_as_classes_of_ones_own_folder_lose_no_label_in_silence(tmp_path: Path) -> None:
    for code in RAF:
        save(tmp_path / "train" / code / "a.jpg")
    with pytest.raises(DatasetError, match=r"its folders are numbers \(1, 2, 3, .*rename them to angry"):
        open_dataset("mine", tmp_path).samples()


def test_two_copies_are_not_chosen_between(tmp_path: Path) -> None:
    for copy in ("a", "b"):
        save(tmp_path / copy / "KA.AN1.39.tiff")
    with pytest.raises(
        DatasetError, match=r"tiff is in .*a and in .*b; keep the pictures .* and move the others out of"
    ):
        open_dataset("jaffe", tmp_path).samples()


@pytest.mark.parametrize("name", ["jaffe", "ckplus", "ckplus48", "oulu", "rafdb", "sfew"])
def test_what_is_not_found_says_what_was(name: str, tmp_path: Path) -> None:
    save(tmp_path / "holiday/beach.jpg")
    with pytest.raises(DatasetError) as raised:
        open_dataset(name, tmp_path).samples()
    assert "Found: holiday/" in str(raised.value)
    assert "remove" not in str(raised.value)


def test_links_are_not_followed_in_search(tmp_path: Path) -> None:
    (tmp_path / "again").symlink_to(tmp_path)
    save(tmp_path / "inner/KA.AN1.39.tiff")
    assert [sample.key for sample in open_dataset("jaffe", tmp_path).samples()] == ["inner/KA.AN1.39.tiff"]
