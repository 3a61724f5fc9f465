"""The terms of single methods against their definitions, worked out another way."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.special import softmax
from scipy.stats import entropy as entropy_of
from scipy.stats import wasserstein_distance
from sklearn.metrics import log_loss
from torch.nn import functional as F

from pipeline.config.methods import METHODS
from pipeline.methods.coral import Balance, coral
from pipeline.methods.dfa import class_likeness, likeness
from pipeline.methods.icid import pairs
from pipeline.methods.lpl import Bank, locality_preserving
from pipeline.methods.mcd import Mcd
from pipeline.methods.mean_teacher import consistency
from pipeline.methods.parts.adversary import Discriminator, certainty, domain_loss, multilinear, reversed_gradient
from pipeline.methods.parts.decision import entropy
from pipeline.methods.parts.reweighting import class_ratios, picture_weights
from pipeline.methods.parts.two_domains import Domains
from pipeline.methods.safn import stepwise
from pipeline.methods.shot import Shot, clustered
from pipeline.methods.swd import sliced_wasserstein
from pipeline.networks.network import Decision
from tests.methods.toy import LABELS, method


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_gradient_is_reversed_and_scaled() -> None:
    values = normal(3, 2).requires_grad_()
    kept = reversed_gradient(values, 0.25)
    assert torch.equal(kept, values)
    (3.0 * kept).sum().backward()
    assert values.grad is not None
    assert torch.equal(values.grad, torch.full((3, 2), -0.75))


def test_domain_loss_is_the_binary_cross_entropy_of_each_domain() -> None:
    source, target = normal(3), normal(5, seed=1)
    expected = 0.5 * (-torch.sigmoid(source).log().mean() - (1 - torch.sigmoid(target)).log().mean())
    torch.testing.assert_close(domain_loss(source, target), expected)
    weights = torch.tensor([1.0, 0.0, 3.0])
    weighted = 0.5 * (-(weights * torch.sigmoid(source).log()).sum() / 4 - (1 - torch.sigmoid(target)).log().mean())
    torch.testing.assert_close(domain_loss(source, target, weights), weighted)


def test_a_discriminator_sees_unit_rows_with_a_variance_of_one() -> None:
    seen = []
    discriminator = Discriminator(64, 8)
    discriminator.layers[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    assert discriminator(F.normalize(normal(500, 64))).shape == (500,)
    assert seen[0].square().mean().item() == pytest.approx(1.0, abs=1e-5)


def test_cdan_sees_each_prediction_times_z_and_trusts_sure_ones() -> None:
    z, p = normal(2, 3), torch.softmax(normal(2, 7), dim=1)
    joint = multilinear(z, p)
    for row in range(2):
        torch.testing.assert_close(joint[row], torch.outer(p[row], z[row]).flatten())
    assert certainty(torch.eye(7))[0].item() == 2.0
    assert certainty(torch.full((1, 7), 1 / 7)).item() == pytest.approx(1 + 1 / 7)


def test_coral_is_the_distance_of_numpys_covariances() -> None:
    x, y = normal(6, 3), 2 * normal(9, 3, seed=1)
    difference = np.cov(x.numpy(), rowvar=False) - np.cov(y.numpy(), rowvar=False)
    assert coral(x, y).item() == pytest.approx((difference**2).sum() / (4 * 9), rel=1e-5)


def test_dfas_likeness_within_and_between_classes() -> None:
    z, labels = normal(5, 3), torch.tensor([0, 0, 0, 1, 2])
    kernel = torch.exp(-torch.cdist(z, z).square() / 2)
    torch.testing.assert_close(likeness(z, z), kernel)
    intra, inter = class_likeness(z, labels)
    assert intra.item() == pytest.approx((kernel[0, 1] + kernel[0, 2] + kernel[1, 2]).item() / 3, rel=1e-5)
    pairs = [(i, j) for i in range(5) for j in range(5) if labels[i] != labels[j]]
    assert inter.item() == pytest.approx(sum(kernel[i, j].item() for i, j in pairs) / len(pairs), rel=1e-5)
    assert [value.item() for value in class_likeness(z[:1], labels[:1])] == [1.0, 0.0]


def test_ratios_of_classes_make_the_source_as_the_target() -> None:
    source, target = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 1, 1, 2])
    ratios = class_ratios(source, target, cap=8.0)
    assert ratios.tolist() == pytest.approx([1 / 3, 2.0, 0, 0, 0, 0, 0])
    assert class_ratios(source, target, cap=1.5)[1].item() == 1.5
    weights = picture_weights(ratios, source)
    assert weights.tolist() == pytest.approx([1 / 9, 1 / 9, 1 / 9, 2 / 3])  # classes 1 : 2, as in the target
    assert picture_weights(ratios, torch.tensor([4, 5])).tolist() == [0.5, 0.5]


def test_a_sliced_wasserstein_distance_is_scipys_in_one_dimension() -> None:
    x, y = normal(6, 2), normal(6, 2, seed=1)
    axis = torch.tensor([[1.0, 0.0]])
    ordered = (x[:, 0].sort().values - y[:, 0].sort().values).abs().mean().item()
    assert ordered == pytest.approx(wasserstein_distance(x[:, 0], y[:, 0]), rel=1e-5)
    squared = (x[:, 0].sort().values - y[:, 0].sort().values).square().mean()
    torch.testing.assert_close(sliced_wasserstein(x, y, axis), squared)
    turned = torch.tensor([[0.6, 0.8], [1.0, 0.0]])
    both = [sliced_wasserstein(x, y, direction[None]).item() for direction in turned]
    assert sliced_wasserstein(x, y, turned).item() == pytest.approx(sum(both) / 2, rel=1e-5)
    assert sliced_wasserstein(x, x[torch.randperm(6)], turned).item() == 0.0


def test_norms_are_pulled_up_by_their_step() -> None:
    norms = torch.tensor([2.0, 5.0], requires_grad=True)
    loss = stepwise(norms, 0.5)
    assert loss.item() == 0.25
    loss.backward()
    assert norms.grad is not None
    assert norms.grad.tolist() == [-0.5, -0.5]


def test_shots_pseudo_labels_follow_the_centroids_of_the_weighted_means() -> None:
    z = F.normalize(torch.tensor([[1.0, 0.1], [1.0, -0.1], [0.1, 1.0], [0.6, 0.8]]))
    p = torch.zeros(4, 7)
    p[:, 0], p[:, 3] = torch.tensor([0.9, 0.8, 0.2, 0.6]), torch.tensor([0.1, 0.2, 0.8, 0.4])
    assert clustered(z, p).tolist() == [0, 0, 3, 3]  # the last one lies by class 3, whatever was predicted
    assert set(clustered(z, p).tolist()) <= {0, 3}


def test_a_class_that_nobody_is_predicted_as_has_no_centroid_in_shot() -> None:
    """The released code counts argmaxes; class 5 has a share of one picture, of which another is likelier."""
    z = F.normalize(torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.5, 0.9]]))
    p = torch.zeros(4, 7)
    p[:, 0], p[:, 3] = torch.tensor([0.8, 0.8, 0.2, 0.1]), torch.tensor([0.2, 0.2, 0.8, 0.5])
    p[3, 5] = 0.4
    centroids = F.normalize(p.T @ z)
    assert (z @ centroids.T)[3].argmax() == 5  # by soft mass it would be the nearest

    # As in the released code, with SciPy's distances among the classes of its labelset.
    labelset = np.unique(p.argmax(dim=1))
    nearest = labelset[cdist(z, p.numpy().T[labelset] @ z.numpy(), "cosine").argmin(axis=1)]
    means = np.stack([z.numpy()[nearest == label].sum(axis=0) for label in labelset])
    expected = labelset[cdist(z, means, "cosine").argmin(axis=1)]
    assert clustered(z, p).tolist() == expected.tolist() == [0, 0, 3, 3]


def test_shots_diversity_is_towards_the_shares_of_the_pseudo_labels_where_it_is_told_so() -> None:
    task = method("shot", diversity=0.7, diversity_to="estimated", known=(0, 1, 2, 5))
    assert isinstance(task, Shot)
    task.begin_epoch(0)
    z = F.normalize(normal(28, 32))
    found = task.losses(Domains(z, LABELS[:28], z, torch.arange(28), z, 0.0))
    counts = np.bincount(task._pseudo_labels, minlength=7)[[0, 1, 2, 5]] + 1
    logits = (z @ task.source_model.prototypes.matrix.detach().T).numpy()[:, [0, 1, 2, 5]]
    mean = softmax(logits, axis=1).mean(axis=0)
    assert found["diversity"].item() == pytest.approx(0.7 * entropy_of(mean, counts / counts.sum()), rel=1e-4)


def test_the_teacher_counts_where_it_is_sure() -> None:
    student = torch.tensor([[0.6, 0.4], [0.5, 0.5]])
    teacher = torch.tensor([[1.0, 0.0], [0.7, 0.3]])
    sure_of_first = F.mse_loss(student[:1], teacher[:1]) / 2  # of two pictures
    assert consistency(student, teacher, 0.9).item() == pytest.approx(sure_of_first.item())
    assert consistency(student, teacher, 0.6).item() == pytest.approx(F.mse_loss(student, teacher).item())


@pytest.mark.parametrize(("name", "sees"), [("mean_teacher", "consistency"), ("shot", "pseudo")])
def test_what_is_known_of_the_classes_counts_in_what_is_taught(name: str, sees: str) -> None:
    """The model's own predictions, which decide after a logit adjustment, ask for no change of themselves."""
    task = method(name, threshold=0.0) if name == "mean_teacher" else method(name)
    task.begin_epoch(0)
    decision = task.model.decision
    assert isinstance(decision, Decision)
    decision.adjust(torch.tensor([0.01, *[0.165] * 6]), 20.0)
    z = F.normalize(normal(28, 32))
    probabilities = decision(task.source_model.prototypes(z))
    task._pseudo_labels = probabilities.argmax(dim=1)  # type: ignore[attr-defined]
    task._teacher_probabilities = lambda _: probabilities  # type: ignore[attr-defined]
    pictures = Domains(z, LABELS[:28], z, torch.arange(28), z, 0.0)
    assert task.losses(pictures)[sees].item() < 0.05  # type: ignore[attr-defined]


