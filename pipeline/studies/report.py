"""reports/studies/NAME.md, .csv and figures: a study's results so far, and what is missing."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from types import MappingProxyType
from typing import Literal, TypeVar

import pandas as pd

from pipeline.config import paths
from pipeline.errors import PipelineError
from pipeline.files.io import write_csv, write_json, write_text
from pipeline.labels import DRAWN_MARK
from pipeline.reporting.markdown import (
    KNOWN_NOTE,
    MARK_NOTE,
    NOTHING,
    UNLIKE_NOTE,
    difference_text,
    markdown_table,
    share_text,
    signed,
    with_marks,
)
from pipeline.reporting.study_results import StudyCell, StudyRow, StudySummary, load_studies
from pipeline.reporting.titles import OTHER_CODE_MARK, backbone_title, dataset_title, environment_title
from pipeline.studies import figures
from pipeline.studies.collect import Collected, State
from pipeline.studies.plan import Run, Study
from pipeline.studies.summary import (
    KEEP,
    Stage,
    accuracy,
    adjusted,
    chosen_by,
    drawn_units,
    is_transfer,
    paired,
    win_loss,
)
from pipeline.tracking.costs import Cost
from pipeline.validators import LAST, VALIDATORS

P = TypeVar("P")
SCORES = ("accuracy", "balanced_accuracy", "macro_f1")


def write_report(
    name: str,
    study: Study,
    planned: Sequence[Run],
    collected: Sequence[Collected],
    lacking: Mapping[str, State],
    failed: Mapping[str, str],
    costs: Mapping[str, Mapping[str, Cost]] = MappingProxyType({}),
    here: str = "",
) -> list[Path]:
    """Write the report of a study, and its figures.

    Args:
        name: name of the study.
        study: content of its file.
        planned: all its experiments.
        collected: all its results.
        lacking: states of the runs without results, by name.
        failed: last messages of failed runs, by name.
        costs: costs of the adaptations, by the experiment's name and the target.
        here: for a study in this workspace, what is said about it (``here.note``).

    Returns:
        The files that were written.

    Raises:
        PipelineError: nothing was collected, but the existing report has results.
        StorageError: a file cannot be written.
    """
    folder = paths.STUDIES
    if not collected:
        _keep_what_was_collected(folder / f"{name}.json")
    targets = list(dict.fromkeys(target for run in planned for target in run.params.targets))
    written = [folder / f"{name}.csv", folder / f"{name}.md"]
    write_csv(written[0], rows(collected, costs))
    pictures = figures.write_figures(name, study, targets, collected, folder) if collected else []
    sections = [
        f"# {study.title}",
        _state(study, planned, collected, lacking, failed, bool(here)),
        here,
        *(_results(study, targets, collected, bool(here)) if collected else []),
        *_costs(study, planned, costs),
        *(f"![{path.stem}]({path.name})" for path in pictures),
    ]
    write_text(written[1], "\n\n".join(section for section in sections if section) + "\n")
    written.append(folder / f"{name}.json")
    files = [path.name for path in pictures]
    summary = _summary(name, study, targets, planned, collected, lacking, files, bool(here))
    write_json(written[2], summary.model_dump(mode="json"))
    return [*written, *pictures]


def _keep_what_was_collected(path: Path) -> None:
    """Refuse to replace a report with results by an empty one, for example in a clone without experiments.

    Raises:
        PipelineError: the existing report has results.
    """
    earlier = next((study for study in load_studies(path.parent) if study.name == path.stem), None)
    if earlier is not None and earlier.found:
        kind, fetch = ("runs", "") if earlier.here else ("experiments", "fetch them (dvc exp pull), ")
        raise PipelineError(
            f"{path} has the results of {earlier.found} {kind} (revision {', '.join(earlier.revisions)}), and "
            f"none of them is in this clone: {fetch}run the study, or remove the file to start again"
        )


def _summary(
    name: str,
    study: Study,
    targets: Sequence[str],
    planned: Sequence[Run],
    collected: Sequence[Collected],
    lacking: Mapping[str, State],
    pictures: Sequence[str],
    here: bool,
) -> StudySummary:
    """Return what reports/tables.md shows of the study."""
    base = study.reference or next(iter(study.variants))
    rows = [_summary_row(f"DT (of {base})", base, targets, collected, "before")]
    rows += [_summary_row(variant, variant, targets, collected, "after") for variant in study.variants]
    return StudySummary(
        name=name,
        title=study.title,
        tables=study.tables,
        found=len(planned) - len(lacking),
        planned=len(planned),
        revisions=tuple(sorted({one.revision for one in collected} - {""})),
        parameters=_shared([one.result.parameters for one in collected]),
        rows=tuple(row for row in rows if row),
        pictures=tuple(pictures),
        here=here,
    )


def _shared(parameters: Sequence[Mapping[str, P]]) -> dict[str, P]:
    """Return the parameters that have the same value everywhere."""
    first = parameters[0] if parameters else {}
    return {key: value for key, value in first.items() if all(key in one and one[key] == value for one in parameters)}


def _summary_row(
    name: str, variant: str, targets: Sequence[str], collected: Sequence[Collected], stage: Stage
) -> StudyRow | None:
    """Return a variant's row; None if it has no result."""
    results = [one.result for one in collected if one.run.variant == variant]
    cells = {target: cell for target in targets if (cell := accuracy(collected, variant, target, stage))}
    if not cells:
        return None
    source, backbone = dataset_title(results[0].source), backbone_title(results[0])
    return StudyRow(name=name, source=source, backbone=backbone, cells=cells)


