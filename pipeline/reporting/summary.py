"""The main results of a run, for the terminal."""

import textwrap
from pathlib import Path

from pipeline.config import paths
from pipeline.config.schema import Params
from pipeline.evaluation.records import Result
from pipeline.files.records import read_record
from pipeline.labels import DRAWN_MARK
from pipeline.reporting.markdown import KNOWN_NOTE, MARK_NOTE, interval_text, marks_of, signed, with_marks
from pipeline.reporting.report import headlines
from pipeline.reporting.text_table import text_table
from pipeline.reporting.titles import KNOWN_MARK, dataset_title, method_title

WIDTH = 80
"""Maximum width of lines of text, in characters."""

EXPLAINED = (
    "DT: direct transfer, the source model as it is. The gain over it is in points; the interval is over other test "
    "pictures of these targets, not over other seeds."
)


def summary(params: Params, root: Path = Path()) -> str:
    """Return accuracies of every target before and after adaptation, and means; without unlabelled targets.

    Args:
        params: the parameters, which name the targets.
        root: root of the project, with the folder reports/.

    Raises:
        PipelineError: a result is missing or damaged.
    """
    results = [read_record(Result, root / paths.result(name), f"dvc repro evaluate@{name}") for name in params.targets]
    scored = [result for result in results if result.before is not None]
    if not scored:
        return "no target has labels: nothing is scored; the predictions are in data/predictions"
    numbers = headlines(scored)
    names = {result.target: (dataset_title(result.target), marks_of(result)) for result in scored}
    names["mean"] = ("mean", sorted({mark for _, marks in names.values() for mark in marks}))
    rows = []
    for key, (title, marks) in names.items():
        after, gain = numbers["accuracy"][key], numbers["gain"][key]
        told = (with_marks(text, marks) for text in (f"{after - gain:.1f}", f"{after:.1f}", signed(gain)))
        rows.append([title, *told, interval_text(numbers["gain_low"].get(key), numbers["gain_high"].get(key))])
    head = ["accuracy (%)", "DT", "adapted", "gain", "95 % interval"]
    notes = {DRAWN_MARK: MARK_NOTE, KNOWN_MARK: KNOWN_NOTE}
    return "\n".join(
        [
            *_wrapped(f"adapted: {method_title(scored[0])}"),
            text_table(head, rows),
            *_wrapped(EXPLAINED),
            *(line for mark in names["mean"][1] for line in _wrapped(notes[mark])),
        ]
    )


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, break_on_hyphens=False)