def test_locality_is_the_distance_to_the_mean_of_the_nearest_of_the_class() -> None:
    x = torch.tensor([[0.0], [1.0], [3.0], [10.0], [50.0]], requires_grad=True)
    labels = torch.tensor([0, 0, 0, 0, 1])
    # nearest two: of 0 → 1, 3; of 1 → 0, 3; of 3 → 1, 0; of 10 → 3, 1; the last has none of its class
    expected = 0.5 * (2.0**2 + 0.5**2 + 2.5**2 + 8.0**2) / 5
    found = locality_preserving(x, labels, x, labels, 2)
    assert found.item() == pytest.approx(expected)
    (gradient,) = torch.autograd.grad(found, x)  # x less the mean, which stays (the paper's eq. 6)
    assert gradient.squeeze(1).tolist() == pytest.approx([-2 / 5, -0.5 / 5, 2.5 / 5, 8 / 5, 0.0])
    means = [(0 - 14 / 3) ** 2, (1 - 13 / 3) ** 2, (3 - 11 / 3) ** 2, (10 - 4 / 3) ** 2]
    assert locality_preserving(x, labels, x, labels, 20).item() == pytest.approx(0.5 * sum(means) / 5)
    others = torch.cat([x.detach(), torch.tensor([[9.0], [52.0], [0.5]])]), torch.tensor([*labels, 0, 1, -1])
    # of 10 → 9, 3; of 50 → 52 alone; what has no label is nobody's neighbour
    expected = 0.5 * (2.0**2 + 0.5**2 + 2.5**2 + 4.0**2 + 2.0**2) / 5
    assert locality_preserving(x, labels, *others, 2).item() == pytest.approx(expected)


