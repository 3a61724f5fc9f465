"""Results of studies, as ``pocan study`` leaves them in reports/studies, as rows of the paper's tables."""

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

Table = Annotated[int, Field(ge=1, le=3)]


class StudyCell(Record):
    """One row on one target: the accuracies of the models that its experiments ended with.

    Attributes:
        mean: over the seeds, in per cent.
        deviation: the standard deviation over the seeds, 0 of one seed.
        balanced: the mean balanced accuracy, in per cent; None in a study that was collected before it was kept.
        balanced_deviation: its standard deviation.
        seeds: how many there are.
        drawn: whether stand-ins were used.
        known: whether the target's label set was given.
        current: whether all of it was made by the code of the last commit.
        alike: whether one precision, device and set of versions computed it.
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
        """The cell, "79.1 ± 1.2 (3) ◊, balanced 75.0 ± 1.4 ◊"; the number of seeds only where there are several."""
        spread = f" ± {self.deviation:.1f} ({self.seeds})" if self.seeds > 1 else ""
        accuracy = with_marks(f"{self.mean:.1f}{spread}", self.marks())
        if self.balanced is None:
            return accuracy
        spread = f" ± {self.balanced_deviation:.1f}" if self.seeds > 1 else ""
        return f"{accuracy}, balanced {with_marks(f'{self.balanced:.1f}{spread}', self.marks())}"

    def marks(self) -> list[str]:
        """Those that stand beside all that is made of it."""
        marks = {DRAWN_MARK: self.drawn, KNOWN_MARK: self.known, OTHER_CODE_MARK: not self.current}
        marks[UNLIKE_MARK] = not self.alike
        return [mark for mark, holds in marks.items() if holds]


class StudyRow(Record):
    """A variant, or the direct transfer that it starts from: by target, what was measured."""

    name: str
    source: str
    backbone: str
    cells: dict[str, StudyCell]


class StudySummary(Record):
    """A study's state when it was collected.

    Attributes:
        name: the study's.
        title: what people call it.
        tables: those of the paper that its rows stand in.
        found: experiments that are there.
        planned: experiments in all.
        revisions: of the code behind it.
        parameters: those that have one value in all of it, by their full names.
        rows: one a variant.
        pictures: files beside it.
        committed: whether git has it as it is here: then it came with the repository, and this run has not made it.
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
    committed: bool = Field(default=False, exclude=True)

    def rows_of(self, targets: Sequence[str]) -> list[StudyRow]:
        """The rows that have a number for one of ``targets``."""
        return [row for row in self.rows if any(target in row.cells for target in targets)]

    def heading(self, results: Sequence[Result] = ()) -> str:
        """The line above its rows.

        Args:
            results: of the run that the rows stand beside; parameters that have another value there are named.
        """
        missing = f", {self.planned - self.found} of {self.planned} experiments missing" * (self.found < self.planned)
        revision = f", revision {', '.join(self.revisions)}" * bool(self.revisions)
        unlike = {
            key
            for result in results
            for key in self.parameters.keys() & result.parameters.keys()
            if self.parameters[key] != result.parameters[key] and key != "seed"
        }
        others = f"; unlike this run in {', '.join(f'`{key}`' for key in sorted(unlike))}" * bool(unlike)
        came = ", as committed in this repository" * self.committed
        return f"measured by `pocan study {self.name}`{came}{revision}{missing}{others}"


def load_studies(folder: Path) -> list[StudySummary]:
    """The studies that were collected, by name.

    Raises:
        PipelineError: a file is damaged.
    """
    came = _committed(folder)
    found = [
        read_record(StudySummary, path, f"pocan study {path.stem} --collect") for path in sorted(folder.glob("*.json"))
    ]
    return [study.model_copy(update={"committed": f"{study.name}.json" in came}) for study in found]


def _committed(folder: Path) -> set[str]:
    """The files in ``folder`` that git has as they are here."""
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
    """The studies that table ``number`` has rows of for one of ``targets``."""
    return [study for study in studies if number in study.tables and study.rows_of(targets)]


def row_cells(row: StudyRow, targets: Sequence[str]) -> list[str]:
    """A row's cells, one a target."""
    return [row.cells[target].text() if target in row.cells else NOTHING for target in targets]


def average(row: StudyRow, targets: Sequence[str]) -> str:
    """The mean over all targets with the marks of each; a mean over fewer would not be the paper's AVG."""
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
    """Every study that has results, its report and its pictures; ``folder`` is theirs, seen from the report."""
    there = [study for study in studies if study.found]
    if not there:
        return ""
    parts = ["## Studies"]
    for study in there:
        parts.append(f"[{study.title}]({folder}/{study.name}.md): {study.heading()}")
        parts += [f"![{study.title}]({folder}/{picture})" for picture in study.pictures]
    return "\n\n".join(parts)
