"""The tables of docs/results.md that README's picture is drawn from."""

import statistics

import numpy as np
import pytest
from PIL import Image

from benchmarks.real_faces import DIRECTIONS, DOCS, PICTURE, described, draw, rows
from pipeline.config.methods import METHODS

RESULTS = (DOCS / "results.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_row_is_of_a_method_and_agrees_with_its_seeds(direction: str) -> None:
    table = rows(RESULTS, direction)

    assert {row.method for row in table} <= {METHODS.title(name) for name in METHODS} - {METHODS.title("dt")}
    for row in table:
        # The table rounds the seeds as well as the mean.
        assert row.mean == pytest.approx(statistics.mean(row.accuracies), abs=0.11), row
        assert row.deviation == pytest.approx(statistics.stdev(row.accuracies), abs=0.11), row
        assert row.gain == pytest.approx(statistics.mean(row.gains), abs=0.11), row


def test_the_picture_is_of_these_tables() -> None:
    with Image.open(PICTURE) as picture:
        assert picture.info["Description"] == described(RESULTS), "draw it again: python -m benchmarks.real_faces"


def test_a_dot_a_seed() -> None:
    figure = draw(RESULTS)

    for axes, direction in zip(figure.axes, DIRECTIONS, strict=True):
        dots = [tuple(np.asarray(dots.get_offsets())[:, 0]) for dots in axes.collections]
        assert sorted(dots) == sorted(row.gains for row in rows(RESULTS, direction))


def test_a_method_without_rows_is_drawn_as_not_measured() -> None:
    figure = draw(RESULTS, ["Tomorrow's"])

    assert figure.axes[0].get_yticklabels()[-1].get_text() == "Tomorrow's"
    for axes, direction in zip(figure.axes, DIRECTIONS, strict=True):
        assert axes.texts[-1].get_text() == "not measured"
        assert len(axes.collections) == len(rows(RESULTS, direction))


def test_a_direction_without_rows_is_named() -> None:
    with pytest.raises(ValueError, match="CK\\+48 → JAFFE"):
        rows(RESULTS, "CK+48 → JAFFE")
