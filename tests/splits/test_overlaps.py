"""What the parts of a division share, counted on cases worked by hand."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.data.prepared import Split
from pipeline.splits import overlaps
from pipeline.splits.duplicates import Pairs
from pipeline.splits.overlaps import Duplicates


def rows(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, dtype=np.int64)


def pairs(*found: tuple[int, int], exact: bool = False) -> Pairs:
    first, second = rows(*(a for a, _ in found)), rows(*(b for _, b in found))
    return Pairs(first, second, np.full(len(found), exact), np.zeros(len(found), dtype=bool))


def samples(sequences: list[str | None], subjects: list[str | None]) -> pd.DataFrame:
    return pd.DataFrame({"sequence": sequences, "subject": subjects}, dtype="string")


def test_frames_and_people_in_both_parts_are_counted() -> None:
    table = samples(["a", "a", "b", "c", None], ["p", "p", "p", "q", "q"])
    shared = overlaps.count_shared(table, Split(rows(0, 2), rows(1, 3, 4)))
    assert json.dumps(shared) == '{"picture": 0, "sequence": 1, "subject": 1}'


def test_what_a_set_does_not_say_is_unknown() -> None:
    shared = overlaps.count_shared(samples([None] * 3, [None] * 3), Split(rows(0), rows(1, 2)))
    assert shared == {"picture": 0, "sequence": None, "subject": None}


def test_a_picture_that_is_adapted_on_shares_a_sequence_only_with_another_frame() -> None:
    table = samples(["a", "b", "b"], ["p", "q", "q"])
    shared = overlaps.count_shared(table, Split(rows(0, 1, 2), rows(0, 1, 2)))
    assert shared == {"picture": 3, "sequence": 2, "subject": 2}


def test_training_pictures_like_a_test_picture_are_left_out() -> None:
    # 0 is copied as 1 and 2; 2 resembles 3. Tested are 1 and 5.
    found = Duplicates(pairs((0, 1), (0, 2), (2, 3), (4, 6)), {})
    split = Split(rows(0, 2, 3, 4, 6), rows(1, 5))
    assert found.left_out(split, of_others=True).tolist() == [0, 2, 3]
    assert found.report(split) == {
        "within": {"exact": 0, "near": 4, "pictures": 6},
        "train_like_test": 3,
        "with": {},
    }


def test_pictures_of_another_set_are_left_out_where_that_is_asked_for() -> None:
    found = Duplicates(pairs(), {"jaffe": pairs((0, 9), (3, 8), (4, 8), exact=True)})
    split = Split(rows(0, 1, 2, 3), rows(4))
    assert found.left_out(split, of_others=False).tolist() == []
    assert found.left_out(split, of_others=True).tolist() == [0, 3]
    assert found.report(split)["with"] == {"jaffe": {"exact": 3, "near": 0, "pictures": 3}}


def test_the_list_names_files_and_parts() -> None:
    found = Duplicates(pairs((0, 1)), {"jaffe": pairs((2, 0), exact=True)})
    keys = {"mine": np.array(["a.png", "b.png", "c.png"], dtype=object), "jaffe": np.array(["z.tiff"], dtype=object)}
    table = found.table("mine", keys, Split(rows(0, 2), rows(1, 2)))
    assert table.to_dict("records") == [
        {
            "picture": "a.png",
            "part": "train",
            "other_set": "mine",
            "other_picture": "b.png",
            "other_part": "test",
            "kind": "near",
            "mirrored": False,
        },
        {
            "picture": "c.png",
            "part": "train+test",
            "other_set": "jaffe",
            "other_picture": "z.tiff",
            "other_part": "",
            "kind": "exact",
            "mirrored": False,
        },
    ]


@pytest.mark.parametrize("dropped", [None, 2])
def test_people_are_told_what_leaks(dropped: int | None) -> None:
    report: dict[str, Any] = {
        "test_in_train": {"picture": 0, "sequence": 40, "subject": None},
        "test": 40,
        "duplicates": {
            "within": {"exact": 1, "near": 0, "pictures": 2},
            "train_like_test": 1,
            "with": {"rafdb": {"exact": 0, "near": 0, "pictures": 0}},
        },
    }
    if dropped is not None:
        report["dropped"] = dropped
    told = overlaps.describe(report).splitlines()
    assert told[0] == "40 of 40 test pictures have another frame of their sequence in the training part"
    assert told[1] == "duplicates within the set: 1 exact, 0 near"
    assert told[2] == "1 training pictures are, or nearly are, a test picture"
    assert told[3:] == ([] if dropped is None else ["2 pictures were left out of the training part (duplicates: drop)"])