def test_a_bank_keeps_the_last_steps() -> None:
    bank = Bank(5, 1)
    for step in range(3):
        bank.add(torch.full((2, 1), float(step)), torch.tensor([step, step]))
    assert bank.labels.tolist() == [2, 0, 1, 1, 2]
    assert bank.features.squeeze(1).tolist() == [2.0, 0.0, 1.0, 1.0, 2.0]


def test_lpl_looks_for_as_many_neighbours_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a batch of 28 a class has 3 others; after an epoch the bank has more than k of each."""
    found: list[int] = []

    def counted(features: torch.Tensor, labels: torch.Tensor, others: torch.Tensor, of: torch.Tensor, k: int) -> object:
        found.append(min(int((of == label).sum()) - 1 for label in labels) - k)
        return locality_preserving(features, labels, others, of, k)

    monkeypatch.setattr("pipeline.methods.lpl.locality_preserving", counted)
    task = method("lpl", neighbours=7)
    for batch in task.begin_epoch(0).batches:
        task.step(batch, 0.0)
    assert found[0] < 0 <= found[-1]


def test_corals_weight_makes_both_losses_alike() -> None:
    balance = Balance()
    for source, distance in ((2.0, 0.1), (1.0, 0.2)):
        balance.add(torch.tensor(source), torch.tensor(distance))
    assert balance.weight.item() == 1.0
    balance.begin_epoch()
    assert balance.weight.item() == pytest.approx(3.0 / 0.3)
    balance.begin_epoch()  # nothing new was seen
    assert balance.weight.item() == pytest.approx(3.0 / 0.3)


@pytest.mark.parametrize("name", ["dann", "cdan"])
def test_the_discriminator_learns_at_ten_times_the_rate_and_by_nesterovs_momentum(name: str) -> None:
    """As PyTorch defines it: v ← μ·v + g, then a step along g + μ·v."""
    task = method(name, lr=1e-4, prototype_lr=3e-4, schedule="constant")
    rates = {id(one): g["lr"] for g in task.optimiser.param_groups for one in g["params"]}  # type: ignore[attr-defined]
    bias = task.own.get_parameter("discriminator.layers.4.bias")  # type: ignore[attr-defined]
    assert rates[id(bias)] == pytest.approx(1e-3)
    assert rates[id(task.model.get_parameter("prototypes.matrix"))] == 3e-4
    momentum, expected = torch.zeros(1), bias.detach().clone()
    batches = task.begin_epoch(0).batches
    for _ in range(2):
        task.step(next(batches), 0.5)
        gradient = bias.grad + task.params.weight_decay * expected  # type: ignore[attr-defined]
        momentum = 0.9 * momentum + gradient
        expected = expected - 1e-3 * (gradient + 0.9 * momentum)
    torch.testing.assert_close(bias.detach(), expected)


def test_the_teachers_statistics_are_of_the_targets_second_views_alone() -> None:
    task = method("mean_teacher", domain_passes="separate")
    student, teacher = task.source_model.network, task.model.get_submodule("network")
    batch = next(task.begin_epoch(0).batches)
    before = teacher.get_buffer("encoder.trunk.1.running_mean").clone()
    seen: list[torch.Tensor] = []
    teacher.get_submodule("encoder.trunk.1").register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    task.step(batch, 0.0)
    assert len(seen) == 1
    assert len(seen[0]) == 28
    expected = 0.9 * before + 0.1 * seen[0].mean(dim=(0, 2, 3))
    torch.testing.assert_close(teacher.get_buffer("encoder.trunk.1.running_mean"), expected)
    assert not torch.allclose(student.get_buffer("encoder.trunk.1.running_mean"), expected)
    assert not teacher.training


def test_safn_changes_no_prediction_by_longer_features() -> None:
    """What its loss makes grow, the classifier does not see; so no study ranks it."""
    task = method("safn")
    before = task.probabilities(torch.arange(len(LABELS)))
    encoder = task.source_model.network.encoder
    features = encoder.features
    encoder.features = lambda images: 3.0 * features(images)  # type: ignore[method-assign]
    torch.testing.assert_close(task.probabilities(torch.arange(len(LABELS))), before)
    assert not METHODS["safn"].ranked


def test_icid_compares_each_picture_with_the_next_one() -> None:
    x = torch.tensor([[0.0, 1.0], [2.0, -1.0], [1.0, 1.0]])
    different, alike = pairs(x, torch.tensor([4, 1, 4]))
    root = math.sqrt(2.0)
    torch.testing.assert_close(different, torch.tensor([[2.0, 2.0], [1.0, 2.0], [1.0, 0.0]]) * root)
    assert alike.tolist() == [0.0, 0.0, 1.0]  # the last one's next is the first


def test_icid_starts_from_the_source_model_and_predicts_from_the_fused_features() -> None:
    task = method("icid")
    z = F.normalize(normal(5, 32))
    before = task.model.get_parameter("prototypes.matrix").clone()
    task.fuse()  # type: ignore[attr-defined]
    torch.testing.assert_close(task.model.get_parameter("prototypes.matrix"), before)
    task.step(next(task.begin_epoch(0).batches), 0.1)
    own = task.own  # type: ignore[attr-defined]
    fused = 0.5 * (own["common"](z) + own["distinct"](z))
    matrix = task.model.get_parameter("prototypes.matrix")
    torch.testing.assert_close(z @ matrix.T, own["of_fused"](fused))
    assert not torch.allclose(matrix, before)


@pytest.mark.slow
def test_icid_learns_to_tell_whether_two_pictures_are_of_one_class() -> None:
    task = method("icid", batch_size=105, steps_per_epoch=1, prototype_lr=0.05)
    plan = [next(task.begin_epoch(epoch).batches) for epoch in range(12)]
    reported = [task.step(batch, 0.0)["common"].item() for batch in plan]
    assert reported[-1] < 0.8 * reported[0]


def test_mcd_predicts_by_the_mean_logits_of_both_classifiers() -> None:
    task = method("mcd")
    plan = task.begin_epoch(0)
    reported = task.step(next(plan.batches), 0.1)
    first, second = (task.own[name].get_parameter("matrix") for name in ("first", "second"))  # type: ignore[attr-defined]
    assert not torch.equal(first, second)
    torch.testing.assert_close(task.model.get_parameter("prototypes.matrix"), (first + second) / 2)
    assert reported["apart"] > 0


def test_mcds_discrepancy_is_the_mean_absolute_difference_of_the_probabilities() -> None:
    task = method("mcd")
    assert isinstance(task, Mcd)
    z, matrices = normal(5, 3), {"first": normal(7, 3, seed=1), "second": normal(7, 3, seed=2)}
    first, second = (softmax(z.numpy() @ matrix.numpy().T, axis=1) for matrix in matrices.values())
    total = sum(
        abs(float(a - b)) for one, two in zip(first, second, strict=True) for a, b in zip(one, two, strict=True)
    )
    assert task.discrepancy(z, matrices).item() == pytest.approx(total / (5 * 7))


def test_shots_terms_are_scipys_entropies_and_cross_entropy() -> None:
    task = method("shot", pseudo=0.3, diversity=0.7)
    assert isinstance(task, Shot)
    task.begin_epoch(0)
    z = F.normalize(normal(28, 32))
    labels = task._pseudo_labels[:28]
    found = task.losses(Domains(z, LABELS[:28], z, torch.arange(28), z, 0.0))
    p = softmax((z @ task.source_model.prototypes.matrix.detach().T).numpy(), axis=1)
    assert found["entropy"].item() == pytest.approx(entropy_of(p, axis=1).mean(), rel=1e-5)
    assert found["diversity"].item() == pytest.approx(-0.7 * entropy_of(p.mean(axis=0)), rel=1e-5)
    assert found["pseudo"].item() == pytest.approx(0.3 * log_loss(labels, p, labels=range(7)), rel=1e-5)


@pytest.mark.parametrize(("passes", "seen"), [("joint", [56, 56, 28, 28]), ("separate", [28] * 5)])
def test_mcd_passes_the_domains_as_it_is_told_in_each_of_its_steps(passes: str, seen: list[int]) -> None:
    task = method("mcd", domain_passes=passes, repeats=2)
    plan = task.begin_epoch(0)
    sizes = []
    task.source_model.network.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    task.step(next(plan.batches), 0.1)
    assert sizes == seen  # the source for A, both domains for B, the target for C twice; joint: both for A, too


def test_shot_leaves_the_classifier_as_it_was() -> None:
    task = method("shot")
    matrix = task.model.get_parameter("prototypes.matrix").clone()
    task.step(next(task.begin_epoch(0).batches), 0.1)
    assert torch.equal(task.model.get_parameter("prototypes.matrix"), matrix)


def test_adabn_ends_with_the_mean_statistics_of_the_targets_batches() -> None:
    task = method("adabn", batch_size=140, steps_per_epoch=1)
    weights = [value.clone() for value in task.model.parameters()]
    plan = task.begin_epoch(0)
    task.step(next(plan.batches), 0.0)
    assert all(torch.equal(a, b) for a, b in zip(weights, task.model.parameters(), strict=True))
    norm = task.model.get_submodule("network.encoder.trunk.1")
    seen = []
    norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    task.probabilities(torch.arange(len(LABELS)))
    torch.testing.assert_close(norm.running_mean, torch.cat(seen).mean(dim=(0, 2, 3)), rtol=1e-4, atol=1e-4)


def test_shots_entropy_is_natural_and_has_a_gradient_at_nothing() -> None:
    assert entropy(torch.full((7,), 1 / 7)).item() == pytest.approx(math.log(7))
    certain = torch.eye(7)[:1].requires_grad_()
    entropy(certain).sum().backward()
    assert certain.grad is not None
    assert bool(certain.grad.isfinite().all())
