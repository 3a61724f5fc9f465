"""Stage 1, prototypes and stage 2: which module each step moves, exact resume, and the errors of bad training."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline.compute.team import Team
from pipeline.config.learning import PretrainParams
from pipeline.config.methods.dt import DtParams
from pipeline.data.batches import DeviceCrops, balanced_batches, generator_for, shuffled_batches
from pipeline.errors import TrainingError
from pipeline.losses.classification import weighted_cross_entropy
from pipeline.losses.contrastive import nt_xent, supervised_contrastive
from pipeline.losses.domain import domain_confusion
from pipeline.methods import SourceDomain, TargetDomain
from pipeline.methods import pocan as pocan_module
from pipeline.methods.dt import DirectTransfer
from pipeline.methods.pocan import Batch, Pocan
from pipeline.networks.network import Network, PrototypeClassifier, Prototypes
from pipeline.source_model import pretraining as pretraining_module
from pipeline.source_model.pretraining import Pretraining
from pipeline.source_model.prototypes import PrototypeLearning
from pipeline.training import loop
from pipeline.training.checkpoints import Checkpoint
from pipeline.training.loop import Task
from tests.tasks import (
    ADAPT,
    CPU,
    LABELS,
    MODEL,
    PRETRAIN,
    PROTOTYPES,
    ROWS,
    VIEWS,
    pictures,
    pocan,
    pretraining,
)

TEAM = Team.single_process("cpu")


def fit(
    task: Task, path: Path, log: loop.Log = lambda metrics, epoch: None, fingerprint: str = "print"
) -> list[dict[str, float]]:
    return loop.fit(task, Checkpoint(path, {"print": fingerprint}), log, TEAM)


def weights(*modules: nn.Module) -> list[Tensor]:
    return [value.clone() for module in modules for value in module.parameters()]


def moved(before: list[Tensor], *modules: nn.Module) -> bool:
    after = [value for module in modules for value in module.parameters()]
    assert len(before) == len(after) > 0
    return any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))


class KilledError(Exception):
    """Stands for a process that ends after an epoch."""


def killed_after(epoch: int) -> Callable[[Any, int], None]:
    def log(_: Any, now: int) -> None:
        if now == epoch:  # its checkpoint is on disk, the next one's is not
            raise KilledError

    return log


def state_bytes(task: Any) -> list[Tensor]:
    tensors: list[Tensor] = []

    def collect(value: Any) -> None:
        if isinstance(value, Tensor):
            tensors.append(value)
        elif isinstance(value, dict):
            for key in sorted(value, key=str):
                collect(value[key])
        elif isinstance(value, list):
            for item in value:
                collect(item)

    collect(task.state())
    return tensors


EVERYTHING: dict[str, Any] = {
    "class_weights": "balanced",
    "logit_adjustment": 0.5,
    "target_shares": "em",
    "trusted_floor": 0.5,
    "trusted_cap": 1.5,
    "keep_alive": True,
    "ema": 0.9,
}
"""POCAN with all that the paper does not have."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        pretraining,
        partial(pretraining, objective="both", sampling="balanced", head_lr=0.2),
        partial(pretraining, objective="cross_entropy", views=1, ema=0.9),
        pocan,
        partial(pocan, **EVERYTHING),
    ],
    ids=["pretrain", "pretrain-both", "pretrain-average", "pocan", "pocan-everything"],
)
def test_interrupted_training_ends_with_the_same_bits(make: Callable[[Team], Any], tmp_path: Path) -> None:
    whole = make(TEAM)
    curve = fit(whole, tmp_path / "whole.pt")
    interrupted = make(TEAM)
    with pytest.raises(KilledError):
        fit(interrupted, tmp_path / "cut.pt", killed_after(1))
    resumed = make(TEAM)
    logged: list[int] = []
    again = fit(resumed, tmp_path / "cut.pt", lambda metrics, epoch: logged.append(epoch))
    assert again == curve
    assert logged == [row["epoch"] for row in curve]
    expected, found = state_bytes(whole), state_bytes(resumed)
    assert len(expected) == len(found) > 10
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


