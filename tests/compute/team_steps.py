"""What a team computes in its first steps, saved by its leader; run as a program by test_team.py.

python -m tests.compute.team_steps FILE PROCESSES DTYPE, or "methods" in place of the type.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.backbones import BACKBONES
from pipeline.compute.team import Team
from pipeline.config.learning import ModelParams
from pipeline.config.methods import METHODS
from pipeline.networks.network import Network
from tests.methods.toy import SMALL
from tests.tasks import COMPUTE, adaptation, pocan, pretraining

NORMED = {"projection_norm": "batch"}


def start(processes: int, dtype: str) -> Team:
    """A team of so many processes, in bf16 for "bfloat16", else in float32; networks may be made by ``double``."""
    precision = "bf16" if dtype == "bfloat16" else "fp32"
    return Team.start("cpu", COMPUTE.model_copy(update={"devices": processes, "precision": precision}))


def double(params: ModelParams) -> Network:
    """A network that computes in float64, but takes and gives float32."""
    network = Network(params).double()
    network.register_forward_pre_hook(lambda _, arguments: (arguments[0].double(),))
    network.encoder.trunk.register_forward_pre_hook(lambda _, arguments: (arguments[0].double(),))
    network.head.register_forward_hook(lambda _, __, output: output.float())
    return network


def small_double(params: ModelParams) -> Network:
    """The same with the small encoder of the toy problem: what the methods share does not depend on the encoder."""
    BACKBONES.add(SMALL)
    network = double(params.model_copy(update={"backbone": SMALL.name}))
    BACKBONES.remove(SMALL.name)
    return network


def first_steps(team: Team, dtype: str) -> dict[str, Tensor]:
    """Losses, gradients and batch norm statistics of one step of stage 1 and of each form of stage 2, by name.

    Batches of odd sizes: the parts of two processes differ.
    """
    found: dict[str, Tensor] = {}
    build = double if dtype == "float64" else Network
    stage_1 = pretraining(team, build=build, batch_size=7)
    follow_step(found, "pretrain", stage_1, {"network": stage_1.network})
    both = pretraining(team, build=build, batch_size=7, objective="both", sampling="balanced")
    follow_step(found, "both", both, {"network": both.network, "classifier": both.classifier})
    normed = pretraining(team, build=lambda params: build(params.model_copy(update=NORMED)), batch_size=7)
    follow_step(found, "normed", normed, {"network": normed.network})
    for passes in ("separate", "joint"):
        stage_2 = pocan(team, build=build, batch_size=9, domain_passes=passes, ema=0.5 if passes == "joint" else 0.0)
        modules = {"network": stage_2.network, "m_s": stage_2.source_prototypes, "m_t": stage_2.target_prototypes}
        follow_step(found, passes, stage_2, modules)
        found[f"{passes}/predictions"] = stage_2.predictions[0]
        found |= {f"{passes}/model.{key}": value for key, value in stage_2.model.named_parameters()}
    return found


def methods_steps(team: Team) -> dict[str, Tensor]:
    """Losses, model and validators of one step of every method but POCAN, in float64."""
    found: dict[str, Tensor] = {}
    for name in (name for name, params in METHODS.items() if params.adapts and name != "pocan"):
        method = adaptation(name, team, build=small_double, batch_size=9)
        plan = method.begin_epoch(0)
        found |= {f"{name}/{key}": value for key, value in method.step(next(plan.batches), 0.5).items()}
        found |= {f"{name}/model.{key}": value.float() for key, value in method.model.state_dict().items()}
        found |= {f"{name}/{key}": torch.tensor(value) for key, value in method.validations[0].items()}
    return found


def follow_step(found: dict[str, Tensor], name: str, task: Any, modules: dict[str, nn.Module]) -> None:
    found |= {f"{name}/{loss}": value for loss, value in task.step(next(task.begin_epoch(0).batches), 0.5).items()}
    for module_name, module in modules.items():
        for key, value in module.named_parameters():
            assert value.grad is not None
            found[f"{name}/{module_name}.{key} gradient"] = value.grad
        found |= {f"{name}/{module_name}.{key}": value for key, value in module.named_buffers()}


if __name__ == "__main__":
    file, processes, dtype = sys.argv[1:]
    team = start(int(processes), dtype)
    found = methods_steps(team) if dtype == "methods" else first_steps(team, dtype)
    if team.leads:
        torch.save({"processes": team.size, "found": found}, Path(file))
