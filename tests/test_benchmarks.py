"""The benchmarks run with the parameters that the project has now; what they measure is not tested."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from benchmarks import heads, loops, methods, trial_heads
from pipeline.compute.team import Team
from pipeline.config.load import load
from pipeline.evaluation.comparison import compare
from tests.methods.test_contract import TRAINED

BATCH = 4


def test_a_step_of_every_method_can_be_timed() -> None:
    settings = {name: methods.settings(name, epochs=1, steps_per_epoch=2, batch_size=BATCH) for name in TRAINED}
    assert [each.adapt.method for each in settings.values()] == TRAINED
    assert methods.seconds_a_step(methods.task(settings["shot"], Team.single_process("cpu")), 0, 1) > 0


@pytest.mark.parametrize("contestant", loops.CONTESTANTS, ids="-".join)
def test_every_training_loop_takes_steps(contestant: tuple[str, str], tmp_path: Path) -> None:
    images = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (4 * BATCH, 112, 112, 3), np.uint8)
    setting = loops.Setting(contestant[1], "resnet10", BATCH, "cpu", "fp32", False, str(tmp_path))
    steps = loops.CONTESTANTS[contestant](setting, images, load())
    assert next(steps) == 2 * BATCH * int(contestant[1]), asdict(setting)


def test_a_method_that_diverged_on_all_targets_of_a_kind_keeps_its_columns(tmp_path: Path) -> None:
    def row(shares: str, balanced: float | None) -> dict[str, object]:
        before = {"dt_accuracy": 0.5, "dt_balanced": 0.5}
        return {"shares": shares, **before, "accuracy": balanced, "balanced": balanced}

    rows = {"y": [row("even", None), row("dirichlet-1.0", 0.55)], "x": [row("even", 0.6), row("dirichlet-1.0", 0.7)]}
    (tmp_path / "a.json").write_text(json.dumps({"rows": rows}))
    lines = trial_heads.table([tmp_path / "a.json"]).splitlines()
    assert lines[0] == "|  | gain (balanced) | even | Dirichlet 1.0 | worst | harmed |"
    assert lines[3] == "| y | +5.0 (+5.0) | – | +5.0 | +5.0 | 0 of 1; diverged 1 |"


def test_interrupted_rows_go_on_with_the_same_targets_and_source_model_only(tmp_path: Path) -> None:
    out = tmp_path / "a.json"
    of = {"suite_sha256": "12", "draws": 1, "source_seed": 0, "weights_sha256": "ab"}
    assert heads.so_far(out, "rows", of) is None
    out.write_text(json.dumps({**of, "commit": "c", "rows": {"x": [{"shares": "even"}]}}))
    assert heads.so_far(out, "rows", of) == {"x": [{"shares": "even"}]}
    with pytest.raises(SystemExit, match=r"a\.json: it has source_seed 0 \(now 1\); name another file"):
        heads.so_far(out, "rows", {**of, "source_seed": 1})
    with pytest.raises(SystemExit, match=r"suite_sha256 12 \(now 34\), draws 1 \(now 3\)"):
        heads.so_far(out, "rows", {**of, "suite_sha256": "34", "draws": 3})
    with pytest.raises(SystemExit, match=r"weights_sha256 ab \(now cd\)"):
        heads.so_far(out, "rows", {**of, "weights_sha256": "cd"})
    out.write_text(json.dumps({"source_seed": 0, "rows": {}}))
    with pytest.raises(SystemExit, match=r"weights_sha256 None \(now ab\)"):
        heads.so_far(out, "rows", of)


def test_runs_are_compared_from_the_same_source_model_and_one_seed_stands_for_all() -> None:
    labels, groups = np.arange(40) % 7, np.arange(40)
    generator = np.random.Generator(np.random.PCG64(0))

    def runs(of: list[tuple[int, int]]) -> heads.Runs:
        each = [{"seed": seed, "predicted": "".join(map(str, generator.integers(0, 7, 40)))} for _, seed in of]
        shown = {"scores": [0.5, 0.5], "each": [[0.5, 0.5]], "confusion": [[0]], "seconds": 1.0}
        return heads.Runs.of([(model, {**run, **shown}) for (model, _), run in zip(of, each, strict=True)])

    trained, single = runs([(3, 0), (3, 1), (4, 1), (4, 0)]), runs([(4, 0), (3, 0), (5, 0)])
    first = trained.predicted[[3, 2, 0, 1]]  # by model and seed: 4, then 3, as the other has them
    second = single.predicted[[0, 0, 1, 1]]
    by_hand = compare(first, second, labels, groups, [4, 4, 3, 3])
    assert trained.over(single, labels, groups) == by_hand
    other = runs([(3, 0), (4, 0)])
    assert other.over(trained, labels, groups).accuracy.difference == pytest.approx(
        -trained.over(other, labels, groups).accuracy.difference
    )


def test_changes_of_the_command_line_replace_values_of_the_rows() -> None:
    lines = list(heads.rows(["adapt.lr=0.5"], seeds=[7]))
    assert any("adapt.lr=0.01" in row.changes for row in lines)
    assert all(
        load(changes=row.changes).adapt.model_dump()["lr"] == 0.5 for row in lines if row.name.startswith("POCAN")
    )
    assert not any("adapt.lr=0.5" in row.changes for row in lines if row.name in (heads.DT, "T3A"))
    assert {row.seeds for row in lines} == {(7,)}
