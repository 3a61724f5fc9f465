"""A study in this workspace: stage 2 of every variant from the project's source model, without DVC experiments.

A run takes seconds, because nothing else of the pipeline runs again. The seeds are those of stage 2. The results from
source models of other seeds stay, and the report compares all of them.
"""

import copy
import hashlib
import io
import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import cache
from multiprocessing import active_children, get_context
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from pipeline.adaptation import Adaptation, train
from pipeline.compute.team import Team
from pipeline.config import dependencies, paths
from pipeline.config.paths import AdaptationPaths
from pipeline.config.schema import Params
from pipeline.data.prepared import PreparedData
from pipeline.errors import ParamsError, PipelineError
from pipeline.evaluation.evaluated import Origin, evaluate
from pipeline.evaluation.records import Result
from pipeline.files.records import Record, read_record, write_record
from pipeline.locks import end_with_parent, out_of_reach_of_ctrl_c, processes_allowed
from pipeline.methods import implementation
from pipeline.networks.trained import TrainedModel, open_model
from pipeline.progress import progress_bar
from pipeline.studies.collect import PREFERRED, Collected, State
from pipeline.studies.plan import Run, slug
from pipeline.tracking import execution
from pipeline.tracking.costs import Cost
from pipeline.tracking.descriptions import with_units
from pipeline.tracking.runs import stage_run
from pipeline.training import loop

SOURCE_SECTIONS = ("model", "augment", "pretrain", "prototypes")
"""The sections of params.yaml that the source model's JSON names."""

BEFORE_STAGE_2 = ("source", "data", "standins", "faces", "split", *SOURCE_SECTIONS)
"""The sections that the source model and the crops depend on."""

OF_FEATURES = (
    *("source_pictures", "source_views", "target_views"),
    *("encoder_statistics", "histogram_matching", "restoration"),
)
"""The keys of section ``adapt`` that the features depend on."""


class Found(Record):
    """A run's result on one target.

    Attributes:
        source_seed: seed of the source model.
        weights: SHA-256 of the source model.
        inputs: digest of the pictures, their splits and the precision.
        code: digest of the code of stage 2 and of the evaluation.
        seconds: duration of the adaptation.
        result: the result.
    """

    source_seed: int
    weights: str
    inputs: str
    code: str
    seconds: float
    result: Result


@dataclass(frozen=True)
class Job:
    """A run on one target, from the present source model.

    Attributes:
        run: the variant with a seed of stage 2.
        target: the data set.
        made_of: the source model's seed and digest, and the digests of inputs and code, as in ``Found``.
        revision: the git commit; None outside git.
        file: where the result is written.
    """

    run: Run
    target: str
    made_of: Mapping[str, Any]
    revision: str | None
    file: Path

    @property
    def state(self) -> State:
        """The state of the result that is there."""
        return self.state_of(_read(self.file)) if self.file.is_file() else "missing"

    def state_of(self, found: Found | None) -> State:
        """Return the state of a result, from this source model or from one of another seed."""
        if found is None:
            return "missing"
        same = ("inputs", "weights") if found.source_seed == self.made_of["source_seed"] else ("inputs",)
        if found.result.parameters != self.run.result_params(self.target):
            return "other parameters"
        if any(getattr(found, key) != self.made_of[key] for key in same):
            return "other parameters"
        return "done" if found.code == self.made_of["code"] else "other code"


def divide(name: str, planned: Sequence[Run], project: Params) -> tuple[list[Run], dict[str, tuple[str, ...]]]:
    """Divide the runs of a study into those that start from the project's source model and features, and others.

    Args:
        name: the study's name.
        planned: all runs.
        project: the parameters of the project.

    Returns:
        These runs; and the other variants, each with the sections and keys that it changes.

    Raises:
        ParamsError: there is no such run.
    """
    left_out = {run.variant: keys for run in planned if (keys := _changed_before_stage_2(run.params, project))}
    able = [run for run in planned if run.variant not in left_out]
    if not able:
        changed = ", ".join(sorted({key for keys in left_out.values() for key in keys}))
        raise ParamsError(
            f"study {name}: every variant changes {changed}, and needs a source model or features of its own: run the "
            "study without --here"
        )
    return able, left_out


