"""A study in this workspace: stage 2 of every variant from the project's source model, without DVC experiments.

A run takes seconds, because nothing else of the pipeline runs again. The seeds are those of stage 2. The results from
source models of other seeds stay, and the report compares all of them.
"""

import copy
import hashlib
import io
import json
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import cache
from multiprocessing import active_children, get_context
from multiprocessing.context import SpawnContext
from pathlib import Path
from statistics import mean

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
from pipeline.files.io import sha256
from pipeline.files.records import Record, read_record, write_record
from pipeline.locks import end_with_parent, out_of_reach_of_ctrl_c, processes_allowed
from pipeline.methods import implementation
from pipeline.networks.trained import TrainedModel, open_model
from pipeline.progress import progress_bar, say
from pipeline.splits.report import SplitReport
from pipeline.studies.collect import Collected, State
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


MEANWHILE = "source model or pictures have changed meanwhile; run the study again"
"""What is said if another command has made them again while the study runs."""


class MadeOf(Record):
    """What a result depends on besides its parameters.

    Attributes:
        source_seed: seed of the source model.
        weights: SHA-256 of the source model.
        inputs: digest of the pictures, their splits and the precision.
        code: digest of the code of stage 2, of the evaluation and of this module.
    """

    source_seed: int
    weights: str
    inputs: str
    code: str


class Found(Record):
    """A run's result on one target.

    Attributes:
        made_of: what it depends on.
        seconds: duration of the training.
        result: the result.
    """

    made_of: MadeOf
    seconds: float
    result: Result


@dataclass(frozen=True)
class Job:
    """A run on one target, from the present source model.

    Attributes:
        run: the variant with a seed of stage 2.
        target: the data set.
        made_of: what its result will depend on.
        revision: the git commit; None outside git, or if the code differs from it.
        file: where the result is written.
    """

    run: Run
    target: str
    made_of: MadeOf
    revision: str | None
    file: Path

    @property
    def state(self) -> State:
        """The state of the result that is there."""
        return self.state_of(_read(self.file)) if self.file.is_file() else "missing"

    def state_of(self, found: Found | None) -> State:
        """Return the state of a result.

        Args:
            found: a result of this run and target, from this source model or from one of another seed; None: there is
                none.
        """
        if found is None:
            return "missing"
        now, then = self.made_of, found.made_of
        same_model = then.weights == now.weights or then.source_seed != now.source_seed
        same_parameters = found.result.parameters == self.run.result_params(self.target)
        if not (same_model and same_parameters and then.inputs == now.inputs):
            return "other parameters"
        return "done" if then.code == now.code else "other code"


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
    keys += ["trains"] if project.adapt.trains == "all" else []  # then there are no features
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
    model, here = open_model(paths.PROTOTYPES), execution.current()
    _require_same_parameters(model, [run.params for run in runs])
    source = PreparedData.open(runs[0].params.source)
    seed, weights = model.description["seed"], model.description["weights_sha256"]
    folder, codes, inputs = paths.study_results(name) / f"source-seed-{seed}", dict[str, str](), dict[str, str]()
    found = []
    for run in runs:
        method = run.params.adapt.method
        if method not in codes:
            codes[method] = _code(run.params)
        for target in run.params.targets:
            key = f"{target} {run.params.compute}"
            if key not in inputs:
                inputs[key] = _inputs(source, PreparedData.open(target), _team(run.params))
            made_of = MadeOf(source_seed=seed, weights=weights, inputs=inputs[key], code=codes[method])
            revision = None if here.dirty else here.revision
            found.append(Job(run, target, made_of, revision, folder / target / f"{run.name}.json"))
    return found


def run(missing: Sequence[Job], processes: int) -> dict[str, str]:
    """Run jobs. Each result is written at once.

    Args:
        missing: the jobs that are not done.
        processes: number of processes. Each uses one core, so the results do not depend on it; 1: this process.

    Returns:
        The runs that failed, by name, with the messages.

    Raises:
        PipelineError: a process died.
    """
    context = get_context("spawn")
    count = min(processes_allowed(processes, context), len(missing))
    computed = _in_this_process(missing) if count <= 1 else _in_processes(missing, count, context)
    failed: dict[str, list[str]] = {}
    for job, message in progress_bar(computed, desc="study", total=len(missing), unit="run"):
        if message:
            failed.setdefault(job.run.name, []).append(f"{job.target}: {message}")
    return {name: "; ".join(messages) for name, messages in failed.items()}


