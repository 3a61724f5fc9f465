"""The quoted numbers are the paper's: counts, sums and spot values were taken from the text of its printed tables."""

import pytest

from pipeline.reporting.paper_tables import TABLE_1, TABLE_2, TABLE_3, QuotedTable


def column(table: QuotedTable, target: str) -> list[float]:
    index = table.targets.index(target)
    rows = [row for group in table.groups for row in group.rows]
    return [float(row.numbers[index]) for row in rows if row.numbers[index] != "-"]


@pytest.mark.parametrize(
    ("table", "groups"), [(TABLE_1, [8, 6, 2]), (TABLE_2, [3, 6, 2]), (TABLE_3, [5])], ids=["1", "2", "3"]
)
def test_every_printed_row_is_there(table: QuotedTable, groups: list[int]) -> None:
    assert [len(group.rows) for group in table.groups] == groups
    assert all(len(row.numbers) == len(table.targets) == len(table.titles) for g in table.groups for row in g.rows)


@pytest.mark.parametrize(
    ("table", "target", "count", "total"),
    [
        (TABLE_1, "ckplus", 15, 1187.46),
        (TABLE_1, "jaffe", 12, 665.74),
        (TABLE_1, "oulu", 3, 173.70),
        (TABLE_2, "fer2013", 11, 581.35),
        (TABLE_2, "sfew", 11, 540.14),
        (TABLE_3, "ckplus", 5, 409.30),
        (TABLE_3, "jaffe", 5, 302.81),
        (TABLE_3, "oulu", 5, 274.73),
        (TABLE_3, "fer2013", 5, 292.41),
        (TABLE_3, "sfew", 5, 264.13),
    ],
)
def test_columns_add_up(table: QuotedTable, target: str, count: int, total: float) -> None:
    numbers = column(table, target)
    assert len(numbers) == count
    assert sum(numbers) == pytest.approx(total, abs=0.005)


def test_averages_of_table_3_follow_from_its_numbers() -> None:
    for row in TABLE_3.groups[0].rows:
        assert sum(map(float, row.numbers)) / 5 == pytest.approx(float(row.average), abs=0.0051), row.method


def test_the_papers_own_rows() -> None:
    dt, pocan = TABLE_1.groups[-1].rows
    assert (dt.method, dt.numbers) == ("DT", ("76.74", "52.11", "53.90"))
    assert (pocan.method, pocan.numbers) == ("POCAN (Ours)", ("84.50", "64.32", "55.83"))
    dt, pocan = TABLE_2.groups[-1].rows
    assert (dt.numbers, pocan.numbers) == (("54.73", "47.49"), ("58.87", "53.44"))


def test_the_papers_contradiction_is_kept() -> None:
    assert TABLE_2.groups[-1].rows[-1].numbers[0] == "58.87"
    assert TABLE_3.groups[0].rows[-1].numbers[3] == "58.74"


def test_the_middle_part_is_the_unified_benchmark() -> None:
    for table in (TABLE_1, TABLE_2):
        middle = table.groups[1].rows
        assert {(row.source, row.backbone) for row in middle} == {("RAF-DB", "ResNet-50")}
        assert [row.method.split(" ")[0] for row in middle] == ["AGRA", "ICID", "DFA", "FTDNN", "DETN", "ECAN"]
