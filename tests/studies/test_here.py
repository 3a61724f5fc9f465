"""A study in this workspace: which variants start from the project's source model, and which results count.

``tests/stages/test_pipeline.py`` runs one.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ParamsError
from pipeline.evaluation.comparison import compare
from pipeline.evaluation.records import Result
from pipeline.files.io import write_json
from pipeline.reporting.study_results import StudySummary
from pipeline.studies import here
from pipeline.studies.collect import Collected
from pipeline.studies.plan import Run, Study
from pipeline.studies.summary import accuracy, paired
from pipeline.tracking.costs import Cost
from tests.reporting.made_results import PARAMS, confusion, pictures, result

MADE_OF = here.MadeOf(source_seed=0, weights="w0", inputs="crops", code="now")


def planned(variant: str, seed: int = 0, **adapt: Any) -> Run:
    """A run on JAFFE that changes keys of section ``adapt``."""
    params = PARAMS.model_copy(
        update={"seed": seed, "targets": ("jaffe",), "adapt": PARAMS.adapt.model_copy(update=adapt)}
    )
    return Run(f"mine-{variant.lower()}-{seed}", variant, seed, (), params)


def job(folder: Path, run: Run) -> here.Job:
    return here.Job(run, "jaffe", MADE_OF, "0123abc", folder / f"source-seed-0/jaffe/{run.name}.json")


def made(run: Run, right: int) -> dict[str, Any]:
    """A run's result on JAFFE, which adaptation takes from 12 of 20 to ``right`` of 20 in each class."""
    after = pictures(confusion(12, 8), confusion(right, 20 - right))
    return result("jaffe", parameters=run.result_params("jaffe"), seed=run.seed, tested=after)


def leave(one: here.Job, folder: str = "source-seed-0", **changes: Any) -> None:
    """Write what a run leaves, for the source model of a folder."""
    file = one.file.parents[2] / folder / "jaffe" / one.file.name
    file.parent.mkdir(parents=True, exist_ok=True)
    made_of = {**MADE_OF.to_json(), **{key: changes.pop(key) for key in [*changes] if key in here.MadeOf.model_fields}}
    write_json(file, {"made_of": made_of, "seconds": 4.0, "result": made(one.run, 15), **changes})


def test_variants_that_need_another_source_model_or_other_features_are_left_out() -> None:
    other = planned("Other").params.model_copy(
        update={"pretrain": PARAMS.pretrain.model_copy(update={"tau": 0.9}), "source": "jaffe"}
    )
    runs = [
        planned("POCAN"),
        planned("Slow", lr=0.001),
        planned("Views", target_views=2),
        Run("mine-other-0", "Other", 0, (), other),
        planned("Whole", trains="all", target_views=2),  # it reads crops
    ]
    able, left_out = here.divide("mine", runs, PARAMS)
    assert [run.variant for run in able] == ["POCAN", "Slow", "Whole"]
    assert left_out == {"Views": ("adapt.target_views",), "Other": ("source", "pretrain")}
    with pytest.raises(ParamsError, match=r"study mine: every variant changes adapt\.target_views, and needs"):
        here.divide("mine", runs[2:3], PARAMS)
    whole = PARAMS.model_copy(update={"adapt": PARAMS.adapt.model_copy(update={"trains": "all"})})  # without features
    assert here.divide("mine", [runs[0], runs[4]], whole)[1] == {"POCAN": ("adapt.trains",)}


def test_a_study_without_its_reference_has_none() -> None:
    study = Study(title="T", seeds=(0,), variants={"POCAN": {}, "Other": {"adapt.tau": 0.5}}, reference="POCAN")
    assert study.without(["Other"]).reference == "POCAN"
    kept = study.without(["POCAN"])
    assert (kept.reference, [*kept.variants]) == (None, ["Other"])


def test_a_heading_names_the_command() -> None:
    summary = StudySummary(
        name="mine-here",
        title="T",
        tables=(),
        found=3,
        planned=4,
        revisions=(),
        parameters={},
        rows=(),
        pictures=(),
        here=True,
    )
    assert summary.heading() == "measured by `pocan study mine --here`, 1 of 4 runs missing"


def test_every_setting_that_features_depend_on_is_looked_at() -> None:
    shared = type(PARAMS.adapt).model_fields
    views = {name for name in shared if name.endswith(("_views", "_pictures"))}
    rules = {"statistics": "encoder_statistics", "matching": "histogram_matching", "restoration": "restoration"}
    assert rules.keys() == PARAMS.adapt.encoder_rules.__dataclass_fields__.keys()
    assert set(here.OF_FEATURES) == views | {*rules.values()}


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "done"),
        ({"code": "before"}, "other code"),
        ({"inputs": "others"}, "other parameters"),
        ({"weights": "w1"}, "other parameters"),
        ({"weights": "w1", "source_seed": 1}, "done"),
        ({"result": result("jaffe")}, "other parameters"),
        ({"seconds": "long"}, "missing"),
    ],
)
def test_a_result_counts_if_it_is_of_these_inputs_and_this_code(
    tmp_path: Path, changes: dict[str, Any], state: str
) -> None:
    one = job(tmp_path, planned("Slow", lr=0.001))
    assert one.state == "missing"
    leave(one, **changes)
    assert one.state == state


def test_results_from_source_models_of_several_seeds_are_collected(tmp_path: Path) -> None:
    jobs = [job(tmp_path, planned("POCAN", seed)) for seed in (0, 1)]
    for one in jobs:
        leave(one)
    leave(jobs[0], "source-seed-7", source_seed=7, weights="w7")
    collected, lacking, costs = here.collect(jobs)
    assert [(one.source_seed, one.run.seed, one.current) for one in collected] == [
        (0, 0, True),
        (7, 0, True),
        (0, 1, True),
    ]
    assert lacking == {}
    assert costs["mine-pocan-0"] == {"jaffe": Cost(4.0, None)}
    cell = accuracy(collected, "POCAN", "jaffe")
    assert cell is not None
    assert cell.seeds == 2  # source models
    text = here.note("mine", collected, {"Other": ("source", "pretrain")})
    assert "all variants adapt the same source models (seed 0: 2 results; seed 7: 1 results)" in text
    assert "- left out: Other, which changes `source`, `pretrain`" in text
    assert "(no result yet)" in here.note("mine", [], {})
    leave(jobs[1], "source-seed-7", source_seed=7, weights="w7")  # does not replace one of this source model
    leave(jobs[1], inputs="others")
    assert here.collect(jobs)[1] == {"mine-pocan-1": "other parameters"}


def test_the_runs_of_one_source_model_count_once() -> None:
    """Three seeds of stage 2 are not three source models: only their mean is."""
    runs = [planned("POCAN", seed) for seed in (0, 1, 2)]
    rights = {(0, 0): 15, (0, 1): 16, (0, 2): 17, (1, 0): 12, (1, 1): 11, (1, 2): 13}
    collected = [
        Collected(runs[seed], Result.model_validate_json(json.dumps(made(runs[seed], right))), True, "0123abc", source)
        for (source, seed), right in rights.items()
    ]
    found = paired(collected, "POCAN", None, "jaffe")
    tested = [one.result.tested for one in collected if one.result.tested]
    first, second = [one.classes("after") for one in tested], [one.classes("before") for one in tested]
    labels = tested[0].classes("labels")
    expected = compare(first, second, labels, range(len(labels)), [0, 0, 0, 1, 1, 1])
    assert found == expected
    assert found != compare(first, second, labels, range(len(labels)))
