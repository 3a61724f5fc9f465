"""The parameter schema: complete files pass, every wrong key or value is refused by name."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.utils.hydra import apply_overrides

from pipeline.config import load as params
from pipeline.config.dependencies import flatten
from pipeline.config.methods import METHODS
from pipeline.config.methods.base import SHARED
from pipeline.config.methods.pocan import PocanParams
from pipeline.errors import ParamsError

ROOT = Path(__file__).parents[2]
FILES = [ROOT / "params.yaml", *sorted((ROOT / "params").glob("*.yaml"))]


def keys(values: dict[str, Any], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for key, value in values.items():
        nested = isinstance(value, dict) and prefix not in ("split.", "methods.")
        found |= keys(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}"}
    return found


def raw() -> dict[str, Any]:
    return params.read(ROOT / "params.yaml")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_shipped_parameter_file_is_valid_and_complete(path: Path) -> None:
    params.load(path)
    assert keys(params.read(path)) == keys(raw())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_below_methods_stands_what_differs_from_a_methods_defaults(path: Path) -> None:
    """A section for every method, which DVC needs to track it, and no value that the method has anyway."""
    sections = params.read(path)["methods"]
    assert set(sections) == set(METHODS)
    for name, values in sections.items():
        defaults = METHODS[name].model_validate({"method": name, **params.PLACEHOLDERS}).model_dump()
        assert [key for key, value in values.items() if defaults[key] == value] == []


MOST_CHANGED = {
    "adapt.method": "dann",
    "adapt.epochs": 7,
    "adapt.lr": 0.003,
    "adapt.prototype_lr": 0.002,
    "adapt.class_weights": "none",
    "adapt.logit_adjustment": 0.5,
    "adapt.ema": 0.9,
    "faces.search": "exact",
    "faces.turned": True,
    "model.backbone": "resnet18",
    "model.weights": "none",
    "model.weights_file": None,
    "pretrain.label_smoothing": 0.1,
    "prototypes.class_weights": "balanced",
    "compute.precision": "fp32",
    "report.pictures": True,
}
OF_POCAN = {
    "adapt.tau": 0.6,
    "adapt.beta": 1.0,
    "adapt.use_l_in": False,
    "adapt.use_l_cross": False,
    "adapt.use_l_ad": True,
    "adapt.target_shares": "em",
    "adapt.trusted_floor": 0.1,
    "adapt.trusted_cap": 0.6,
    "adapt.keep_alive": True,
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
@pytest.mark.parametrize("changes", [MOST_CHANGED, OF_POCAN], ids=["of every method", "of POCAN"])
def test_dvc_changes_what_is_most_often_changed_by_its_name_alone(
    path: Path, changes: dict[str, Any], tmp_path: Path
) -> None:
    """As ``dvc exp run -S`` does it, which refuses a key that the file lacks; the rest of the file stays as it is."""
    copy = tmp_path / "params.yaml"
    shutil.copy(path, copy)
    written = [f"{key}={json.dumps(value)}" for key, value in changes.items()]
    apply_overrides(copy, written)
    assert params.load(copy) == params.load(path, written)
    resolved = flatten(params.load(copy).model_dump())
    assert {key: resolved[key] for key in changes} == flatten(changes)


@pytest.mark.parametrize("plus", ["", "+"])
def test_a_methods_own_value_may_be_changed_that_the_file_does_not_write(plus: str, tmp_path: Path) -> None:
    copy = tmp_path / "params.yaml"
    shutil.copy(ROOT / "params.yaml", copy)
    changes = ["adapt.method=dann", f"{plus}methods.dann.weight=3"]
    assert params.load(copy, changes).adapt.model_dump()["weight"] == 3
    without = raw()
    del without["methods"]["dann"]
    copy.write_text(yaml.safe_dump(without))
    changed = params.load(copy, changes)
    assert changed.adapt.model_dump()["weight"] == 3
    with pytest.raises(ParamsError, match=r"methods\.dann\.wieght: unknown key \(did you mean 'weight'\?\)"):
        params.load(copy, [f"{plus}methods.dann.wieght=3"])
    if plus:
        apply_overrides(copy, changes)
        assert params.load(copy) == changed


@pytest.mark.slow
def test_a_file_that_writes_out_a_methods_every_value_means_the_same(tmp_path: Path) -> None:
    whole = raw()
    for name in METHODS:
        resolved = params.load(ROOT / "params.yaml", [f"adapt.method={name}", "adapt.trains=all"]).adapt.model_dump(
            mode="json"
        )
        whole["methods"][name] = {key: value for key, value in resolved.items() if key not in SHARED}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(whole))
    for name in METHODS:
        choice = [f"adapt.method={name}", "adapt.trains=all"]
        assert params.load(tmp_path / "params.yaml", choice) == params.load(ROOT / "params.yaml", choice)


def test_the_papers_protocol_stands_in_its_file() -> None:
    paper = params.load(ROOT / "params/paper.yaml")
    assert (paper.model.backbone, paper.model.weights) == ("resnet50", "vggface2")
    assert (paper.model.projection_hidden, paper.model.projection_dim) == (2048, 256)
    assert (paper.pretrain.epochs, paper.pretrain.batch_size, paper.pretrain.lr) == (300, 128, 0.001)
    assert (paper.prototypes.epochs, paper.prototypes.lr) == (20, 0.01)
    assert isinstance(paper.adapt, PocanParams)
    assert (paper.adapt.epochs, paper.adapt.batch_size, paper.adapt.lr) == (20, 64, 1e-5)
    assert (paper.adapt.prototype_lr, paper.adapt.prototype_lr_drop_epoch) == (1e-4, 10)
    assert (paper.adapt.tau, paper.adapt.tau_source, paper.adapt.beta) == (0.7, 0.1, 2.0)
    assert paper.split["rafdb"].duplicates == "keep"
    assert paper.targets == ("ckplus", "jaffe", "oulu", "fer2013", "sfew")
    assert paper.split["ckplus"].test == 129


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("adapt.taau", 0.5, r"adapt\.taau: unknown key \(did you mean 'tau'\?\)"),
        ("adapt.tau", 0, r"adapt\.tau: input should be greater than 0, found 0"),
        ("adapt.tau", -0.1, r"adapt\.tau: input should be greater than 0"),
        ("adapt.tau", "warm", r"adapt\.tau: input should be a valid number, found 'warm'"),
        ("adapt.tau", float("nan"), r"adapt\.tau: input should be a finite number"),
        ("adapt.beta", -1.0, r"adapt\.beta: input should be greater than or equal to 0"),
        ("adapt.epochs", 1.5, r"adapt\.epochs: input should be a valid integer, found 1\.5"),
        ("adapt.method", "pokan", r"adapt\.method: unknown method 'pokan' \(did you mean 'pocan'\?\)"),
        ("adapt.choose", "informaton", r"adapt\.choose: unknown choice 'informaton' \(did you mean 'information'\?\)"),
        ("adapt.use_l_in", "yes", r"adapt\.use_l_in: input should be a valid boolean"),
        ("pretrain.tau", 0, r"pretrain\.tau: input should be greater than 0"),
        ("pretrain.momentum", 1.0, r"pretrain\.momentum: input should be less than 1"),
        ("targets", ["ckpluss"], r"targets: unknown data set 'ckpluss' \(did you mean 'ckplus'\?\)"),
        ("targets", [], r"targets: .*at least 1 item"),
        ("targets", ["rafdb"], r"targets: 'rafdb' is the source"),
        ("targets", ["jaffe", "jaffe"], r"targets: a set is named twice"),
        ("source", "rafbd", r"source: unknown data set 'rafbd'"),
        ("split.ckplus.protocol", "best", r"split\.ckplus\.protocol: input should be"),
        ("split.ckplus.test", 1.5, r"split\.ckplus: test as a share must lie between 0 and 1"),
        ("split.ckplus.test", None, r"split\.ckplus: protocol stratified needs test"),
        ("split.jaffe.test", 10, r"split\.jaffe: protocol all takes no test"),
        ("split.nobody.protocol", "all", r"split: unknown data set 'nobody'"),
        ("data.max_unreadable", 2.0, r"data\.max_unreadable: input should be less than or equal to 1"),
        ("split.jaffe.classes", ["anger", "angry"], r"split\.jaffe\.classes: unknown expression 'angry'"),
        ("split.jaffe.classes", ["anger", "anger"], r"split\.jaffe\.classes: an expression is named twice"),
        ("split.jaffe.classes", ["anger"], r"split\.jaffe\.classes: .* at least 2"),
        ("pretrain.objective", "contrast", r"pretrain\.objective: input should be 'supcon', 'cross_entropy' or 'both'"),
        ("model.weights", "arcface", r"model: weights arcface are those of IR-50: set backbone: iresnet50"),
        ("model.weights", "vggface2", r"model: there are no vggface2 weights for resnet10: choose resnet50, facenet"),
        ("model.architecture", "resnet18", r"model: architecture goes with backbone: timm or torchvision; remove it"),
        ("model.backbone", "timm", r"model\.architecture: timm needs a name of its own models, such as resnet18"),
        ("model.input_size", 8, r"model\.input_size: pictures for resnet10 may have a side of 32 to 1024"),
        ("model.input_size", 112.0, r"model\.input_size: input should be a valid integer"),
        ("model.weights", "imagenet", r"model: there are no imagenet weights for resnet10"),
        ("model.weights_file", "x.pth", r"model: weights_file goes with weights: .* or vggface2; remove it"),
        ("augment.crop", [0.95, 0.8], r"augment: crop must be a range"),
        ("standins.sets", ["affectnet"], r"standins\.sets"),
        ("device", "tpu", r"device: input should be 'auto', 'cpu' or 'cuda'"),
        ("seed", 2**40, r"seed: input should be less than 4294967296"),
        ("tracking.experiment", "team/pocan", r"tracking\.experiment: 'team/pocan' is not a valid name: use letters"),
        ("targets", ["x; touch PWNED;"], r"targets\.0: 'x; touch PWNED;' is not a valid name"),
        ("data.folder_sets", ["../../evil"], r"data\.folder_sets\.0: '../../evil' is not a valid name"),
        ("data.folder_sets", ["jaffe"], r"data\.folder_sets: 'jaffe' is a data set with a reader of its own"),
        ("data.sets", ["rafdb", "jafe"], r"data\.sets: unknown data set 'jafe' \(did you mean 'jaffe'\?\)"),
        ("data.sets", ["rafdb"], r"targets: data set 'ckplus' is not in data\.sets; add it there"),
        ("model.backbone", "resnet81", r"model\.backbone: unknown backbone 'resnet81' \(did you mean 'resnet18'\?\)"),
        ("model.weights", "imagnet", r"model\.weights: unknown weights 'imagnet' \(did you mean 'imagenet'\?\)"),
        ("split.jaffe.duplicates", "drop", r"split\.jaffe: protocol all uses every picture for training and test"),
        ("adapt.pull", 0.1, r"adapt\.pull: unknown key"),
        ("methods.pocan.epochs", 3, r"methods\.pocan\.epochs: the same for all methods; move it to adapt\.epochs"),
        (
            "methods.dt.tau",
            0.7,
            r"methods\.dt\.tau: dt has no such parameter, pocan has; move it to methods\.pocan\.tau",
        ),
        ("adapt.search", 3, r"adapt\.search: it needs a rule that chooses a configuration; set adapt\.choose to"),
        (
            "adapt.weight",
            3,
            r"adapt\.weight: pocan has no such parameter, lpl, dann, .* have; move it to the section of one of them, "
            r"as methods\.lpl\.weight",
        ),
        ("methods.pocan.tau", -1, r"methods\.pocan\.tau: input should be greater than 0"),
        ("methods.pokan", {}, r"methods: unknown method 'pokan' \(did you mean 'pocan'\?\)"),
        ("methods.pocan", None, r"methods\.pocan: expected a mapping of its parameters"),
        ("colour", "red", r"colour: unknown key"),
        ("faces.choose", "central", r"faces\.choose: central must see every face.*set search: exact"),
        ("faces.track", True, r"faces\.track: true must see every face.*set search: exact"),
        ("faces.align", "warp", r"faces\.align: input should be 'box', 'square' or 'similarity'"),
        ("faces.margin", -0.1, r"faces\.margin: input should be greater than or equal to 0"),
    ],
)
def test_a_wrong_key_or_value_is_refused_by_name(key: str, value: Any, message: str) -> None:
    wrong = raw()
    *sections, last = key.split(".")
    place = wrong
    for section in sections:
        place = place.setdefault(section, {})
    place[last] = value
    with pytest.raises(ParamsError, match=message):
        params.parse(wrong, "params.yaml")


def test_every_fault_is_told_at_once() -> None:
    wrong = raw()
    wrong["adapt"] |= {"tau": 0, "beta": -1}
    del wrong["pretrain"]["lr"]
    with pytest.raises(ParamsError) as caught:
        params.parse(wrong, "params.yaml")
    assert all(name in str(caught.value) for name in ("adapt.tau", "adapt.beta", "pretrain.lr: missing"))


def test_a_method_takes_its_published_values_then_its_section_then_the_experiments() -> None:
    values = raw()
    values["methods"]["pocan"] = {"tau": 0.5}
    adapt = params.parse(values, "params.yaml").adapt
    assert isinstance(adapt, PocanParams)
    assert (adapt.tau, adapt.beta, adapt.epochs) == (0.5, 2.0, values["adapt"]["epochs"])
    values["adapt"]["tau"] = 0.6
    changed = params.parse(values, "params.yaml").adapt
    assert isinstance(changed, PocanParams)
    assert changed.tau == 0.6
    values["adapt"] |= {"tau": None, "method": "dt"}
    other = params.parse(values, "params.yaml").adapt
    assert (other.name, other.adapts) == ("dt", False)
    assert "tau" not in other.model_dump()


def test_a_method_without_a_section_is_told_where_to_write_one() -> None:
    values = raw()
    del values["methods"]["pocan"]
    with pytest.raises(ParamsError, match=r"methods: no section for pocan; add methods\.pocan: \{\}"):
        params.parse(values, "params.yaml")
    del values["methods"]
    with pytest.raises(ParamsError, match=r"methods: missing; add it"):
        params.parse(values, "params.yaml")


def test_nothing_left_to_minimise_is_refused() -> None:
    wrong = raw()
    wrong["adapt"] |= {"use_l_in": False, "use_l_cross": False, "use_l_ad": False}
    with pytest.raises(ParamsError, match="nothing is left to minimise"):
        params.parse(wrong, "params.yaml")


def test_a_target_without_a_split_is_refused() -> None:
    wrong = raw()
    del wrong["split"]["jaffe"]
    with pytest.raises(ParamsError, match=r"split: no entry for 'jaffe'; add split\.jaffe"):
        params.parse(wrong, "params.yaml")


def test_own_folders_may_be_targets() -> None:
    own = raw()
    own["data"]["folder_sets"] = ["holiday"]
    own["targets"] = ["holiday"]
    own["split"]["holiday"] = {"protocol": "all"}
    assert params.parse(own, "params.yaml").targets == ("holiday",)


def test_values_may_be_changed_by_name() -> None:
    changed = params.load(ROOT / "params.yaml", ["faces.search=exact", "faces.choose=central", "adapt.lr=1e-3"])
    assert isinstance(changed.adapt, PocanParams)
    assert (changed.faces.search, changed.faces.choose, changed.adapt.lr) == ("exact", "central", 1e-3)
    with pytest.raises(ParamsError, match=r"faces\.colour: unknown key"):
        params.load(ROOT / "params.yaml", ["faces.colour=grey"])
    with pytest.raises(ParamsError, match=r"face: unknown key \(did you mean 'faces'\?\); remove or correct it"):
        params.load(ROOT / "params.yaml", ["face.margin=0.1"])
    for change in ("faces.margin", "seed.x=1", "=1"):
        with pytest.raises(ParamsError, match=f"{change}: not of the form"):
            params.load(ROOT / "params.yaml", [change])
    with pytest.raises(ParamsError, match=r"faces\.margin=\[: the value is not valid YAML"):
        params.load(ROOT / "params.yaml", ["faces.margin=["])


@pytest.mark.parametrize("text", ["1e-5", "1.0e-5", "0.00001", "1E-05"])
def test_floats_are_read_as_dvc_reads_them(text: str, tmp_path: Path) -> None:
    source = (ROOT / "params.yaml").read_text()
    changed = source.replace("prototype_lr: 0.03", f"prototype_lr: {text}")
    assert changed != source
    (tmp_path / "params.yaml").write_text(changed)
    assert params.load(tmp_path / "params.yaml").adapt.model_dump()["prototype_lr"] == 1e-5


@pytest.mark.parametrize(
    ("text", "message"), [("a: [", "not valid YAML"), ("- 1", "expected a mapping"), ("", "expected")]
)
def test_files_that_are_no_parameters(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(ParamsError, match=message):
        params.load(tmp_path / "p.yaml")
    with pytest.raises(ParamsError, match="no such file"):
        params.load(tmp_path / "gone.yaml")


def test_a_floor_of_trust_above_its_cap_is_refused() -> None:
    wrong = raw()
    wrong["adapt"] |= {"trusted_floor": 0.5, "trusted_cap": 0.2}
    with pytest.raises(ParamsError, match=r"adapt: trusted_floor 0\.5 is more than trusted_cap 0\.2"):
        params.parse(wrong, "params.yaml")
