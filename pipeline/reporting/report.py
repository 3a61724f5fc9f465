"""The report: reports/tables.md, reports/figures/*.png and reports/index.html from what the other stages wrote."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.config.layout import PAGE, PAPER, REPORTS
from pipeline.config.load import load
from pipeline.config.schema import Params
from pipeline.files.io import write_json, write_text
from pipeline.reporting.figures import write_figures
from pipeline.reporting.page.of_results import page
from pipeline.reporting.records import Result
from pipeline.reporting.results import load_evaluations, load_source
from pipeline.reporting.studied import load_studies
from pipeline.reporting.tables import render
from pipeline.reporting.training_figure import write_training_figure


def write_report(params: Params, reports: Path = REPORTS) -> list[Path]:
    """Write tables, figures and page of every target of ``params``; nothing is written unless all results can be read.

    Args:
        params: names the source and the targets. reports: folder with evaluate/<target>/, curves/, validations/ and
            source.json; beside it lies data/.

    Returns:
        The files written: tables.md first, then metrics.json, the figures and index.html.

    Raises:
        PipelineError: a result is missing, damaged, or was run with another configuration than the first.
    """
    source = load_source(params, reports)
    studies = load_studies(reports / "studies")
    evaluations = load_evaluations(params, reports)
    results, paper = [evaluation.result for evaluation in evaluations], load(PAPER)
    # Made before anything is written: it reads more files than the tables do.
    html = page(params, evaluations, source, render(results, source, [], paper, studies), reports)
    folder = reports / "figures"
    figures = [[*write_figures(one, params.source, folder), *write_training_figure(one, folder)] for one in evaluations]
    linked = [
        (result.target, [path.relative_to(reports).as_posix() for path in paths])
        for result, paths in zip(results, figures, strict=True)
    ]
    tables, metrics, index = reports / "tables.md", reports / "metrics.json", reports / PAGE.name
    write_json(metrics, headlines(results))
    write_text(tables, render(results, source, linked, paper, studies))
    write_text(index, html)
    return [tables, metrics, *(path for paths in figures for path in paths), index]


def headlines(results: Sequence[Result]) -> dict[str, dict[str, float]]:
    """The few numbers that people compare between experiments (``dvc exp show``), by target, and their means.

    Accuracy, gain over DT and balanced accuracy in per cent, macro F1 as a fraction; of what the method ended with.
    """
    found: dict[str, dict[str, float]] = {"accuracy": {}, "gain": {}, "balanced": {}, "f1": {}}
    for result in results:
        if result.before is not None and result.after is not None:
            found["accuracy"][result.target] = 100 * result.after.accuracy
            found["gain"][result.target] = 100 * (result.after.accuracy - result.before.accuracy)
            found["balanced"][result.target] = 100 * result.after.balanced_accuracy
            found["f1"][result.target] = result.after.macro_f1
    for values in found.values():
        if values:
            values["mean"] = sum(values.values()) / len(values)
    return {name: {key: round(value, 3) for key, value in values.items()} for name, values in found.items()}