@pytest.mark.slow
def test_a_checkpoint_of_other_parameters_is_not_continued(tmp_path: Path) -> None:
    fit(pretraining(TEAM), tmp_path / "c.pt", fingerprint="old")
    epochs: list[int] = []
    fit(pretraining(TEAM), tmp_path / "c.pt", lambda metrics, epoch: epochs.append(epoch), "new")
    assert epochs == [1, 2, 3]
    epochs.clear()
    curve = fit(pretraining(TEAM), tmp_path / "c.pt", lambda metrics, epoch: epochs.append(epoch), "new")
    assert len(curve) == 3


def test_fingerprint_depends_on_every_part() -> None:
    parts = {"seed": 0, "model": MODEL.model_dump()}
    path = Path("c.pt")
    assert Checkpoint(path, parts).fingerprint == Checkpoint(path, dict(reversed(parts.items()))).fingerprint
    assert Checkpoint(path, parts).fingerprint != Checkpoint(path, {**parts, "seed": 1}).fingerprint


def test_what_is_put_aside_is_told_kept_and_continued(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.pt"
    with pytest.raises(KilledError):
        fit(pretraining(TEAM), path, killed_after(2), "old")
    capsys.readouterr()
    with pytest.raises(KilledError):
        fit(pretraining(TEAM), path, killed_after(1), "new")
    told = capsys.readouterr().err
    assert "the state after epoch 2 of another training, which differs in print (old → new)" in told
    (kept,) = [file for file in tmp_path.iterdir() if file != path]
    assert f"kept as {kept}; this training starts from the beginning" in told
    logged: list[int] = []
    fit(pretraining(TEAM), path, lambda metrics, epoch: logged.append(epoch), "old")
    assert "a saved state of this training, which now continues" in (told := capsys.readouterr().err)
    assert "continuing after epoch 2 of 3" in told
    assert logged == [1, 2, 3]
    assert len(list(tmp_path.iterdir())) == 2  # the finished one's, and the one of "new" that was put aside


def test_a_loss_that_is_not_finite_stops_by_name_and_saves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretraining_module, "supervised_contrastive", lambda z, labels, tau: z.sum() * float("nan"))
    with pytest.raises(TrainingError, match=r"pretrain: not finite: loss is nan, in epoch 1 at"):
        fit(pretraining(TEAM), tmp_path / "c.pt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("objective", get_args(PretrainParams.model_fields["objective"].annotation))
def test_stage_1_minimises_what_its_objective_names(objective: str) -> None:
    task = pretraining(TEAM, objective=objective)
    batch = next(task.begin_epoch(0).batches)
    twin = pretraining(TEAM, objective=objective)  # the same weights, not yet moved
    z, labels = twin._project(twin._source.views(batch.pictures)), batch.labels.repeat(2)
    contrastive = supervised_contrastive(z, labels, PRETRAIN.tau).item()
    entropy = torch.nn.functional.cross_entropy(z @ twin.classifier.matrix.T, labels).item()
    reported = task.step(batch, 0.0)
    assert ({"supcon", "cross_entropy"} <= set(reported)) == (objective == "both")
    expected = {"supcon": contrastive, "cross_entropy": entropy, "both": contrastive + entropy}
    assert reported["loss"].item() == pytest.approx(expected[objective], rel=1e-5)
    assert {"alignment", "uniformity", "spread"} <= set(reported)
    moves = [parameter.grad is not None and bool(parameter.grad.any()) for parameter in task.classifier.parameters()]
    assert moves == [objective != "supcon"]


def test_smoothed_labels_are_spread_over_all_classes() -> None:
    task, twin = (pretraining(TEAM, objective="cross_entropy", label_smoothing=0.2) for _ in range(2))
    batch = next(task.begin_epoch(0).batches)
    z, labels = twin._project(twin._source.views(batch.pictures)), batch.labels.repeat(2)
    likelihood = (z @ twin.classifier.matrix.T).log_softmax(dim=1)
    spread = 0.8 * torch.nn.functional.one_hot(labels, likelihood.shape[1]) + 0.2 / likelihood.shape[1]
    expected = -(spread * likelihood).sum(dim=1).mean().item()
    assert task.step(batch, 0.0)["loss"].item() == pytest.approx(expected, rel=1e-5)


def first_weight(network: Network) -> torch.Tensor:
    weight: torch.Tensor = network.head.state_dict()["layers.0.weight"]
    return weight.clone()


def test_stage_1_with_one_view_ends_with_the_average_of_its_steps() -> None:
    task = pretraining(TEAM, objective="cross_entropy", views=1, ema=0.9)
    steps, batches = [], list(task.begin_epoch(0).batches)
    assert all(len(batch.pictures.draws) == len(batch.labels) for batch in batches)
    expected = first_weight(task.network)
    for step, batch in enumerate(batches):
        task.step(batch, 0.0)
        steps.append(first_weight(task.network))
        expected = torch.lerp(expected, steps[-1], 1 - (1 + step) / (10 + step))
    assert torch.allclose(first_weight(task.trained), expected)
    assert not torch.allclose(steps[-1], expected)
    with pytest.raises(ValueError, match="compares two views"):
        PretrainParams(**PRETRAIN.model_dump() | {"views": 1, "objective": "supcon"})


def test_encoder_and_head_have_their_own_rates() -> None:
    task = pretraining(TEAM, lr=0.2, head_lr=0.002)
    task.begin_epoch(0)
    encoder, head = task.optimiser.param_groups
    assert encoder["lr"] == pytest.approx(100 * head["lr"])
    assert len(encoder["params"]) == len(list(task.network.encoder.parameters()))
    assert len(head["params"]) == len(list(task.network.head.parameters())) + 1
    encoder, head = pretraining(TEAM, lr=0.2).optimiser.param_groups
    assert encoder["lr"] == head["lr"]


def test_a_collapse_stops_and_says_what_to_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretraining_module, "PATIENCE", 2)
    task = pretraining(TEAM)
    monkeypatch.setattr(task, "_project", lambda images: torch.ones(len(images), 8, requires_grad=True) / 8**0.5)
    with pytest.raises(TrainingError, match=r"(?s)in epoch 2 all projections.*log\(2B − 1\) = 2\.71.*cross entropy"):
        fit(task, tmp_path / "c.pt")  # epoch 1 is the warm-up