def _changed_before_stage_2(params: Params, project: Params) -> tuple[str, ...]:
    sections = [name for name in BEFORE_STAGE_2 if getattr(params, name) != getattr(project, name)]
    if params.adapt.trains == "all":
        return tuple(sections)
    keys = [name for name in OF_FEATURES if getattr(params.adapt, name) != getattr(project.adapt, name)]
    return (*sections, *(f"adapt.{name}" for name in keys))


def jobs(name: str, runs: Sequence[Run]) -> list[Job]:
    """Return every run on each of its targets.

    Args:
        name: the study's name.
        runs: the runs.

    Raises:
        ParamsError: the source model was trained with other parameters.
        PipelineError: the source model or a set's crops are missing or damaged.
    """
    params = runs[0].params
    model, team = open_model(paths.PROTOTYPES), _team(params)
    _require_same_parameters(model, params)
    source = PreparedData.open(params.source)
    inputs = {
        target: _digest([source.description(), PreparedData.open(target).description(), team.compute_settings()])
        for target in params.targets
    }
    seed, revision = model.description["seed"], execution.current().revision
    folder = paths.study_results(name) / f"source-seed-{seed}"
    return [
        Job(
            run,
            target,
            {
                "source_seed": seed,
                "weights": model.description["weights_sha256"],
                "inputs": inputs[target],
                "code": _code(run.params),
            },
            revision,
            folder / target / f"{run.name}.json",
        )
        for run in runs
        for target in params.targets
    ]


