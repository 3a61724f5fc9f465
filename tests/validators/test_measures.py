"""What validators say, on cases worked by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.special import softmax
from scipy.stats import entropy as entropy_of
from sklearn.linear_model import LogisticRegression

from pipeline.validators import VALIDATORS, best_candidate, best_epoch, computed, measures, source_risk, validate
from pipeline.validators.measures import ValidatorInput

EVEN = np.full((4, 7), 1 / 7, dtype=np.float32)
SURE = np.eye(7, dtype=np.float32)


def test_entropy_of_certain_and_of_even_predictions() -> None:
    assert measures.entropy(SURE) == 0.0
    assert measures.entropy(EVEN) == pytest.approx(math.log(7), abs=1e-6)


def test_information_wants_sure_and_varied_predictions() -> None:
    assert measures.information(SURE) == pytest.approx(math.log(7))
    assert measures.information(EVEN) == pytest.approx(0.0, abs=1e-6)
    assert measures.information(np.tile(SURE[:1], (5, 1))) == 0.0  # all alike, however sure


def test_neighbourhood_density_counts_the_neighbours_of_a_picture() -> None:
    groups = SURE[:5].repeat(8, axis=0)  # each picture is predicted as 7 others are
    assert measures.neighbourhood_density(groups) == pytest.approx(math.log(7), abs=1e-3)
    assert measures.neighbourhood_density(np.tile(EVEN[:1], (40, 1))) == pytest.approx(math.log(39))


def test_neighbourhood_density_is_the_published_entropy_of_softmax_outputs() -> None:
    p = softmax(np.random.Generator(np.random.PCG64(0)).normal(0, 3, (20, 7)), axis=1)
    cosines = 1 - cdist(p, p, "cosine")
    entropies = [entropy_of(softmax(np.delete(row, index) / 0.05)) for index, row in enumerate(cosines)]
    assert measures.neighbourhood_density(p.astype(np.float32)) == pytest.approx(np.mean(entropies), rel=1e-4)


def test_neighbourhood_density_judges_predictions_and_not_embeddings() -> None:
    seen = domains(0.5)
    other = replace(seen, embeddings=np.roll(seen.embeddings, 1, axis=1) + 3)
    assert validate(seen)["neighbourhood_density"] == validate(other)["neighbourhood_density"]


def test_a_single_picture_has_no_neighbours() -> None:
    assert measures.neighbourhood_density(EVEN[:1]) == 0.0


def test_silhouette_of_groups_their_mixture_and_one_class() -> None:
    groups = np.eye(3, dtype=np.float32).repeat(4, axis=0)
    right = SURE[:3].repeat(4, axis=0)
    assert measures.centroid_silhouette(groups, right) == pytest.approx(1.0)
    assert measures.centroid_silhouette(2.0 * groups, right) == pytest.approx(1.0)
    mixed = measures.centroid_silhouette(groups, np.tile(SURE[:3], (4, 1)))
    assert mixed == pytest.approx(0.0, abs=0.5)
    assert mixed < 0.5
    assert measures.centroid_silhouette(groups, np.tile(SURE[:1], (12, 1))) == -1.0


def test_a_silhouette_is_that_of_the_distances_to_the_centroids() -> None:
    z = np.array([[1, 0], [0.8, 0.6], [0, 1]], dtype=np.float32)
    p = SURE[[0, 0, 1]]
    centre = np.array([0.9, 0.3]) / np.hypot(0.9, 0.3)
    expected = []
    for row, own in zip(z.astype(float), (0, 0, 1), strict=True):
        distances = 1 - centre @ row, 1 - row[1]
        a, b = distances[own], distances[1 - own]
        expected.append((b - a) / max(a, b))
    assert measures.centroid_silhouette(z, p) == pytest.approx(np.mean(expected))


def domains(shift: float) -> ValidatorInput:
    generator = np.random.Generator(np.random.PCG64(0))
    source, target = generator.normal(0, 1, (400, 2)), generator.normal(shift, 1, (400, 2))
    labels = (source[:, 0] > 0).astype(np.int64)
    # Right with 0.9 where the first coordinate is positive, with 0.4 where it is not.
    chosen = np.where(labels == 1, 0.9, 0.4)
    p = np.zeros((400, 7))
    p[np.arange(400), labels], p[:, 6] = chosen, 1 - chosen
    return ValidatorInput(target.astype(np.float32), EVEN, source.astype(np.float32), p.astype(np.float32), labels)


def test_the_ratio_of_densities_is_that_of_two_normal_distributions() -> None:
    seen = domains(0.5)
    expected = np.exp(0.5 * seen.source_embeddings.sum(axis=1) - 0.25)
    found = source_risk.density_ratio(seen.source_embeddings, seen.embeddings)
    assert np.corrcoef(np.log(found), np.log(expected))[0, 1] > 0.97
    assert found.mean() == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize(("rows", "dim", "shift"), [(60, 4, 0.5), (150, 256, 0.05), (40, 2, 6.0)])
def test_the_regression_is_that_of_scikit_learn(rows: int, dim: int, shift: float) -> None:
    generator = np.random.Generator(np.random.PCG64(0))
    features = np.concatenate([generator.normal(0, 1, (rows, dim)), generator.normal(shift, 1, (2 * rows, dim))])
    classes = np.repeat([0, 1], [rows, 2 * rows])
    expected = LogisticRegression(C=source_risk.STRENGTH, max_iter=200).fit(features, classes)
    weights, offset = source_risk.logistic_regression(features, classes)
    assert features @ weights + offset == pytest.approx(expected.decision_function(features), abs=1e-9)


@pytest.mark.parametrize("scale", [1.0, 8.0])
def test_the_ratio_is_found_for_embeddings_of_many_dimensions_and_of_any_length(scale: float) -> None:
    """Seven classes in other shares, the ratio of which is that of the picture's class."""
    generator = np.random.Generator(np.random.PCG64(0))
    means, spread = generator.normal(0, 0.8, (7, 64)), generator.normal(0, 0.3, (12, 64))
    shares = np.array([0.4, 0.2, 0.15, 0.1, 0.1, 0.04, 0.01])
    of_source, of_target = generator.choice(7, 500), generator.choice(7, 500, p=shares)
    source, target = (
        means[labels] + generator.normal(size=(500, 12)) @ spread + generator.normal(0, 0.5, (500, 64))
        for labels in (of_source, of_target)
    )
    rows = [(scale * one / np.linalg.norm(one, axis=1, keepdims=True)).astype(np.float32) for one in (source, target)]
    found = source_risk.density_ratio(rows[0], rows[1])
    assert np.corrcoef(found, 7 * shares[of_source])[0, 1] > 0.75
    assert found.mean() == pytest.approx(1.0, abs=0.15)