@pytest.mark.parametrize(
    ("objective", "metrics", "stops"),
    [
        ("supcon", {"loss": 2.705, "spread": 0.02}, True),  # log(2·8 − 1) = 2.708
        ("supcon", {"loss": 2.66, "spread": 0.02}, False),  # narrow, but on its way
        ("supcon", {"loss": 2.75, "spread": 0.35}, False),  # in disorder, as at the start
        ("both", {"loss": 4.6, "supcon": 2.705, "cross_entropy": 1.9, "spread": 0.02}, True),
        ("cross_entropy", {"loss": 1.9, "spread": 0.02}, False),
        ("cross_entropy", {"loss": 1.9, "spread": 1e-4}, True),
    ],
)
def test_what_is_a_collapse(
    objective: str, metrics: dict[str, float], stops: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretraining_module, "PATIENCE", 3)
    task = pretraining(TEAM, objective=objective)
    task.judge(0, metrics)  # the warm-up
    with pytest.raises(TrainingError, match="collapsed") if stops else nullcontext():
        task.judge(1, metrics)


@pytest.mark.slow
def test_without_a_collapse_nothing_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretraining_module, "PATIENCE", 0)
    assert len(fit(pretraining(TEAM, tau=0.5), tmp_path / "c.pt")) == 3  # far from a collapse, whatever the rounding


def test_weights_that_break_in_the_last_step_are_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = pocan(TEAM)
    step = task.step

    def breaking(batch: Batch, progress: float) -> dict[str, Tensor]:
        reported = step(batch, progress)
        with torch.no_grad():
            task.target_prototypes.matrix[3, 2] = float("inf")
        return reported

    monkeypatch.setattr(task, "step", breaking)
    monkeypatch.setattr(pocan_module, "domain_discrimination", lambda *z: z[0].sum() * 0.0)
    task.params = task.params.model_copy(update={"steps_per_epoch": 1})
    with pytest.raises(TrainingError, match=r"target_prototypes\.matrix is not finite after epoch 1"):
        fit(task, tmp_path / "c.pt")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_checkpoint_is_told_and_training_starts_again(tmp_path: Path) -> None:
    (tmp_path / "c.pt").write_bytes(b"cut off")
    epochs: list[int] = []
    fit(pretraining(TEAM), tmp_path / "c.pt", lambda metrics, epoch: epochs.append(epoch))
    assert epochs == [1, 2, 3]


