"""Results of studies, read from reports/studies, as rows of the paper's tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from pipeline.evaluation.records import Result
from pipeline.files.records import Record, read_record
from pipeline.git import GitError, git
from pipeline.labels import DRAWN_MARK
from pipeline.reporting.markdown import NOTHING, with_marks
from pipeline.reporting.titles import KNOWN_MARK, OTHER_CODE_MARK, UNLIKE_MARK
from pipeline.splits.report import Count

HERE = "-here"
"""What the name of a report ends with if the study ran in a workspace (``pocan study --here``)."""

Table = Annotated[int, Field(ge=1, le=3)]


class StudyCell(Record):
    """The accuracies of one variant on one target, over seeds.

    Attributes:
        mean: mean accuracy, in per cent.
        deviation: standard deviation over the seeds; 0 for one seed.
        balanced: mean balanced accuracy, in per cent; None in studies collected by older versions.
        balanced_deviation: standard deviation of the balanced accuracy.
        seeds: number of seeds.
        drawn: whether drawn stand-ins were used.
        known: whether the target's classes were given.
        current: whether all results were computed by the code of the last commit.
        alike: whether all results have the same precision, device and versions.
    """

    mean: float
    deviation: float
    balanced: float | None = None
    balanced_deviation: float = 0.0
    seeds: Annotated[int, Field(ge=1)]
    drawn: bool
    known: bool
    current: bool
    alike: bool

    def text(self) -> str:
        """The cell, "79.1 ± 1.2 (3) ◊, balanced 75.0 ± 1.4 ◊"; the number of seeds is omitted for one seed."""
        spread = f" ± {self.deviation:.1f} ({self.seeds})" if self.seeds > 1 else ""
        accuracy = with_marks(f"{self.mean:.1f}{spread}", self.marks())
        if self.balanced is None:
            return accuracy
        spread = f" ± {self.balanced_deviation:.1f}" if self.seeds > 1 else ""
        return f"{accuracy}, balanced {with_marks(f'{self.balanced:.1f}{spread}', self.marks())}"

    def marks(self) -> list[str]:
        """The marks of the cell's numbers."""
        marks = {DRAWN_MARK: self.drawn, KNOWN_MARK: self.known, OTHER_CODE_MARK: not self.current}
        marks[UNLIKE_MARK] = not self.alike
        return [mark for mark, holds in marks.items() if holds]


class StudyRow(Record):
    """The results of a variant, or of its direct transfer, by target."""

    name: str
    source: str
    backbone: str
    cells: dict[str, StudyCell]


class StudySummary(Record):
    """A study's state when it was collected.

    Attributes:
        name: name of the study.
        title: title of the study.
        tables: the paper's tables in which its rows are shown.
        found: number of finished experiments.
        planned: number of planned experiments.
        revisions: git revisions of the code.
        parameters: parameters with the same value in all experiments, by full name.
        rows: one row per variant.
        pictures: figures of the study.
        here: whether all variants adapted the source model of a workspace (``pocan study --here``).
        committed: whether the files are committed unchanged, so that they came with the repository.
    """

    name: str
    title: str
    tables: tuple[Table, ...]
    found: Count
    planned: Count
    revisions: tuple[str, ...]
    parameters: dict[str, str | int | float | bool]
    rows: tuple[StudyRow, ...]
    pictures: tuple[str, ...]
    here: bool = False
    committed: bool = Field(default=False, exclude=True)

    def rows_of(self, targets: Sequence[str]) -> list[StudyRow]:
        """Return the rows with a result on one of ``targets``."""
        return [row for row in self.rows if any(target in row.cells for target in targets)]

    def heading(self, results: Sequence[Result] = ()) -> str:
        """Return the heading of the study's rows.

        Args:
            results: results of the current run; parameters with other values there are listed.
        """
        kind = "runs" if self.here else "experiments"
        missing = f", {self.planned - self.found} of {self.planned} {kind} missing" * (self.found < self.planned)
        revision = f", revision {', '.join(self.revisions)}" * bool(self.revisions)
        unlike = {
            key
            for result in results
            for key in self.parameters.keys() & result.parameters.keys()
            if self.parameters[key] != result.parameters[key] and key != "seed"
        }
        command = f"{self.name.removesuffix(HERE)} --here" if self.here else self.name
        others = f"; unlike this run in {', '.join(f'`{key}`' for key in sorted(unlike))}" * bool(unlike)
        came = ", as committed in this repository" * self.committed
        return f"measured by `pocan study {command}`{came}{revision}{missing}{others}"


def load_studies(folder: Path) -> list[StudySummary]:
    """Return the collected studies, by name.

    Raises:
        PipelineError: a file is damaged.
    """
    came = _committed(folder)
    found = [
        read_record(StudySummary, path, f"pocan study {path.stem} --collect") for path in sorted(folder.glob("*.json"))
    ]
    return [study.model_copy(update={"committed": f"{study.name}.json" in came}) for study in found]


def _committed(folder: Path) -> set[str]:
    """Return the files in ``folder`` that are committed and unchanged."""
    if not folder.is_dir():
        return set()
    try:
        known, changed = (
            git("-C", str(folder), *command, "--", ".").splitlines()
            for command in (("ls-files",), ("diff", "--name-only", "--relative", "HEAD"))
        )
    except GitError:  # outside of git nothing has come with a repository
        return set()
    return {*known} - {*changed}


def in_table(studies: Sequence[StudySummary], number: int, targets: Sequence[str]) -> list[StudySummary]:
    """Return the studies with rows in table ``number`` for one of ``targets``."""
    return [study for study in studies if number in study.tables and study.rows_of(targets)]


def row_cells(row: StudyRow, targets: Sequence[str]) -> list[str]:
    """Return a row's cells, one per target."""
    return [row.cells[target].text() if target in row.cells else NOTHING for target in targets]


def average(row: StudyRow, targets: Sequence[str]) -> str:
    """Return the mean over all targets with their marks, as the paper's AVG; nothing if a target is missing."""
    if any(target not in row.cells for target in targets):
        return NOTHING
    found = [row.cells[target] for target in targets]
    balanced = [cell.balanced for cell in found if cell.balanced is not None]
    return StudyCell(
        mean=sum(cell.mean for cell in found) / len(found),
        deviation=0.0,
        balanced=sum(balanced) / len(found) if len(balanced) == len(found) else None,
        seeds=1,
        drawn=any(cell.drawn for cell in found),
        known=any(cell.known for cell in found),
        current=all(cell.current for cell in found),
        alike=all(cell.alike for cell in found),
    ).text()


def studies_section(studies: Sequence[StudySummary], folder: str) -> str:
    """Return the section of all studies with results; ``folder``: relative path from the report to their files."""
    there = [study for study in studies if study.found]
    if not there:
        return ""
    parts = ["## Studies"]
    for study in there:
        parts.append(f"[{study.title}]({folder}/{study.name}.md): {study.heading()}")
        parts += [f"![{study.title}]({folder}/{picture})" for picture in study.pictures]
    return "\n\n".join(parts)
