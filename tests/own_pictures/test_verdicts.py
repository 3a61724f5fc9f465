"""What the report says in words: which model is kept and why; what labels say; and confidence that fits them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from pipeline.config.methods import METHODS
from pipeline.networks.calibration import rescaled
from pipeline.networks.encoder_statistics import StatisticsChoice
from pipeline.own_pictures import defaults, verdicts
from pipeline.own_pictures.labelled import Candidate, Verdict, matching_temperature


def params(method: str, **changes: Any) -> Any:
    values = {"method": method, "epochs": 10, "steps_per_epoch": 30, "batch_size": 64, "trains": "head", **changes}
    return METHODS[method].model_validate(values)


VALIDATIONS = pd.DataFrame({"warrant": [0.7, 0.9], "information": [1.0, 1.25]})


def test_a_source_model_that_is_kept_is_told_with_what_training_would_have_done() -> None:
    said = verdicts.kept(params("pocan", choose="warrant"), 0, VALIDATIONS, 0.123, " ◊")
    assert said.startswith(
        "**Kept the source model**: the source model's predictions are not certain enough to learn from"
    )
    assert "(warrant 0.70 ◊; an adaptation is kept from 1 on). Training would have changed 12.3 % ◊ of the" in said


def test_whose_statistics_the_encoder_has_is_told_with_both_numbers() -> None:
    said = verdicts.of_statistics(StatisticsChoice("target", 0.75, 0.5), " ◊")
    assert said.endswith("changed the entropy of the predictions from 0.750 ◊ to 0.500 ◊: they became surer.")
    said = verdicts.of_statistics(StatisticsChoice("source", 0.92, 0.9), "")
    assert said.endswith("entropy of the predictions from 0.920 to 0.900, and it must fall by more than 0.05.")
    assert verdicts.of_statistics(StatisticsChoice("source"), "") == ""
    said = verdicts.of_statistics(StatisticsChoice("target", 0.92, 0.9, restored=True), "")
    assert said.endswith(
        "This alone would have changed the entropy of the predictions too little: from 0.920 to 0.900."
    )
    said = verdicts.of_statistics(StatisticsChoice("target", 0.92, 0.8, restored=True), "")
    assert said.endswith("because this changed the entropy of the predictions from 0.920 to 0.800: they became surer.")
    said = verdicts.kept(
        params("pocan", choose="warrant"),
        0,
        VALIDATIONS,
        0.123,
        "",
        verdicts.taken_over(StatisticsChoice("target", matched=True)),
    )
    assert said.startswith("**Kept the source model with matched grey levels and the statistics of these pictures**: ")


def test_whether_grey_levels_are_matched_is_told_with_both_numbers() -> None:
    said = verdicts.of_grey_levels(StatisticsChoice(matched=True, unmatched_entropy=0.75, matched_entropy=0.5), " ◊")
    assert said.endswith("because this changed the entropy of the predictions from 0.750 ◊ to 0.500 ◊.")
    said = verdicts.of_grey_levels(StatisticsChoice(unmatched_entropy=0.92, matched_entropy=0.915), "")
    assert said.endswith("would have changed from 0.920 to 0.915, and it must fall by more than 0.015.")
    assert verdicts.of_grey_levels(StatisticsChoice(), "") == ""
    assert verdicts.of_grey_levels(StatisticsChoice(matched=True), "").startswith("One tone curve for all pictures")


def test_whether_features_are_restored_is_told_with_the_camera_and_both_numbers() -> None:
    of_camera = StatisticsChoice(blur=1.25, noise=3.5, unrestored_entropy=0.92, restored_entropy=0.75)
    said = verdicts.of_restoration(replace(of_camera, restored=True), " ◊")
    assert "with a blur of 1.2 ◊ pixels and noise of 3.5 ◊ grey levels" in said
    assert said.endswith("because this changed the entropy of the predictions from 0.920 ◊ to 0.750 ◊.")
    said = verdicts.of_restoration(replace(of_camera, side=18), " ◊")
    assert "noise of 3.5 ◊ grey levels, with faces of 18 ◊ pixels that were enlarged." in said
    said = verdicts.of_restoration(replace(of_camera, restored=True, of_target=0.9), "")
    assert "because this together with the statistics of these pictures changed the entropy of the" in said
    said = verdicts.of_restoration(replace(of_camera, restored_entropy=0.9), "")
    assert said.endswith(
        "changed the entropy of the predictions from 0.920 to 0.900, and it must fall by more than 0.05."
    )
    assert verdicts.of_restoration(StatisticsChoice(restored=True, blur=1.0, noise=0.0), "").endswith("takes away.")
    assert verdicts.of_restoration(StatisticsChoice(), "") == ""


def test_an_adapted_model_that_is_kept_is_told_with_its_reason() -> None:
    said = verdicts.kept(params("shift", choose="information"), 1, VALIDATIONS, 0.5, "")
    assert said == (
        "**Kept the adapted model**. The correction changed 50.0 % of the predictions; kept because mutual information "
        "is higher than the source model's: 1.250 instead of 1.000."
    )
    said = verdicts.kept(params("pocan", choose="last"), 10, VALIDATIONS, 0.5, "")
    assert "after epoch 10 of 10" in said
    assert "without a rule, because of `--choose last`" in said
    assert verdicts.kept(params("dt"), 0, VALIDATIONS, 0.0, "") == ""


def test_what_was_done_names_method_reason_and_part() -> None:
    assert verdicts.done(params("pocan"), "as it is") == (
        "Method: POCAN, as it is; 10 epochs. The encoder was fixed; its features of each picture were computed once. "
        "The layers after it were trained on them."
    )
    assert "The whole network was trained." in verdicts.done(params("tent", trains="all"), "as it is")
    assert "as it is; 1 epoch. The encoder" in verdicts.done(params("pocan", epochs=1), "as it is")
    once = verdicts.done(params("adabn", trains="all", epochs=1), "as it is")
    assert "as it is; one pass. No weight was trained" in once
    assert "No weight was trained" in verdicts.done(params("adabn", trains="all"), "as it is")
    assert "one pass without training" in verdicts.done(params("shift"), "as it is")
    assert verdicts.done(params("dt"), "as requested").startswith("Nothing was adapted: ")


def verdict(*right: int, n: int = 30) -> Verdict:
    labels = np.arange(n) % 3
    names = [("source", "the source model"), ("adapted", "adapted"), ("fit", "fitted firmly")]
    found = [
        Candidate(name, title, 0.0, np.full((n, 7), 1 / 7), np.arange(n) < count)
        for (name, title), count in zip(names, right, strict=True)
    ]
    return Verdict(found, 2, labels, ["few.csv, line 9"], "warrant")


def test_labels_are_told_with_each_candidate_and_its_interval() -> None:
    said = verdicts.of_labels(verdict(15, 18, 27), "")
    low, high = binomtest(27, 30).proportion_ci(0.95, "wilson")
    assert f"| **fitted firmly** | 27 of 30 | 90.0 [{100 * low:.1f}, {100 * high:.1f}] |" in said
    assert "| the source model | 15 of 30 | 50.0 [" in said
    assert "30 labelled pictures: anger 10, disgust 10, fear 10." in said
    assert "| fear | 9 of 10 |" in said
    assert "no face was found in their pictures: few.csv, line 9." in said


@pytest.mark.parametrize("confidence", [0.4, 0.7, 0.9])
def test_confidence_is_as_high_as_the_labels_were_right(confidence: float) -> None:
    p = np.random.Generator(np.random.PCG64(0)).dirichlet(np.ones(7), 40)
    temperature = matching_temperature(p, confidence)
    assert rescaled(p, temperature).max(axis=1).mean() == pytest.approx(confidence, abs=1e-6)


def test_the_defaults_train_the_head_where_the_method_allows_it() -> None:
    for method, whole in (("pocan", False), ("shot", False), ("agra", True), ("safn", True)):
        adapt = defaults.changes(method, {})[0]
        assert f'"trains": "{"all" if whole else "head"}"' in adapt
    assert '"logit_adjustment": 1.0' in defaults.changes("pocan", {"logit_adjustment": 1.0})[1]