@pytest.mark.parametrize("damage", [b"", b"[1]", b"{}", b"null", b"\xff\xfe", b'{"fingerprint": 3}', b"[" * 99_999])
def test_a_damaged_note_of_the_run_is_told_and_a_new_run_is_opened(
    tmp_path: Path, damage: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = Checkpoint(tmp_path / "c.pt", {})
    checkpoint.keep_run({"run_id": "1"})
    assert checkpoint.run() == {"run_id": "1"}
    (note,) = tmp_path.glob("*.run.json")
    note.write_bytes(damage)
    assert checkpoint.run() is None
    told, said = f"{note} cannot be read (", "".join(capsys.readouterr())
    assert "DVC" not in said
    assert (told in said) == (damage != b'{"fingerprint": 3}')  # that is another training's


def test_a_single_term_that_is_not_finite_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pocan_module, "domain_confusion", lambda *z: z[0].sum() * float("inf"))
    with pytest.raises(TrainingError, match=r"pocan: not finite: l_st is"):
        fit(pocan(TEAM, use_l_in=False, use_l_cross=False), tmp_path / "c.pt")


@pytest.mark.slow
def test_pretraining_lowers_the_loss_on_pictures_it_can_tell_apart(tmp_path: Path) -> None:
    loop.prepare(0, CPU)
    noise = np.random.Generator(np.random.PCG64(1)).integers(0, 60, (24, 112, 112, 3))
    shade = (100 + LABELS * 8).view(-1, 1, 1, 1).numpy()
    params = PRETRAIN.model_copy(update={"epochs": 8, "batch_size": 24})
    still = VIEWS.model_copy(update={"jitter": 0.0})
    crops = DeviceCrops((shade + noise).astype(np.uint8), CPU)
    task = Pretraining(Network(MODEL), crops, ROWS, LABELS, params, still, 0, TEAM)
    curve = fit(task, tmp_path / "c.pt")
    # Even perfect clusters leave log |P(i)|: no positive can be more likely than its |P(i)| equals.
    positives = 2 * torch.bincount(LABELS)[LABELS] - 1
    floor = positives.float().log().mean().item()
    assert floor < curve[-1]["loss"]
    assert curve[-1]["loss"] - floor < 0.5 * (curve[0]["loss"] - floor)


def test_learning_rate_rises_for_the_warm_up_and_falls_to_zero_by_a_cosine() -> None:
    params = PRETRAIN.model_copy(update={"epochs": 12, "warmup_epochs": 2, "lr": 2.0})
    task = Pretraining(Network(MODEL), pictures(1), ROWS, LABELS, params, VIEWS, 0, TEAM)
    steps = [task._rate(step) for step in range(36)]  # three steps an epoch
    assert steps[:6] == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1.0])
    assert steps[6:] == pytest.approx([0.5 * (1 + math.cos(math.pi * k / 30)) for k in range(30)])
    assert task.begin_epoch(0).metrics["lr"] == pytest.approx(2.0 / 6)


def test_prototypes_learn_their_classes(tmp_path: Path) -> None:
    loop.prepare(0, CPU)
    directions = torch.eye(8)[:7]
    z = directions[LABELS]
    task = PrototypeLearning(Prototypes(8), z, LABELS, PROTOTYPES, 0)
    curve = fit(task, tmp_path / "c.pt")
    assert curve[-1]["loss"] < curve[0]["loss"]
    assert torch.equal(task.prototypes(directions).argmax(1), torch.arange(7))


