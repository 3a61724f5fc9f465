"""What a team computes in its first steps, saved by its leader; run as a program by test_team.py.

python -m tests.team_steps FILE PROCESSES DTYPE
"""

import sys
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, nn

from pipeline.team import Team
from tests.tasks import COMPUTE, pocan, pretraining


def start(processes: int, dtype: str) -> Team:
    """A team of so many processes; with dtype "float64" one whose networks are to be made ``double``."""
    if dtype != "float64":
        precision = {"float32": "fp32", "bfloat16": "bf16"}[dtype]
        return Team.start("cpu", COMPUTE.model_copy(update={"devices": processes, "precision": precision}))
    strategy = DDPStrategy(broadcast_buffers=False) if processes > 1 else "auto"
    fabric = Fabric(accelerator="cpu", strategy=strategy, devices=processes, precision="64-true")
    fabric.launch()
    return Team(fabric, "fp32", compiles=False)


def double(network: nn.Module) -> None:
    """Let a network compute in float64, but take and give float32."""
    network.double()
    network.register_forward_pre_hook(lambda _, arguments: (arguments[0].double(),))
    network.register_forward_hook(lambda _, __, output: output.float())


def first_steps(team: Team, dtype: str) -> dict[str, Tensor]:
    """Losses, gradients and batch norm statistics of one step of stage 1 and of each form of stage 2, by name.

    Batches of odd sizes: the parts of two processes differ.
    """
    found: dict[str, Tensor] = {}
    stage_1 = pretraining(team, batch_size=7)
    follow_step(found, "pretrain", stage_1, {"network": stage_1.network}, dtype)
    for passes in ("separate", "joint"):
        stage_2 = pocan(team, batch_size=9, domain_passes=passes)
        modules = {"network": stage_2.network, "m_s": stage_2.source_prototypes, "m_t": stage_2.target_prototypes}
        follow_step(found, passes, stage_2, modules, dtype)
        found[f"{passes}/predictions"] = stage_2.predictions[0]
    return found


def follow_step(found: dict[str, Tensor], name: str, task: Any, modules: dict[str, nn.Module], dtype: str) -> None:
    if dtype == "float64":
        double(modules["network"])
    found |= {f"{name}/{loss}": value for loss, value in task.step(next(task.begin_epoch(0).batches), 0.5).items()}
    for module_name, module in modules.items():
        for key, value in module.named_parameters():
            assert value.grad is not None
            found[f"{name}/{module_name}.{key} gradient"] = value.grad
        found |= {f"{name}/{module_name}.{key}": value for key, value in module.named_buffers()}


if __name__ == "__main__":
    file, processes, dtype = sys.argv[1:]
    team = start(int(processes), dtype)
    found = first_steps(team, dtype)
    if team.leads:
        torch.save({"processes": team.size, "found": found}, Path(file))
