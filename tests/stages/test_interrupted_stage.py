"""Training stages that are killed, stopped and run out of disk: the same bytes in the end, and one MLflow run."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import psutil
import pytest
import torch
import yaml

from pipeline.config import load as params
from pipeline.data.prepared import Split, write_split
from tests.stores import write_store
from tests.tracking.empty_store import write_empty_store

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PICTURES = 32
EPOCHS = 4


def make_project(folder: Path) -> Path:
    """A folder in which ``stages.pretrain`` and ``stages.adapt jaffe`` can run: crops, splits and parameters."""
    generator = np.random.Generator(np.random.PCG64(0))
    for name in ("rafdb", "jaffe"):
        crops = list(generator.integers(0, 256, (PICTURES, 112, 112, 3), dtype=np.uint8))
        rows = [{"key": f"{index}.png", "method": "mtcnn", "label": index % 7} for index in range(PICTURES)]
        write_store(folder / "data/crops" / name, crops, rows, name, "stand-in")
        write_split(folder / f"data/splits/{name}.parquet", Split(np.arange(24), np.arange(24, PICTURES)))
    values = params.read(ROOT / "params.yaml")
    values["targets"] = ["jaffe"]
    values["model"] |= {"projection_hidden": 16, "projection_dim": 8}
    values["pretrain"] |= {"epochs": EPOCHS, "warmup_epochs": 1, "batch_size": 8}
    values["prototypes"] |= {"epochs": 2, "batch_size": 8}
    values["adapt"] |= {"epochs": EPOCHS, "steps_per_epoch": 4, "batch_size": 4, "trains": "all"}
    shutil.copy(ROOT / "dvc.yaml", folder)  # says which code decides the result of a stage
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    write_empty_store(folder)
    return folder


def start(project: Path, *stage: str, limit: int | None = None) -> subprocess.Popen[str]:
    """Start a stage; ``limit``: bytes that none of its files may exceed, as on a disk that is nearly full."""

    def limited() -> None:
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    environment = {key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "MLFLOW_"))}
    environment["PYTHONPATH"] = str(ROOT)
    return subprocess.Popen(
        [sys.executable, "-m", *stage],
        cwd=project,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=limited,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a stage that must succeed; returns what it printed."""
    printed = process.communicate(timeout=300)[0]
    assert process.returncode == 0, printed[-3000:]
    return printed


def epochs_saved(checkpoint: Path) -> int:
    """Asked many times a second: the weights are not read."""
    return len(torch.load(checkpoint, weights_only=True, mmap=True)["curve"]) if checkpoint.is_file() else 0


def interrupt_in_epoch(process: subprocess.Popen[str], checkpoint: Path, epoch: int, number: int) -> None:
    """Send a signal in the middle of the epoch that follows ``epoch``; 0: before there is any checkpoint."""
    while True:
        process.send_signal(signal.SIGSTOP)  # while it is looked at it does not go on, however busy the machine is
        if epochs_saved(checkpoint) >= epoch and checkpoint.with_suffix(".run.json").is_file():
            break
        process.send_signal(signal.SIGCONT)
        assert process.poll() is None, process.communicate()[0][-3000:]
        time.sleep(0.05)
    process.send_signal(number)
    process.send_signal(signal.SIGCONT)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert epochs_saved(checkpoint) < EPOCHS


def runs_of(project: Path, stage: str) -> list[Any]:
    client = mlflow.MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    (experiment,) = (e for e in client.search_experiments() if e.name != "Default")
    return list(client.search_runs([experiment.experiment_id], f"tags.`pocan.stage` = '{stage}'"))


