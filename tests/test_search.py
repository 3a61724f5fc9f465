"""A search among configurations: which are tried, that each trains as it would alone, what is kept, exact resume."""

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from pipeline.config.methods import METHODS, AdaptParams
from pipeline.config.methods.space import Times
from pipeline.methods import Method
from pipeline.search import Search, candidates
from pipeline.training import loop
from pipeline.training.checkpoints import Checkpoint
from pipeline.validators import VALIDATORS, Validator
from tests.methods import toy

SHARED: dict[str, Any] = {"epochs": 2, "steps_per_epoch": 2, "batch_size": 28}


def params(name: str, **changes: Any) -> AdaptParams:
    return METHODS[name].model_validate({"method": name, **SHARED, "search": 4, "choose": "information", **changes})


@pytest.mark.parametrize("name", METHODS)
def test_configurations_are_different_and_of_the_methods_space(name: str) -> None:
    own = params(name)
    found = candidates(own, 12, 0)
    assert found[0] == own
    assert len({candidate.model_dump_json() for candidate in found}) == len(found)
    assert len(found) == 12 or own.changes == "decision" or len(own.space) <= 1
    for candidate in found[2:]:
        for key, options in own.space.items():
            if isinstance(options, Times):
                assert getattr(candidate, key) in [
                    pytest.approx(getattr(own, key) * one, rel=1e-2) for one in options.factors
                ]
            else:
                assert getattr(candidate, key) in options
        rest = set(own.model_fields_set | candidate.model_fields_set) - set(own.space)
        assert all(getattr(candidate, key) == getattr(own, key) for key in rest)


def test_published_values_are_always_among_them_and_a_longer_search_begins_alike() -> None:
    own = params("pocan", lr=0.5, prototype_lr=0.5, tau=0.3)
    found = candidates(own, 6, 0)
    published = {key: METHODS["pocan"].model_fields[key].default for key in own.space}
    assert {key: getattr(found[1], key) for key in own.space} == published
    assert candidates(own, 3, 0) == found[:3]
    assert candidates(own, 6, 1)[2:] != found[2:]


def test_a_search_without_a_rule_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"set adapt\.choose to entropy, information"):
        params("dann", choose="last")


def make(found: AdaptParams) -> Method:
    torch.manual_seed(0)
    own = {key: getattr(found, key) for key in found.model_fields_set if key != "method"}
    return toy.method(found.method, **own)


def search(judge: Validator | None = None, **changes: Any) -> Search:
    own = params("dann", lr=0.05, **changes)
    judge = judge or next(one for one in VALIDATORS if one.name == "information")
    return Search(candidates(own, 3, 0), make, judge)


def trained(task: Search | Method, path: Path) -> list[dict[str, float]]:
    curve = loop.fit(task, Checkpoint(path, {}), lambda *_: None, toy.TEAM)
    task.predict_target()
    return curve


def test_each_configuration_trains_as_it_would_alone(tmp_path: Path) -> None:
    task = search()
    curve = trained(task, tmp_path / "all.pt")
    assert [row["candidate"] for row in curve] == [1, 1, 2, 2, 3, 3]
    assert len(task.predictions) == len(task.validations) == 4
    last = make(task.candidates[2].model_copy(update={"search": 0, "choose": "last"}))
    alone = trained(last, tmp_path / "one.pt")
    assert torch.equal(task.predictions[0], last.predictions[0])
    assert torch.equal(task.predictions[3], last.predictions[-1])
    assert [row["loss"] for row in curve[4:]] == [row["loss"] for row in alone]
    assert task.varied[2] == {key: getattr(last.params, key) for key in last.params.space}


@pytest.mark.parametrize("sign", [1, -1])
def test_the_model_that_the_rule_finds_best_is_kept(sign: int, tmp_path: Path) -> None:
    rule = Validator("information", "", sign, "", lambda _: 0.0)
    task = search(rule)
    trained(task, tmp_path / "all.pt")
    said = [sign * row["information"] for row in task.validations]
    assert task.kept_epoch == int(np.argmax(said))
    task.load_kept_epoch()
    now = task._method.probabilities(toy.ROWS).argmax(dim=1).to(torch.uint8)
    assert torch.equal(now, task.predictions[task.kept_epoch])
    assert task.kept_params == task.candidates[max(task.kept_epoch - 1, 0)]


