"""docs/team.md with its own commands and real servers: one clone trains, others pull, run nothing and predict."""

import shlex
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from pipeline.files.io import read_json
from pipeline.labels import EXPRESSIONS
from pipeline.standins import draw
from tests.stages import servers
from tests.stages.repository import RAN, ROOT, commit, make, run, tiny

pytestmark = [pytest.mark.slow, pytest.mark.server]

PAGE = (ROOT / "docs/team.md").read_text(encoding="utf-8")
SETS = ("rafdb", "jaffe")
S3, SSH = "An S3 bucket, or a server with the same interface", "An SSH server"
KEYS_BELOW = {"s3": S3, "ssh": SSH}
"""The headings below which the page says how a clone is given its keys, by the name of the remote."""


def commands(heading: str, number: int = 0) -> str:
    """A block of commands below a heading of the page."""
    _, _, section = PAGE.partition(f"# {heading}\n")
    return section.split("```\n")[2 * number + 1]


@dataclass(frozen=True)
class Place:
    """Where the team's things are: addresses of the server, of the repository, and the page's names for all of them."""

    tracking: str
    artifacts: Path
    origin: Path
    names: Mapping[str, str]

    def named(self, text: str) -> str:
        """Commands of the page with the names of this place."""
        for example, own in self.names.items():
            text = text.replace(example, own)
        return text

    def do(self, clone: Path, heading: str, number: int = 0) -> str:
        """What the commands below a heading printed, in a shell that knows the server."""
        variables = {"MLFLOW_TRACKING_URI": self.tracking}
        return run(clone, "bash", "-euc", self.named(commands(heading, number)), variables=variables)

    def clone(self, folder: Path, remote: str) -> Path:
        """A new clone that uses one of the remotes, and has its keys."""
        run(folder, "git", "clone", "--quiet", str(self.origin), remote)
        if remote in KEYS_BELOW:
            self.do(folder / remote, KEYS_BELOW[remote], 1)
        run(folder / remote, "dvc", "remote", "default", "--local", remote)
        return folder / remote


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The servers, and a repository without any commit."""
    folder = tmp_path_factory.mktemp("team")
    with ExitStack() as running:
        database = running.enter_context(servers.postgresql())
        bucket = running.enter_context(servers.s3(folder / "s3.log", "pocan"))
        identity = folder / "id_ed25519"
        ssh_port = running.enter_context(servers.ssh(folder, identity))
        port = servers.free_port()
        names = {
            "postgresql+psycopg://mlflow:PASSWORD@localhost/mlflow": database,
            "/srv/mlflow": str(folder / "artifacts"),
            "--host 0.0.0.0 --port 5000": f"--host 127.0.0.1 --port {port}",
            "tracking.example.org": "127.0.0.1",
            "/mnt/team/pocan": str(folder / "mounted"),
            "https://s3.example.org": bucket,
            "ssh.example.org": f"127.0.0.1:{ssh_port}",
            "~/.ssh/id_ed25519": str(identity),
            "party.jpg": str(ROOT / "tests/data/astronaut.png"),
        }
        found = Place(f"http://127.0.0.1:{port}", folder / "artifacts", folder / "origin.git", names)
        assert [name for name in names if name not in PAGE] == []
        run(folder, "git", "init", "--quiet", "--bare", str(found.origin))
        export, command = found.named(commands("The MLflow server", 1)).replace("\\\n", "").splitlines()
        key, _, value = export.removeprefix("export ").partition("=")
        variables = {key: value, "MLFLOW_WORKERS": "1", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        address = f"{found.tracking}/health"
        running.enter_context(servers.serving(shlex.split(command), address, folder / "mlflow.log", variables))
        yield found


@pytest.fixture(scope="module")
def trained(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clone that trains on sets of its own, drawn here, and has pushed them and all else."""
    clone = tmp_path_factory.mktemp("first") / "project"
    values = tiny()
    values["targets"] = ["jaffe"]
    values["data"] |= {"root": "data/real", "sets": list(SETS)}
    values["standins"]["sets"] = []
    make(clone, values)
    commit(clone)
    run(clone, "git", "remote", "add", "origin", str(place.origin))
    run(clone, "git", "push", "--quiet", "--set-upstream", "origin", "HEAD")
    place.do(clone, "A folder that all machines mount")
    for heading in (SSH, S3):
        for number in (0, 1):
            place.do(clone, heading, number)
    for name in SETS:
        draw(name, clone / "data/real" / name, values["standins"]["seed"], values["standins"]["scale"])
    place.do(clone, "Data sets of your own")
    assert "adapt@jaffe" in RAN.findall(place.do(clone, "Who trains"))
    for remote in ("folder", "ssh"):
        run(clone, "dvc", "push", "--remote", remote)
    assert "KEY" not in run(clone, "git", "show", "HEAD:.dvc/config")
    return clone


