"""The few numbers that a run came to, for the terminal."""

from pathlib import Path

from pipeline.config import paths
from pipeline.config.schema import Params
from pipeline.evaluation.records import Result
from pipeline.files.records import read_record
from pipeline.labels import DRAWN_MARK
from pipeline.reporting.markdown import KNOWN_NOTE, MARK_NOTE, marks_of, signed, with_marks
from pipeline.reporting.report import headlines
from pipeline.reporting.text_table import text_table
from pipeline.reporting.titles import KNOWN_MARK, dataset_title, method_title


def summary(params: Params, root: Path = Path()) -> str:
    """Accuracy of every target before and after adaptation, and the means; targets without labels are left out.

    Args:
        params: names the targets.
        root: the project's, with the folder reports/.

    Raises:
        PipelineError: a target has no result, or it is damaged.
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
        rows.append(
            [title, *(with_marks(text, marks) for text in (f"{after - gain:.1f}", f"{after:.1f}", signed(gain)))]
        )
    head = ["accuracy (%)", "direct transfer (DT)", method_title(scored[0]), "gain"]
    notes = {DRAWN_MARK: MARK_NOTE, KNOWN_MARK: KNOWN_NOTE}
    return "\n".join([text_table(head, rows), *(notes[mark] for mark in names["mean"][1])])