def _costs(study: Study, planned: Sequence[Run], costs: Mapping[str, Mapping[str, Cost]]) -> list[str]:
    """Return the section on time and memory of an adaptation, means over targets and seeds; empty if unknown."""
    lines = []
    for variant in study.variants:
        found = [cost for run in planned if run.variant == variant for cost in costs.get(run.name, {}).values()]
        if found:
            seconds, memory = mean(cost.seconds for cost in found), [cost.memory for cost in found if cost.memory]
            lines.append([variant, f"{seconds:,.0f}", f"{mean(memory):,.0f}" if memory else NOTHING, str(len(found))])
    if not lines:
        return []
    table = markdown_table(["", "seconds of training", "peak memory (MiB)", "adaptations"], lines)
    return ["## What an adaptation costs", table, "Measured on this machine beside other work."]


def rows(collected: Sequence[Collected], costs: Mapping[str, Mapping[str, Cost]]) -> pd.DataFrame:
    """Return the table of numbers.

    Returns:
        One row per variant, seed and target: accuracies in per cent, the training's seconds, its peak memory in MiB.
    """
    scores = [f"{stage}_{key}" for stage in ("dt", "adapted") for key in SCORES]
    choices = [LAST, *(validator.name for validator in VALIDATORS)]
    ways = ["oracle_accuracy", *(f"by_{name}" for name in choices)]
    head = ["variant", "target", "source_seed", "seed", *scores, *ways, *(f"balanced_{way}" for way in ways)]
    head += ["n_test", "seconds", "memory_mib", "drawn", "revision", "experiment"]
    found = []
    for one in collected:
        result = one.result
        row: list[object] = [one.run.variant, result.target, one.source_seed, one.run.seed]
        for metrics in (result.before, result.after):
            row += [100 * getattr(metrics, key) if metrics else None for key in SCORES]
        epochs = [result.oracle, *(result.unlabelled.choices.get(name) for name in choices)]
        row += [100 * epoch.accuracy if epoch else None for epoch in epochs]
        balanced = [epoch.balanced_accuracy if epoch else None for epoch in epochs]
        row += [None if one is None else 100 * one for one in balanced]
        cost = costs.get(one.run.name, {}).get(result.target)
        row += [result.n_test, *((cost.seconds, cost.memory) if cost else (None, None))]
        found.append([*row, result.drawn, one.revision, one.run.name])
    return pd.DataFrame(found, columns=head)


def _state(
    study: Study,
    planned: Sequence[Run],
    collected: Sequence[Collected],
    lacking: Mapping[str, State],
    failed: Mapping[str, str],
    here: bool,
) -> str:
    """Describe how much of the study has results, and with which code."""
    kind = "runs" if here else "experiments"
    lines = [
        f"{len(planned) - len(lacking)} of {len(planned)} {kind} (variants: {len(study.variants)}; seeds: "
        f"{', '.join(map(str, study.seeds))}). Accuracies in per cent at the last epoch, or at the epoch or "
        "configuration that adapt.choose keeps; with several seeds mean ± standard deviation over seeds."
    ]
    if any(one.result.drawn for one in collected):
        lines.append(MARK_NOTE)
    if any(one.result.split.protocol.classes is not None for one in collected):
        lines.append(KNOWN_NOTE)
    ways = Counter(environment_title(one.result.environment) for one in collected)
    if len(ways) > 1:
        lines.append(f"{UNLIKE_NOTE} Results by how: {'; '.join(f'{n} with {way}' for way, n in ways.items())}.")
    older = sorted({one.revision or "not committed" for one in collected if not one.current})
    if older:
        now = "now" if here else "the last commit's"
        lines.append(f"{OTHER_CODE_MARK} A result was computed with other code than {now} ({', '.join(older)}).")
    for run in planned:
        if run.name in failed:
            said = failed[run.name].replace("\n", " / ")
            lines.append(f"- **failed**: {run.variant}, seed {run.seed} (`{run.name}`): {said}")
        elif run.name in lacking:
            found = "" if lacking[run.name] == "missing" else f": found one of {lacking[run.name]}"
            lines.append(f"- missing: {run.variant}, seed {run.seed} (`{run.name}`){found}")
    return "\n\n".join(lines[:1]) + "\n\n" + "\n".join(lines[1:])


