"""Sets as archives unpack and as copies circulate: folders around them, other folders beside them."""

from pathlib import Path

import pytest

from pipeline.datasets import open_dataset
from pipeline.datasets.parts.folders import folders_below
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
    assert dataset.reading_notes == "Image/original, not Image/aligned, as that has no pictures of train"
    assert not dataset.aligned


def test_of_sfews_raw_and_aligned_pictures_the_aligned_are_taken_and_it_is_said(tmp_path: Path) -> None:
    for part in ("Train", "Val"):
        save(tmp_path / part / part / "Happy/film.png")
        save(tmp_path / part / f"{part}_Aligned_Faces" / "Happy/film.png")
    dataset = open_dataset("sfew", tmp_path)
    keys = [sample.key for sample in dataset.samples()]
    assert keys == ["Train/Train_Aligned_Faces/Happy/film.png", "Val/Val_Aligned_Faces/Happy/film.png"]
    assert dataset.reading_notes == "Train/Train_Aligned_Faces, not Train/Train; Val/Val_Aligned_Faces, not Val/Val"


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
    with pytest.raises(DatasetError, match=r"are numbers \(1, 2, 3, .*write what they mean into a file classes\.json"):
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


@pytest.mark.parametrize("depth", [1, 6])
def test_a_set_is_found_at_any_depth(tmp_path: Path, depth: int) -> None:
    around = "/".join(f"folder {level}" for level in range(depth))
    save(tmp_path / around / "KA.AN1.39.tiff")
    assert [sample.key for sample in open_dataset("jaffe", tmp_path).samples()] == [f"{around}/KA.AN1.39.tiff"]


def test_folders_are_searched_from_near_to_far_and_by_name(tmp_path: Path) -> None:
    for name in ("b/a", "a/b/c", ".git/x", "__MACOSX/y", "a/a"):
        (tmp_path / name).mkdir(parents=True)
    found = [folder.relative_to(tmp_path).as_posix() for folder in folders_below(tmp_path)]
    assert found == [".", "a", "b", "a/a", "a/b", "b/a", "a/b/c"]
    assert [folder.name for folder in folders_below(tmp_path, 1)][1:] == ["a", "b"]


def test_of_copies_at_other_depths_the_nearest_is_taken_and_it_is_said(tmp_path: Path) -> None:
    for around in ("fer2013", "old/backup"):
        (tmp_path / around).mkdir(parents=True)
        (tmp_path / around / "fer2013.csv").write_text("emotion,pixels,Usage\n" + ROW)
    dataset = open_dataset("fer2013", tmp_path)
    assert [sample.key for sample in dataset.samples()] == ["fer2013/fer2013.csv:1"]
    assert dataset.reading_notes == "fer2013, not old/backup"


def test_of_a_table_and_folders_the_table_is_taken_and_it_is_said(tmp_path: Path) -> None:
    save(tmp_path / "train/happy/1.jpg")
    (tmp_path / "FER2013.CSV").write_text("emotion,pixels,Usage\n" + ROW)
    dataset = open_dataset("fer2013", tmp_path)
    assert [(sample.key, sample.label) for sample in dataset.samples()] == [("FER2013.CSV:1", ANGER)]
    assert dataset.reading_notes == "FER2013.CSV, not the folders at the top"


def test_two_copies_of_folders_are_not_chosen_between(tmp_path: Path) -> None:
    for copy in ("a", "b"):
        save(tmp_path / copy / "train/happy/1.jpg")
    with pytest.raises(DatasetError, match=r": found 2 times \(.*a, .*b\); keep the one .* and move the others out of"):
        open_dataset("fer2013", tmp_path).samples()


@pytest.mark.parametrize("name", ["jaffe", "rafdb"])
def test_links_into_a_cache_that_is_gone_are_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "KA.AN1.39.tiff").symlink_to("/nowhere/files/md5/ab")
    gone = r"KA\.AN1\.39\.tiff is a link to /nowhere/files/md5/ab, which is missing; restore it \(its disk, dvc pull\)"
    with pytest.raises(DatasetError, match=gone):
        open_dataset(name, tmp_path).samples()


@pytest.mark.parametrize("name", ["jaffe", "rafdb"])
def test_an_archive_that_is_still_packed_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "download").mkdir()
    (tmp_path / "download/all.zip").touch()
    with pytest.raises(DatasetError, match=r"all\.zip: still packed; unpack it there\. Found: download/: all\.zip"):
        open_dataset(name, tmp_path).samples()


