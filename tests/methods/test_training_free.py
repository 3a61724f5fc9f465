"""Methods without training, against their published algorithms in NumPy and SciPy and against closed forms."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.linalg import fractional_matrix_power
from scipy.spatial.distance import cdist
from scipy.special import softmax
from scipy.stats import entropy
from torch import Tensor
from torch.nn import functional as F

from pipeline.config.methods import METHODS
from pipeline.errors import TrainingError
from pipeline.exporting import onnx
from pipeline.methods import TargetDomain
from pipeline.methods.lame import Lame, LameClassifier
from pipeline.methods.parts import decision
from pipeline.methods.parts.directions import centroids, decide_by_directions, sharpness
from pipeline.methods.parts.shift import ClassAware, Shift, alignment, class_aware
from pipeline.methods.t3a import templates
from pipeline.networks import saved
from pipeline.networks.network import PrototypeClassifier, unit_rows
from pipeline.networks.statistics import ClassStatistics, covariance
from pipeline.networks.trained import open_model
from tests.methods.toy import ROWS, TEAM, method, pictures
from tests.models import ADAPTED, small
from tests.tasks import adaptation

pytestmark = pytest.mark.slow  # the toy source model is trained first

NAMES = [name for name, params in METHODS.items() if params.changes == "decision"]
Floats = NDArray[np.floating]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def predicted(count: int, classes: int = 7, seed: int = 1) -> Tensor:
    """Probabilities of seven classes, of which only the first ``classes`` are ever the most likely."""
    logits = 2.0 * normal(count, 7, seed=seed)
    logits[:, classes:] -= 8.0
    return torch.softmax(logits, dim=1)


def corrected(name: str, **changes: Any) -> tuple[PrototypeClassifier, Tensor, Tensor]:
    """A method's model after its only step on the toy's target, and the target's z and probabilities before."""
    task = method(name, **changes)
    z, probabilities = next(task.begin_epoch(0).batches)
    task.step((z, probabilities), 0.0)
    assert isinstance(task.model, PrototypeClassifier)
    return task.model, z, probabilities


def relabelled(z: Floats, p: Floats, rounds: int) -> NDArray[np.int64]:
    """SHOT's ``obtain_label`` as its authors released it, without the constant that they append to the features."""
    labels: NDArray[np.int64] = p.argmax(axis=1)
    weights = p
    for _ in range(rounds):
        there = np.flatnonzero(np.bincount(labels, minlength=7))
        means = weights.T @ z / (1e-8 + weights.sum(axis=0)[:, None])
        labels = there[cdist(z, means[there], "cosine").argmin(axis=1)]
        weights = np.eye(7)[labels]
    return labels


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_centroids_are_shots_and_leave_out_what_nobody_is_predicted_as(rounds: int) -> None:
    z, p = unit_rows(normal(60, 5)), predicted(60, classes=4)
    means, found = centroids(z, p, rounds)
    labels = (z @ means.T).masked_fill(~found, -torch.inf).argmax(dim=1)
    assert labels.tolist() == relabelled(z.double().numpy(), p.double().numpy(), rounds).tolist()
    assert set(labels.tolist()) <= set(range(4))
    assert not found[4:].any()  # though all of them have soft mass


def test_probabilities_by_directions_are_as_sure_as_those_before_and_keep_the_nearest() -> None:
    model, z, p = small(), unit_rows(normal(50, 8)), predicted(50)
    model.decision.adjust(torch.rand(7), 1.0)
    found = torch.tensor([True, True, False, True, True, True, True])
    directions = unit_rows(normal(7, 8, seed=3))
    with torch.no_grad():
        after = decide_by_directions(model, directions, found, z, p)
        assert torch.equal(model.decision(model.prototypes(z)), after)
    assert decision.entropy(after).mean().item() == pytest.approx(entropy(p.numpy(), axis=1).mean(), rel=1e-4)
    nearest = (z @ directions.T).masked_fill(~found, -torch.inf).argmax(dim=1)
    assert torch.equal(after.argmax(dim=1), nearest)
    assert after[:, 2].eq(0).all()


def test_sharpness_is_found_and_bounded() -> None:
    scores = normal(40, 7)
    wanted = entropy(softmax(3.7 * scores.double().numpy(), axis=1), axis=1).mean()
    assert sharpness(scores, torch.tensor(wanted)) == pytest.approx(3.7, rel=1e-6)
    assert sharpness(scores, torch.tensor(0.0)) == pytest.approx(1e4, rel=1e-3)
    assert sharpness(scores, torch.tensor(np.log(7.0))) == pytest.approx(1e-2, rel=1e-3)


