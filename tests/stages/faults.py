"""Faults on purpose: every stage is killed at random moments, its newest files cut short, its inputs damaged.

``python -m tests.stages.faults 20`` does so 20 times a stage and kind of fault, on a tiny project, and prints counts.
After each fault the stage runs again, and must end in the bytes of an undisturbed run or in one message.

kill: SIGKILL at a random moment. power: the same, and files written since the start are cut short or zeroed, as
after a power cut. input: a file that the stage reads is cut short. The MLflow database is left to SQLite, which
writes through to the disk.
"""

import json
import os
import random
import runpy
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import yaml

from tests.stages.test_pipeline import ROOT, tiny

KINDS = ("kill", "power", "input")
CHAIN = (
    *("standins@rafdb", "standins@jaffe", "faces@rafdb", "faces@jaffe", "faces-report"),
    *("split-source@rafdb", "split@jaffe", "pretrain", "prototypes", "adapt@jaffe", "evaluate@jaffe", "report"),
)
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
    values["adapt"] |= {"epochs": 4}
    values["pretrain"] |= {"epochs": 4}
    folder.mkdir(parents=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    shutil.copy(ROOT / "dvc.yaml", folder)
    shutil.copytree(ROOT / "params", folder / "params")
    return folder


@dataclass
class Stage:
    """A stage of dvc.yaml by its name there: what it runs, reads and writes, below the project."""

    name: str
    module: str = ""
    reads: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        name, _, item = self.name.partition("@")
        stage = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][name]
        stage = stage.get("do", stage)
        self.module = stage["cmd"].split()[2]
        listed = [path for key in ("outs", "plots", "metrics") for path in stage.get(key, ())]
        names = {"item": item, "source": "rafdb", "data.root": "data/standins"}
        for paths, into in ((stage["deps"], self.reads), (listed, self.writes)):
            for path in paths:
                text = path if isinstance(path, str) else next(iter(path))
                for key, value in names.items():
                    text = text.replace(f"${{{key}}}", value)
                if not text.startswith(("stages/", "pipeline/")):
                    into.append(text)


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


def begin(project: Path, stage: Stage, printed: Path) -> int:
    """Start a stage in a process that is forked from this one, which has its libraries loaded; its number."""
    child = os.fork()
    if child:
        return child
    os.setsid()
    os.chdir(project)
    with printed.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ["DVC_STAGE"] = stage.name
    sys.argv = ["-m"]
    try:
        runpy.run_module(stage.module, run_name="__main__", alter_sys=True)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        sys.stderr.flush()
    os._exit(99)


def finish(child: int) -> int:
    """The exit code of a stage."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def run(project: Path, stage: Stage) -> tuple[int, str]:
    """Run a stage to its end; its exit code and what it printed."""
    printed = project.parent / "printed"
    printed.unlink(missing_ok=True)
    code = finish(begin(project, stage, printed))
    return code, printed.read_text(errors="replace")


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
    began = time.time()
    wait = chance.uniform(0.0, stage.seconds)
    child = begin(project, stage, project.parent / "killed")
    time.sleep(wait)
    os.killpg(child, signal.SIGKILL) if os.getpgid(child) == child else os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
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


def verdict(project: Path, stage: Stage, expected: dict[str, Any], kind: str) -> tuple[str, str]:
    """How the stage ends that runs again: same, message or FAULT; and what it printed."""
    code, printed = run(project, stage)
    if code == 0:
        same = contents(project, stage.writes) == expected
        return ("same" if same else "FAULT: other bytes"), printed
    one = "Traceback" not in printed and printed.count("error: ") == 1
    if code == 1 and one and kind == "input":
        return "message", printed
    if code == 1 and one:
        return "FAULT: a message where nothing but its own work was lost", printed
    return f"FAULT: ended with {code}", printed


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
    """A copy of the complete project, without what the stage writes, or with it."""
    with temporary() as folder:
        project = folder / "project"
        shutil.copytree(complete, project, symlinks=True)
        for path in stage.writes if not over else ():
            place = project / path
            shutil.rmtree(place) if place.is_dir() else place.unlink()
        yield project


def undisturbed(folder: Path) -> tuple[Path, list[Stage]]:
    """A project in which every stage ran once; the stages with the seconds that each takes."""
    complete, stages = make_project(folder / "complete"), [Stage(name) for name in CHAIN]
    for stage in stages:
        began = time.monotonic()
        code, printed = run(complete, stage)
        assert code == 0, (stage.name, printed[-3000:])
        stage.seconds = time.monotonic() - began
    for stage in stages:  # those that made the MLflow store or loaded a library took longer
        with trial(complete, stage, over=False) as project:
            began = time.monotonic()
            assert run(project, stage)[0] == 0
            stage.seconds = time.monotonic() - began
    return complete, stages


def main(times: int, chosen: list[str]) -> None:
    """``times`` faults of each kind in each stage (of ``chosen``, where any are named)."""
    import stages.adapt
    import stages.evaluate
    import stages.faces
    import stages.faces_report
    import stages.pretrain
    import stages.prototypes
    import stages.report
    import stages.split
    import stages.standins  # noqa: F401  (loaded once, for all that are forked)

    with temporary() as folder:
        complete, stages_there = undisturbed(folder)
        for stage in stages_there:
            if chosen and stage.name not in chosen:
                continue
            expected = contents(complete, stage.writes)
            for kind in KINDS:
                if kind == "input" and not files_below(complete, stage.reads):
                    continue
                counts: Counter[str] = Counter()
                for number in range(times):
                    chance = random.Random(f"{stage.name} {kind} {number}")
                    with trial(complete, stage, over=chance.random() < 0.5) as project:
                        done = disturb(project, stage, kind, chance)
                        ending, printed = verdict(project, stage, expected, kind)
                    counts[ending] += 1
                    if ending.startswith("FAULT"):
                        print(f"  {stage.name} {kind} {number}: {done}\n  {ending}\n{printed[-1500:]}", flush=True)
                print(f"{stage.name} ({stage.seconds:.1f} s), {kind}: {dict(counts)}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