def test_a_drawn_set_stays_a_drawn_one_wherever_it_lies(tmp_path: Path) -> None:
    save(tmp_path / "unpacked/KA.AN1.39.tiff")
    assert open_dataset("jaffe", tmp_path).provenance == "real"
    (tmp_path / "unpacked/STAND-IN.json").write_text("{}")
    assert open_dataset("jaffe", tmp_path).provenance == "stand-in"
    save(tmp_path / "photographs/KA.AN2.40.tiff")
    dataset = open_dataset("jaffe", tmp_path)
    assert (len(dataset.samples()), dataset.provenance) == (2, "stand-in")


def test_copies_sorted_into_folders_are_one_set(tmp_path: Path) -> None:
    save(tmp_path / "jaffe/angry/KA.AN1.39.tiff")
    save(tmp_path / "jaffe/happy/KA.HA1.29.tiff")
    assert [sample.label for sample in open_dataset("jaffe", tmp_path).samples()] == [ANGER, HAPPINESS]


def test_ckplus48_divided_by_somebody_is_one_set(tmp_path: Path) -> None:
    save(tmp_path / "train/anger/S010_004_00000017.png")
    save(tmp_path / "test/happy/S011_006_00000013.png")
    assert [sample.label for sample in open_dataset("ckplus48", tmp_path).samples()] == [HAPPINESS, ANGER]

    save(tmp_path / "test/anger/S010_004_00000017.png")
    with pytest.raises(DatasetError, match=r"S010_004_00000017\.png is in .*test/anger and in .*train/anger"):
        open_dataset("ckplus48", tmp_path).samples()


@pytest.mark.parametrize(
    ("pictures", "labels"),
    [
        ("extended-cohn-kanade-images", "Emotion_labels"),
        ("cohn-kanade-images", "Emotion_labels"),
        ("images", "labels"),
    ],
)
def test_ckplus_is_known_by_its_subjects_whatever_the_folders_are_called(
    tmp_path: Path, pictures: str, labels: str
) -> None:
    ckplus(tmp_path / "made", "", "")
    (tmp_path / "made/cohn-kanade-images").rename(tmp_path / pictures)
    (tmp_path / "made/Emotion").rename(tmp_path / labels)
    landmarks = tmp_path / "Landmarks/S005/001/S005_001_00000005_landmarks.txt"
    landmarks.parent.mkdir(parents=True)
    landmarks.write_text("1 2\n")
    samples = open_dataset("ckplus", tmp_path).samples()
    assert [sample.label for sample in samples] == [NEUTRAL, DISGUST, DISGUST, DISGUST]
    assert samples[0].key == f"{pictures}/S005/001/S005_001_00000001.png"


