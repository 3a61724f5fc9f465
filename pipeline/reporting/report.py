"""The report: reports/tables.md, reports/figures/*.png and reports/index.html from the other stages' outputs.

Scores are those of the last epoch, or of the epoch or configuration that a label-free rule has kept.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.config import paths
from pipeline.config.load import load
from pipeline.config.schema import Params
from pipeline.evaluation.comparison import Comparison, mean_interval
from pipeline.evaluation.records import Result, SourceMetrics
from pipeline.files.io import write_json, write_text
from pipeline.progress import progress_bar, working
from pipeline.reporting import protocol
from pipeline.reporting.comparisons import ablation_section, comparison_section, further_section
from pipeline.reporting.figures import CAPTIONS, write_figures
from pipeline.reporting.page.report_page import page
from pipeline.reporting.paper_tables import TABLE_1, TABLE_2
from pipeline.reporting.results import load_evaluations, load_source
from pipeline.reporting.study_results import StudySummary, load_studies, studies_section
from pipeline.reporting.target_tables import (
    calibration_section,
    candidates_section,
    choices_section,
    f1_section,
    paired_gain,
    targets_section,
    unlabelled_section,
)
from pipeline.reporting.titles import dataset_title

BOUNDS = ("gain_low", "gain_high")
"""Keys of the gain's 95 % interval in metrics.json."""


def write_report(params: Params, root: Path = Path()) -> list[Path]:
    """Write tables, figures and the page. Nothing is written unless all results can be read.

    Args:
        params: the parameters, which name the source and the targets.
        root: root of the project, with the folders reports/ and data/.

    Returns:
        The files written: tables.md first, then metrics.json, the figures and index.html.

    Raises:
        PipelineError: a result is missing, damaged, or of another configuration than the first.
    """
    source = load_source(params, root)
    studies = load_studies(root / paths.STUDIES)
    evaluations = load_evaluations(params, root)
    results, paper = [evaluation.result for evaluation in evaluations], load(paths.PAPER)
    # Created before anything is written, because it reads more files than the tables.
    with working("draw the page"):
        html = page(params, evaluations, source, render(results, source, [], paper, studies), root)
    figures = [
        write_figures(one, params.source, root)
        for one in progress_bar(evaluations, desc="draw the figures", unit="target")
    ]
    tables, metrics, index = (root / path for path in (paths.TABLES, paths.HEADLINES, paths.PAGE))
    linked = [
        (result.target, [path.relative_to(tables.parent).as_posix() for path in drawn])
        for result, drawn in zip(results, figures, strict=True)
    ]
    write_json(metrics, headlines(results))
    write_text(tables, render(results, source, linked, paper, studies))
    write_text(index, html)
    return [tables, metrics, *(path for drawn in figures for path in drawn), index]


def headlines(results: Sequence[Result]) -> dict[str, dict[str, float]]:
    """Return the headline metrics for comparing experiments (``dvc exp show``), by target, and their means.

    These are accuracy, balanced accuracy and their gains over DT in per cent, and macro F1 as a fraction, of the kept
    model. The gain in accuracy has a 95 % interval if single predictions are known.
    """
    names = ("accuracy", "gain", *BOUNDS, "balanced", "balanced_gain", "f1")
    found: dict[str, dict[str, float]] = {name: {} for name in names}
    for result in results:
        if result.before is not None and result.after is not None:
            found["accuracy"][result.target] = 100 * result.after.accuracy
            found["gain"][result.target] = 100 * (result.after.accuracy - result.before.accuracy)
            found["balanced"][result.target] = 100 * result.after.balanced_accuracy
            gain = result.after.balanced_accuracy - result.before.balanced_accuracy
            found["balanced_gain"][result.target] = 100 * gain
            found["f1"][result.target] = result.after.macro_f1
    for name, values in found.items():
        if values and name not in BOUNDS:
            values["mean"] = sum(values.values()) / len(values)
    _add_intervals(found, {result.target: paired_gain(result) for result in results})
    return {name: {key: round(value, 3) for key, value in values.items()} for name, values in found.items()}


def _add_intervals(found: dict[str, dict[str, float]], gains: Mapping[str, Comparison | None]) -> None:
    """Add the bounds of each target's gain, and those of the mean gain if all its targets have them."""
    known = {target: gain.accuracy for target, gain in gains.items() if gain is not None}
    bounds = {target: (gain.low, gain.high) for target, gain in known.items()}
    if known and known.keys() == found["gain"].keys() - {"mean"}:
        bounds["mean"] = mean_interval([*known.values()])
    for target, both in bounds.items():
        for name, bound in zip(BOUNDS, both, strict=True):
            found[name][target] = bound


def render(
    results: Sequence[Result],
    source: SourceMetrics,
    figures: Sequence[tuple[str, Sequence[str]]],
    paper: Params,
    studies: Sequence[StudySummary] = (),
) -> str:
    """Return the whole report as Markdown.

    Args:
        results: at least one result, one per target, all of the same configuration.
        source: scores of the source model on its own test rows.
        figures: paths of figures by target, relative to the report; if empty, there is no section of figures.
        paper: the parameters of the paper's protocol.
        studies: the collected studies.
    """
    by_target = {result.target: result for result in results}
    in_paper = {*TABLE_1.targets, *TABLE_2.targets}
    sections = [
        "# Cross-domain facial expression recognition: results",
        protocol.lead(results),
        targets_section(results),
        comparison_section(TABLE_1, by_target, studies),
        comparison_section(TABLE_2, by_target, studies),
        further_section([result for result in results if result.target not in in_paper], studies),
        ablation_section(by_target, studies),
        unlabelled_section(results),
        choices_section(results),
        candidates_section(results),
        calibration_section(results),
        f1_section(results),
        _figures_section(figures),
        studies_section(studies, paths.STUDIES.name),
        protocol.describe(results, source, paper),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _figures_section(figures: Sequence[tuple[str, Sequence[str]]]) -> str:
    parts = ["## Figures"] if figures else []
    for target, drawn in figures:
        parts.append(f"### {dataset_title(target)}")
        for path in drawn:
            kind = Path(path).stem.partition("_")[0]
            parts.append(f"![{CAPTIONS[kind]}: {dataset_title(target)}]({path})")
    return "\n\n".join(parts)