def _in_this_process(missing: Sequence[Job]) -> Iterator[tuple[Job, str]]:
    """Yield each job when it is done, with the message of its error."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for job in missing:
            yield job, _compute(job)
    finally:
        torch.set_num_threads(threads)


def _in_processes(missing: Sequence[Job], count: int, context: SpawnContext) -> Iterator[tuple[Job, str]]:
    """Do the same in several processes.

    Raises:
        PipelineError: a process died.
    """
    with ProcessPoolExecutor(count, context, _begin) as pool:
        try:
            with out_of_reach_of_ctrl_c():
                running = {pool.submit(_compute, job): job for job in missing}
            for one in as_completed(running):
                yield running[one], one.result()
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


def collect(every: Sequence[Job]) -> tuple[list[Collected], dict[str, State], dict[str, dict[str, Cost]]]:
    """Read the results, from this source model and from those of other seeds.

    Args:
        every: the jobs.

    Returns:
        The results with the planned parameters; the states of runs without one from this source model, by name; and
        the costs by the run's name and the target, from this source model.
    """
    collected: list[Collected] = []
    lacking: dict[str, State] = {}
    costs: dict[str, dict[str, Cost]] = {}
    for job in every:
        own: State = "missing"
        for file in sorted(job.file.parents[2].glob(f"*/{job.target}/{job.file.name}")):
            found = _read(file)
            state = job.state_of(found)
            own = state if file == job.file else own
            if found is None or state not in ("done", "other code"):
                continue
            seed, revision = found.made_of.source_seed, (found.result.revision or "")[:7]
            collected.append(Collected(job.run, found.result, state == "done", revision, seed))
            if seed == job.made_of.source_seed:
                costs.setdefault(job.run.name, {})[job.target] = Cost(found.seconds, None)
        if own not in ("done", "other code"):
            lacking[job.run.name] = own
    return collected, lacking, costs


def note(name: str, collected: Sequence[Collected], left_out: Mapping[str, Sequence[str]]) -> str:
    """Return what the report of a study says about this way of running it.

    Args:
        name: the study's name.
        collected: the results.
        left_out: the variants that were left out, with what they change.
    """
    runs = Counter(one.source_seed for one in collected)
    models = "; ".join(f"seed {seed}: {count} results" for seed, count in sorted(runs.items())) or "no result yet"
    lines = [
        f"By `pocan study {name} --here`: all variants adapt the same source model{'s' * (len(runs) > 1)} ({models}). "
        "The other seeds are those of stage 2. Intervals and p values use the mean over these for each source model; "
        "from one source model they say nothing about others."
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
        tracked.log(with_units(means), 1)
        tracked.log_files(files, f"study/{name}")


def _begin() -> None:
    """Set up a process of the pool."""
    torch.set_num_threads(1)
    end_with_parent()


def _compute(job: Job) -> str:
    """Run a job and write its result; return the message of an error. The other jobs go on."""
    try:
        with redirect_stderr(io.StringIO()):  # the processes' progress bars would overwrite each other
            found = _adapted(job)
        write_record(job.file, found)
    except PipelineError as error:
        return str(error)
    except Exception as error:  # a fault of a method's own code, or memory: told as the queue tells it
        say(traceback.format_exc())
        return f"{type(error).__name__}: {error}"
    return ""


def _adapted(job: Job) -> Found:
    settings, made_of = job.run.params, job.made_of
    model, team = _source_model(made_of.weights), _team(settings)
    source, target = PreparedData.open(settings.source), PreparedData.open(job.target)
    if _inputs(source, target, team) != made_of.inputs:
        raise PipelineError(MEANWHILE)
    loop.prepare(settings.seed, team.device)
    work = Adaptation(
        trained=copy.deepcopy(model),
        source=source,
        target=target,
        params=settings.adapt,
        augment=settings.augment,
        seed=settings.seed,
        known_classes=settings.split[job.target].classes,
        code={},  # it identifies checkpoints, and there are none
        outputs=AdaptationPaths.of_target(job.target),
    )
    method, started = work.method(team), time.perf_counter()
    found = train(work, method, team, lambda task: loop.fit_silently(task, team.device))
    seconds = time.perf_counter() - started
    measured = found.outcome, found.by_epoch(), found.validations(), found.description
    result = evaluate(settings, source, target, *measured, Origin(job.revision, None, None)).result
    return Found(made_of=made_of, seconds=seconds, result=result)


def _code(params: Params) -> str:
    """Return the digest of the code of stage 2, of the evaluation and of this module."""
    adapt = dependencies.code_digests("adapt", params, implementation(params.adapt))
    return _digest([adapt, dependencies.code_digests("evaluate", params), sha256(Path(__file__))])


def _inputs(source: PreparedData, target: PreparedData, team: Team) -> str:
    """Return the digest of the pictures, their splits and the precision."""
    return _digest([source.description(), target.description(), team.compute_settings()])


@cache
def _source_model(weights: str) -> TrainedModel:
    """Open the source model, once in each process.

    Raises:
        PipelineError: it is another one than that with the digest ``weights``.
    """
    found = open_model(paths.PROTOTYPES)
    if found.description["weights_sha256"] != weights:
        raise PipelineError(MEANWHILE)
    return found


def _team(settings: Params) -> Team:
    return Team.start(settings.device, settings.compute.model_copy(update={"devices": 1}))


def _require_same_parameters(model: TrainedModel, every: Sequence[Params]) -> None:
    """Check that source model and crops were made with the parameters of the runs.

    Args:
        model: the source model.
        every: the parameters of each run, which differ in stage 2 alone.

    Raises:
        ParamsError: they were made with others.
        PipelineError: crops or a split report are missing or damaged.
    """
    params, made = every[0], model.description
    pairs = [(paths.PROTOTYPES, name, made[name], getattr(params, name)) for name in SOURCE_SECTIONS]
    for name in dict.fromkeys((params.source, *(target for one in every for target in one.targets))):
        data = PreparedData.open(name).description()
        split = read_record(SplitReport, paths.split_report(name), f"dvc repro split@{name}").protocol
        pairs += [(paths.crops(name), "faces", data["faces"], params.faces)]
        pairs += [(paths.split(name), f"split.{name}", split.model_dump(mode="json"), params.split[name])]
        if name == params.source and made["source"]["digest"] != data["digest"]:
            raise ParamsError(f"{paths.PROTOTYPES}: trained on other pictures than {paths.crops(name)}: dvc repro")
    for where, name, then, section in pairs:
        if json.loads(json.dumps(then)) != section.model_dump(mode="json"):
            raise ParamsError(f"{where}: made with another section {name} than params.yaml has: dvc repro")


def _read(file: Path) -> Found | None:
    """Read a result; None if an earlier version wrote it in a form that is no longer read."""
    try:
        return read_record(Found, file, "pocan study")
    except PipelineError:
        return None


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
