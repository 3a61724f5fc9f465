"""Splits: disjoint, complete, in proportion, subject-wise, the same for every order of rows."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.config.pictures import SplitParams
from pipeline.data.crops import MANIFEST_COLUMNS
from pipeline.data.prepared import Indices, Split, read_split, write_split
from pipeline.errors import DatasetError, ParamsError
from pipeline.splits.protocols import make_split
from stages import split as stage
from tests.stores import flat, write_store

CKPLUS_COUNTS = [135, 177, 75, 207, 84, 249, 309]
ROOT = Path(__file__).parents[2]


def manifest(
    labels: Sequence[int | None],
    subjects: Sequence[str | None] | None = None,
    parts: Sequence[str | None] | None = None,
) -> pd.DataFrame:
    """A manifest with keys in the order of the rows."""
    table = pd.DataFrame(
        {
            "key": [f"{row:05d}.png" for row in range(len(labels))],
            "label": labels,
            "subject": subjects or [None] * len(labels),
            "split": parts or [None] * len(labels),
        },
        columns=list(MANIFEST_COLUMNS),
    )
    return table.astype(MANIFEST_COLUMNS)


def ckplus() -> pd.DataFrame:
    """CK+'s class counts with 123 subjects of very different size."""
    rng = np.random.default_rng(1)
    labels: list[int | None] = [label for label, count in enumerate(CKPLUS_COUNTS) for _ in range(count)]
    sizes = np.sort(rng.integers(0, len(labels), 122))
    subjects = np.searchsorted(sizes, rng.permutation(len(labels)), side="right")
    return manifest(labels, [f"S{subject:03d}" for subject in subjects])


def keys(table: pd.DataFrame, rows: Indices) -> set[str]:
    return set(table["key"].iloc[rows])


def counts(table: pd.DataFrame, rows: Indices) -> list[int]:
    labels = table["label"].iloc[rows]
    return [int((labels == label).sum()) for label in range(7)]


def assert_ascending_int64(split: Split) -> None:
    for rows in (split.train, split.test):
        assert rows.dtype == np.int64
        assert (np.diff(rows) > 0).all()


def stratified(test: float, seed: int = 0) -> SplitParams:
    return SplitParams(protocol="stratified", test=test, seed=seed)


def by_subject(test: float, seed: int = 0) -> SplitParams:
    return SplitParams(protocol="subject", test=test, seed=seed)


OFFICIAL = SplitParams(protocol="official")
ALL = SplitParams(protocol="all")


def test_official_leaves_val_out_where_there_is_a_test_part() -> None:
    table = manifest([0, 1, 2, 3], parts=["test", "val", "train", "train"])

    split = make_split(table, OFFICIAL, "fer2013")

    assert (split.train.tolist(), split.test.tolist()) == ([2, 3], [0])
    assert_ascending_int64(split)


@pytest.mark.parametrize("parts", [["train", "val", "train", "val"], ["train", "val", "test", "val"]])
def test_official_tests_on_val_where_no_labelled_test_part_is(parts: list[str | None]) -> None:
    table = manifest([0, 1, None, 3], parts=parts)

    assert make_split(table, OFFICIAL, "sfew").test.tolist() == [1, 3]