def one_batch(task: Pocan, trusted: tuple[int, ...] = (1, 4)) -> Batch:
    """Six of the source; five of the target, of which the first are trusted and have these pseudo-labels."""
    return task.batch(ROWS[:6], torch.tensor([0, 3, 5, 9, 11]), torch.tensor(trusted, dtype=torch.int64), generator())


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_equation_15_moves_the_network_only_and_equation_16_the_prototypes_only() -> None:
    task = pocan(TEAM)
    network, m_s, m_t = task.network, task.source_prototypes, task.target_prototypes
    views = torch.rand(12, 3, 112, 112), torch.rand(10, 3, 112, 112)
    batch = one_batch(task)
    z = task._with_labels(*task._training_projections(*views), batch)
    sum(task.network_losses(z, 0.5).values()).backward()  # type: ignore[union-attr]
    assert m_s.matrix.grad is None
    assert m_t.matrix.grad is None
    assert all(p.grad is not None and bool((p.grad != 0).any()) for p in network.head.parameters())
    assert all(p.grad is not None for p in network.encoder.parameters())
    network.zero_grad(set_to_none=True)

    frozen = task._with_labels(*task._evaluation_projections(*views), batch)
    sum(task.prototype_losses(frozen, 0.5).values()).backward()  # type: ignore[union-attr]
    assert all(p.grad is None for p in network.parameters())
    for prototypes in (m_s, m_t):
        assert prototypes.matrix.grad is not None
        assert bool((prototypes.matrix.grad != 0).any())
    assert network.training


def test_a_step_moves_everything_once_and_reports_every_term() -> None:
    task = pocan(TEAM)
    plan = task.begin_epoch(0)
    before = weights(task.network), weights(task.source_prototypes), weights(task.target_prototypes)
    reported = task.step(next(plan.batches), 0.5)
    assert list(reported) == [
        *("l_target", "l_source", "l_cross", "l_st", "loss"),
        *("l_sp", "l_tp", "l_dis", "prototype_loss"),
    ]
    assert reported["loss"].item() == pytest.approx(
        sum(reported[name].item() for name in ("l_target", "l_source", "l_cross", "l_st")), rel=1e-5
    )
    assert moved(before[0], task.network)
    assert moved(before[1], task.source_prototypes)
    assert moved(before[2], task.target_prototypes)


def test_the_terms_are_those_of_the_equations() -> None:
    """Each term of a step, worked out from the loss functions by the printed equations."""
    task = pocan(TEAM)
    with torch.no_grad():
        task.target_prototypes.matrix.normal_()
    z_s = nn.functional.normalize(torch.randn(12, 8))
    z_t = nn.functional.normalize(torch.randn(10, 8))
    z = task._with_labels(z_s, z_t, one_batch(task))
    assert torch.equal(z.trusted, z_t[[0, 1, 5, 6]])
    assert z.pseudo_labels.tolist() == [1, 4, 1, 4]
    m_s, m_t = task.source_prototypes.matrix, task.target_prototypes.matrix
    w_s, w_t, y, pseudo = task._source_weights, task._target_weights, z.source_labels, z.pseudo_labels
    ce = weighted_cross_entropy
    terms = task.network_losses(z, 0.25)
    expected = {
        "l_target": nt_xent(z_t, 0.7) + 0.25 * ce(z.trusted, m_t, pseudo, w_t),
        "l_source": supervised_contrastive(z_s, y, 0.1) + ce(z_s, m_s, y, w_s),
        "l_cross": ce(z_s, m_t, y, w_s) + ce(z.trusted, m_s, pseudo, w_t),
        "l_st": domain_confusion(z_s, z_t, m_s, m_t),
    }
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value.detach(), msg=name)
    plain, scaled = task.prototype_losses(z, 0.25), pocan(TEAM, lambda_on_prototypes=True)
    torch.testing.assert_close(plain["l_tp"], ce(z.trusted, m_t, pseudo, w_t))
    scaled.target_prototypes.load_state_dict(task.target_prototypes.state_dict())
    torch.testing.assert_close(scaled.prototype_losses(z, 0.25)["l_tp"], 0.25 * plain["l_tp"])


