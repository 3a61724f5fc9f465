"""The paper's tables as printed, followed by measured rows of this run and of studies.

Every number measured on drawn stand-ins is marked in its cell, because people copy cells without the legend.
"""

from collections.abc import Callable, Sequence

from pipeline.evaluation.records import Metrics, Result
from pipeline.reporting.markdown import NOTHING, ORACLE, accuracy_cell, both_cell, markdown_table, oracle_cell, section
from pipeline.reporting.paper_tables import TABLE_3, QuotedTable
from pipeline.reporting.study_results import StudySummary, average, in_table, row_cells
from pipeline.reporting.titles import backbone_title, dataset_note, dataset_title, environment_title, method_title


def comparison_section(quoted: QuotedTable, by_target: dict[str, Result], studies: Sequence[StudySummary]) -> str:
    """Return Table 1 or 2: the quoted rows, then the measured ones."""
    blank = [""] * (len(quoted.targets) + 3)
    rows: list[list[str]] = []
    for group in quoted.groups:
        rows.append([f"*quoted, {group.origin}*", *blank])
        rows += [[row.method, row.source, row.backbone, *row.numbers, ""] for row in group.rows]
    notes = list(quoted.footnotes)
    if measured := _measured_rows([by_target.get(target) for target in quoted.targets]):
        rows += [["*measured by this run*", *blank], *measured]
    study_rows = _study_rows(in_table(studies, quoted.number, quoted.targets), quoted.targets, [*by_target.values()])
    rows += study_rows
    if not measured and not study_rows:
        notes.append("No target of this table was run.")
    table = markdown_table(["Method", "Source", "Backbone", *quoted.titles, ORACLE], rows, left=3)
    return section(f"Table {quoted.number}. {quoted.caption}", table, notes)


def further_section(results: Sequence[Result], studies: Sequence[StudySummary]) -> str:
    """Return the table of targets that are not in the paper's tables."""
    if not results:
        return ""
    titles = [dataset_title(result.target) for result in results]
    targets = [result.target for result in results]
    compared = [study for study in studies if {1, 2} & {*study.tables} and study.rows_of(targets)]
    rows = [*_measured_rows(results), *_study_rows(compared, targets, results)]
    table = markdown_table(["Method", "Source", "Backbone", *titles, ORACLE], rows, left=3)
    notes = ["The paper has no column for these targets."]
    notes += [note for result in results if (note := dataset_note(result.target))]
    return section("Further targets: accuracy (%)", table, notes)


def ablation_section(by_target: dict[str, Result], studies: Sequence[StudySummary]) -> str:
    """Return Table 3: the quoted ablations, then the configuration of this run."""
    (group,) = TABLE_3.groups
    rows = [[f"*quoted, {group.origin}*", *[""] * (len(TABLE_3.targets) + 1)]]
    rows += [[row.method, *row.numbers, row.average] for row in group.rows]
    run = [by_target.get(target) for target in TABLE_3.targets]
    notes = list(TABLE_3.footnotes)
    measured = []
    for name, alike in _computed_alike(run):
        adapted = [result for result in alike if result is not None and result.adapts]
        if adapted:
            cells = _cells(alike, lambda result: result.adapted())
            measured.append([f"{method_title(adapted[0])} ({name})", *cells, _average_cell(adapted, len(run))])
    if measured:
        rows += [["*measured by this run*", *[""] * (len(TABLE_3.targets) + 1)], *measured]
        notes.append("The measured row is the configuration of this run; its AVG needs all five targets with labels.")
    in_table_3 = in_table(studies, TABLE_3.number, TABLE_3.targets)
    if not measured and not in_table_3:
        notes.append("No adapted target of this table was run.")
    for study in in_table_3:
        rows.append([f"*{study.heading([*by_target.values()])}*", *[""] * (len(TABLE_3.targets) + 1)])
        for row in study.rows_of(TABLE_3.targets):
            rows.append([row.name, *row_cells(row, TABLE_3.targets), average(row, TABLE_3.targets)])
    table = markdown_table(["Method", *TABLE_3.titles, "AVG"], rows)
    return section(f"Table 3. {TABLE_3.caption}", table, notes)


def _study_rows(studies: Sequence[StudySummary], targets: Sequence[str], results: Sequence[Result]) -> list[list[str]]:
    """Return the rows of studies, each study with a heading; they have no oracle."""
    rows: list[list[str]] = []
    for study in studies:
        rows.append([f"*{study.heading(results)}*", *[""] * (len(targets) + 3)])
        rows += [[r.name, r.source, r.backbone, *row_cells(r, targets), NOTHING] for r in study.rows_of(targets)]
    return rows


def _measured_rows(results: Sequence[Result | None]) -> list[list[str]]:
    """Return the rows "DT (measured)" and "POCAN (measured)"; ``results`` by column, None if it was not run."""
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
    """Group results by environment (precision, device, versions), so that a row never mixes environments.

    Returns:
        For each environment the name of its rows, "measured" (with the environment if there are several), and results.
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
    return [NOTHING if result is None else accuracy_cell(result, choose(result)) for result in results]


def _average_cell(results: Sequence[Result], columns: int) -> str:
    """Return the mean over all columns, as the paper's AVG; nothing if a column is missing."""
    found = [after for result in results if (after := result.adapted()) is not None]
    if len(found) < columns:
        return NOTHING
    marking = next((result for result in results if result.drawn), results[0])
    accuracy, balanced = (
        sum(getattr(one, name) for one in found) / columns for name in ("accuracy", "balanced_accuracy")
    )
    return both_cell(marking, accuracy, balanced)
