"""The few numbers of the last run in the terminal, and those of them that experiments are compared by."""

import json
from pathlib import Path
from typing import Any

from pipeline.evaluation.records import Result
from pipeline.reporting.markdown import signed
from pipeline.reporting.report import headlines
from pipeline.reporting.summary import WIDTH, summary
from tests.reporting.made_results import UNLABELLED, params_for, result, write


def test_every_gain_has_its_interval_within_80_columns(tmp_path: Path) -> None:
    write(tmp_path, result("jaffe"), result("fer2013", method="pocan", without=["L_in", "weights"]))
    text = summary(params_for("jaffe", "fer2013"), tmp_path)
    lines = text.splitlines()
    assert lines[0] == "adapted: POCAN"
    (jaffe,) = (line for line in lines if line.startswith("JAFFE"))
    assert jaffe.split()[1:] == ["60.0", "◊", "75.0", "◊", "+15.0", "◊", "[+9.1,", "+20.9]"]
    (mean,) = (line for line in lines if line.startswith("mean"))
    assert mean.endswith("+15.0 ◊  [+10.8, +19.2]")  # of two: narrower by √2
    assert max(map(len, lines)) <= WIDTH


def test_no_interval_is_made_up() -> None:
    known, unknown = read("jaffe"), read("fer2013", tested=None)
    found = headlines([known, unknown])
    assert {*found["gain_low"]} == {*found["gain_high"]} == {"jaffe"}
    direct = headlines([read("jaffe", method="dt")])
    assert (direct["gain"], direct["gain_low"]) == ({"jaffe": 15.0, "mean": 15.0}, {})


def test_a_target_without_labels_leaves_the_interval_of_the_mean() -> None:
    found = headlines([read("jaffe"), read("fer2013", **UNLABELLED)])
    assert found["gain_low"]["mean"] == found["gain_low"]["jaffe"]


def read(target: str, **changes: Any) -> Result:
    return Result.model_validate_json(json.dumps(result(target, **changes)))


def test_a_difference_is_shown_alike_however_it_was_computed() -> None:
    exact, computed = 3.75, 100 * (175 / 240) - 100 * (166 / 240)
    assert exact != computed
    assert signed(exact) == signed(computed) == "+3.8"
    assert signed(-0.04) == "0.0"