def test_the_centroids_model_labels_the_target_as_shot_does() -> None:
    model, z, p = corrected("centroid")
    labels = model.decision(model.prototypes(z)).argmax(dim=1)
    assert labels.tolist() == relabelled(z.double().numpy(), p.double().numpy(), 2).tolist()


def shifted_classes(shares: tuple[int, ...], delta: Tensor) -> tuple[PrototypeClassifier, ClassStatistics, Tensor]:
    """Seven classes far apart, a source with even shares, and a target with so many of each, shifted by ``delta``."""
    model, axes = small(), torch.eye(7, 8)
    with torch.no_grad():
        model.prototypes.matrix.copy_(10.0 * axes)
    source = unit_rows(axes.repeat(20, 1) + 0.05 * normal(140, 8))
    labels = torch.repeat_interleave(torch.arange(7), torch.tensor(shares))
    noise = 0.05 * normal(140, 8)[: len(labels)]
    statistics = ClassStatistics.of(source, torch.arange(7).repeat(20))
    return model, statistics, statistics.means[labels] + noise - noise.mean(dim=0) + delta


@pytest.mark.parametrize("begin", ["nothing", "means"])
@torch.no_grad()
def test_a_known_shift_is_recovered_whatever_the_shares_where_the_difference_of_means_is_not_it(begin: Any) -> None:
    delta = 0.3 * unit_rows(normal(1, 8, seed=5))[0]
    model, statistics, z = shifted_classes((40, 3, 10, 1, 20, 5, 30), delta)
    found = class_aware(z, model, statistics, ClassAware(begin=begin))
    torch.testing.assert_close(found, delta, atol=1e-5, rtol=0.0)
    assert (z.mean(dim=0) - statistics.mean() - delta).norm() > 0.2
    even, statistics, z = shifted_classes((20,) * 7, delta)
    torch.testing.assert_close(z.mean(dim=0) - statistics.mean(), delta, atol=1e-5, rtol=0.0)
    torch.testing.assert_close(class_aware(z, even, statistics, ClassAware(begin=begin)), delta, atol=1e-5, rtol=0.0)


@torch.no_grad()
def test_the_class_aware_shift_is_a_fixed_point() -> None:
    """With δ taken off, the predicted shares are those that δ was made of: also where it recovers no shift exactly."""
    model, statistics, z = shifted_classes((40, 3, 10, 1, 20, 5, 30), torch.zeros(8))
    z = unit_rows(z + 0.5 * normal(109, 8, seed=7) + 0.4 * unit_rows(normal(1, 8, seed=5)))
    delta = class_aware(z, model, statistics, ClassAware(rounds=200, guarded=False))
    labels = model.decision(model.prototypes(F.normalize(z - delta))).argmax(dim=1)
    shares = np.bincount(labels, minlength=7) / len(z)
    assert (shares > 0).all()
    np.testing.assert_allclose(delta, z.numpy().mean(axis=0) - shares @ statistics.means.numpy(), atol=1e-6)


@torch.no_grad()
def test_shares_are_those_of_labels_or_the_mean_probabilities() -> None:
    model, statistics, z = shifted_classes((20, 20, 20, 5, 20, 20, 20), torch.zeros(8))
    p = model.decision(model.prototypes(unit_rows(z)))
    labels = torch.bincount(p.argmax(dim=1), minlength=7) / len(z)
    for shares, expected in (("labels", labels), ("probabilities", p.mean(dim=0))):
        how = ClassAware(rounds=1, shares=shares, guarded=False)  # type: ignore[arg-type]
        found = class_aware(z, model, statistics, how)
        torch.testing.assert_close(found, z.mean(dim=0) - expected @ statistics.means)


@pytest.mark.parametrize("begin", ["nothing", "means"])
def test_a_guarded_shift_never_loses_information_where_one_that_is_not_predicts_one_class(begin: str) -> None:
    """The toy's source model takes most of the target for one class, and with each round more."""
    found = {}
    for guarded in (True, False):
        task = method("shift", decide="prototypes", begin=begin, guarded=guarded)
        task.step(next(task.begin_epoch(0).batches), 0.0)
        task.predict_target()
        found[guarded] = task.validations[1]["information"] - task.validations[0]["information"]
        if not guarded:
            assert len(set(task.predictions[1].tolist())) == 1
    assert found[False] < 0.0
    assert found[True] > -1e-6


