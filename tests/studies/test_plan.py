"""What a study's file comes to, and what is said of a bad one."""

from pathlib import Path

import pytest
import yaml

from pipeline.config.load import load
from pipeline.config.methods import METHODS
from pipeline.errors import ParamsError
from pipeline.studies import plan

ROOT = Path(__file__).parents[2]
GOOD = {"title": "T", "seeds": [0, 1], "variants": {"POCAN": {}, "w/o L_in": {"adapt.use_l_in": False}}}


def written(folder: Path, **changes: object) -> plan.Study:
    (folder / "mine.yaml").write_text(yaml.safe_dump({**GOOD, **changes}))
    return plan.read("mine", folder)


def planned(study: plan.Study) -> list[plan.Run]:
    return plan.runs("mine", study, ROOT / "params.yaml")


def test_every_variant_runs_with_every_seed(tmp_path: Path) -> None:
    runs = planned(written(tmp_path, targets=["jaffe"]))
    assert [run.name for run in runs] == ["mine-pocan-0", "mine-pocan-1", "mine-w-o-l-in-0", "mine-w-o-l-in-1"]
    assert runs[3].changes == ("adapt.use_l_in=false", "seed=1", 'targets=["jaffe"]')
    assert runs[3].params.seed == 1
    assert runs[3].params.targets == ("jaffe",)
    assert runs[3].result_params("jaffe")["adapt.use_l_in"] is False
    assert plan.runs("mine", written(tmp_path), ROOT / "params.yaml")[0].params.targets[0] == "ckplus"


@pytest.mark.parametrize("params", ["params.yaml", "params/paper.yaml", "params/fer2013-ckplus48.yaml"])
@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "studies").glob("*.yaml")))
def test_the_studies_of_the_paper_are_sound(name: str, params: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    study = plan.read(name)
    assert len(plan.runs(name, study, Path(params))) == len(study.variants) * len(study.seeds)


def test_the_study_of_methods_has_every_method_that_is_ranked() -> None:
    study = plan.read("methods", ROOT / "studies")
    ranked = {name for name, params in METHODS.items() if params.ranked}
    assert {values["adapt.method"] for values in study.variants.values()} == ranked
    assert "safn" not in ranked
    titled = {METHODS[name].title: name for name in ranked if name != "dt"}
    assert {name: study.variants[name]["adapt.method"] for name in titled} == titled


def test_a_method_that_is_added_is_a_variant_of_every_method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new = type("NewParams", (METHODS["dann"],), {"name": "new", "title": "New one"})
    known = {name: METHODS[name] for name in ("dt", "dann", "shot")}
    monkeypatch.setattr(plan, "METHODS", known | {"new": new})
    own = {
        "DT, cross entropy": {"adapt.method": "dt", "pretrain.objective": "cross_entropy"},
        "SHOT": {"adapt.tau": 0.5},
    }
    study = written(tmp_path, every="adapt.method", variants=own)
    assert list(study.variants.items()) == [
        *own.items(),
        ("DANN", {"adapt.method": "dann"}),
        ("New one", {"adapt.method": "new"}),
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"every": "adapt.tau"}, "every: input should be 'adapt.method', found 'adapt.tau'"),
        ({"every": "adapt.method", "variants": None}, "variants: "),
        ({"seeds": []}, r"seeds: write a list of at least one seed, such as \[0, 1, 2\]"),
        ({"seeds": 0}, r"seeds: write a list of at least one seed, such as \[0, 1, 2\]"),
        ({"seeds": [1, 1]}, "a seed occurs twice"),
        ({"variant": {}}, r"variant: unknown key \(did you mean 'variants'\?\)"),
        ({"reference": "SHOT"}, "reference: no variant is called 'SHOT'"),
        ({"along": "adapt.tau"}, "along: adapt.tau is not among the changes of POCAN"),
        ({"along": "targets", "variants": {"A": {"targets": ["jaffe"]}}}, "along: targets is not a number in A"),
        ({"along": "faces.track", "variants": {"A": {"faces.track": True}}}, "along: faces.track is not a number in A"),
        ({"variants": {0.1: {}}}, 'variants: 0.1: the name of a variant must be a text: write "0.1"'),
        ({"variants": {"A": None}}, "variants: A: nothing follows; write {} to change nothing"),
        ({"variants": {"A": {"adapt": {"ema": 0.9}}}}, "A: write the whole key in one line, such as adapt.ema: 0.9"),
        ({"variants": {"A": {"seed": 5}}}, "variants.A: seed and targets belong to the study, not to a variant"),
        ({"variants": {"A": {"+targets": ["jaffe"]}}, "targets": ["ckplus"]}, "seed and targets belong to the study"),
    ],
)
def test_a_fault_in_the_file_is_named(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=message):
        written(tmp_path, **changes)


