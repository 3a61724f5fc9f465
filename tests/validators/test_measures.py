"""What validators say, on cases worked by hand."""

import math

import numpy as np
import pytest

from pipeline.validators import VALIDATORS, measures, source_risk, validate
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
    groups = np.eye(5, dtype=np.float32).repeat(8, axis=0)  # each picture has 7 others in its place
    assert measures.neighbourhood_density(groups) == pytest.approx(math.log(7), abs=1e-3)
    assert measures.neighbourhood_density(3.0 * groups) == measures.neighbourhood_density(groups)
    alone = np.eye(40, dtype=np.float32)
    assert measures.neighbourhood_density(alone) == pytest.approx(math.log(39))


def test_a_single_picture_has_no_neighbours() -> None:
    assert measures.neighbourhood_density(np.ones((1, 4), dtype=np.float32)) == 0.0


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
