"""The results of a study's experiments, read from the files that git keeps of each experiment."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from pipeline.config import dependencies, paths, yaml_text
from pipeline.errors import ParamsError
from pipeline.evaluation.records import Result
from pipeline.studies.experiments import Experiment
from pipeline.studies.plan import Run

State = Literal["done", "other code", "other parameters", "missing"]
PREFERRED: tuple[State, ...] = ("done", "other code", "other parameters", "missing")
"""The states from best to worst."""


@dataclass(frozen=True)
class Collected:
    """One result of a study.

    Attributes:
        run: the experiment.
        result: the result on one target.
        current: whether all code that it depends on is that of the last commit.
        revision: abbreviated hash of the commit from which the experiment was started.
        source_seed: seed of the source model.
    """

    run: Run
    result: Result
    current: bool
    revision: str
    source_seed: int


def state_of(run: Run, existing: Mapping[str, Sequence[Experiment]]) -> State:
    """Return whether a run has results on every target, with the present code and parameters."""
    return best(run, existing)[0]


def best(run: Run, existing: Mapping[str, Sequence[Experiment]]) -> tuple[State, Experiment | None]:
    """Return the state and experiment of a run with the best state (see ``PREFERRED``); of several, the newest."""
    states = [(_state(run, experiment), experiment) for experiment in existing.get(run.name, ())]
    return min(states, key=lambda found: PREFERRED.index(found[0]), default=("missing", None))


def _state(run: Run, experiment: Experiment) -> State:
    results = [read_result(experiment, target) for target in run.params.targets]
    if not all(results):
        return "missing"
    if any(result.parameters != run.result_params(result.target) for result in results if result):
        return "other parameters"
    if not _of_these_pictures(run, experiment):
        return "other parameters"
    return "done" if experiment.has(dependencies.deciding_code(run.params)) else "other code"


def _of_these_pictures(run: Run, experiment: Experiment) -> bool:
    """Return whether an experiment used the same pictures and precision. Its params.yaml may be of an older version."""
    sets = (run.params.source, *run.params.targets)
    try:
        theirs = yaml_text.parse(experiment.text("params.yaml") or "", "params.yaml of an experiment")
        return _surroundings(theirs, sets) == _surroundings(run.params.model_dump(), sets)
    except (ParamsError, TypeError, KeyError):
        return False


def _surroundings(values: Mapping[str, Any], sets: Sequence[str]) -> tuple[Any, ...]:
    """Return what a result depends on besides its recorded parameters: data folder, stand-ins, precision."""
    drawn = [name for name in sets if name in values["standins"]["sets"]]
    how = (values["standins"]["seed"], values["standins"]["scale"]) if drawn else None
    return values["data"]["root"], drawn, how, values["compute"]["precision"]


def read_result(experiment: Experiment, target: str) -> Result | None:
    """Return the result on one target; None if it is missing, or in a format that is no longer read."""
    text = experiment.text(paths.result(target).as_posix())
    if text is None:
        return None
    try:
        return Result.model_validate_json(text)
    except ValidationError:
        return None


def collect(
    planned: Iterable[Run], existing: Mapping[str, Sequence[Experiment]]
) -> tuple[list[Collected], dict[str, State]]:
    """Read the results of a study's experiments.

    Args:
        planned: all experiments of the study.
        existing: the existing experiments by name.

    Returns:
        All results with the planned parameters, and the states of the other runs by name.
    """
    found: list[Collected] = []
    lacking: dict[str, State] = {}
    for run in planned:
        state, experiment = best(run, existing)
        if experiment is None or state in ("missing", "other parameters"):
            lacking[run.name] = state
            continue
        for target in run.params.targets:
            if result := read_result(experiment, target):
                found.append(Collected(run, result, state == "done", experiment.revision(), run.seed))
    return found, lacking


def of_variant(collected: Sequence[Collected], variant: str, target: str) -> list[Collected]:
    """Return the results of one variant on one target, sorted by the seeds of source model and stage 2."""
    chosen = [one for one in collected if one.run.variant == variant and one.result.target == target]
    return sorted(chosen, key=lambda one: (one.source_seed, one.run.seed))