@pytest.mark.parametrize(
    ("labels", "parts", "message"),
    [
        ([0, 1], [None, None], "mine: as distributed it has no pictures to train on; set split.mine.protocol to all"),
        ([0, 1], ["train", "train"], "mine: as distributed it has no labelled pictures to test on"),
        ([0, None], ["train", "test"], "no labelled pictures to test on"),
        ([0, 1], ["test", "val"], "no pictures to train on"),
    ],
)
def test_official_needs_both_parts(labels: list[int | None], parts: list[str | None], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        make_split(manifest(labels, parts=parts), OFFICIAL, "mine")


def test_all_adapts_on_every_row_and_tests_on_the_labelled() -> None:
    split = make_split(manifest([0, None, 2]), ALL, "jaffe")

    assert (split.train.tolist(), split.test.tolist()) == ([0, 1, 2], [0, 2])
    assert_ascending_int64(split)


def test_a_set_without_labels_can_be_adapted_to_only() -> None:
    table = manifest([None, None])

    split = make_split(table, ALL, "mine")
    assert (split.train.tolist(), split.test.tolist()) == ([0, 1], [])

    for params in (stratified(1), by_subject(1)):
        with pytest.raises(DatasetError, match=r"mine: no picture has a label; set split\.mine\.protocol to all"):
            make_split(table, params, "mine")


def test_an_empty_manifest_is_refused() -> None:
    with pytest.raises(DatasetError, match="mine: no pictures"):
        make_split(manifest([]), ALL, "mine")


@pytest.mark.parametrize("test", [129, 0.25, 0.5, 7])
def test_stratified_is_disjoint_complete_and_in_proportion(test: float) -> None:
    table = ckplus()

    split = make_split(table, stratified(test), "ckplus")

    wanted = test if isinstance(test, int) else round(test * len(table))
    assert len(split.test) == wanted
    assert sorted([*split.train, *split.test]) == list(range(len(table)))
    assert_ascending_int64(split)
    for count, whole in zip(counts(table, split.test), CKPLUS_COUNTS, strict=True):
        exact = wanted * whole / len(table)
        assert max(1, int(exact)) <= count <= int(exact) + 1


def test_stratified_129_of_ckplus_by_largest_remainder() -> None:
    split = make_split(ckplus(), stratified(129), "ckplus")

    # Exact shares 14.09, 18.47, 7.83, 21.60, 8.77, 25.99 and 32.25: their whole parts make 125, and the four pictures
    # that are left go to the remainders .99, .83, .77 and .60.
    assert counts(ckplus(), split.test) == [14, 18, 8, 22, 9, 26, 32]


def test_stratified_takes_one_of_each_class_but_never_the_last() -> None:
    table = manifest([0] * 90 + [1] * 2 + [2])

    split = make_split(table, stratified(0.1), "mine")

    assert counts(table, split.test)[:3] == [8, 1, 0]
    assert counts(table, split.train)[:3] == [82, 1, 1]


def test_stratified_raises_a_share_but_not_a_number_to_one_per_class() -> None:
    table = manifest([0, 0, 1, 1, 2, 2])

    assert counts(table, make_split(table, stratified(0.2), "mine").test)[:3] == [1, 1, 1]
    with pytest.raises(DatasetError, match=r"split\.mine\.test: 2 pictures .* between 3 and 3"):
        make_split(table, stratified(2), "mine")


@pytest.mark.parametrize("params", [stratified(4), by_subject(4), stratified(9)])
def test_nothing_left_to_train_on_is_refused(params: SplitParams) -> None:
    with pytest.raises(DatasetError, match=f"asks for {params.test} of 4 labelled pictures"):
        make_split(manifest([0, 0, 1, 1], ["a", "b", "a", "b"]), params, "mine")


def test_stratified_trains_on_the_unlabelled() -> None:
    table = manifest([None, 0, 0, None, 1, 1])

    split = make_split(table, stratified(2), "mine")

    assert {0, 3} <= set(split.train.tolist())
    assert len(split.test) == 2


@pytest.mark.parametrize("test", [129, 0.25, 0.5])
def test_subject_is_disjoint_by_subject_complete_and_of_the_size_asked_for(test: float) -> None:
    table = ckplus()

    split = make_split(table, by_subject(test), "ckplus")

    subjects = table["subject"]
    assert not set(subjects.iloc[split.train]) & set(subjects.iloc[split.test])
    assert sorted([*split.train, *split.test]) == list(range(len(table)))
    assert_ascending_int64(split)
    assert len(split.test) == (test if isinstance(test, int) else round(test * len(table)))


@pytest.mark.parametrize("seed", range(4))
def test_subject_balances_the_classes(seed: int) -> None:
    table = ckplus()

    split = make_split(table, by_subject(0.25, seed), "ckplus")

    # A single draw of subjects is 18 to 56 pictures away from the exact quarters, summed over the classes.
    distance = sum(abs(n - whole / 4) for n, whole in zip(counts(table, split.test), CKPLUS_COUNTS, strict=True))
    assert distance <= 16


@pytest.mark.parametrize(("test", "size"), [(5, 4), (6, 7), (1, 3), (13, 11)])
def test_subject_comes_as_close_as_whole_subjects_allow(test: int, size: int) -> None:
    # Subjects of 3, 4 and 7 pictures: 3, 4, 7, 10 and 11 can be reached.
    owners: list[str | None] = [*"aaa", *"bbbb", *"ccccccc"]

    split = make_split(manifest([0] * 14, owners), by_subject(test), "mine")

    assert len(split.test) == size


def test_subject_leaves_out_the_unlabelled_of_test_subjects_only() -> None:
    table = manifest([0, None, 0, None, None], ["a", "a", "b", "b", "c"])

    split = make_split(table, by_subject(1), "mine")

    (test,) = split.test.tolist()
    assert test in (0, 2)
    assert split.train.tolist() == ([2, 3, 4] if test == 0 else [0, 1, 4])


@pytest.mark.parametrize(
    ("subjects", "message"),
    [
        (["a", "b", None, "c"], r"mine: 00002\.png has no subject; set split\.mine\.protocol to stratified"),
        (["a", "a", "a", "a"], "mine: only one subject has labels"),
    ],
)
def test_subject_needs_subjects(subjects: list[str | None], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        make_split(manifest([0, 0, 1, 1], subjects), by_subject(2), "mine")


@pytest.mark.parametrize("protocol", [stratified, by_subject])
def test_same_seed_same_split_whatever_the_order_of_rows(protocol: Callable[[float, int], SplitParams]) -> None:
    table = ckplus()
    first = make_split(table, protocol(0.25, 3), "ckplus")
    again = make_split(table, protocol(0.25, 3), "ckplus")
    other = make_split(table, protocol(0.25, 4), "ckplus")
    shuffled_table = table.sample(frac=1, random_state=9)
    shuffled = make_split(shuffled_table, protocol(0.25, 3), "ckplus")

    assert first.test.tolist() == again.test.tolist()
    assert first.test.tolist() != other.test.tolist()
    assert shuffled.test.tolist() != first.test.tolist()
    assert keys(shuffled_table, shuffled.test) == keys(table, first.test)
    assert keys(shuffled_table, shuffled.train) == keys(table, first.train)
    assert_ascending_int64(shuffled)


def test_the_draw_is_the_same_on_every_machine() -> None:
    table = manifest([0] * 10 + [1] * 10, [*"aabbccddee"] * 2)

    assert make_split(table, stratified(6, seed=7), "mine").test.tolist() == [3, 4, 6, 10, 11, 12]
    assert make_split(table, by_subject(8, seed=7), "mine").test.tolist() == [6, 7, 8, 9, 16, 17, 18, 19]


def test_written_splits_hold_rows_and_parts_and_come_back(tmp_path: Path) -> None:
    split = make_split(manifest([0, None, 2]), ALL, "jaffe")
    path = tmp_path / "splits" / "jaffe.parquet"

    write_split(path, split)

    table = pd.read_parquet(path)
    assert list(table.columns) == ["row", "part"]
    assert table["row"].dtype == np.int64
    assert table.to_numpy().tolist() == [[0, "test"], [0, "train"], [1, "train"], [2, "test"], [2, "train"]]
    back = read_split(path)
    assert (back.train.tolist(), back.test.tolist()) == (split.train.tolist(), split.test.tolist())
    assert_ascending_int64(back)


def test_an_empty_test_part_comes_back(tmp_path: Path) -> None:
    write_split(tmp_path / "mine.parquet", make_split(manifest([None, None]), ALL, "mine"))

    back = read_split(tmp_path / "mine.parquet")

    assert (back.train.tolist(), back.test.tolist()) == ([0, 1], [])
    assert back.test.dtype == np.int64


def test_a_missing_split_names_the_stage(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"jaffe\.parquet: missing; run the split stage of this data set"):
        read_split(tmp_path / "jaffe.parquet")


def test_the_stage_divides_a_crop_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    rows = [{"key": f"{row:02d}.png", "label": row % 2 * 5, "method": "whole", "faces": 0} for row in range(20)]
    write_store(tmp_path / "data/crops/ckplus", [flat(0)] * 20, rows)
    write_store(tmp_path / "data/crops/rafdb", [flat(0), flat(1)], rows[:2])
    monkeypatch.chdir(tmp_path)

    stage.main("ckplus")

    back = read_split(tmp_path / "data/splits/ckplus.parquet")
    assert sorted([*back.train, *back.test]) == list(range(20))
    assert len(back.test) == 5
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert printed[0] == ["ckplus,", "protocol", "stratified"]
    table = {" ".join(words[:-2]): (int(words[-2]), int(words[-1])) for words in printed[2:11]}
    assert table["total"] == (15, 5)
    assert sorted([table["anger"][1], table["surprise"][1]]) == [2, 3]
    assert table["fear"] == table["no label"] == (0, 0)
    assert " ".join(printed[11]) == "duplicates within the set: 19 exact, 0 near"
    assert " ".join(printed[12]) == "duplicates with rafdb: 20 exact, 0 near"
    report = json.loads((tmp_path / "data/splits/ckplus.json").read_text())
    assert report["protocol"] == {
        "protocol": "stratified",
        "test": 0.25,
        "seed": 0,
        "duplicates": "keep",
        "classes": None,
    }
    assert (report["train"], report["test"], report["duplicates"]["train_like_test"]) == (15, 5, 15)
    assert len(pd.read_csv(tmp_path / "data/duplicates/ckplus.csv")) == 39


def test_the_stage_leaves_out_what_is_tested_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        (ROOT / "params.yaml")
        .read_text()
        .replace("rafdb: {protocol: official}", "rafdb: {protocol: official, duplicates: drop}")
    )
    (tmp_path / "params.yaml").write_text(text)
    rows = [{"key": f"{row}.png", "label": row % 2, "split": "train" if row < 8 else "test"} for row in range(10)]
    crops = [flat(row) for row in range(8)]
    write_store(tmp_path / "data/crops/rafdb", [*crops, flat(3), flat(100)], rows)
    write_store(tmp_path / "data/crops/jaffe", [flat(5), flat(9)], rows[:2])
    monkeypatch.chdir(tmp_path)

    stage.main("rafdb")

    back = read_split(tmp_path / "data/splits/rafdb.parquet")
    assert back.train.tolist() == [0, 1, 2, 4, 6, 7]
    assert back.test.tolist() == [8, 9]
    assert json.loads((tmp_path / "data/splits/rafdb.json").read_text())["dropped"] == 2


def test_the_stage_refuses_a_set_without_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "params.yaml").read_text().replace("folder_sets: []", "folder_sets: [mine]")
    (tmp_path / "params.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ParamsError, match=r"no entry split\.mine"):
        stage.main("mine")
    with pytest.raises(ParamsError, match=r"unknown data set 'ckpluss' \(did you mean 'ckplus'\?\)"):
        stage.main("ckpluss")
