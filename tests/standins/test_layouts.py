"""What is in a stand-in set: classes, parts, subjects and the paths of each data set's own layout."""

import re
from collections import Counter

import pytest

from pipeline.standins import DRAWN
from pipeline.standins.layouts import (
    CKPLUS_COUNTS,
    FER2013_COUNTS,
    RAFDB_COUNTS,
    SFEW_COUNTS,
    apportion,
    plan,
)


@pytest.mark.parametrize("counts", [CKPLUS_COUNTS, FER2013_COUNTS, RAFDB_COUNTS, SFEW_COUNTS])
@pytest.mark.parametrize("total", [3, 20, 120, 1000])
def test_apportion_keeps_total_proportion_and_least(counts: dict[str, int], total: int) -> None:
    shares = apportion(total, counts)
    assert sum(shares.values()) == max(total, 2 * len(counts))
    assert min(shares.values()) >= 2
    by_count = sorted(counts, key=lambda name: counts[name])
    assert [shares[name] for name in by_count] == sorted(shares.values())


def test_apportion_is_exact_where_it_can_be() -> None:
    assert apportion(100, {"a": 1, "b": 3, "c": 6}) == {"a": 10, "b": 30, "c": 60}


@pytest.mark.parametrize(
    ("dataset", "pictures"), [("rafdb", 800), ("ckplus", 270), ("jaffe", 140), ("oulu", 300), ("fer2013", 600)]
)
def test_default_size(dataset: str, pictures: int) -> None:
    assert len(plan(dataset, 7, 1.0).pictures) == pictures


@pytest.mark.parametrize("dataset", DRAWN)
@pytest.mark.parametrize("scale", [0.05, 1.0, 2.5])
def test_paths_are_unique_and_scenes_show_one_subject(dataset: str, scale: float) -> None:
    pictures = plan(dataset, 7, scale).pictures
    if dataset != "fer2013":
        assert len({picture.path for picture in pictures}) == len(pictures)
    frames = [(picture.shot.scene, picture.shot.frame) for picture in pictures]
    assert len(set(frames)) == len(frames)
    shown = {(picture.shot.scene, picture.shot.subject, picture.shot.expression) for picture in pictures}
    assert len(shown) == len({scene for scene, _ in frames})


def test_rafdb_list_names_every_picture_with_its_code() -> None:
    layout = plan("rafdb", 7, 1.0)
    lines = layout.texts["EmoLabel/list_patition_label.txt"].splitlines()
    codes = {"surprise": 1, "fear": 2, "disgust": 3, "happiness": 4, "sadness": 5, "anger": 6, "neutral": 7}
    for line, picture in zip(lines, layout.pictures, strict=True):
        match = re.fullmatch(r"((?:train_\d{5})|(?:test_\d{4}))\.jpg ([1-7])", line)
        assert match is not None
        assert picture.path == f"Image/aligned/{match[1]}_aligned.jpg"
        assert codes[picture.shot.expression] == int(match[2])
    assert Counter(line.split("_")[0] for line in lines) == {"train": 640, "test": 160}


def test_ckplus_has_sequences_with_and_without_a_label() -> None:
    layout = plan("ckplus", 7, 1.0)
    sequences = {picture.path.rpartition("/")[0] for picture in layout.pictures}
    assert len(sequences) == 45
    assert len({sequence.split("/")[1] for sequence in sequences}) == 25
    assert len(layout.texts) == 42
    assert Counter(layout.texts.values())["   2.0000000e+00\n"] == 2
    assert len(layout.folders) == 1
    for name in layout.texts:
        match = re.fullmatch(r"Emotion/(S\d{3})/(\d{3})/\1_\2_00000006_emotion\.txt", name)
        assert match is not None
        assert f"cohn-kanade-images/{match[1]}/{match[2]}" in sequences
    for picture in layout.pictures:
        assert re.fullmatch(r"cohn-kanade-images/(S\d{3})/(\d{3})/\1_\2_\d{8}\.png", picture.path)


def test_jaffe_has_ten_women_and_seven_expressions() -> None:
    matches = [re.fullmatch(r"([A-Z]{2})\.([A-Z]{2})\d\.\d+\.tiff", p.path) for p in plan("jaffe", 7, 1.0).pictures]
    women = Counter(match[1] for match in matches if match)
    codes = Counter(match[2] for match in matches if match)
    assert women == dict.fromkeys(("KA", "KL", "KM", "KR", "MK", "NA", "NM", "TM", "UY", "YM"), 14)
    assert codes == dict.fromkeys(("AN", "DI", "FE", "HA", "SA", "SU", "NE"), 20)


def test_oulu_folders() -> None:
    pictures = plan("oulu", 7, 0.2).pictures
    assert pictures[0].path == "OriginalImg/VL/Strong/P001/Anger/000.jpeg"
    assert {p.path.split("/")[4] for p in pictures} == {"Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise"}


def test_fer2013_rows() -> None:
    rows = Counter(picture.row for picture in plan("fer2013", 7, 0.05).pictures)
    assert {(emotion, usage) for emotion, usage in (row for row in rows if row)} == {
        (str(code), usage) for code in range(7) for usage in ("Training", "PublicTest", "PrivateTest")
    }
    assert min(rows.values()) >= 2


def test_sfew_films_are_in_one_part_only() -> None:
    films: dict[str, set[int | None]] = {"Train": set(), "Val": set()}
    for picture in plan("sfew", 7, 1.0).pictures:
        part, folder, name = picture.path.split("/")
        assert folder in {"Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise"}
        assert name.endswith(".png")
        films[part].add(picture.shot.film)
    assert not films["Train"] & films["Val"]


def test_a_sequence_starts_neutral_and_ends_at_its_peak() -> None:
    for dataset in ("ckplus", "oulu"):
        scenes: dict[int, list[float]] = {}
        for picture in plan(dataset, 7, 0.2).pictures:
            scenes.setdefault(picture.shot.scene, []).append(picture.shot.share)
        for shares in scenes.values():
            assert shares == sorted(shares)
            assert (shares[0], shares[-1]) == (0.0, 1.0)
