"""Trial targets as a suite: which pictures are drawn, what a camera does, and a method run on all of them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from torch import nn
from typer.testing import CliRunner

from pipeline.compute.team import Team
from pipeline.config import paths
from pipeline.config.load import load
from pipeline.data.prepared import PreparedData
from pipeline.errors import ParamsError
from pipeline.files.io import write_csv
from pipeline.methods.concord import Concord
from pipeline.networks.trained import open_model
from pipeline.trials.camera import Camera
from pipeline.trials.run import Trials, _named, require_replaceable, summary, through
from pipeline.trials.suite import Suite, cases, read_suite
from pocan.cli import app
from tests.own_pictures.projects import write_project

ROOT = Path(__file__).parents[2]
LABELS = np.repeat(np.arange(7), [30, 5, 40, 60, 30, 20, 15])
SUITE = Suite(cameras={"plain": Camera()}, shares=["even", "one-missing", "dirichlet-0.3"], draws=6, pictures=70)


def test_the_projects_suite_has_36_targets() -> None:
    found = list(cases(read_suite(ROOT / "studies/trials/shifts.yaml"), LABELS, 0))
    assert len(found) == 36
    assert len({(case.camera, case.shares, case.draw) for case in found}) == 36


def test_targets_have_the_shares_that_they_are_named_by() -> None:
    missing = set()
    for case in cases(SUITE, LABELS, 0):
        assert np.array_equal(case.rows, np.unique(case.rows))
        counts = np.bincount(LABELS[case.rows], minlength=7)
        if case.shares == "even":
            assert counts.tolist() == [5] * 7
        elif case.shares == "one-missing":
            assert sorted(counts.tolist())[0] == 0
            assert len(set(counts.tolist())) == 2
            missing.add(int(counts.argmin()))
        else:
            assert counts.sum() <= 73  # seven roundings
            assert (counts <= np.bincount(LABELS)).all()
    assert len(missing) > 1


def test_a_target_depends_on_seed_and_place_alone() -> None:
    first, again = list(cases(SUITE, LABELS, 1)), list(cases(SUITE, LABELS, 1))
    assert all(np.array_equal(one.rows, other.rows) for one, other in zip(first, again, strict=True))
    short = list(cases(SUITE.model_copy(update={"draws": 1}), LABELS, 1))
    assert np.array_equal(short[1].rows, first[6].rows)
    assert not np.array_equal(first[0].rows, next(cases(SUITE, LABELS, 2)).rows)


def test_pictures_without_a_label_are_not_drawn() -> None:
    labels = np.where(np.arange(len(LABELS)) % 2, LABELS, -1)
    for case in cases(SUITE, labels, 0):
        assert (labels[case.rows] >= 0).all()


STILL: dict[str, Any] = {
    "rotation": (0.0, 0.0),
    "zoom": (1.0, 1.0),
    "blur": 0.0,
    "gamma": 1.0,
    "contrast": 1.0,
    "lift": 0.0,
    "noise": 0.0,
}
"""A camera that changes nothing."""


def test_shade_darkens_towards_the_left() -> None:
    picture = np.full((4, 5, 3), 200, np.uint8)
    chance = np.random.default_rng(0)
    assert np.array_equal(Camera(**STILL).show(picture, chance), picture)
    assert Camera(**STILL, shade=0.5).show(picture, chance)[0, :, 0].tolist() == [100, 125, 150, 175, 200]


def test_a_small_picture_is_taken_with_its_noise_and_enlarged() -> None:
    picture = np.random.default_rng(0).integers(60, 190, (96, 64, 3), dtype=np.uint8)
    seen = Camera(**STILL, resolution=16).show(picture, np.random.default_rng(0))
    assert seen.shape == picture.shape
    means = picture.reshape(24, 4, 16, 4, 3).mean(axis=(1, 3))
    assert np.abs(seen[1::4, 1::4, 0] - means[:, :, 0]).mean() < 4  # next to the centre of each block
    noisy = Camera(**STILL | {"noise": 20.0}, resolution=16).show(
        np.full((96, 64, 3), 128, np.uint8), np.random.default_rng(0)
    )
    assert np.abs(np.diff(noisy[:, :, 0].astype(float), axis=0)).mean() < 10  # smooth between the pixels
    assert noisy.std() > 10


def test_compression_keeps_colours_and_loses_detail() -> None:
    red = np.full((64, 64, 3), (200, 40, 40), np.uint8)
    camera = Camera(**STILL, jpeg=10)
    assert np.abs(camera.show(red, np.random.default_rng(0)).astype(int) - red).max() <= 12
    detailed = np.random.default_rng(0).integers(0, 256, (64, 64, 1), dtype=np.uint8).repeat(3, axis=2)
    assert np.abs(camera.show(detailed, np.random.default_rng(0)).astype(int) - detailed).mean() > 20
    with pytest.raises(ValidationError, match="less than or equal to 100"):
        Camera(jpeg=101)


def test_each_picture_is_shown_alike_whatever_stands_beside_it() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 112, 112, 3), dtype=np.uint8)
    both, alone = through(Camera(), images, np.array([1, 3]), 7), through(Camera(), images, np.array([3]), 7)
    assert np.array_equal(both[1], alone[0])
    assert not np.array_equal(alone[0], images[3])


def test_a_wrong_suite_is_refused_by_file_and_key(tmp_path: Path) -> None:
    wrong = tmp_path / "suite.yaml"
    wrong.write_text("cameras: {a: {blurr: 1}}\nshares: [even]\ndraws: 1\npictures: 10\n")
    with pytest.raises(ParamsError, match=r"suite\.yaml: cameras\.a\.blurr"):
        read_suite(wrong)
    wrong.write_text("- even\n")
    with pytest.raises(ParamsError, match=r"suite\.yaml"):
        read_suite(wrong)


def test_the_summary_counts_targets_that_are_harmed_and_those_left_alone() -> None:
    found = pd.DataFrame(
        {
            "camera": ["a", "a", "b"],
            "shares": ["even"] * 3,
            "outcome": ["adapted"] * 3,
            "dt_accuracy": [0.5, 0.5, 0.5],
            "dt_balanced": [0.4, 0.4, 0.4],
            "accuracy": [0.6, 0.5, 0.4],
            "balanced": [0.5, 0.396, 0.394],
            "kept_epoch": [5, 0, 5],
            "statistics": ["source", "source", "target"],
            "matched": [True, False, False],
            "restored": [False, False, True],
        }
    )
    lines = list(summary(found))
    assert lines[0] == (
        "all            direct transfer 50.0 (40.0), gain +0.0 (+3.0), worst -0.6; harmed 1, source model kept 1, "
        "target's statistics 1, grey levels matched 1, features restored 1 of 3"
    )
    assert [line.split()[0] for line in lines] == ["all", "a", "b", "even"]
    lost = {"outcome": "diverged", "accuracy": np.nan, "balanced": np.nan, "kept_epoch": np.nan}
    lines = list(summary(pd.DataFrame([*found.to_dict("records")[:2], {**found.to_dict("records")[2], **lost}])))
    assert lines[0] == (
        "all            direct transfer 50.0 (40.0), gain +5.0 (+4.8), worst -0.4; diverged 1; harmed 0, source model "
        "kept 1, target's statistics 0, grey levels matched 1, features restored 0 of 3"
    )
    assert lines[2] == "b              direct transfer 50.0 (40.0); diverged 1 of 1"


@pytest.mark.slow
def test_a_method_runs_on_the_whole_suite_and_again_on_the_same_features(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_project(tmp_path)
    Path("suite.yaml").write_text("cameras: {plain: {}, dark: {lift: 0}}\nshares: [even]\ndraws: 1\npictures: 21\n")
    for out, choose in (("a.csv", "last"), ("b.csv", "last"), ("c.csv", "warrant")):
        options = ["--suite", "suite.yaml", "--method", "concord", "-S", f"adapt.choose={choose}"]
        answer = CliRunner().invoke(app, ["trials", out, *options])
        assert answer.exit_code == 0, answer.output
    assert (
        "source model kept 0, target's statistics" in CliRunner().invoke(app, ["trials", "a.csv", *options[:4]]).output
    )
    first = pd.read_csv("a.csv")
    assert first.equals(pd.read_csv("b.csv"))
    assert first.camera.tolist() == ["plain", "dark"]
    assert (first.kept_epoch == 2).all()
    chosen = pd.read_csv("c.csv")
    assert (chosen[chosen.kept_epoch == 0].accuracy == chosen[chosen.kept_epoch == 0].dt_accuracy).all()
    assert Path("data/trials/dark-even-0/features.json").is_file()


@pytest.mark.slow
def test_where_the_classes_are_known_no_other_is_predicted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_project(tmp_path)
    settings, team = load(changes=["adapt.method=dt"]), Team.single_process("cpu")
    suite = SUITE.model_copy(update={"shares": ["one-missing"], "draws": 3})
    predicted = {}
    for known in (False, True):
        model, source = open_model(paths.PROTOTYPES), PreparedData.open(settings.source)
        trials = Trials(model, source, suite, paths.TRIALS, settings.seed, team, known_classes=known)
        predicted[known] = [
            (set(method.predictions[0].tolist()), set(trials.labels[case.rows].tolist()))
            for case, method in trials.adaptations(settings.adapt)
        ]
    assert any(classes - occur for classes, occur in predicted[False])
    assert not any(classes - occur for classes, occur in predicted[True])


@pytest.mark.slow
def test_a_target_that_diverges_is_a_row_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_project(tmp_path)
    Path("suite.yaml").write_text("cameras: {plain: {}, dark: {lift: 0}}\nshares: [even]\ndraws: 1\npictures: 21\n")
    several = "cameras: {dark: {lift: 0}}\nshares: [even]\ndraws: 2\npictures: 21\n"
    trained, step = list[object](), Concord.step

    def diverging(method: Concord, batch: Any, progress: float) -> dict[str, torch.Tensor]:
        if method not in trained:
            trained.append(method)
        if len(trained) == 3:
            raise KeyboardInterrupt
        losses = step(method, batch, progress)
        return losses if len(trained) > 1 else {name: loss * torch.nan for name, loss in losses.items()}

    monkeypatch.setattr(Concord, "step", diverging)
    answer = CliRunner().invoke(app, ["trials", "a.csv", "--suite", "suite.yaml", "--method", "concord"])
    assert answer.exit_code == 0, answer.output
    assert "plain, even, draw 0: diverged: concord: not finite" in answer.stderr
    assert "plain          direct transfer" in answer.stdout
    found = pd.read_csv("a.csv")
    assert found.outcome.tolist() == ["diverged", "adapted"]
    assert found.dt_accuracy.notna().all()
    assert found.loc[0, ["accuracy", "balanced", "kept_epoch"]].isna().all()
    assert found.loc[1, "kept_epoch"] == 2

    trained[1:] = []  # the first target is the second that trains, the second one is interrupted
    Path("suite.yaml").write_text(several)
    assert CliRunner().invoke(app, ["trials", "b.csv", "--suite", "suite.yaml", "--method", "concord"]).exit_code != 0
    found = pd.read_csv("b.csv")
    assert found.outcome.tolist() == ["adapted", "missing"]
    assert found.draw.tolist() == [0, 1]
    assert (found.pictures > 0).all()
    assert found.iloc[1, 5:].isna().all()


def test_only_an_earlier_table_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in the way is refused before any work, and kept."""
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("suite.yaml").write_text("cameras: {plain: {}}\n")
    for out, told in (("folder", "folder: a folder; name a CSV file"), ("suite.yaml", "suite.yaml: exists already")):
        answer = CliRunner().invoke(app, ["trials", out, "--suite", "suite.yaml"])
        assert answer.exit_code == 1
        assert told in answer.stderr
    assert Path("suite.yaml").read_text() == "cameras: {plain: {}}\n"
    write_csv(Path("a.csv"), pd.DataFrame([_named(next(cases(SUITE, LABELS, 0)), "missing")]))
    require_replaceable(Path("a.csv"))
    require_replaceable(Path("new.csv"))


def test_values_that_no_suite_has_are_named(tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text("cameras: {plain: {lift: 2024-01-01}}\n")
    with pytest.raises(ParamsError, match=r"suite\.yaml: Object of type date .*; write names and numbers"):
        read_suite(tmp_path / "suite.yaml")


def test_a_model_with_another_classifier_is_refused() -> None:
    adapted = SimpleNamespace(model=nn.Identity(), name="rafdb → jaffe, mcd")
    trials = Trials(adapted, None, SUITE, Path(), 0, Team.single_process("cpu"))  # type: ignore[arg-type]
    with pytest.raises(ParamsError, match="rafdb → jaffe, mcd: adapted already; name the source model"):
        _ = trials.head
