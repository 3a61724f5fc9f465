"""The figure of one adaptation by epoch: its loss, what is said of it without labels, and what the labels say."""

from pathlib import Path

import matplotlib.style
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipeline.reporting.figures import AFTER_COLOUR, BEFORE_COLOUR, STYLE, figure_below_head, head, save
from pipeline.reporting.records import Result
from pipeline.reporting.results import Evaluation, Training
from pipeline.reporting.titles import dataset_title, method_title

LOSS, JUDGED = "loss", "information"

LEAST_SPAN = 10.0
"""Points of accuracy that the axis spans at least: a test part's own error must not look like a trend."""


def write_training_figure(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write training_<target>.png; nothing where nothing was trained."""
    result, training = evaluation.result, evaluation.training
    if training.losses.empty:
        return []
    with matplotlib.style.context(STYLE, after_reset=True):
        return [save(_training(result, training), folder / f"training_{result.target}.png")]


def _training(result: Result, training: Training) -> Figure:
    """Panels by epoch; a dotted line stands where the kept model is, a hollow marker at the oracle."""
    loss = LOSS if LOSS in training.losses else next(name for name in training.losses if name != "epoch")
    panels = [
        (f"{loss} of the training", training.losses, loss, 1.0),
        (f"{JUDGED}, without labels", training.validations, JUDGED, 1.0),
    ]
    if len(training.accuracy):
        panels.append(("accuracy on the test part (%)", training.accuracy, "accuracy", 100.0))
    figure = figure_below_head(4.2 * len(panels), 3.9, result)
    for axes, (title, table, column, scale) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        _panel(axes, table["epoch"], scale * table[column], result.kept_epoch)
        axes.set_title(title)
    if len(training.accuracy) and result.oracle is not None:
        low, high = axes.get_ylim()
        spread = max(0.0, LEAST_SPAN - (high - low)) / 2
        axes.set_ylim(low - spread, high + spread)
        axes.plot(
            result.oracle.epoch, 100 * result.oracle.accuracy, "o", ms=10, mfc="none", mec="#555555", label="oracle ‡"
        )
        axes.legend(frameon=False, fontsize=9)
    head(figure, f"{dataset_title(result.target)}: {method_title(result)} by epoch", result)
    kept = "the source model" if result.kept_epoch == 0 else f"the model after epoch {result.kept_epoch}"
    figure.supxlabel(f"epoch; 0 is the source model, dotted is what is kept: {kept}", fontsize=9)
    return figure


def _panel(axes: Axes, epochs: "pd.Series[float]", values: "pd.Series[float]", kept: int) -> None:
    axes.plot(epochs, values, color=AFTER_COLOUR, marker="o", ms=4)
    if epochs.iloc[0] == 0:
        axes.axhline(values.iloc[0], color=BEFORE_COLOUR, lw=1, zorder=0)
    axes.axvline(kept, color="#777777", lw=1, ls=":", zorder=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_axisbelow(True)
    axes.grid(axis="y", color="#E3E3E3", linewidth=0.8)