def run(every: Sequence[Job], processes: int) -> dict[str, str]:
    """Run the jobs that are not done. Each result is written at once; after an interruption the next call continues.

    Args:
        every: the jobs.
        processes: number of processes. Each uses one core, so the results do not depend on it.

    Returns:
        The runs that failed, by name, with the message.

    Raises:
        PipelineError: a process died.
    """
    missing = [job for job in every if job.state != "done"]
    failed: dict[str, str] = {}
    if not missing:
        return failed
    context = get_context("spawn")
    count = min(processes_allowed(processes, context), len(missing))
    with ProcessPoolExecutor(count, context, _begin) as pool:
        with out_of_reach_of_ctrl_c():
            running = {pool.submit(_compute, job): job for job in missing}
        try:
            for one in progress_bar(as_completed(running), desc="study", total=len(running), unit="run"):
                job = running[one]
                if message := one.result():
                    failed[job.run.name] = f"{job.target}: {message}"
        except BrokenProcessPool as error:
            raise PipelineError(
                "a process of the study died; the memory may have run out. Finished runs are kept: run it again, with "
                "fewer --jobs if memory was the reason"
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in active_children():
                process.terminate()
            raise
    return failed


def collect(every: Sequence[Job]) -> tuple[list[Collected], dict[str, State], dict[str, dict[str, Cost]]]:
    """Read the results of all jobs, from this source model and from those of other seeds.

    Returns:
        The results with the planned parameters; the states of runs without them, by name; and the costs by the run's
        name and the target.
    """
    collected: list[Collected] = []
    lacking: dict[str, State] = {}
    costs: dict[str, dict[str, Cost]] = {}
    for job in every:
        states: list[State] = ["missing"]
        for file in sorted(job.file.parents[2].glob(f"*/{job.target}/{job.file.name}")):
            states.append(state := job.state_of(found := _read(file)))
            if found and state in ("done", "other code"):
                revision = (found.result.revision or "")[:7]
                collected.append(Collected(job.run, found.result, state == "done", revision, found.source_seed))
                costs.setdefault(job.run.name, {})[job.target] = Cost(found.seconds, None)
        best = min(states, key=PREFERRED.index)
        if best in ("other parameters", "missing"):
            lacking[job.run.name] = best
    return collected, lacking, costs


def note(name: str, collected: Sequence[Collected], left_out: Mapping[str, Sequence[str]]) -> str:
    """Return what the report of a study says about this way of running it."""
    seeds = sorted({one.source_seed for one in collected})
    models = "one source model" if len(seeds) == 1 else f"{len(seeds)} source models"
    lines = [
        f"By `pocan study {name} --here`: all variants adapt {models} (seed {', '.join(map(str, seeds))}), and the "
        "other seeds are those of stage 2. Intervals and p values use the mean over these for each source model; from "
        "one source model they say nothing about others."
    ]
    lines += [
        f"- left out: {variant}, which changes {', '.join(f'`{key}`' for key in keys)}"
        for variant, keys in left_out.items()
    ]
    return "\n".join(lines)


def log(name: str, settings: Params, collected: Sequence[Collected], files: Sequence[Path]) -> None:
    """Log the study as one MLflow run: each variant's mean scores over targets and seeds, and the report.

    Args:
        name: the study's name.
        settings: the parameters of the project.
        collected: the results.
        files: the report's files.

    Raises:
        TrackingError: the store or server cannot be reached.
    """
    means = {}
    for variant in dict.fromkeys(one.run.variant for one in collected):
        scores = [one.result.after for one in collected if one.run.variant == variant and one.result.after]
        for key in ("accuracy", "balanced_accuracy") if scores else ():
            means[f"{slug(variant)}.{key}"] = mean(getattr(one, key) for one in scores)
    with stage_run(settings, "study") as tracked:
        tracked.log_tags({"study": name})
        tracked.log(with_units(means), 0)
        tracked.log_files(files, f"study/{name}")


def _begin() -> None:
    """Set up a process of the pool."""
    torch.set_num_threads(1)
    end_with_parent()


def _compute(job: Job) -> str | None:
    """Run a job in a process of its own, and write its result; return the message of an error."""
    try:
        with redirect_stderr(io.StringIO()):  # the processes' progress bars would overwrite each other
            write_record(job.file, _adapted(job))
    except PipelineError as error:
        return str(error)
    return None


def _adapted(job: Job) -> Found:
    settings, target = job.run.params, _data(job.target)
    started, team = time.perf_counter(), _team(settings)
    loop.prepare(settings.seed, team.device)
    work = Adaptation(
        trained=copy.deepcopy(_source_model()),
        source=_data(settings.source),
        target=target,
        params=settings.adapt,
        augment=settings.augment,
        seed=settings.seed,
        known_classes=settings.split[job.target].classes,
        code={},  # it identifies checkpoints, and there are none
        outputs=AdaptationPaths.of_target(job.target),
    )
    found = train(work, work.method(team), team, lambda task: loop.fit_silently(task, team.device))
    seconds = time.perf_counter() - started
    origin = Origin(job.revision, None, None)
    measured = found.outcome, found.by_epoch(), found.validations(), found.description
    result = evaluate(settings, _data(settings.source), target, *measured, origin).result
    return Found(**job.made_of, seconds=seconds, result=result)


def _code(params: Params) -> str:
    """Return the digest of the code of stage 2 and of the evaluation."""
    plugins = {"adapt": [implementation(params.adapt)], "evaluate": []}
    return _digest([dependencies.code_digests(stage, params, *used) for stage, used in plugins.items()])


@cache
def _source_model() -> TrainedModel:
    return open_model(paths.PROTOTYPES)


@cache
def _data(name: str) -> PreparedData:
    return PreparedData.open(name)


def _team(settings: Params) -> Team:
    return Team.start(settings.device, settings.compute.model_copy(update={"devices": 1}))


def _require_same_parameters(model: TrainedModel, params: Params) -> None:
    """Refuse a source model of other parameters than those of the runs.

    Raises:
        ParamsError: see above.
    """
    for section in SOURCE_SECTIONS:
        if model.description[section] != json.loads(getattr(params, section).model_dump_json()):
            raise ParamsError(
                f"{paths.PROTOTYPES}: made with another section {section} than params.yaml has: dvc repro"
            )


def _read(file: Path) -> Found | None:
    """Read a result; None if an earlier version wrote it in a form that is no longer read."""
    try:
        return read_record(Found, file, "pocan study")
    except PipelineError:
        return None


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
