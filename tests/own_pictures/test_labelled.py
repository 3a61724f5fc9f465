"""Which model a few labels speak for: the order in which candidates are preferred."""

import numpy as np

from pipeline.own_pictures.labelled import Candidate, in_order


def candidate(name: str) -> Candidate:
    return Candidate(name, name, 0.0, np.empty((0, 7)), np.empty(0, np.bool_))


def test_the_firm_fit_leads_from_three_labels_a_class_on() -> None:
    unlabelled, fits = [candidate("adapted"), candidate("source")], [candidate("firm"), candidate("free")]
    few, enough = np.repeat([0, 3, 6], [4, 2, 2]), np.repeat([0, 3, 6], [4, 4, 1])
    assert [one.name for one in in_order(unlabelled, fits, few)] == ["adapted", "source", "firm", "free"]
    assert [one.name for one in in_order(unlabelled, fits, enough)] == ["firm", "adapted", "source", "free"]
