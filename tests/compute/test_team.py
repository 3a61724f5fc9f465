"""Several processes against one: the same losses and gradients of the same batch."""

import os
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pipeline.compute.batchnorm import synchronised
from pipeline.compute.team import Team
from pipeline.config.methods import METHODS
from pipeline.errors import ParamsError
from pipeline.networks.inference import project
from pipeline.networks.network import Encoder, ProjectionHead
from tests.compute.team_steps import first_steps, methods_steps, start
from tests.tasks import COMPUTE, ROWS, pictures, pretraining

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def two_processes(file: Path, dtype: str, launcher: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """What a team of two finds in its first steps."""
    command = [sys.executable, "-m", *launcher, "tests.compute.team_steps", str(file), "2", dtype]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    saved = torch.load(file, weights_only=True)
    assert saved["processes"] == 2
    found: dict[str, Tensor] = saved["found"]
    return found


def two_nodes(command: list[str], folder: Path) -> list[str]:
    """What each of two processes printed that torchrun starts as if each were on a machine of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    launcher = ["-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1", "--master-addr=127.0.0.1"]
    started = [
        subprocess.Popen(
            [sys.executable, *launcher, f"--master-port={port}", f"--node-rank={rank}", *command],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in (0, 1)
    ]
    printed = [process.communicate(timeout=600)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0], "\n".join(printed)[-4000:]
    return printed


def differences(found: dict[str, Tensor], expected: dict[str, Tensor]) -> dict[str, float]:
    """The largest difference of each tensor, as a share of its largest value where that is above 1."""
    assert found.keys() == expected.keys()
    return {
        name: ((found[name].double() - value.double()).abs().max() / value.double().abs().max().clamp(min=1.0)).item()
        for name, value in expected.items()
    }


@cache
def one_process(dtype: str) -> dict[str, Tensor]:
    """What one process finds in its first steps."""
    return first_steps(start(1, dtype), dtype)


def test_two_processes_compute_what_one_does(tmp_path: Path) -> None:
    """In float64 inside the networks: rounding, which batch norms of few noisy pictures enlarge, hides no fault."""
    differ = differences(two_processes(tmp_path / "found.pt", "float64"), one_process("float64"))
    assert sum("gradient" in name for name in differ) > 100
    assert {name: value for name, value in differ.items() if value > 1e-5} == {}


def test_two_nodes_compute_what_one_process_does(tmp_path: Path) -> None:
    """As the test above; the rendezvous is torchrun's, on the loopback address."""
    file = tmp_path / "found.pt"
    two_nodes(["-m", "tests.compute.team_steps", str(file), "2", "float64"], ROOT)
    saved = torch.load(file, weights_only=True)
    assert saved["processes"] == 2
    differ = differences(saved["found"], one_process("float64"))
    assert {name: value for name, value in differ.items() if value > 1e-5} == {}


def test_two_processes_adapt_as_one_does_by_every_method(tmp_path: Path) -> None:
    found = two_processes(tmp_path / "found.pt", "methods")
    differ = differences(found, methods_steps(start(1, "methods")))
    assert len({name.split("/")[0] for name in differ}) == len(METHODS) - 2  # all but DT and POCAN
    assert {name: value for name, value in differ.items() if value > 1e-5} == {}


def test_torchrun_starts_two_processes(tmp_path: Path) -> None:
    """In float32, as in use: losses may be a little above 1e-5 apart, gradients cannot be compared, see above."""
    launcher = ("torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m")
    differ = differences(two_processes(tmp_path / "found.pt", "float32", launcher), one_process("float32"))
    assert max(value for name, value in differ.items() if name.endswith("/loss")) < 1e-4


def test_bf16_is_for_the_layers_of_the_training_passes_alone() -> None:
    team = start(1, "bfloat16")
    task = pretraining(team)
    seen: dict[str, set[torch.dtype]] = {}
    watched = {"convolution": nn.Conv2d, "linear": nn.Linear, "head": ProjectionHead, "encoder": Encoder}
    for name, kind in watched.items():
        for module in task.network.modules():
            if isinstance(module, kind):
                dtypes = seen.setdefault(name, set())
                module.register_forward_hook(lambda _module, _inputs, output, dtypes=dtypes: dtypes.add(output.dtype))
    loss = task.step(next(task.begin_epoch(0).batches), 0.0)["loss"]
    half, single = {torch.bfloat16}, {torch.float32}
    assert seen == {"convolution": half, "linear": half, "head": single, "encoder": single}
    assert loss.dtype == torch.float32
    assert {value.dtype for value in task.network.parameters()} == single
    assert {value.grad.dtype for value in task.network.parameters() if value.grad is not None} == single
    for dtypes in seen.values():
        dtypes.clear()
    project(task.network, pictures(2), ROWS[:2], 0.85)
    assert all(dtypes == single for dtypes in seen.values())


def test_bf16_in_two_processes_is_near_to_float32_in_one(tmp_path: Path) -> None:
    found = two_processes(tmp_path / "found.pt", "bfloat16")
    expected = one_process("float32")
    losses = [name for name in expected if name.endswith("/loss")]
    assert len(losses) == 5
    for name in losses:
        assert found[name].dtype == torch.float32
        assert 0 < abs(found[name].item() / expected[name].item() - 1) < 0.05, name


def test_the_parts_of_a_team_are_the_whole() -> None:
    one = Team.start("cpu", COMPUTE)
    for size in (1, 2, 3, 5):
        one.size = size
        parts = []
        for rank in range(size):
            one._rank = rank
            parts += list(range(7)[one.part(7)])
        assert parts == list(range(7))
    one.size = 9
    with pytest.raises(ParamsError, match=r"compute\.devices: 9 processes cannot share a batch of 8 pictures"):
        next(pretraining(one).begin_epoch(0).batches)


class ActivatingNorm(nn.BatchNorm2d):
    """As timm has them: the activation is within."""

    def forward(self, input: Tensor) -> Tensor:
        return torch.relu(super().forward(input))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_batch_norms_that_do_more_are_not_replaced_in_silence(device: str) -> None:
    network = nn.Sequential(nn.BatchNorm2d(3), ActivatingNorm(3))
    with pytest.raises(ParamsError, match=r"cannot share \(ActivatingNorm\); set compute\.devices: 1"):
        synchronised(network, torch.device(device))


@pytest.mark.parametrize("mode", ["default", "error"])
def test_the_compiler_is_as_deterministic_as_pytorch(mode: str) -> None:
    before = torch.get_deterministic_debug_mode()
    torch.use_deterministic_algorithms(mode == "default")  # what the compiler has been told so far
    torch.set_deterministic_debug_mode(mode)
    try:
        Team.start("cpu", COMPUTE.model_copy(update={"compile": True})).setup(nn.Linear(2, 2))
        assert torch._inductor.config.deterministic == (mode == "error")
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_deterministic_debug_mode(before)