@torch.no_grad()
def test_a_class_that_the_source_lacks_does_not_count_in_the_shares() -> None:
    model, statistics, z = shifted_classes((10, 10, 10, 10, 10, 10, 0), torch.zeros(8))
    labels = torch.arange(7).repeat(20)
    source = unit_rows(torch.eye(7, 8).repeat(20, 1))
    statistics = ClassStatistics.of(source[labels != 2], labels[labels != 2])
    delta = class_aware(z, model, statistics, ClassAware(rounds=1, guarded=False))
    shares = torch.tensor([1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0]) / 5.0
    torch.testing.assert_close(delta, z.mean(dim=0) - shares @ statistics.means)


@pytest.mark.parametrize("ridge", [1e-9, 1.0])
def test_coral_gives_the_target_the_sources_mean_and_covariance(ridge: float) -> None:
    source, target = normal(300, 6) @ normal(6, 6, seed=2) + 1.0, normal(200, 6, seed=3) @ normal(6, 6, seed=4)
    statistics = ClassStatistics.of(source, torch.arange(300) % 7)
    matrix, offset = alignment(target, statistics, ridge)
    c_s, c_t = (np.cov(rows.double().numpy().T, bias=True) for rows in (source, target))
    c_s, c_t = (c + ridge * np.trace(c) / 6 * np.eye(6) for c in (c_s, c_t))
    expected = fractional_matrix_power(c_s, 0.5) @ fractional_matrix_power(c_t, -0.5)
    np.testing.assert_allclose(matrix, expected, rtol=1e-3, atol=1e-4)
    moved = target @ matrix.T + offset
    torch.testing.assert_close(moved.mean(dim=0), source.mean(dim=0), atol=1e-4, rtol=1e-4)
    if ridge < 1.0:
        torch.testing.assert_close(covariance(moved).float(), statistics.covariance, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("form", ["class_aware", "mean", "coral"])
def test_each_form_moves_the_targets_mean_and_what_decides_is_asked_for(form: str) -> None:
    for decide in ("prototypes", "centroids"):
        model, z, _ = corrected("shift", form=form, decide=decide)
        shift, statistics = model.get_submodule("shift"), model.statistics
        assert isinstance(shift, Shift)
        assert statistics is not None
        if form != "class_aware":
            moved = (z @ shift.matrix.T + shift.offset).mean(dim=0)
            torch.testing.assert_close(moved, statistics.mean(), atol=1e-5, rtol=1e-4)
        decided = model.decision(model.prototypes(shift(z)))
        torch.testing.assert_close(decided, method_probabilities(model), atol=1e-4, rtol=1e-4)
        lengths = model.prototypes.matrix.norm(dim=1)
        alike = (lengths[model.decision.possible] - lengths[model.decision.possible].mean()).abs().max() < 1e-3
        assert bool(alike) == (decide == "centroids")


@torch.no_grad()
def method_probabilities(model: PrototypeClassifier) -> Tensor:
    """What the model predicts for the pictures of the toy's target."""
    images = pictures(2, shifted=True).batch(ROWS).float() / 255.0
    model.eval()
    return model.embed(images)[1]


@pytest.mark.parametrize("most", [1, 5, None])
def test_t3a_is_the_published_algorithm(most: int | None) -> None:
    """As its authors released it, all pictures at once, with each row of M as a support of its own class."""
    model, z = small(), unit_rows(normal(80, 8))
    model.decision.adjust(torch.rand(7), 0.5)
    with torch.no_grad():
        p = model.decision(model.prototypes(z))
        found = templates(z, p, model, most)
    m, adjustment = model.prototypes.matrix.detach().double().numpy(), model.decision.adjustment.double().numpy()
    supports = np.concatenate([m, z.double().numpy()])
    everything = softmax(supports @ m.T - adjustment, axis=1)
    labels = np.concatenate([np.arange(7), everything[7:].argmax(axis=1)])
    kept = [
        index
        for label in range(7)
        for index in sorted(np.flatnonzero(labels == label), key=lambda i: entropy(everything[i]))[:most]
    ]
    unit = supports / np.linalg.norm(supports, axis=1, keepdims=True)
    weights = unit[kept].T @ np.eye(7)[labels[kept]]
    np.testing.assert_allclose(found, (weights / np.linalg.norm(weights, axis=0)).T, rtol=1e-4, atol=1e-5)


def laplacian(z: Floats, p: Floats, k: int) -> Floats:
    """LAME's ``kNN_affinity`` and ``laplacian_optimization`` as its authors released them."""
    unary = -np.log(p + 1e-10)
    w = np.zeros((len(z), len(z)))
    for row, near in enumerate(cdist(z, z).argsort(axis=1)[:, 1 : k + 1]):
        w[row, near] = 1.0
    y: Floats = softmax(-unary, axis=1)
    old = np.inf
    for step in range(100):
        pairwise = w @ y
        y = softmax(pairwise - unary, axis=1)
        energy = (unary * y - pairwise * y + y * np.log(y.clip(1e-20))).sum()
        if step > 1 and abs(energy - old) <= 1e-8 * abs(old):
            break
        old = energy
    return y


@pytest.mark.parametrize("k", [1, 3, 5])
def test_lame_is_the_published_algorithm_on_the_pictures_it_is_given(k: int) -> None:
    task = method("lame", neighbours=k)
    assert isinstance(task, Lame)
    z, p = unit_rows(normal(90, 32)), predicted(90)
    with torch.no_grad():
        found = task.correct(z, p)
    expected = laplacian(z.double().numpy(), p.double().numpy(), k)
    np.testing.assert_allclose(task.model.memory.agreed[:90], expected, atol=2e-4)
    np.testing.assert_allclose(found, expected, atol=2e-3)  # one step more
    assert (found.argmax(dim=1) != p.argmax(dim=1)).any()


def test_lame_gives_another_picture_a_step_with_its_neighbours() -> None:
    model, z, _ = corrected("lame", neighbours=3)
    assert isinstance(model, LameClassifier)
    other = unit_rows(normal(4, 32))
    near = (other @ z.T).topk(3, dim=1).indices
    around = model.memory.agreed[near].sum(dim=1)
    torch.testing.assert_close(model.memory(other), around)
    p = predicted(4)
    torch.testing.assert_close(
        model.agreeing(p, around).double(), torch.softmax(p.double().log() + around, dim=1), atol=1e-5, rtol=1e-4
    )


def test_lame_works_with_fewer_pictures_than_it_has_places_for_neighbours() -> None:
    target = TargetDomain(pictures(2, shifted=True), ROWS[:6], ROWS[:6])
    task = method("lame", target=target, neighbours=5)
    for batch in task.begin_epoch(0).batches:
        task.step(batch, 0.0)
    assert bool(task.probabilities(ROWS[:6]).isfinite().all())


def test_lame_remembers_no_more_than_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.methods.lame.REMEMBERED", 50)
    model, z, _ = corrected("lame")
    assert isinstance(model, LameClassifier)
    assert torch.equal(model.memory.z, z[torch.arange(50) * 140 // 50])


@pytest.mark.parametrize("name", NAMES)
def test_before_its_step_it_predicts_as_the_source_model_and_needs_no_epochs(name: str) -> None:
    task = method(name, epochs=7)
    assert task.epochs == 1
    expected = method("dt").probabilities(ROWS)
    torch.testing.assert_close(task.probabilities(ROWS), expected, atol=1e-5, rtol=1e-5)
    plan = task.begin_epoch(0)
    assert (plan.steps, len(list(plan.batches))) == (1, 1)


@pytest.mark.parametrize("name", NAMES)
def test_the_saved_model_predicts_other_pictures_as_it_did_and_so_does_its_onnx(name: str, tmp_path: Path) -> None:
    task = adaptation(name, TEAM)
    task.step(next(task.begin_epoch(0).batches), 0.0)
    saved.save(tmp_path / "m", task.modules(), {**ADAPTED, "adapt": task.params.model_dump()})
    found = open_model(tmp_path / "m")
    images = torch.rand(3, 3, 112, 112, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        assert torch.equal(found.model(images), task.model.eval()(images))
    pytest.importorskip("onnx")
    onnx.export(found, tmp_path / "model.onnx")
    crops = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (3, 112, 112, 3), dtype=np.uint8)
    assert onnx.difference(found, tmp_path / "model.onnx", crops) < 1e-5


@pytest.mark.parametrize("name", NAMES)
def test_the_source_model_is_kept_where_a_validator_prefers_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said = iter([0.6, 0.5])
    monkeypatch.setattr("pipeline.methods.parts.base.validate", lambda _: {"information": next(said)})
    task = method(name, choose="information")
    task.step(next(task.begin_epoch(0).batches), 0.0)
    task.predict_target()
    task.load_kept_epoch()
    assert task.kept_epoch == 0
    assert torch.equal(task.probabilities(ROWS).argmax(dim=1).to(torch.uint8), task.predictions[0])


@pytest.mark.parametrize("name", NAMES)
def test_nothing_to_adapt_to_is_told(name: str) -> None:
    none = TargetDomain(pictures(2, shifted=True), ROWS[:0], ROWS)
    with pytest.raises(TrainingError, match=r"too few pictures for \w+ to adapt to \(0; 1 are needed\)"):
        method(name, target=none)