@pytest.mark.parametrize(
    ("switch", "gone"),
    [
        ("use_l_in", {"l_target", "l_source"}),
        ("use_l_cross", {"l_cross"}),
        ("use_l_ad", {"l_st", "l_dis"}),
    ],
)
def test_an_ablation_takes_out_its_terms_and_no_other(switch: str, gone: set[str]) -> None:
    changes: dict[str, Any] = {switch: False}
    full, ablated = pocan(TEAM), pocan(TEAM, **changes)
    terms = set(full.step(one_batch(full), 0.5))
    assert terms - set(ablated.step(one_batch(ablated), 0.5)) == gone


def test_without_weights_every_class_weighs_one() -> None:
    task = pocan(TEAM, class_weights="none")
    task.begin_epoch(0)
    assert torch.equal(task._source_weights, torch.ones(7))
    assert torch.equal(task._target_weights, torch.ones(7))


@pytest.mark.parametrize("trusted", [0, 5])
def test_a_step_without_trusted_or_without_untrusted_samples_is_finite(trusted: int) -> None:
    task = pocan(TEAM)
    reported = task.step(one_batch(task, (0,) * trusted), 0.5)
    assert all(bool(value.isfinite()) for value in reported.values())
    assert (reported["l_tp"].item() == 0.0) == (trusted == 0)
    assert all(bool(value.isfinite().all()) for value in weights(task.network, task.target_prototypes))


def test_batches_hold_trusted_and_untrusted_in_proportion(monkeypatch: pytest.MonkeyPatch) -> None:
    task = pocan(TEAM, steps_per_epoch=None)
    drawn: list[tuple[Tensor, Tensor, Tensor]] = []
    monkeypatch.setattr(task, "batch", lambda source, target, pseudo, _: drawn.append((source, target, pseudo)))
    plan = task.begin_epoch(0)
    assert len(list(plan.batches)) == len(drawn) == plan.steps >= len(ROWS) // 6
    assert plan.images == 2 * 12 * plan.steps
    share = plan.metrics["trusted_share"]
    assert 0 < share < 1
    for source_rows, target_index, pseudo_labels in drawn:
        assert len(source_rows) == 6
        assert len(set(target_index.tolist())) == 6
        assert abs(len(pseudo_labels) - 6 * share) <= 1
        assert set(target_index.tolist()) <= set(range(20))


def test_prototype_learning_rate_drops_after_its_epoch() -> None:
    task = pocan(TEAM, prototype_lr_drop_epoch=1)
    assert task.begin_epoch(0).metrics["prototype_lr"] == pytest.approx(0.1)
    assert task.begin_epoch(1).metrics["prototype_lr"] == pytest.approx(0.01)


def test_direct_transfer_changes_nothing_and_predicts_with_the_source_prototypes(tmp_path: Path) -> None:
    loop.prepare(0, CPU)
    model = PrototypeClassifier.untrained(MODEL)
    source, target = SourceDomain(pictures(1), ROWS, LABELS, ROWS[:4]), TargetDomain(pictures(2), ROWS, ROWS[16:])
    before = weights(model)
    params = DtParams(method="dt", epochs=4, steps_per_epoch=None, batch_size=6)
    task = DirectTransfer(model, source, target, params, VIEWS, 0, TEAM)
    assert fit(task, tmp_path / "c.pt") == []
    task.predict_target()
    assert not moved(before, task.model)
    expected = task.probabilities(ROWS[16:]).argmax(1)
    assert [row.tolist() for row in task.predictions] == [expected.tolist()]


def test_predictions_have_a_row_before_every_epoch_and_one_after(tmp_path: Path) -> None:
    task = pocan(TEAM)
    first = task.probabilities(ROWS[16:]).argmax(1).tolist()
    fit(task, tmp_path / "c.pt")
    task.predict_target()
    assert len(task.predictions) == ADAPT.epochs + 1
    assert task.predictions[0].tolist() == first


def test_a_target_with_one_picture_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"too few pictures for pocan to adapt to \(1; 2 are needed\)"):
        Pocan(
            PrototypeClassifier.untrained(MODEL),
            SourceDomain(pictures(1), ROWS, LABELS, ROWS[:4]),
            TargetDomain(pictures(2), ROWS[:1], ROWS),
            ADAPT,
            VIEWS,
            0,
            TEAM,
        )


