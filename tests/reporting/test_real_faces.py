"""The tables of docs/results.md that README's picture is drawn from."""

import statistics
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from benchmarks.real_faces import DIRECTIONS, DOCS, PICTURE, described, draw, rows
from pipeline.config.methods import METHODS
from pipeline.reporting.figures import AFTER_COLOUR, WARNING_COLOUR

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


def test_a_dot_has_the_colour_of_its_own_sign() -> None:
    for axes, direction in zip(draw(RESULTS).axes, DIRECTIONS, strict=True):
        for row, dots in zip(rows(RESULTS, direction), _in_order(axes.collections, direction), strict=True):
            wanted = [AFTER_COLOUR if gain > 0 else WARNING_COLOUR if gain < 0 else "#777777" for gain in row.gains]
            assert [to_hex(colour).upper() for colour in dots.get_facecolors()] == wanted


def _in_order(collections: Any, direction: str) -> list[Any]:
    """The dots in the order of the table."""
    found = {tuple(np.asarray(dots.get_offsets())[:, 0]): dots for dots in collections}
    return [found[row.gains] for row in rows(RESULTS, direction)]


def test_a_method_without_rows_is_named_as_not_measured() -> None:
    figure = draw(RESULTS, ["Tomorrow's", rows(RESULTS, DIRECTIONS[0])[0].method])

    assert figure.get_supxlabel().splitlines()[1:] == ["not measured here: Tomorrow's"]


def test_a_method_that_one_direction_lacks_is_drawn_as_not_measured_there() -> None:
    method = rows(RESULTS, DIRECTIONS[1])[-1].method
    head, _, tail = RESULTS.partition(f"## Every method, {DIRECTIONS[1]}")
    lines = [line for line in tail.splitlines() if not line.startswith(f"| {method} |")]
    figure = draw("\n".join([f"{head}## Every method, {DIRECTIONS[1]}", *lines[1:]]))

    assert "not measured" in [text.get_text() for text in figure.axes[1].texts]
    assert "not measured" not in [text.get_text() for text in figure.axes[0].texts]


def test_a_direction_without_rows_is_named() -> None:
    with pytest.raises(ValueError, match="CK\\+48 → JAFFE"):
        rows(RESULTS, "CK+48 → JAFFE")
