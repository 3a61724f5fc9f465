"""The rates of ``pocan adapt`` and those of the parameter files that train the head alone."""

import json
from pathlib import Path

import pytest

from pipeline.config.load import load
from pipeline.own_pictures.defaults import RATES, changes

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("file", "method", "apart"),
    [
        ("params/fer2013-ckplus48.yaml", "pocan", set()),
        ("params/fer2013-ckplus48.yaml", "shot", set()),
        ("params/fer2013-ckplus48.yaml", "aad", set()),
        ("params.yaml", "pocan", {"pseudo_loss"}),  # the demo shows the loss as the paper prints it
    ],
)
def test_parameter_files_have_the_same_rates(file: str, method: str, apart: set[str]) -> None:
    written = load(ROOT / file, [f"adapt.method={method}"]).adapt.model_dump()
    expected = {name: value for name, value in RATES[method].items() if name not in apart}
    assert {name: written[name] for name in expected} == expected


def test_a_method_that_only_takes_statistics_passes_over_the_pictures_once() -> None:
    adapt = json.loads(changes("adabn", {})[0].removeprefix("adapt="))
    assert (adapt["epochs"], adapt["steps_per_epoch"]) == (1, None)
    assert json.loads(changes("tent", {})[0].removeprefix("adapt="))["epochs"] == 10
