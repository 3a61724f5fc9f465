"""What a method's own terms do, against the same training without them.

On the toy problem one pass with both domains already gains more than the contract asks for, by its batch norms alone: a
method whose own loss did nothing would pass there.
"""

from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline.methods.parts.two_domains import TwoDomains
from tests.methods.toy import LABELS, method

pytestmark = pytest.mark.slow

OFF = {
    "agra": {"local_weight": 0.0},
    "dan": {"weight": 0.0},
    "coral": {"weight": 0.0},
    "detn": {"weight": 0.0},
    "ecan": {"marginal": 0.0, "conditional": 0.0},
    "dfa": {"gist": 0.0, "intra": 0.0, "inter": 0.0},
    "icid": {"common": 0.0},
    "fixmatch": {"weight": 0.0},
    "lpl": {"weight": 0.0},
    "mcc": {"weight": 0.0},
    "mean_teacher": {"weight": 0.0},
}
"""The weights of each method's own terms."""

ON: dict[str, dict[str, Any]] = {
    "agra": {"local_weight": 10.0, "own_factor": None},
    "dfa": {"gist": 1.0, "intra": 10.0, "inter": 10.0},
    "fixmatch": {"threshold": 0.0, "weight": 1.0},
    "mcc": {"weight": 5.0},
    "mean_teacher": {"threshold": 0.0, "weight": 30.0, "ema": 0.8},
}
"""Where a weight of 1 does too little in a few steps to be seen."""

TERMS = {
    "agra": ["local"],
    "ecan": ["domain", "classes"],
    "dfa": ["domain", "intra", "inter"],
    "icid": ["common"],
    "fixmatch": ["consistency"],
    "lpl": ["locality"],
    "mcc": ["confusion"],
    "mean_teacher": ["consistency"],
}
"""What is to fall; elsewhere the domains' distance."""


def trained(name: str, steps: int = 10, **changes: Any) -> TwoDomains:
    """After so many steps, at a rate at which these few show."""
    task = method(name, **{"epochs": 1, "steps_per_epoch": steps, "batch_size": 42, "lr": 0.01, **changes})
    assert isinstance(task, TwoDomains)
    for index, batch in enumerate(task.begin_epoch(0).batches):
        task.step(batch, index / steps)
    return task


@torch.no_grad()
def terms(task: TwoDomains, **weights: Any) -> dict[str, Tensor]:
    """Its terms of a new batch, with these weights."""
    task.params = task.params.model_copy(update=weights)
    return task.losses(task.embedded(next(task.begin_epoch(1).batches), 0.5))


@pytest.mark.parametrize("name", OFF)
def test_a_methods_own_terms_fall_further_than_without_them(name: str) -> None:
    on: dict[str, Any] = {**dict.fromkeys(OFF[name], 1.0), **ON.get(name, {})}
    without, found = (terms(trained(name, **{**on, **changes}), **on) for changes in (OFF[name], on))
    for term in TERMS.get(name, ["domain"]):
        assert found[term] < 0.95 * without[term], (term, found, without)


@pytest.mark.parametrize("name", sorted({*OFF, "dann", "cdan"} - {"lpl"}))
def test_at_its_default_weight_a_method_predicts_otherwise_than_without_its_own_terms(name: str) -> None:
    """LPL's weight, as published, moves no prediction in so few steps; its loss falls all the same (above)."""
    average: dict[str, Any] = {"ema": 0.8} if name == "mean_teacher" else {}
    rows = torch.arange(len(LABELS))
    without: dict[str, Any] = OFF.get(name, {"weight": 0.0})
    on, off = (trained(name, **{**average, **one}).probabilities(rows) for one in ({}, without))
    assert bool((on.argmax(dim=1) != off.argmax(dim=1)).any())


@pytest.mark.parametrize("name", ["dann", "cdan"])
def test_f_and_g_make_it_harder_for_the_discriminator(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = {"lr": 0.02, "schedule": "constant", "own_factor": None, "nesterov": False}
    against = terms(trained(name, 20, **rates))["domain"]
    monkeypatch.setattr(f"pipeline.methods.{name}.lambda_t", lambda _: 0.0)
    assert against > 1.2 * terms(trained(name, 20, **rates))["domain"]


def test_a_teachers_view_does_not_enter_the_students_norms() -> None:
    task = method("mean_teacher", batch_size=28)
    assert isinstance(task, TwoDomains)
    passed: list[int] = []
    task.network.register_forward_pre_hook(lambda _, inputs: passed.append(len(inputs[0])))
    batch = next(task.begin_epoch(0).batches)
    passed.clear()
    task.step(batch, 0.0)
    assert sum(passed) == 28 + 28


@pytest.mark.parametrize("name", ["mcd", "swd"])
def test_f_and_g_bring_the_classifiers_together(name: str) -> None:
    task = method(name, batch_size=56, repeats=12, lr=0.02)
    reported = task.step(next(task.begin_epoch(0).batches), 0.0)
    assert reported["together"] < 0.8 * reported["apart"]


def test_norms_grow() -> None:
    norms = []
    for weight in (0.0, 0.05):
        task = trained("safn", weight=weight)
        terms(task)
        norms.append(task._norms.mean().item())  # type: ignore[attr-defined]
    assert norms[1] > 1.01 * norms[0]


def test_shots_loss_falls() -> None:
    before, after = (sum(terms(trained("shot", steps)).values()) for steps in (1, 15))
    assert after < before - 0.05
