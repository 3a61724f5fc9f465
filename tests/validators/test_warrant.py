"""What warrants an adaptation, on cases worked by hand."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.validators import VALIDATORS, best_candidate, best_epoch, measures
from pipeline.validators.measures import Floats, ValidatorInput
from pipeline.validators.warrant import FAR, clearness, distance, warrant

WARRANT = next(one for one in VALIDATORS if one.name == "warrant")


def sure(labels: list[int], confidence: float) -> Floats:
    p = np.full((len(labels), 7), (1 - confidence) / 6, dtype=np.float32)
    p[np.arange(len(labels)), labels] = confidence
    return p


LABELS = [0, 0, 1, 1, 2, 2]
Z = np.array([[1, 0], [1, 0.2], [-1, 0], [-1, 0.2], [0, 2], [0, 2.4]], dtype=np.float32)
"""Class means (1, 0.1), (−1, 0.1), (0, 2.2)."""

ALIKE = ValidatorInput(Z, sure(LABELS, 0.8), Z, sure(LABELS, 0.8), np.array(LABELS))


def test_a_target_like_the_source_is_as_clear_and_not_far() -> None:
    assert clearness(ALIKE) == pytest.approx(1.0)
    assert distance(ALIKE) == pytest.approx(0.0, abs=1e-7)
    assert warrant(ALIKE) == pytest.approx(1.0)


def test_less_sure_predictions_are_less_clear() -> None:
    blurred = replace(ALIKE, probabilities=sure(LABELS, 0.5))
    expected = measures.information(sure(LABELS, 0.5)) / measures.information(sure(LABELS, 0.8))
    assert clearness(blurred) == pytest.approx(expected)
    assert warrant(blurred) == pytest.approx(expected)
    assert warrant(blurred) < 1.0


def test_other_shares_of_the_classes_are_no_distance_but_a_shift_is() -> None:
    rows = [0, 1, 0, 1, 0, 1, 4, 5]
    some = replace(ALIKE, embeddings=Z[rows], probabilities=sure([LABELS[row] for row in rows], 0.5))
    assert distance(some) == pytest.approx(0.0, abs=1e-7)
    moved = replace(some, embeddings=Z[rows] + np.array([0.9, 1.2], dtype=np.float32))
    means = np.array([[1, 0.1], [-1, 0.1], [0, 2.2]])
    unit = np.sqrt(((means - means.mean(axis=0)) ** 2).sum(axis=1).mean())
    assert distance(moved) == pytest.approx(1.5 / unit, rel=1e-5)
    assert warrant(moved) == pytest.approx(1.5 / unit / FAR, rel=1e-5)


def test_a_class_that_the_source_does_not_have_counts_for_nothing() -> None:
    other = replace(ALIKE, embeddings=Z[[0, 1]], probabilities=sure([0, 6], 0.9))
    assert distance(other) == pytest.approx(0.0, abs=1e-7)


def test_without_the_source_nothing_is_warranted() -> None:
    none = np.empty(0, np.int64)
    alone = replace(ALIKE, source_embeddings=Z[:0], source_probabilities=sure([], 0.8), source_labels=none)
    assert warrant(alone) == 0.0


def test_the_source_models_number_alone_decides() -> None:
    assert best_epoch(WARRANT, [1.0, 0.2, 0.3]) == 2
    assert best_epoch(WARRANT, [0.99, 5.0, 6.0]) == 0


def test_in_a_search_it_says_whether_and_information_says_which() -> None:
    def said(warrant: float, *information: float) -> list[dict[str, float]]:
        return [{"warrant": warrant, "information": one} for one in information]

    assert best_candidate(WARRANT, said(1.0, 9.0, 0.2, 0.4, 0.4)) == 2
    assert best_candidate(WARRANT, said(0.99, 0.1, 0.2, 0.3)) == 0
    assert best_candidate(WARRANT, said(1.0, 0.1)) == 0
    information = next(one for one in VALIDATORS if one.name == "information")
    assert best_candidate(information, said(1.0, 0.5, 0.2, 0.4)) == 0
