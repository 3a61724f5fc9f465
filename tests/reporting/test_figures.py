"""Figures exist, can be decoded, show what they should, and are the same bytes every time."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from pipeline.config.methods import METHODS
from pipeline.reporting import write_report
from pipeline.reporting.figures import (
    AFTER_COLOUR,
    BEFORE_COLOUR,
    CLASS_COLOURS,
    CLASS_MARKERS,
    CONFUSION_COLOURS,
    DARK_TEXT_BELOW,
    UNLABELLED_COLOUR,
    WARNING_COLOUR,
    loss_terms,
    ramp_note,
    save,
)
from tests.reporting.made_results import REAL, UNLABELLED, confusion, metrics, params_for, result, write

Reports = Callable[..., Path]
FULL_CELL = "#0B3C66"
KINDS = ("fig2b", "fig3", "confusion", "reliability", "training")


@pytest.fixture
def reports(tmp_path: Path) -> Reports:
    """Writes results and their report; returns the reports folder."""

    def make(*results: dict[str, Any], labels: bool = True) -> Path:
        write(tmp_path, *results, labels=labels)
        write_report(params_for(*(value["target"] for value in results)), tmp_path)
        return tmp_path / "reports"

    return make


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reports folder of two targets, for tests that only look at it."""
    root = tmp_path_factory.mktemp("both")
    write(root, result("ckplus", provenance={"source": "real", "target": "stand-in"}), result("jaffe", provenance=REAL))
    write_report(params_for("ckplus", "jaffe"), root)
    return root / "reports"


def pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        image.load()
        return np.asarray(image.convert("RGB"))


def share(picture: NDArray[np.uint8], colour: str) -> float:
    """Share of the pixels within 3 grey levels of ``colour``."""
    wanted = np.round(255 * np.array(to_rgb(colour)))
    return float((np.abs(picture.astype(int) - wanted).max(axis=2) <= 3).mean())


@pytest.mark.slow
def test_five_figures_per_target_all_shown_in_the_report(both: Path) -> None:
    names = sorted(path.name for path in (both / "figures").iterdir())
    assert names == sorted(f"{k}_{t}.png" for k in KINDS for t in ("ckplus", "jaffe"))
    text = (both / "tables.md").read_text(encoding="utf-8")
    for name in names:
        assert text.count(f"](figures/{name})") == 1
        assert pixels(both / "figures" / name).std() > 10


@pytest.mark.slow
def test_a_report_returns_what_it_wrote_and_writes_the_same_bytes_again(tmp_path: Path) -> None:
    write(tmp_path, result("ckplus"))
    written = write_report(params_for("ckplus"), tmp_path)
    assert written[0] == tmp_path / "reports/tables.md"
    found = {
        path
        for path in tmp_path.rglob("*")
        if path.is_file() and not {"evaluate", "curves", "validations"} & {*path.parts}
    }
    assert set(written) == found - {tmp_path / "reports/source.json"}
    before = [path.read_bytes() for path in written]
    # A user's own drawing style must not show.
    with matplotlib.rc_context({"font.family": "serif", "axes.facecolor": "black"}):
        write_report(params_for("ckplus"), tmp_path)
    assert [path.read_bytes() for path in written] == before
    assert len(before) == 3 + len(KINDS)


@pytest.mark.slow
def test_png_holds_neither_time_nor_software(both: Path) -> None:
    for path in sorted((both / "figures").iterdir()):
        with Image.open(path) as image:
            assert set(image.info) == {"dpi"}, path.name


@pytest.mark.slow
def test_drawn_stand_ins_are_named_on_the_figure_and_real_sets_are_not(both: Path) -> None:
    for kind in KINDS:
        warned = share(pixels(both / "figures" / f"{kind}_ckplus.png")[:110], WARNING_COLOUR)
        plain = share(pixels(both / "figures" / f"{kind}_jaffe.png")[:110], WARNING_COLOUR)
        assert warned > 0.001, kind
        assert plain == 0, kind


@pytest.mark.slow
def test_unlabelled_target_has_no_figure_of_scores(reports: Reports) -> None:
    folder = reports(result("my_faces", **UNLABELLED), labels=False)
    names = sorted(path.name for path in (folder / "figures").iterdir())
    assert names == ["fig3_my_faces.png", "training_my_faces.png"]
    with Image.open(folder / "figures/training_my_faces.png") as image:
        assert image.width == 1260  # two panels: no accuracy
    assert share(pixels(folder / "figures/fig3_my_faces.png"), UNLABELLED_COLOUR) > 0.001


