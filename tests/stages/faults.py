"""Faults on purpose: every stage is killed at random moments, its newest files cut short, its inputs damaged.

``python -m tests.stages.faults 20`` does so 20 times a stage and kind of fault, on a tiny project, and prints counts.
After each fault the stage runs again, and must end in the bytes of an undisturbed run or in one message. So do an
adaptation that searches, one that trains all of the network, and ``pocan adapt --labels``.

kill: SIGKILL at a random moment. power: the same, and files written since the start are cut short or zeroed, as
after a power cut. clock: killed, and run again with the clock a day back. full: no file may grow beyond a random size,
as on a full disk. input: a file that the stage reads is cut short. The MLflow database is left to SQLite, which writes
through to the disk.
"""

import atexit
import contextlib
import json
import math
import os
import random
import re
import resource
import runpy
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import yaml

from pipeline.datasets import open_dataset
from pipeline.labels import EXPRESSIONS
from pocan.cli import app
from tests.stages.repository import ROOT, tiny

KINDS = ("kill", "power", "clock", "full", "input")
DAY = 86_400.0
CHAIN = (
    *("standins@rafdb", "standins@jaffe", "faces@rafdb", "faces@jaffe", "faces-report"),
    *("split-source@rafdb", "split@jaffe", "pretrain", "prototypes", "features-source@rafdb", "features@jaffe"),
    *("adapt@jaffe", "evaluate@jaffe", "report"),
)
VARIANTS: dict[str, dict[str, Any]] = {
    "search": {"search": 2, "choose": "information"},
    "all of the network": {"trains": "all"},
}
"""Of the stage adapt@jaffe: what section adapt has otherwise."""
OWN = (
    *("adapt", "album", "--labels", "few.csv", "--out", "mine"),
    *("-S", "adapt.epochs=4", "-S", "adapt.steps_per_epoch=1", "-S", "adapt.batch_size=4"),
)
"""The command that adapts to pictures of one's own."""
PICTURES = ("stages.standins", "stages.faces")
"""Stages that read nothing, or pictures, whose damage is the business of tests/faces/hostile.py."""
OF_THE_MOMENT = ("run_id", "revision", "experiment")
"""Keys of result.json that are no results."""


def make_project(folder: Path) -> Path:
    """Parameters of a minute's work, and what stages read of the repository."""
    values = tiny()
    values["targets"] = ["jaffe"]
    values["data"] |= {"sets": ["rafdb", "jaffe"], "folder_sets": []}
    values["standins"] |= {"sets": ["rafdb", "jaffe"]}
    values["split"] = {name: values["split"][name] for name in ("rafdb", "jaffe")}
    values["faces"]["batch_size"] = 4
    # With all the files that features may have.
    values["adapt"] |= {"epochs": 4, "encoder_statistics": "target", "restoration": "always"}
    values["pretrain"] |= {"epochs": 4}
    folder.mkdir(parents=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    shutil.copy(ROOT / "dvc.yaml", folder)
    shutil.copytree(ROOT / "params", folder / "params")
    return folder


@dataclass
class Stage:
    """A stage of dvc.yaml, or a command.

    Attributes:
        name: of the stage, or what the command is called.
        reads: the files and folders below the project that may be damaged.
        writes: what it makes there.
        module: that the stage runs.
        command: arguments of ``pocan``, in the place of a module; it goes on, but never makes anew what is complete.
        adapt: values of section adapt that are others than the project's.
        seconds: that it takes.
    """

    name: str
    reads: list[str]
    writes: list[str]
    module: str = ""
    command: tuple[str, ...] = ()
    adapt: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @classmethod
    def of_pipeline(cls, name: str) -> "Stage":
        """A stage of dvc.yaml by its name there."""
        stem, _, item = name.partition("@")
        stage = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][stem]
        stage = stage.get("do", stage)
        listed = [path for key in ("outs", "plots", "metrics") for path in stage.get(key, ())]
        names = {"item": item, "source": "rafdb", "data.root": "data/standins"}
        below: tuple[list[str], list[str]] = [], []
        for paths, into in zip((stage["deps"], listed), below, strict=True):
            for path in paths:
                text = path if isinstance(path, str) else next(iter(path))
                for key, value in names.items():
                    text = text.replace(f"${{{key}}}", value)
                if not text.startswith(("stages/", "pipeline/")):
                    into.append(text)
        return cls(name, *below, module=stage["cmd"].split()[2])

    @classmethod
    def further(cls) -> "list[Stage]":
        """What runs beside the pipeline, in copies of the complete project."""
        adapt = cls.of_pipeline("adapt@jaffe")
        reads = ["models/pretrained", "models/prototypes", "data/crops/rafdb", "data/splits/rafdb.parquet"]
        return [
            *(
                cls(f"{adapt.name}, {name}", adapt.reads, adapt.writes, adapt.module, adapt=values)
                for name, values in VARIANTS.items()
            ),
            cls("pocan adapt --labels", reads, ["mine"], command=OWN),
        ]


