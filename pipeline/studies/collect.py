"""What a study's experiments have come to, read from the files that git keeps of each."""

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


@dataclass(frozen=True)
class Collected:
    """One result of a study.

    Attributes:
        run: the experiment.
        result: of one of its targets.
        current: all code that it depends on is the last commit's.
        revision: the commit, abbreviated, that the experiment was started from.
    """

    run: Run
    result: Result
    current: bool
    revision: str


def state_of(run: Run, existing: Mapping[str, Sequence[Experiment]]) -> State:
    """Whether a run has results, for every target, of this code and these parameters."""
    return best(run, existing)[0]


def best(run: Run, existing: Mapping[str, Sequence[Experiment]]) -> tuple[State, Experiment | None]:
    """Of the experiments of a run's name the one whose state is best (see ``PREFERRED``), the newest of several."""
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
    """Whether its params.yaml, which may have keys of an older version, has the same pictures and precision."""
    sets = (run.params.source, *run.params.targets)
    try:
        theirs = yaml_text.parse(experiment.text("params.yaml") or "", "params.yaml of an experiment")
        return _surroundings(theirs, sets) == _surroundings(run.params.model_dump(), sets)
    except (ParamsError, TypeError, KeyError):
        return False


def _surroundings(values: Mapping[str, Any], sets: Sequence[str]) -> tuple[Any, ...]:
    """What a result depends on beside the parameters in it: where the sets are, how they are drawn, precision."""
    drawn = [name for name in sets if name in values["standins"]["sets"]]
    how = (values["standins"]["seed"], values["standins"]["scale"]) if drawn else None
    return values["data"]["root"], drawn, how, values["compute"]["precision"]


def read_result(experiment: Experiment, target: str) -> Result | None:
    """The result of one target; None: it is missing, or of a form that is no longer read."""
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
    """Read what the experiments of a study have come to.

    Args:
        planned: all experiments of the study.
        existing: those that exist, by name.

    Returns:
        All results made with the planned parameters, and the states of the other runs by name.
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
                found.append(Collected(run, result, state == "done", experiment.revision()))
    return found, lacking


def of_variant(collected: Sequence[Collected], variant: str, target: str) -> list[Collected]:
    """The results of one variant on one target, by seed."""
    chosen = [one for one in collected if one.run.variant == variant and one.result.target == target]
    return sorted(chosen, key=lambda one: one.run.seed)