def test_the_risk_leans_towards_where_the_target_is() -> None:
    easy, even, hard = (source_risk.deep_embedded(domains(shift)) for shift in (1.0, 0.0, -1.0))
    plain = 0.5 * (-math.log(0.9) - math.log(0.4))
    assert even == pytest.approx(plain, abs=0.05)
    assert easy < even - 0.1
    assert hard > even + 0.1


def test_too_few_pictures_are_not_weighted() -> None:
    few = np.ones((3, 2), dtype=np.float32)
    seen = ValidatorInput(few, EVEN[:3], few, SURE[:3], np.arange(3))
    assert source_risk.deep_embedded(seen) == pytest.approx(0.0)


def test_every_validator_says_one_number() -> None:
    found = validate(domains(0.5))
    assert list(found) == [validator.name for validator in VALIDATORS]
    assert all(math.isfinite(value) for value in found.values())
    assert {validator.sign for validator in VALIDATORS} == {1, -1}


def test_without_source_pictures_what_needs_them_is_not_computed() -> None:
    nothing = np.empty((0, 7), np.float32)
    said = validate(ValidatorInput(EVEN, EVEN, nothing, nothing, np.empty(0, np.int64)))
    lacking = {name for name, value in said.items() if math.isnan(value)}
    assert lacking == {one.name for one in VALIDATORS if one.needs_source} != set()
    assert computed(said).keys() == said.keys() - lacking


def test_a_validator_that_was_not_computed_keeps_the_source_model() -> None:
    for validator in VALIDATORS:
        assert best_epoch(validator, [math.nan, math.nan]) == 0
        said = [dict.fromkeys((one.name for one in VALIDATORS), 1.0) | {validator.name: math.nan}] * 2
        assert best_candidate(validator, said) == 0