def files_below(project: Path, paths: list[str]) -> dict[str, Path]:
    """The files that ``paths`` are or hold, by their names below the project."""
    found = {}
    for path in paths:
        place = project / path
        for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if file.is_file():
                found[str(file.relative_to(project))] = file
    return found


def contents(project: Path, paths: list[str]) -> dict[str, bytes | dict[str, Any]]:
    """What stands in the files, without what is of the moment."""
    read: dict[str, bytes | dict[str, Any]] = {}
    for name, file in files_below(project, paths).items():
        read[name] = file.read_bytes()
        if file.name == "result.json":
            read[name] = {k: v for k, v in json.loads(file.read_text()).items() if k not in OF_THE_MOMENT}
    return read


@dataclass(frozen=True)
class Running:
    """A stage's process and the pipe into which it prints."""

    number: int
    pipe: int

    def kill(self) -> None:
        """End it, and all that it has started, in the middle of what it does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.number, signal.SIGKILL)
        self.finish()

    def finish(self) -> tuple[int, str]:
        """Wait for its end; its exit code and what it printed."""
        with open(self.pipe, "rb") as pipe:  # noqa: PTH123  (a number, not a path)
            printed = pipe.read()
        return os.waitstatus_to_exitcode(os.waitpid(self.number, 0)[1]), printed.decode(errors="replace")


def begin(project: Path, stage: Stage, limit: int | None = None, back: float = 0.0) -> Running:
    """Start a stage in a process that is forked from this one, which has its libraries loaded.

    limit: bytes that none of its files may exceed. back: seconds by which its clock is set back.
    """
    read, write = os.pipe()
    child = os.fork()
    if child:
        os.close(write)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.setpgid(child, child)
        return Running(child, read)
    os.setpgid(0, 0)
    os.chdir(project)
    os.dup2(write, 1)
    os.dup2(write, 2)
    # Python's own may have been opened on a file, where a pipe cannot be sought in.
    sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))  # noqa: SIM115
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    if back:
        seconds, nanoseconds = time.time, time.time_ns
        time.time = lambda: seconds() - back
        time.time_ns = lambda: nanoseconds() - int(back * 1e9)
    os.environ["DVC_STAGE"] = stage.name.partition(",")[0]
    sys.argv = ["-m", *stage.command]
    try:
        if stage.command:
            app(stage.command)
        else:
            runpy.run_module(stage.module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        os._exit(end.code if isinstance(end.code, int) else 0)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        sys.stderr.flush()
    os._exit(99)


def told(code: int, printed: str) -> bool:
    """Whether a stage ended in one message, in which a library may have said "I/O error: File too large"."""
    return code == 1 and "Traceback" not in printed and len(re.findall("(?<!I/O )error: ", printed)) == 1


def cut(file: Path, chance: random.Random) -> None:
    """Cut a file short, or zero its end, as file systems leave what never reached the disk."""
    size = file.stat().st_size
    kept = chance.choice((0, chance.randrange(size + 1)))
    file.chmod(0o644)
    os.truncate(file, kept)
    if chance.random() < 0.3:
        os.truncate(file, size)


def disturb(project: Path, stage: Stage, kind: str, chance: random.Random) -> str:
    """Do what ``kind`` says; returns what was done."""
    if kind == "input":
        file = chance.choice(list(files_below(project, stage.reads).values()))
        size = file.stat().st_size
        os.truncate(file, chance.choice((0, chance.randrange(max(1, size)))))
        return f"{file.relative_to(project)} cut from {size} to {file.stat().st_size}"
    if kind == "full":
        largest = max(file.stat().st_size for file in files_below(project, [*stage.writes, "mlflow.db"]).values())
        limit = int(math.exp(chance.uniform(0.0, math.log(1.2 * largest))))
        code, printed = begin(project, stage, limit).finish()
        if code != 0 and not told(code, printed):
            raise FaultError(f"files of at most {limit} bytes", f"ended with {code}", printed)
        return f"files of at most {limit} bytes, ended with {code}"
    began = time.time()
    wait = chance.uniform(0.0, stage.seconds)
    running = begin(project, stage)
    time.sleep(wait)
    running.kill()
    done = f"killed after {wait:.2f} s of {stage.seconds:.2f}"
    if kind == "power":
        new = [
            f for f in project.rglob("*") if f.is_file() and not f.is_symlink() and f.stat().st_mtime >= began - 0.01
        ]
        for file in new:
            if not file.name.startswith(("mlflow.db", ".mlflow.db")) and chance.random() < 0.7:
                cut(file, chance)
                done += f"; cut {file.relative_to(project)}"
    return done


def ending(project: Path, stage: Stage, expected: dict[str, Any], kind: str, done: str) -> str:
    """How the stage ends that runs again: in the same bytes, or in a message.

    Raises:
        FaultError: in anything else; a message, too, where nothing was lost that it cannot make again.
    """
    code, printed = begin(project, stage, back=DAY if kind == "clock" else 0.0).finish()
    same = contents(project, stage.writes) == expected
    if same and code == 0:
        return "same bytes"
    if same and stage.command and told(code, printed):
        return "was complete"
    if told(code, printed) and (kind == "input" or (kind == "power" and stage.command)):
        return "one message"  # of a command: what says on which pictures it was at work is lost
    raise FaultError(done, "other bytes" if code == 0 else f"ended with {code}", printed)


class FaultError(Exception):
    """What must not be: what was done to a stage, how it ended, what it printed."""


@contextmanager
def temporary() -> Iterator[Path]:
    """A folder that no forked process removes when it ends, as it would a ``TemporaryDirectory``."""
    folder = Path(mkdtemp())
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def trial(complete: Path, stage: Stage, over: bool) -> Iterator[Path]:
    """A copy of the complete project with the stage's parameters, without what the stage writes, or with it."""
    with temporary() as folder:
        project = folder / "project"
        shutil.copytree(complete, project, symlinks=True)
        for path in stage.writes if not over else ():
            place = project / path
            shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
        if stage.adapt:
            values = yaml.safe_load((project / "params.yaml").read_text())
            values["adapt"] |= stage.adapt
            (project / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
        yield project


def run_whole(project: Path, stage: Stage) -> dict[str, Any]:
    """Run a stage undisturbed; notes the seconds that it takes, and returns what it has made."""
    began = time.monotonic()
    code, printed = begin(project, stage).finish()
    assert code == 0, (stage.name, printed[-3000:])
    stage.seconds = time.monotonic() - began
    return contents(project, stage.writes)


def undisturbed(folder: Path) -> tuple[Path, list[Stage]]:
    """A project in which every stage ran once, with an album of pictures and labels of some; the stages."""
    complete, stages = make_project(folder / "complete"), [Stage.of_pipeline(name) for name in CHAIN]
    for stage in stages:
        run_whole(complete, stage)
    write_album(complete)
    return complete, stages


def write_album(project: Path) -> None:
    """``album``, three pictures of each expression, and ``few.csv``, the labels of two of them."""
    dataset = open_dataset("jaffe", project / "data/standins/jaffe")
    (project / "album").mkdir()
    lines, count = ["picture,expression"], Counter[int | None]()
    for sample in dataset.samples():
        count[sample.label] += 1
        if sample.label is not None and count[sample.label] <= 3:
            picture = dataset.file(sample)
            shutil.copy(picture, project / "album")
            lines += [f"{picture.name},{EXPRESSIONS[sample.label]}"] * (count[sample.label] <= 2)
    (project / "few.csv").write_text("\n".join(lines) + "\n")


def main(times: int, chosen: list[str]) -> None:
    """``times`` faults of each kind in each stage (of ``chosen``, where any are named)."""
    import stages.adapt
    import stages.evaluate
    import stages.faces
    import stages.faces_report
    import stages.features
    import stages.pretrain
    import stages.prototypes
    import stages.report
    import stages.split
    import stages.standins  # noqa: F401  (loaded once, for all that are forked)

    with temporary() as folder:
        complete, stages_there = undisturbed(folder)
        further = Stage.further()
        for stage in [*stages_there, *further]:
            if chosen and stage.name not in chosen:
                continue
            if stage in further:
                with trial(complete, stage, over=False) as project:
                    expected = run_whole(project, stage)
            else:
                expected = contents(complete, stage.writes)
            for kind in KINDS:
                if kind == "input" and stage.module in PICTURES:
                    continue
                counts: Counter[str] = Counter()
                for number in range(times):
                    chance = random.Random(f"{stage.name} {kind} {number}")
                    with trial(complete, stage, over=chance.random() < 0.5 and not stage.command) as project:
                        try:
                            done = disturb(project, stage, kind, chance)
                            counts[ending(project, stage, expected, kind, done)] += 1
                        except FaultError as fault:
                            counts["FAULT"] += 1
                            done, how, printed = fault.args
                            print(f"  {stage.name} {kind} {number}: {done}: {how}\n{printed[-1500:]}", flush=True)
                print(f"{stage.name} ({stage.seconds:.1f} s), {kind}: {dict(counts)}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
