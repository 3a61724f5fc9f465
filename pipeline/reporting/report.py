"""The report: reports/tables.md and reports/figures/*.png from what the evaluate stage wrote."""

from pathlib import Path

from pipeline.files import write_text
from pipeline.layout import REPORTS
from pipeline.params import Params
from pipeline.reporting.figures import write_figures
from pipeline.reporting.results import load_evaluations, load_source
from pipeline.reporting.tables import render


def write_report(params: Params, reports: Path = REPORTS) -> list[Path]:
    """Write tables and figures of every target of ``params``; nothing is written unless all results can be read.

    Args:
        params: names the source and the targets. reports: folder with evaluate/<target>/ and source.json.

    Returns:
        The files written: tables.md first, then the figures.

    Raises:
        PipelineError: a result is missing, damaged, or was run with another configuration than the first.
    """
    source = load_source(params, reports)
    evaluations = load_evaluations(params, reports)
    figures = [(e.result.target, write_figures(e, params.source, reports / "figures")) for e in evaluations]
    linked = [(target, [path.relative_to(reports).as_posix() for path in paths]) for target, paths in figures]
    tables = reports / "tables.md"
    write_text(tables, render([evaluation.result for evaluation in evaluations], source, linked))
    return [tables, *(path for _, paths in figures for path in paths)]