def losses_of(project: Path, run_id: str) -> list[tuple[int, float]]:
    client = mlflow.MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    return [(metric.step, metric.value) for metric in client.get_metric_history(run_id, "loss")]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which every training stage ran from its beginning to its end, in one process."""
    project = make_project(tmp_path_factory.mktemp("undisturbed"))
    (project / "whole.py").write_text(
        "from stages import adapt, pretrain, prototypes\n\npretrain.main()\nprototypes.main()\nadapt.main('jaffe')\n"
    )
    finish(start(project, "whole"))
    return project


def check_like(undisturbed: Path, project: Path, outputs: list[str], stage: str) -> None:
    """The same bytes, and one run in one tree, with the same losses, an epoch each."""
    for output in outputs:
        assert (project / output).read_bytes() == (undisturbed / output).read_bytes(), output
    assert not list((project / "models/.checkpoints").iterdir())
    (run,) = runs_of(project, stage)
    (parent,) = runs_of(project, "execution")
    assert (run.info.status, parent.info.status) == ("FINISHED", "FINISHED")
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert len(run.inputs.dataset_inputs) == (1 if stage == "pretrain" else 2)
    (expected,) = runs_of(undisturbed, stage)
    logged = losses_of(project, run.info.run_id)
    assert [epoch for epoch, _ in logged] == list(range(1, EPOCHS + 1))
    assert logged == losses_of(undisturbed, expected.info.run_id)
    cost = {"images_per_second", "epoch_seconds", "peak_memory_mib"}
    assert cost <= run.data.metrics.keys()
    assert run.data.tags["pocan.processes"] == "1"


def test_a_killed_a_stopped_and_a_starved_pretraining_end_in_the_same_bytes(undisturbed: Path, tmp_path: Path) -> None:
    project = make_project(tmp_path)
    checkpoint = project / "models/.checkpoints/pretrain.pt"
    interrupt_in_epoch(start(project, "stages.pretrain"), checkpoint, 0, signal.SIGKILL)
    interrupt_in_epoch(start(project, "stages.pretrain"), checkpoint, 1, signal.SIGKILL)
    starved = start(project, "stages.pretrain", limit=5 * 2**20)
    printed = starved.communicate(timeout=120)[0]
    assert starved.returncode == 1
    assert "models/.checkpoints/pretrain.pt: cannot be written" in printed
    assert "Traceback" not in printed
    assert {path.name for path in checkpoint.parent.iterdir()} == {"pretrain.pt", "pretrain.run.json"}
    interrupt_in_epoch(start(project, "stages.pretrain"), checkpoint, 2, signal.SIGINT)
    assert "continuing after epoch" in finish(start(project, "stages.pretrain"))
    outputs = ["models/pretrained/model.safetensors", "models/pretrained/model.json", "reports/curves/pretrain.csv"]
    check_like(undisturbed, project, outputs, "pretrain")


def test_a_killed_adaptation_ends_in_the_same_bytes(undisturbed: Path, tmp_path: Path) -> None:
    project = make_project(tmp_path)
    for name in ("models/pretrained", "models/prototypes"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).symlink_to(undisturbed / name)
    checkpoint = project / "models/.checkpoints/adapt-jaffe.pt"
    interrupt_in_epoch(start(project, "stages.adapt", "jaffe"), checkpoint, 2, signal.SIGKILL)
    finish(start(project, "stages.adapt", "jaffe"))
    outputs = ["models/adapted/jaffe/model.safetensors", "data/epochs/jaffe.parquet", "reports/curves/adapt-jaffe.csv"]
    check_like(undisturbed, project, outputs, "adapt")


def test_a_team_whose_leader_is_killed_ends_and_goes_on(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    values = yaml.safe_load((project / "params.yaml").read_text())
    values["compute"]["devices"] = 2
    values["pretrain"]["epochs"] = 2 * EPOCHS  # still at it when a busy machine has seen the first checkpoint
    (project / "params.yaml").write_text(yaml.safe_dump(values))
    checkpoint = project / "models/.checkpoints/pretrain.pt"
    leader = start(project, "stages.pretrain")
    while epochs_saved(checkpoint) < 1:
        assert leader.poll() is None, leader.communicate()[0][-3000:]
        time.sleep(0.01)
    followers = psutil.Process(leader.pid).children(recursive=True)
    assert followers
    leader.kill()
    assert psutil.wait_procs(followers, timeout=30)[1] == []
    leader.communicate(timeout=30)
    printed = finish(start(project, "stages.pretrain"))
    assert printed.count("continuing after epoch") == 1
    (run,) = runs_of(project, "pretrain")
    assert (run.info.status, run.data.tags["pocan.processes"]) == ("FINISHED", "2")
    assert [epoch for epoch, _ in losses_of(project, run.info.run_id)] == list(range(1, 2 * EPOCHS + 1))


def test_other_parameters_begin_anew_in_a_run_of_their_own(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    checkpoint = project / "models/.checkpoints/pretrain.pt"
    interrupt_in_epoch(start(project, "stages.pretrain"), checkpoint, 1, signal.SIGKILL)
    values = yaml.safe_load((project / "params.yaml").read_text())
    values["pretrain"] |= {"tau": 0.2, "epochs": 2}
    (project / "params.yaml").write_text(yaml.safe_dump(values))
    kept = f"of another training, which differs in pretrain.epochs ({EPOCHS} → 2), pretrain.tau (0.1 → 0.2)"
    printed = finish(start(project, "stages.pretrain"))
    assert kept in printed
    assert "continuing after" not in printed
    runs = {run.data.params["pretrain.tau"]: run.info.status for run in runs_of(project, "pretrain")}
    assert runs == {"0.1": "RUNNING", "0.2": "FINISHED"}
    description = json.loads((project / "models/pretrained/model.json").read_text())
    assert description["pretrain"]["tau"] == 0.2