def has_nothing_to_do(place: Place, clone: Path, trained: Path) -> None:
    """After ``dvc pull`` a clone has the bytes of the one that trained, and DVC runs no stage."""
    printed = place.do(clone, "Everybody else")
    assert printed.count("Data and pipelines are up to date.") == 2
    assert RAN.findall(printed) == []
    assert run(clone, "git", "diff", "--stat") == ""
    has_the_same_bytes(clone, trained)


def has_the_same_bytes(clone: Path, trained: Path) -> None:
    for path in (
        "models/adapted/jaffe/model.safetensors",
        "models/prototypes/model.json",
        "data/predictions/jaffe.csv",
    ):
        assert (clone / path).read_bytes() == (trained / path).read_bytes()


def test_another_clone_pulls_runs_nothing_and_predicts(place: Place, trained: Path, tmp_path: Path) -> None:
    clone = place.clone(tmp_path, "s3")
    has_nothing_to_do(place, clone, trained)
    place.do(clone, "Everybody else", 1)
    pulled, registered = (pd.read_csv(clone / f"{name}.csv") for name in ("pulled", "registered"))
    assert pulled["expression"].isin(EXPRESSIONS).tolist() == [True]
    assert [frame.pop("model").tolist() for frame in (pulled, registered)] == [
        ["models/adapted/jaffe ◊"],
        ["models:/pocan-jaffe@newest ◊"],
    ]
    pd.testing.assert_frame_equal(pulled, registered)


def test_who_has_the_model_alone_runs_nothing_and_may_pull_the_rest(
    place: Place, trained: Path, tmp_path: Path
) -> None:
    clone = place.clone(tmp_path, "folder")
    printed = place.do(clone, "Without the pictures")
    assert RAN.findall(printed) == []
    assert "Stage 'report' didn't change" in printed
    assert (clone / "models/adapted/jaffe/model.safetensors").is_file()
    assert not (clone / "data/crops").exists()
    has_nothing_to_do(place, clone, trained)


def test_an_ssh_server_has_the_same_bytes(place: Place, trained: Path, tmp_path: Path) -> None:
    clone = place.clone(tmp_path, "ssh")
    run(clone, "dvc", "pull")
    has_the_same_bytes(clone, trained)


def test_runs_and_models_are_the_servers_alone(place: Place, trained: Path) -> None:
    client = mlflow.MlflowClient(place.tracking)
    run_id = read_json(trained / "reports/evaluate/jaffe/result.json")["run_id"]
    evaluated = client.get_run(run_id)
    assert (evaluated.info.run_name, evaluated.info.status) == ("evaluate@jaffe", "FINISHED")
    assert str(evaluated.info.artifact_uri).startswith("mlflow-artifacts:/")
    kept = {path.name for path in place.artifacts.rglob("*") if run_id in path.parts}
    assert {"result.json", "metrics.json"} <= kept
    version = client.get_model_version_by_alias("pocan-jaffe", "newest")
    adapted = client.get_run(str(version.run_id))
    assert adapted.data.tags["mlflow.parentRunId"] == evaluated.data.tags["mlflow.parentRunId"]
    assert list(trained.glob("mlflow.db*")) + list(trained.glob("mlruns")) == []