def test_shuffled_batches_cover_the_rows_without_repeating() -> None:
    generator = generator_for(0, "test", 0)
    batches = list(shuffled_batches(torch.arange(10), 3, 7, generator))
    assert [len(batch) for batch in batches] == [3] * 7
    first_pass = torch.cat(batches[:3]).tolist()
    assert len(set(first_pass)) == 9
    assert batches[0].tolist() != batches[3].tolist()
    assert [len(b) for b in shuffled_batches(torch.arange(2), 5, 2, generator)] == [2, 2]
    assert [len(b) for b in shuffled_batches(torch.arange(0), 5, 2, generator)] == [0, 0]


def test_random_streams_differ_by_seed_purpose_and_epoch() -> None:
    draws = {
        tuple(torch.rand(3, generator=generator_for(*key)).tolist())
        for key in [(0, "pretrain", 0), (1, "pretrain", 0), (0, "pocan", 0), (0, "pretrain", 1)]
    }
    assert len(draws) == 4


def test_balanced_batches_hold_every_class_equally_often() -> None:
    rows, labels = torch.arange(40) + 100, torch.tensor([0] * 30 + [3] * 8 + [5] * 2)
    batches = list(balanced_batches(rows, labels, 9, 10, generator_for(0, "test", 0)))
    drawn = torch.cat(batches)
    assert [len(batch) for batch in batches] == [9] * 10
    assert torch.bincount(labels[drawn - 100], minlength=6).tolist() == [30, 0, 0, 30, 0, 30]
    assert drawn[labels[drawn - 100] == 0].unique().numel() == 30  # none again before all were there
    again = torch.cat(list(balanced_batches(rows, labels, 9, 10, generator_for(0, "test", 0))))
    assert torch.equal(drawn, again)


def test_the_average_predicts_and_pseudo_labels() -> None:
    task = pocan(TEAM, ema=0.5)
    trained = [value.clone() for value in task.model.parameters()]
    task.step(one_batch(task), 0.5)
    task.step(one_batch(task), 0.5)
    assert moved(trained, task.model)
    assert not torch.equal(task.model.get_parameter("prototypes.matrix"), task.target_prototypes.matrix)
    assert set(task.modules()) == {"network", "prototypes", "decision", "calibration", "source_prototypes"}


def test_logit_adjustment_decides_by_the_weighted_shares_of_the_source() -> None:
    task = pocan(TEAM, logit_adjustment=0.5, class_weights="none")
    assert isinstance(task.model, PrototypeClassifier)
    shares = torch.bincount(LABELS, minlength=7) / len(LABELS)
    assert torch.allclose(task.model.decision.adjustment, 0.5 * shares.log())
    balanced = pocan(TEAM, logit_adjustment=1.0, class_weights="balanced")
    assert isinstance(balanced.model, PrototypeClassifier)
    assert torch.allclose(balanced.model.decision.adjustment, torch.full((7,), math.log(1 / 7)), atol=1e-6)


def test_a_class_that_dies_out_is_counted_and_kept_only_where_asked() -> None:
    for keep in (False, True):
        task = pocan(TEAM, keep_alive=keep)
        first = task.begin_epoch(0).metrics
        assert first["died_out"] == 0.0
        assert sum(share for name, share in first.items() if name.startswith("pseudo_share.")) == pytest.approx(1.0)
        assert isinstance(task.model, PrototypeClassifier)
        there = [index for index in range(7) if list(first.values())[list(first).index("pseudo_share.anger") + index]]
        with torch.no_grad():  # from now on all are the first of the classes there
            task.model.decision.adjustment.fill_(1e3)
            task.model.decision.adjustment[there[0]] = 0.0
        assert len(there) > 1
        later = task.begin_epoch(1).metrics
        assert later["died_out"] == (0.0 if keep else len(there) - 1)


def test_target_weights_follow_the_estimated_shares() -> None:
    task = pocan(TEAM, class_weights="balanced", target_shares="em")
    pseudo = task._pseudo_label()
    counted = pocan(TEAM, class_weights="balanced")
    assert torch.equal(counted._pseudo_label().labels, pseudo.labels)
    assert not torch.equal(task._target_weights, counted._target_weights)