@pytest.mark.slow
def test_tsne_shows_every_class_in_its_colour(both: Path) -> None:
    picture = pixels(both / "figures/fig3_ckplus.png")[:-80]
    assert len(set(CLASS_MARKERS)) == len(CLASS_MARKERS) == len(CLASS_COLOURS)
    for colour in CLASS_COLOURS:
        # Target markers are drawn at 90 % over white or source markers.
        blended = 0.9 * np.array(to_rgb(colour)) + 0.1
        near = np.abs(picture / 255 - blended).max(axis=2) < 0.02
        assert near.sum() > 100, colour


@pytest.mark.slow
def test_bars_are_before_and_after(both: Path) -> None:
    picture = pixels(both / "figures/fig2b_ckplus.png")
    before, after = share(picture, BEFORE_COLOUR), share(picture, AFTER_COLOUR)
    assert after / before == pytest.approx(0.75 / 0.60, rel=0.05)


@pytest.mark.slow
def test_direct_transfer_has_one_series(reports: Reports) -> None:
    same = metrics(confusion(12, 8), [0.5, 0.7])
    folder = reports(result("ckplus", method="dt", after=same, oracle=None))
    picture = pixels(folder / "figures/fig2b_ckplus.png")
    assert share(picture, BEFORE_COLOUR) > 0.1
    assert share(picture, AFTER_COLOUR) == 0
    assert pixels(folder / "figures/confusion_ckplus.png").shape[1] < 1200


@pytest.mark.slow
def test_class_without_pictures_stays_empty_in_the_confusion_matrix(reports: Reports) -> None:
    absent = confusion(12, 0)
    absent[6] = [0] * 7
    six, seven = metrics(absent, [1.0, 1.0]), metrics(confusion(12, 0), [1.0, 1.0])
    folder = reports(
        result("ckplus48", n_test=72, before=six, after=six), result("ckplus", n_test=84, before=seven, after=seven)
    )
    filled = [share(pixels(folder / f"figures/confusion_{t}.png"), FULL_CELL) for t in ("ckplus48", "ckplus")]
    assert filled[0] / filled[1] == pytest.approx(6 / 7, rel=0.02)


def test_the_terms_of_a_loss_are_the_columns_before_it_that_add_up() -> None:
    table = pd.DataFrame({"epoch": [1, 2], "share": [0.5, 0.6], "a": [1.0, 2.0], "b": [3.0, 2.5], "loss": [4.0, 4.5]})
    assert loss_terms(table) == ["a", "b"]
    assert loss_terms(table.assign(loss=[4.0, 5.0])) == []
    assert loss_terms(table.drop(columns="a").assign(loss=table["b"])) == []  # its only term is the loss itself
    assert loss_terms(table.drop(columns="loss")) == []


def test_a_method_with_a_ramp_says_what_it_weighs() -> None:
    assert "pseudo-labels in l_target" in ramp_note("pocan")
    assert ramp_note("ftdnn") == ""
    for name in METHODS:
        trained_by = METHODS[name].implementation.partition(":")[0]
        source = Path(str(importlib.util.find_spec(trained_by).origin)).read_text()  # type: ignore[union-attr]
        assert bool(ramp_note(name)) == ("lambda_t(" in source), name


def luminance(colour: Any) -> float:
    """Of WCAG 2."""
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]
    return float(np.dot([0.2126, 0.7152, 0.0722], parts))


def test_numbers_of_a_confusion_are_dark_up_to_where_white_is_easier_to_read() -> None:
    assert DARK_TEXT_BELOW > 0.65
    for share in np.linspace(0.0, 1.0, 101):
        paper = luminance(CONFUSION_COLOURS(share)[:3])
        of_white, of_dark = 1.05 / (paper + 0.05), (paper + 0.05) / (luminance("#222222") + 0.05)
        chosen = of_dark if share < DARK_TEXT_BELOW else of_white
        assert chosen > 0.9 * max(of_white, of_dark), share


def test_a_figure_has_nothing_of_a_killed_writer_beside_it(tmp_path: Path) -> None:
    (tmp_path / ".a.png.part-abcd_123.png").touch()
    assert save(Figure(figsize=(1, 1)), tmp_path / "a.png").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
