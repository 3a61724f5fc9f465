"""The text of reports/tables.md: the paper's tables as printed, with this run's measured rows below.

The score that counts is the last epoch's. What was measured with drawn stand-ins carries a mark in every cell, because
cells are copied out of tables without their legend.
"""

from collections.abc import Callable, Sequence

from pipeline.config.schema import Params
from pipeline.labels import EXPRESSIONS
from pipeline.reporting import protocol
from pipeline.reporting.markdown import NOTHING, ORACLE, markdown_table, marked, oracle_cell, percent, section
from pipeline.reporting.paper_tables import TABLE_1, TABLE_2, TABLE_3, QuotedTable
from pipeline.reporting.results import Metrics, Result, SourceMetrics
from pipeline.reporting.studied import Studied, average, in_table, row_cells, studies_section
from pipeline.reporting.titles import (
    backbone_title,
    dataset_note,
    dataset_title,
    environment_title,
    method_title,
)
from pipeline.reporting.unlabelled import choices_section, judged_section


def render(
    results: Sequence[Result],
    source: SourceMetrics,
    figures: Sequence[tuple[str, Sequence[str]]],
    paper: Params,
    studies: Sequence[Studied] = (),
) -> str:
    """The whole report as Markdown.

    Args:
        results: one per target, all of one configuration, at least one.
        source: the source model's score on its own test part.
        figures: per target, the paths of its figures relative to the report; none: no section of figures.
        paper: the parameters of the paper's protocol.
        studies: those that were collected.
    """
    by_target = {result.target: result for result in results}
    in_paper = {*TABLE_1.targets, *TABLE_2.targets}
    sections = [
        "# Cross-domain facial expression recognition: results",
        protocol.describe(results, source, paper),
        _comparison_section(TABLE_1, by_target, studies),
        _comparison_section(TABLE_2, by_target, studies),
        _further_section([result for result in results if result.target not in in_paper], studies),
        _ablation_section(by_target, studies),
        _targets_section(results),
        judged_section(results),
        choices_section(results),
        _calibration_section(results),
        _f1_section(results),
        _figures_section(figures),
        studies_section(studies, "studies"),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def gain(result: Result) -> float | None:
    """after − before in percentage points; none without labels or adaptation."""
    after = result.adapted()
    if result.before is None or after is None:
        return None
    return 100 * (after.accuracy - result.before.accuracy)


def _comparison_section(quoted: QuotedTable, by_target: dict[str, Result], studies: Sequence[Studied]) -> str:
    """Table 1 or 2: the quoted groups, then the measured rows."""
    blank = [""] * (len(quoted.targets) + 3)
    rows: list[list[str]] = []
    for group in quoted.groups:
        rows.append([f"*{group.origin}*", *blank])
        rows += [[row.method, row.source, row.backbone, *row.numbers, ""] for row in group.rows]
    notes = list(quoted.footnotes)
    if measured := _measured_rows([by_target.get(target) for target in quoted.targets]):
        rows += [["*measured by this project*", *blank], *measured]
    else:
        notes.append("No target of this table was run.")
    rows += _studied_rows(in_table(studies, quoted.number, quoted.targets), quoted.targets)
    table = markdown_table(["Method", "Source", "Backbone", *quoted.titles, ORACLE], rows, left=3)
    return section(f"Table {quoted.number}. {quoted.caption}", table, notes)


def _studied_rows(studies: Sequence[Studied], targets: Sequence[str]) -> list[list[str]]:
    """What studies have measured, each under its own line; a study scores no best epoch by target labels here."""
    rows: list[list[str]] = []
    for study in studies:
        rows.append([f"*{study.told()}*", *[""] * (len(targets) + 3)])
        rows += [[r.name, r.source, r.backbone, *row_cells(r, targets), NOTHING] for r in study.rows_of(targets)]
    return rows


def _further_section(results: Sequence[Result], studies: Sequence[Studied]) -> str:
    """Targets that the paper has no column for."""
    if not results:
        return ""
    titles = [dataset_title(result.target) for result in results]
    targets = [result.target for result in results]
    compared = [study for study in studies if {1, 2} & {*study.tables} and study.rows_of(targets)]
    rows = [*_measured_rows(results), *_studied_rows(compared, targets)]
    table = markdown_table(["Method", "Source", "Backbone", *titles, ORACLE], rows, left=3)
    notes = ["The paper has no column for these targets."]
    notes += [note for result in results if (note := dataset_note(result.target))]
    return section("Further targets: accuracy (%)", table, notes)


def _measured_rows(results: Sequence[Result | None]) -> list[list[str]]:
    """The rows "DT (measured)" and "POCAN (measured)"; ``results`` per column, missing where it was not run."""
    rows: list[list[str]] = []
    for measured, alike in _computed_alike(results):
        run = [result for result in alike if result is not None]
        front = [dataset_title(run[0].source), backbone_title(run[0])]
        rows.append([f"DT ({measured})", *front, *_cells(alike, lambda result: result.before), NOTHING])
        if run[0].adapts:
            oracle = "; ".join(f"{dataset_title(r.target)} {oracle_cell(r)}" for r in run if r.oracle) or NOTHING
            name = f"{method_title(run[0])} ({measured})"
            rows.append([name, *front, *_cells(alike, lambda result: result.adapted()), oracle])
    return rows


def _computed_alike(results: Sequence[Result | None]) -> list[tuple[str, list[Result | None]]]:
    """The results by how they were computed (precision, device, versions): no row holds what was computed unlike.

    Each with what its rows are called: "measured", with the way of computing where there are several.
    """
    titles = {result.target: environment_title(result.environment) for result in results if result is not None}
    several = len(set(titles.values())) > 1
    return [
        (
            f"measured, {title}" if several else "measured",
            [result if result is not None and titles[result.target] == title else None for result in results],
        )
        for title in dict.fromkeys(titles.values())
    ]


def _cells(results: Sequence[Result | None], choose: Callable[[Result], Metrics | None]) -> list[str]:
    return [NOTHING if result is None else _accuracy_cell(result, choose(result)) for result in results]


def _accuracy_cell(result: Result, metrics: Metrics | None) -> str:
    """ "61.3 ◊ [52.0, 70.0]"; "no labels" where the target has none."""
    if result.n_test == 0:
        return "no labels"
    if metrics is None:
        return NOTHING
    if metrics.interval is None:
        return percent(metrics.accuracy, result)
    low, high = metrics.interval
    return f"{percent(metrics.accuracy, result)} [{100 * low:.1f}, {100 * high:.1f}]"


def _ablation_section(by_target: dict[str, Result], studies: Sequence[Studied]) -> str:
    """Table 3: the quoted ablations, then the configuration of this run."""
    rows = [[row.method, *row.numbers, row.average] for row in TABLE_3.groups[0].rows]
    run = [by_target.get(target) for target in TABLE_3.targets]
    notes = list(TABLE_3.footnotes)
    measured = []
    for name, alike in _computed_alike(run):
        adapted = [result for result in alike if result is not None and result.adapts]
        if adapted:
            cells = _cells(alike, lambda result: result.adapted())
            measured.append([f"{method_title(adapted[0])} ({name})", *cells, _average_cell(adapted, len(run))])
    if measured:
        rows += measured
        notes.append("The measured row is the configuration of this run; its AVG needs all five targets with labels.")
    else:
        notes.append("No adapted target of this table was run.")
    for study in in_table(studies, TABLE_3.number, TABLE_3.targets):
        rows.append([f"*{study.told()}*", *[""] * (len(TABLE_3.targets) + 1)])
        for row in study.rows_of(TABLE_3.targets):
            rows.append([row.name, *row_cells(row, TABLE_3.targets), average(row, TABLE_3.targets)])
    table = markdown_table(["Method", *TABLE_3.titles, "AVG"], rows)
    return section(f"Table 3. {TABLE_3.caption}", table, notes)


def _average_cell(results: Sequence[Result], columns: int) -> str:
    """Mean over all columns, marked if any of them is; a mean over fewer would not be the paper's AVG."""
    accuracies = [after.accuracy for result in results if (after := result.adapted()) is not None]
    if len(accuracies) < columns:
        return NOTHING
    marking = next((result for result in results if result.drawn), results[0])
    return percent(sum(accuracies) / columns, marking)


def _targets_section(results: Sequence[Result]) -> str:
    """One row per target: pictures, accuracies, difference, macro F1, oracle; then the runs behind them."""
    method = method_title(results[0]) if results[0].adapts else "Adapted"
    head = ["Target", "Train", "Test", "DT", method, f"{method} − DT", "balanced DT", f"balanced {method}"]
    head += ["macro F1 DT", f"macro F1 {method}", ORACLE]
    notes = [
        "Train and Test are numbers of pictures; accuracy in per cent, differences in percentage points. Balanced "
        "accuracy is the mean of the classes' recalls: each class of the test part counts the same."
    ]
    if results[0].adapts:
        notes.append(_where_adaptation_did_not_help(results))
    notes.append("\n".join(f"- {dataset_title(result.target)}: {_run(result)}" for result in results))
    return section("Measured, target by target", markdown_table(head, [_target_row(r) for r in results]), notes)


def _target_row(result: Result) -> list[str]:
    after, difference = result.adapted(), gain(result)
    return [
        dataset_title(result.target),
        marked(f"{result.n_train:,}", result),
        marked(f"{result.n_test:,}", result) if result.n_test else "no labels",
        _accuracy_cell(result, result.before),
        _accuracy_cell(result, after),
        NOTHING if difference is None else marked(_signed(difference), result),
        NOTHING if result.before is None else percent(result.before.balanced_accuracy, result),
        NOTHING if after is None else percent(after.balanced_accuracy, result),
        NOTHING if result.before is None else marked(f"{result.before.macro_f1:.3f}", result),
        NOTHING if after is None else marked(f"{after.macro_f1:.3f}", result),
        oracle_cell(result),
    ]


def _signed(points: float) -> str:
    """A difference with its sign; a minus sign instead of a hyphen, no sign on 0.0."""
    text = f"{points:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "−")


def _where_adaptation_did_not_help(results: Sequence[Result]) -> str:
    gains = [(result, difference) for result in results if (difference := gain(result)) is not None]
    if not gains:
        return "Whether adaptation helped cannot be said: no target has labels."
    failed = [(result, difference) for result, difference in gains if difference <= 0]
    if not failed:
        return f"Adaptation raised the accuracy on every labelled target ({len(gains)} of {len(gains)})."
    items = [f"{dataset_title(r.target)} {marked(_signed(difference), r)} points" for r, difference in failed]
    return f"**Adaptation did not help** on {len(failed)} of {len(gains)} labelled targets: {'; '.join(items)}."


def _run(result: Result) -> str:
    run_id = f"MLflow run `{result.run_id}`" if result.run_id else "no MLflow run"
    return f"{run_id}, revision {f'`{result.revision}`' if result.revision else 'not under git'}"


def _calibration_section(results: Sequence[Result]) -> str:
    """How far the adapted models' confidence can be believed."""
    rows = []
    for result in results:
        cells = [marked(f"{result.calibration.temperature:.2f}", result)]
        for errors in (result.calibration.source, result.calibration.target):
            cells += (
                [NOTHING] * 2 if errors is None else [percent(errors.before, result), percent(errors.after, result)]
            )
        rows.append([dataset_title(result.target), *cells])
    head = ["Target", "temperature", "source as it is", "at the temperature", "target as it is", "at the temperature"]
    notes = [
        "Expected calibration error (%): by how much confidence and accuracy differ, in 15 bins (Guo et al., ICML "
        "2017). The temperature is fitted on the source's test pictures, so their error at it is too good; no label of "
        "a target is used, and a shift of domains leaves an error there. It changes no decision. data/predictions has "
        "the confidence at the temperature."
    ]
    return section("Calibration", markdown_table(head, rows), notes)


def _f1_section(results: Sequence[Result]) -> str:
    """F1 per class before and after, and the test pictures per class."""
    rows: list[list[str]] = []
    for result in results:
        title = dataset_title(result.target)
        if result.before is None:
            rows.append([title, "no labels", *[NOTHING] * (len(EXPRESSIONS) + 1)])
            continue
        rows.append([title, "before (DT)", *_f1_cells(result, result.before)])
        if (after := result.adapted()) is not None:
            rows.append([title, f"after ({method_title(result)})", *_f1_cells(result, after)])
        counts = [marked(f"{count:,}", result) for count in result.before.support]
        rows.append([title, "test pictures", *counts, marked(f"{result.n_test:,}", result)])
    table = markdown_table(["Target", "", *EXPRESSIONS, "macro F1 / sum"], rows, left=2)
    notes = [
        "Macro F1 is the mean over the classes that the test part holds.",
        f"{NOTHING}: no F1, as the class is neither in the test part nor predicted, or the target has no labels.",
    ]
    return section("F1 per class", table, notes)


def _f1_cells(result: Result, metrics: Metrics) -> list[str]:
    cells = [NOTHING if f1 is None else marked(f"{f1:.3f}", result) for f1 in metrics.f1]
    return [*cells, marked(f"{metrics.macro_f1:.3f}", result)]


def _figures_section(figures: Sequence[tuple[str, Sequence[str]]]) -> str:
    parts = ["## Figures"] if figures else []
    for target, paths in figures:
        parts.append(f"### {dataset_title(target)}")
        parts += [f"![{_figure_caption(path, dataset_title(target))}]({path})" for path in paths]
    return "\n\n".join(parts)


def _figure_caption(path: str, title: str) -> str:
    captions = {
        "fig2b": "F1 per class",
        "confusion": "Confusion matrices",
        "fig3": "t-SNE of the features",
        "reliability": "Reliability",
    }
    return f"{captions[path.rsplit('/', 1)[-1].split('_', 1)[0]]}: {title}"