def table(path: Path, *codes: int) -> None:
    """A table of pictures; the n-th (from 0) is all n."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = (f"{code},{' '.join([str(n)] * 48 * 48)},Training\n" for n, code in enumerate(codes))
    path.write_text("emotion,pixels,Usage\n" + "".join(rows))


def test_ckplus_as_a_table_has_the_tables_own_codes(tmp_path: Path) -> None:
    table(tmp_path / "CK+/ckextended.csv", 0, 1, 2, 7, 3, 4, 5, 6)
    dataset = open_dataset("ckplus", tmp_path)
    samples = dataset.samples()
    assert [sample.key.rpartition(":")[2] for sample in samples] == ["1", "2", "3", "5", "6", "7", "8"]
    expected = [ANGER, DISGUST, FEAR, HAPPINESS, SADNESS, SURPRISE, NEUTRAL]
    assert [sample.label for sample in samples] == expected
    assert [int(dataset.read(sample)[0, 0, 0]) for sample in samples] == [0, 1, 2, 4, 5, 6, 7]
    assert dataset.file(samples[0]) == tmp_path / "CK+/ckextended.csv"
    assert dataset.reading_notes == "the table CK+/ckextended.csv, as there are no sequences"


def test_ckplus_sequences_are_read_before_a_table(tmp_path: Path) -> None:
    ckplus(tmp_path, "", "")
    table(tmp_path / "ckextended.csv", 0)
    dataset = open_dataset("ckplus", tmp_path)
    assert len(dataset.samples()) == 4
    assert dataset.reading_notes == "cohn-kanade-images, not ckextended.csv"
    assert dataset.read(dataset.samples()[0]).shape == (7, 9, 3)


def rafdb(root: Path, aligned: tuple[str, ...], original: tuple[str, ...]) -> Path:
    (root / "EmoLabel").mkdir()
    (root / "EmoLabel/list_patition_label.txt").write_text("train_00001.jpg 5\ntest_0001.jpg 1\n")
    (root / "Image/aligned").mkdir(parents=True)
    for name in aligned:
        save(root / "Image/aligned" / name)
    for name in original:
        save(root / "Image/original" / name)
    return root


@pytest.mark.parametrize("inside", ["", "aligned/"])
def test_rafdbs_pictures_are_found_in_any_case_and_in_a_folder_of_their_own(tmp_path: Path, inside: str) -> None:
    rafdb(tmp_path, (f"{inside}train_00001_aligned.JPG", f"{inside}test_0001_aligned.jpg"), ())
    dataset = open_dataset("rafdb", tmp_path)
    samples = dataset.samples()
    assert [sample.key.rpartition("/")[2] for sample in samples] == ["test_0001_aligned.jpg", "train_00001_aligned.JPG"]
    assert [sample.label for sample in samples] == [SURPRISE, SADNESS]
    assert [dataset.read(sample).shape for sample in samples] == [(7, 9, 3)] * 2


def test_rafdb_is_read_from_the_originals_where_a_part_of_the_aligned_is_missing(tmp_path: Path) -> None:
    rafdb(tmp_path, ("train_00001_aligned.jpg",), ("train_00001.jpg", "test_0001.jpg"))
    dataset = open_dataset("rafdb", tmp_path)
    assert [sample.key for sample in dataset.samples()] == [
        "Image/original/test_0001.jpg",
        "Image/original/train_00001.jpg",
    ]
    assert dataset.reading_notes == "Image/original, not Image/aligned, as that has no pictures of test"
    assert not dataset.aligned


def test_rafdb_with_tables_of_labels(tmp_path: Path) -> None:
    for part, code in (("train", 5), ("test", 1)):
        save(tmp_path / "archive/DATASET" / part / f"{part}_00001_aligned.jpg")
        (tmp_path / f"archive/{part}_labels.csv").write_text(f"image,label\n{part}_00001_aligned.jpg,{code}\n")
    dataset = open_dataset("rafdb", tmp_path)
    assert [(sample.key, sample.label, sample.split) for sample in dataset.samples()] == [
        ("archive/DATASET/test/test_00001_aligned.jpg", SURPRISE, "test"),
        ("archive/DATASET/train/train_00001_aligned.jpg", SADNESS, "train"),
    ]
    assert dataset.aligned

    (tmp_path / "archive/test_labels.csv").write_text("image,label\ntest_00001_aligned.jpg,0\n")
    with pytest.raises(DatasetError, match=r"test_labels\.csv, line 2: label '0' is not one of 1–7"):
        open_dataset("rafdb", tmp_path).samples()


def test_rafdbs_tables_do_not_say_which_of_two_pictures_of_one_name(tmp_path: Path) -> None:
    (tmp_path / "train_labels.csv").write_text("image,label\n1.jpg,4\n")
    for folder in ("pictures", "of another size"):
        save(tmp_path / folder / "1.jpg")
    with pytest.raises(DatasetError, match=r"1\.jpg is in \S+/of another size and in \S+/pictures; keep"):
        open_dataset("rafdb", tmp_path).samples()


def test_rafdbs_folders_are_read_before_its_tables_and_headers_alone_are_no_table(tmp_path: Path) -> None:
    save(tmp_path / "DATASET/train/4/train_00001_aligned.jpg")
    (tmp_path / "train_labels.csv").write_text("image,label\n")
    dataset = open_dataset("rafdb", tmp_path)
    assert [(sample.label, sample.split) for sample in dataset.samples()] == [(HAPPINESS, "train")]
    assert dataset.reading_notes == ""

    (tmp_path / "train_labels.csv").write_text("image,label\ntrain_00001_aligned.jpg,4\n")
    assert len(dataset.samples()) == 1
    assert dataset.reading_notes == "DATASET, not the folders at the top"


def test_rafdb_by_names_of_classes_and_an_eighth_number(tmp_path: Path) -> None:
    save(tmp_path / "train/angry/1.jpg")
    save(tmp_path / "train/7/2.jpg")
    assert [sample.label for sample in open_dataset("rafdb", tmp_path).samples()] == [NEUTRAL, ANGER]
    save(tmp_path / "train/8/3.jpg")
    with pytest.raises(
        DatasetError, match=r"train/8: unknown class '8' \(the codes are 1, .* 7\); rename the folder or"
    ):
        open_dataset("rafdb", tmp_path).samples()


@pytest.mark.parametrize(
    ("folders", "taken"),
    [
        (("Train_Aligned_Faces", "Val_Aligned_Faces_new"), ("Train_Aligned_Faces", "Val_Aligned_Faces_new")),
        (("Train", "Train_Aligned_Faces", "Val", "Val_Aligned_Faces"), ("Train_Aligned_Faces", "Val_Aligned_Faces")),
        (("a/Train/Train", "a/Train/Train_Aligned_Faces", "a/Val"), ("a/Train/Train", "a/Val")),
    ],
)
def test_sfews_parts_are_both_aligned_or_both_not(
    tmp_path: Path, folders: tuple[str, ...], taken: tuple[str, ...]
) -> None:
    for folder in folders:
        save(tmp_path / folder / "Happy/film.png")
    dataset = open_dataset("sfew", tmp_path)
    assert [sample.key for sample in dataset.samples()] == [f"{folder}/Happy/film.png" for folder in taken]
    assert dataset.aligned == ("Aligned" in taken[0])


@pytest.mark.parametrize(
    ("lights", "taken", "aligned"),
    [
        (("OriginalImg/VL", "PreProcess Img/VL"), "OriginalImg/VL", False),
        (("OriginalImg/VL", "PreProcess Img/VL_Acropped"), "OriginalImg/VL", False),
        (("PreProcess Img/VL_Acropped",), "PreProcess Img/VL_Acropped", True),
    ],
)
def test_oulus_whole_pictures_are_read_before_its_owners_crops(
    tmp_path: Path, lights: tuple[str, ...], taken: str, aligned: bool
) -> None:
    for light in lights:
        for frame in range(4):
            save(tmp_path / "Oulu_CASIA" / light / f"Strong/P001/Anger/00{frame}.jpeg")
    dataset = open_dataset("oulu", tmp_path)
    assert dataset.samples()[0].key == f"Oulu_CASIA/{taken}/Strong/P001/Anger/000.jpeg"
    assert dataset.aligned == aligned
    assert (dataset.reading_notes != "") == (len(lights) > 1)


def test_the_meaning_of_numbers_can_be_given(tmp_path: Path) -> None:
    for code in ("0", "1", "2"):
        save(tmp_path / "train" / code / "a.jpg")
    (tmp_path / "classes.json").write_text('{"0": "happy", "1": null, "2": "Sadness"}')
    for name in ("mine", "fer2013"):
        dataset = open_dataset(name, tmp_path)
        assert [(sample.key, sample.label) for sample in dataset.samples()] == [
            ("train/0/a.jpg", HAPPINESS),
            ("train/2/a.jpg", SADNESS),
        ]
        assert dataset.reading_notes == "classes as in classes.json"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"0": "bored"}', "'0': 'bored' is not one of anger, .*or null; correct the file"),
        ('{"0": 3}', "'0': 3 is not one of anger"),
        ("[1]", 'expected {"1": "surprise", ...}'),
        ("{", r"classes\.json: cannot be read \(Expecting .* column 2 \(char 1\)\); correct the file"),
    ],
)
def test_a_wrong_file_of_meanings_is_refused(tmp_path: Path, text: str, message: str) -> None:
    save(tmp_path / "0/a.jpg")
    (tmp_path / "classes.json").write_text(text)
    with pytest.raises(DatasetError, match=message):
        open_dataset("mine", tmp_path).samples()


def test_fer2013_by_numbers_is_not_guessed(tmp_path: Path) -> None:
    for code in range(7):
        save(tmp_path / f"train/{code}/a.jpg")
    with pytest.raises(DatasetError, match=r"train: its folders are numbers \(0, 1, 2, 3, 4, 5, 6\)") as raised:
        open_dataset("fer2013", tmp_path).samples()
    assert "remove" not in str(raised.value)


def test_labels_that_are_not_read_are_mentioned(tmp_path: Path) -> None:
    save(tmp_path / "a/angry/1.jpg")
    save(tmp_path / "b/happy/2.jpg")
    dataset = open_dataset("mine", tmp_path)
    assert {sample.label for sample in dataset.samples()} == {None}
    assert (
        dataset.reading_notes
        == "without labels, although there are class folders in a, b; to have them read, move them up"
    )


def test_years_are_no_classes(tmp_path: Path) -> None:
    save(tmp_path / "2019/1.jpg")
    save(tmp_path / "2020/2.jpg")
    assert len(open_dataset("mine", tmp_path).samples()) == 2


def test_all_folders_that_are_no_class_are_named_and_none_is_to_be_removed(tmp_path: Path) -> None:
    for name in ("angry", "contempt", "others"):
        save(tmp_path / name / "1.jpg")
    with pytest.raises(DatasetError) as raised:
        open_dataset("mine", tmp_path).samples()
    assert "unknown class 'contempt'; rename the folder or move it out of" in str(raised.value)
    assert "unknown class 'others'" in str(raised.value)
    assert "remove" not in str(raised.value)