def _results(study: Study, targets: Sequence[str], collected: Sequence[Collected], here: bool) -> list[str]:
    parts = ["## Accuracy and balanced accuracy", _accuracies(study, targets, collected)]
    for other in (None, study.reference) if study.reference else (None,):
        parts.append(f"## Against {other or 'direct transfer'}")
        parts += ["Accuracy:", _differences(study, targets, collected, other, "accuracy")]
        parts += ["Balanced accuracy:", _differences(study, targets, collected, other, "balanced_accuracy")]
    drawn = [f"{dataset_title(target)} {units}" for target in targets if (units := drawn_units(collected, target))]
    parts.append(
        "Differences in points on the same test pictures, over the seeds that both have, with the 95 % interval of a "
        f"paired bootstrap over groups of pictures and {'source models' if here else 'seeds'} together "
        "(pipeline.evaluation.comparison). p values are "
        "corrected for the number of variants (Holm). The last columns have targets won and lost, and the p value of "
        f"the sign test. The bootstrap draws {', '.join(drawn) or 'nothing'}."
    )
    if acting := _acting(study, collected):
        parts += ["## How much a method's own loss acts", acting]
    if table := _choices(collected):
        parts += ["## Choosing an epoch, or a configuration, without labels", table]
    return parts


def _accuracies(study: Study, targets: Sequence[str], collected: Sequence[Collected]) -> str:
    base = study.reference or next(iter(study.variants))
    lines = [[f"DT (of {base})", *(_cell(accuracy(collected, base, t, "before")) for t in targets)]]
    for variant in study.variants:
        lines.append([variant, *(_cell(accuracy(collected, variant, t)) for t in targets)])
    return markdown_table(["", *map(dataset_title, targets)], lines)


def _cell(cell: StudyCell | None) -> str:
    return NOTHING if cell is None else cell.text()


def _differences(
    study: Study,
    targets: Sequence[str],
    collected: Sequence[Collected],
    other: str | None,
    score: Literal["accuracy", "balanced_accuracy"],
) -> str:
    compared = [
        variant
        for variant in study.variants
        if variant != other and not (other is None and is_transfer(collected, variant))
    ]
    by_target = []
    for target in targets:
        found = [paired(collected, variant, other, target) for variant in compared]
        by_target.append(adjusted([getattr(one, score) if one else None for one in found]))
    lines = []
    for variant, differences in zip(compared, zip(*by_target, strict=True), strict=True):
        cells, marks = [], dict[str, None]()
        for target, found in zip(targets, differences, strict=True):
            if found is None:
                cells.append(NOTHING)
                continue
            own = _marks_of(collected, variant, other, target)
            cells.append(f"{difference_text(found, own)}, p {found.p:.3f}")
            marks.update(own)
        over = win_loss([found for found in differences if found])
        won = [f"{over.better} : {over.worse}", with_marks(signed(over.mean), marks), f"{over.p:.3f}"] if over else []
        lines.append([variant, *cells, *(won or [NOTHING] * 3)])
    return markdown_table(["", *map(dataset_title, targets), "won : lost", "mean", "p of signs"], lines)


def _marks_of(collected: Sequence[Collected], variant: str, other: str | None, target: str) -> dict[str, None]:
    """Return the marks of the two cells of a difference, in order."""
    against = accuracy(collected, other or variant, target, "after" if other else "before")
    pair = (accuracy(collected, variant, target), against)
    return dict.fromkeys(mark for cell in pair if cell for mark in cell.marks())


def _acting(study: Study, collected: Sequence[Collected]) -> str:
    """Return a table of mean gradient shares by variant, over targets and seeds; empty if no result has them."""
    lines = []
    for variant in study.variants:
        results = [one.result for one in collected if one.run.variant == variant]
        shares = [result.own_share for result in results if result.own_share is not None]
        if shares:
            drawn = [DRAWN_MARK] if any(result.drawn for result in results) else []
            lines.append([variant, share_text(mean(shares), drawn)])
    return markdown_table(["", "gradient on z, relative to the source's cross entropy"], lines) if lines else ""


def _choices(collected: Sequence[Collected]) -> str:
    """Return a table of ways to choose an epoch, over all variants, targets and seeds: no single target decides."""
    lines, drawn = [], [DRAWN_MARK] if any(one.result.drawn for one in collected) else []
    ways = [("keep the source model", KEEP), ("last epoch", LAST)]
    for title, name in (*ways, *((validator.title, validator.name) for validator in VALIDATORS)):
        if found := chosen_by(collected, name):
            numbers = (found.accuracy, found.balanced, found.below_oracle)
            cells = (NOTHING if number is None else with_marks(f"{number:.1f}", drawn) for number in numbers)
            lines.append([title, *cells, str(found.results)])
    head = ["chosen by", "mean accuracy (%)", "mean balanced accuracy (%)", "accuracy below the oracle's (points)"]
    return markdown_table([*head, "results"], lines) if lines else ""
