"""What a study's experiments have come to, read from the files that git keeps of each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from pipeline.reporting.records import Result
from pipeline.studies.experiments import Experiment
from pipeline.studies.plan import Run

State = Literal["done", "other code", "other parameters", "missing"]


@dataclass(frozen=True)
class Collected:
    """One result of a study. ``current``: of the last commit's code; else of ``revision``'s."""

    run: Run
    result: Result
    current: bool
    revision: str


def state_of(run: Run, there: Mapping[str, Experiment]) -> State:
    """Whether a run is there with this code and these parameters, for every target."""
    experiment = there.get(run.name)
    if experiment is None:
        return "missing"
    results = [read_result(experiment, target) for target in run.params.targets]
    if not all(results):
        return "missing"
    if any(result.parameters != run.decisive(result.target) for result in results if result):
        return "other parameters"
    return "done" if experiment.of_this_code() else "other code"


def read_result(experiment: Experiment, target: str) -> Result | None:
    """The result of one target; None where it is missing or of a form that is no longer read."""
    text = experiment.text(f"reports/evaluate/{target}/result.json")
    if text is None:
        return None
    try:
        return Result.model_validate_json(text)
    except ValidationError:
        return None


def collect(planned: Iterable[Run], there: Mapping[str, Experiment]) -> tuple[list[Collected], dict[str, State]]:
    """All results made with the planned parameters; and, by name, what stands in the way of each other run."""
    found: list[Collected] = []
    lacking: dict[str, State] = {}
    for run in planned:
        state = state_of(run, there)
        if state in ("missing", "other parameters"):
            lacking[run.name] = state
            continue
        experiment = there[run.name]
        for target in run.params.targets:
            if result := read_result(experiment, target):
                found.append(Collected(run, result, state == "done", experiment.revision()))
    return found, lacking


def of_variant(collected: Sequence[Collected], variant: str, target: str) -> list[Collected]:
    """The results of one variant on one target, by seed."""
    chosen = [one for one in collected if one.run.variant == variant and one.result.target == target]
    return sorted(chosen, key=lambda one: one.run.seed)