def test_where_every_configuration_is_worse_the_source_model_stays(tmp_path: Path) -> None:
    told = iter([1.0, 0.5, 0.4, 0.3])
    task = search()
    own = task._enter

    def enter() -> None:
        task._method.validations[-1] = {**task._method.validations[-1], "information": next(told)}
        own()

    task._enter = enter  # type: ignore[method-assign]
    trained(task, tmp_path / "all.pt")
    assert task.kept_epoch == 0
    task.load_kept_epoch()
    source = toy.source_model().state_dict()
    now = task.model.state_dict()
    assert all(torch.equal(now[key], value) for key, value in source.items() if key in now)


def test_interrupted_it_ends_with_the_same_models(tmp_path: Path) -> None:
    whole, first = search(), search()
    curve = trained(whole, tmp_path / "whole.pt")
    for stop in (2, 3, 5):
        try:
            loop.fit(first, Checkpoint(tmp_path / "cut.pt", {}), _stopped_at(stop), toy.TEAM)
        except KeyboardInterrupt:
            first = search()
    again = trained(first, tmp_path / "cut.pt")
    assert again == curve
    assert first.validations == whole.validations
    for task in (first, whole):
        task.load_kept_epoch()
    ends = [copy.deepcopy(task.model.state_dict()) for task in (first, whole)]
    assert all(torch.equal(value, ends[1][key]) for key, value in ends[0].items())


def _stopped_at(stop: int) -> loop.Log:
    def log(_metrics: Any, epoch: int) -> None:
        if epoch == stop:
            raise KeyboardInterrupt

    return log


def test_a_configuration_that_is_not_finite_is_left_out_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(found: AdaptParams) -> Method:
        method = make(found)
        if found.model_dump() == {**second, "search": 0, "choose": "last"}:
            for weight in method.source_model.network.head.parameters():
                weight.data.fill_(math.nan)
        return method

    whole = search()
    second = whole.candidates[1].model_dump()
    task = Search(whole.candidates, broken, whole._validator)
    with pytest.raises(KeyboardInterrupt):
        loop.fit(task, Checkpoint(tmp_path / "c.pt", {}), _stopped_at(3), toy.TEAM)
    task = Search(whole.candidates, broken, whole._validator)
    trained(task, tmp_path / "c.pt")
    trained(whole, tmp_path / "whole.pt")
    assert "configuration 2 is not finite and is left out: lr " in capsys.readouterr().err
    assert all(math.isnan(value) for value in task.validations[2].values())
    assert task.validations[1] == whole.validations[1]
    assert task.validations[3] == whole.validations[3]
    assert task.kept_epoch != 2


def test_a_configuration_whose_last_step_breaks_weights_is_left_out_by_one_look_an_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, looks, look = search(), list[int](), loop.require_finite_weights
    trained(whole, tmp_path / "whole.pt")

    def counted(state: Any, stage: str, epoch: int, name: str = "") -> None:
        if not name:  # the whole state, not a part of it
            looks.append(epoch)
        look(state, stage, epoch, name)

    def broken(found: AdaptParams) -> Method:
        method = make(found)
        if found.model_dump() == {**whole.candidates[1].model_dump(), "search": 0, "choose": "last"}:
            step, steps = method.step, iter(range(4))

            def breaking(batch: Any, progress: float) -> dict[str, torch.Tensor]:
                losses = step(batch, progress)
                if next(steps) == 3:
                    next(method.source_model.network.head.parameters()).data.fill_(math.inf)
                return losses

            monkeypatch.setattr(method, "step", breaking)
        return method

    monkeypatch.setattr(loop, "require_finite_weights", counted)
    task = Search(whole.candidates, broken, whole._validator)
    trained(task, tmp_path / "c.pt")
    assert len(looks) == task.epochs == 6
    assert all(math.isnan(value) for value in task.validations[2].values())
    assert task.validations[3] == whole.validations[3]