def test_a_variant_with_a_wrong_parameter_is_named_before_anything_runs(tmp_path: Path) -> None:
    study = written(tmp_path, variants={"odd": {"adapt.taut": 0.5}, "far": {"adapt.method": "shott"}})
    with pytest.raises(ParamsError, match=r"(?s)far: .*did you mean 'shot'.*odd: .*adapt\.taut: unknown key"):
        planned(study)


def test_two_variants_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="two variants have the name mine-a-b-0"):
        planned(written(tmp_path, variants={"A b": {}, "a-b": {"adapt.tau": 0.7}}))
    (tmp_path / "mine.yaml").write_text("title: T\nseeds: [0]\nvariants:\n  A: {}\n  A: {adapt.tau: 0.7}\n")
    with pytest.raises(ParamsError, match=r"found duplicate key \"A\".* in line 5"):
        plan.read("mine", tmp_path)


def test_variants_that_come_to_the_same_are_refused(tmp_path: Path) -> None:
    value = load(ROOT / "params.yaml").pretrain.tau
    with pytest.raises(ParamsError, match="A and B have the same parameters"):
        planned(written(tmp_path, variants={"A": {}, "B": {"pretrain.tau": value}, "C": {"pretrain.tau": 2 * value}}))


def test_a_key_that_the_parameter_file_lacks_is_appended_as_dvc_wants_it(tmp_path: Path) -> None:
    changes = {"adapt.method": "dann", "adapt.weight": 0.5, "+adapt.epochs": 2}
    changes |= {"+split.jaffe.classes": ["anger", "fear"]}
    run = planned(written(tmp_path, variants={"A": changes}, targets=["jaffe"]))[0]
    assert {*run.changes} >= {"+adapt.weight=0.5", "adapt.epochs=2", '+split.jaffe.classes=["anger", "fear"]'}
    assert run.result_params("jaffe")["adapt.weight"] == 0.5
    assert run.params.split["jaffe"].classes == ("anger", "fear")


def test_a_file_elsewhere_must_not_take_the_name_of_a_study(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "mine").mkdir()
    elsewhere = tmp_path / "mine/mine.yaml"
    elsewhere.write_text((tmp_path / "mine.yaml").read_text())
    with pytest.raises(ParamsError, match=r"mine/mine\.yaml: .*/mine\.yaml has the same name"):
        plan.read(str(elsewhere), tmp_path)
    assert plan.read(str(tmp_path / "mine.yaml"), tmp_path).title == "T"


def test_what_is_no_study(tmp_path: Path) -> None:
    written(tmp_path)
    with pytest.raises(ParamsError, match=r"no such study \(did you mean 'mine'\?\); there are mine"):
        plan.read("mina", tmp_path)
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(ParamsError, match="expected a mapping"):
        plan.read(str(tmp_path / "list.yaml"))
    (tmp_path / "torn.yaml").write_text("a: [")
    with pytest.raises(ParamsError, match="not valid YAML"):
        plan.read("torn", tmp_path)
