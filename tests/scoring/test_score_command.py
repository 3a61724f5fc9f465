"""``pocan score``: its numbers against other libraries' and plain formulas, its files, and what is refused."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score
from torch import Tensor
from typer.testing import CliRunner, Result

from pipeline.config import paths
from pipeline.data.prepared import Split, write_split
from pipeline.files.records import read_record
from pipeline.labels import EXPRESSIONS
from pipeline.networks.network import Classifier
from pipeline.networks.trained import TrainedModel, open_model
from pipeline.scoring import score as scoring
from pipeline.scoring.records import Comparison
from pipeline.scoring.table import WIDTH
from pocan.cli import app
from tests.datasets.drawing import save
from tests.models import write_adapted
from tests.stores import flat, write_store

ROOT = Path(__file__).parents[2]
COUNTS = {"anger": 3, "fear": 2, "happiness": 4, "neutral": 3}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two models and a folder of labelled pictures, as the working directory."""
    generator = np.random.Generator(np.random.PCG64(0))
    for name, count in COUNTS.items():
        (tmp_path / "faces" / name).mkdir(parents=True)
        for number in range(count):
            pixels = generator.integers(0, 256, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "faces" / name / f"{number}.png")
    write_adapted(tmp_path / "one", seed=1)
    write_adapted(tmp_path / "two", seed=2)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["score", *arguments])


def test_scores_are_those_of_other_libraries_and_a_written_prediction_scores_as_its_model(here: Path) -> None:
    answer = invoke("faces", "--model", "one", "--model", "two", "--out", "scores", "--device", "cpu")
    assert answer.exit_code == 0, answer.output
    names = {"scores.csv", "differences.csv", "scores.json", "scores.png", "predictions-1.csv", "predictions-2.csv"}
    assert {path.name for path in (here / "scores").iterdir()} == names
    assert [path.name for path in here.iterdir() if path.name.startswith(".")] == []  # no work in progress is left
    found = read_record(Comparison, here / "scores/scores.json", "pocan score")
    assert (found.pictures, found.unit, found.labelled) == (12, "picture", 12)
    accuracies = []
    for number, one in enumerate(found.models, start=1):
        table = pd.read_csv(here / f"scores/predictions-{number}.csv")
        expected = accuracy_score(table.label, table.expression)
        present = sorted(COUNTS, key=EXPRESSIONS.index)
        assert one.metrics.accuracy == pytest.approx(expected)
        assert one.metrics.balanced_accuracy == pytest.approx(
            np.mean([(table.expression == name)[table.label == name].mean() for name in present])
        )
        if set(table.expression) <= set(table.label):
            assert one.metrics.balanced_accuracy == balanced_accuracy_score(table.label, table.expression)
        f1 = f1_score(table.label, table.expression, labels=present, average=None, zero_division=0)
        assert [one.metrics.f1[EXPRESSIONS.index(name)] for name in present] == pytest.approx(f1.tolist())
        confidence = table[[f"p_{name}" for name in EXPRESSIONS]].max(axis=1)
        right, place = table.label == table.expression, np.minimum((confidence * 15).astype(int), 14)
        error = sum(abs((right - confidence)[place == each].sum()) for each in set(place)) / len(table)
        assert one.calibration_error == pytest.approx(error, abs=1e-5)
        low, high = one.metrics.interval or (1, 0)
        assert low <= expected <= high
        accuracies.append(expected)
    (difference,) = found.differences
    assert difference.accuracy.difference == pytest.approx(100 * (accuracies[0] - accuracies[1]))
    assert pd.read_csv(here / "scores/scores.csv").accuracy.tolist() == pytest.approx(accuracies, abs=1e-6)

    again = invoke("faces", "--predictions", "scores/predictions-1.csv", "--out", "again")
    assert again.exit_code == 0, again.output
    told = json.loads((here / "again/scores.json").read_text())["models"][0]
    assert told["metrics"] == found.models[0].metrics.to_json()
    assert told["calibration_error"] == pytest.approx(found.models[0].calibration_error, abs=1e-4)


@pytest.mark.usefixtures("here")
def test_the_table_fits_the_terminal_and_says_what_the_numbers_are() -> None:
    long = "a-folder-with-a-very-long-name-indeed"
    Path("one").rename(long)
    answer = invoke("faces", "--model", long, "--model", "two", "--out", "scores", "--device", "cpu")
    assert answer.exit_code == 0, answer.output
    assert max(map(len, answer.stdout.splitlines())) <= WIDTH
    assert "12 labelled pictures" in answer.stdout
    assert "by resampling of single pictures, because subjects are unknown" in " ".join(answer.stdout.split())
    assert "◊" in answer.stdout  # these models have learned from drawn faces
    assert "12 pictures in which no face was found were predicted whole" in answer.stdout
    assert "1 − 2" in answer.stdout


def test_only_what_everybody_predicts_is_scored(here: Path) -> None:
    rows = [f"{name}/{number}.png,{name}" for name, count in COUNTS.items() for number in range(count)]
    (here / "half.csv").write_text("picture,expression\n" + "\n".join(rows[:7]) + "\n")
    (here / "faces/anger/0.png").write_bytes(b"broken")
    answer = invoke("faces", "--model", "one", "--predictions", "half.csv", "--out", "scores", "--device", "cpu")
    assert answer.exit_code == 0, answer.output
    found = read_record(Comparison, here / "scores/scores.json", "pocan score")
    assert (found.labelled, found.pictures, found.unreadable) == (12, 6, 1)
    assert [one.unpredicted for one in found.models] == [1, 5]
    assert (found.models[1].metrics.accuracy, found.models[1].calibration_error) == (1.0, None)
    assert "6 more are not predicted by all" in answer.stdout


def test_of_a_set_that_dvc_repro_has_divided_its_crops_and_its_test_part_are_taken(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    keys = [f"{name}/S0{number:02d}_001_0000000{number}.png" for number in range(4) for name in ("anger", "fear")]
    for key in keys:
        save(here / "sets/ckplus48" / key, "RGB")
    params = (here / "params.yaml").read_text().replace("data/standins\n", "sets\n")
    (here / "params.yaml").write_text(params.replace("sets: [rafdb, ckplus, ", "sets: [rafdb, ckplus, ckplus48, ", 1))
    rows = [{"key": key, "label": EXPRESSIONS.index(key.split("/")[0]), "method": "mtcnn"} for key in sorted(keys)]
    write_store(paths.crops("ckplus48"), [flat(20 * row) for row in range(8)], rows, "ckplus48")
    write_split(paths.split("ckplus48"), Split(np.arange(3), np.arange(3, 8)))
    monkeypatch.setattr(scoring, "extract", lambda *_: pytest.fail("the crops are at hand"))
    answer = invoke("ckplus48", "--model", "one", "--out", "scores", "--device", "cpu", "-S", "margin=0.0")
    assert answer.exit_code == 0, answer.output
    found = read_record(Comparison, here / "scores/scores.json", "pocan score")
    assert (found.pictures, found.part, found.unit, found.units) == (5, "the test part of dvc repro", "subject", 4)
    assert "CK+48 is not the paper's CK+" in answer.stdout


class Other(Classifier):
    """A classifier without prototypes: it tells by the mean grey level."""

    @classmethod
    def untrained(cls, _params: object) -> "Other":
        return cls()

    def embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        level = images.mean(dim=(1, 2, 3))[:, None]
        return level, torch.softmax(level * torch.arange(7.0), dim=1)


@pytest.mark.usefixtures("here")
def test_a_model_of_another_kind_is_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(where: str) -> TrainedModel:
        made = open_model(Path(where))
        return TrainedModel(Other().eval(), made.params, made.augment, made.faces, made.description)

    monkeypatch.setattr(scoring, "open_model", opened)
    answer = invoke("faces", "--model", "one", "--out", "scores", "--device", "cpu")
    assert answer.exit_code == 0, answer.output
    assert pd.read_csv("scores/predictions-1.csv").expression.tolist() == ["neutral"] * 12


def test_what_was_interrupted_goes_on(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(scoring, "calibrated", stopped)
        assert invoke("faces", "--model", "one", "--out", "scores", "--device", "cpu").exit_code != 0
    assert not (here / "scores").exists()
    monkeypatch.setattr(scoring, "extract", lambda *_: pytest.fail("the crops are done"))
    answer = invoke("faces", "--model", "one", "--out", "scores", "--device", "cpu")
    assert answer.exit_code == 0, answer.output
    assert not (here / ".scores.in-progress").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("faces",), "nothing to score: name a model with --model"),
        (("nowhere", "--model", "one"), "nowhere: no such folder, and no set of params.yaml"),
        (("faces", "--model", "three"), "three/model.json: no such file"),
        (("faces", "--model", "one", "--model", "one"), "one: named twice"),
        (("faces", "--model", "two/../one", "--model", "one/"), "two/../one: named twice"),
        (("faces", "--model", "one", "--part", "tset"), "--part: unknown part 'tset' (did you mean 'test'?)"),
        (("faces", "--model", "one", "--part", "test"), "faces: no labelled picture in its part test; there are: all"),
        (("faces", "--model", "one", "--part", "divided"), "faces: dvc repro has not divided this set"),
        (("faces/fear", "--model", "one"), "faces/fear: 0 labelled pictures in all of it"),
        (("faces", "--model", "one", "--reader", "ckplus"), "faces: a folder cohn-kanade-images with subjects"),
        (("faces", "--model", "one", "--reader", "ck"), "--reader: unknown data set 'ck'"),
        (("faces", "--model", "one", "-S", "margn=1"), "faces.margn: unknown key"),
        (("faces", "--predictions", "two/model.json"), "two/model.json, line 1: no column 'picture'"),
        (("faces", "--model", "one", "--out", "two"), "two: exists already; remove it or name another one with --out"),
        (
            ("faces", "--model", "one", "--out", "faces/scores"),
            "faces/scores: is inside faces, whose pictures are read",
        ),
    ],
)
def test_bad_input_is_one_message_and_nothing_is_written(here: Path, arguments: tuple[str, ...], message: str) -> None:
    before = sorted(here.rglob("*"))
    answer = invoke(*arguments, *(() if "--out" in arguments else ("--out", "scores")))
    assert answer.exit_code == 1, answer.output
    errors = [line for line in answer.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in answer.stderr
    assert sorted(here.rglob("*")) == before


@pytest.mark.parametrize(("right", "code"), [(12, 0), (3, 1)])
def test_the_gate_of_the_page_stops_a_low_score(here: Path, right: int, code: int) -> None:
    keys = sorted(path.relative_to(here / "faces").as_posix() for path in (here / "faces").rglob("*.png"))
    rows = [(key, key.partition("/")[0] if number < right else "disgust") for number, key in enumerate(keys)]
    pd.DataFrame(rows, columns=["picture", "expression"]).to_csv(here / "other.csv", index=False)
    assert invoke("faces", "--predictions", "other.csv", "--out", "scores").exit_code == 0
    page = (ROOT / "docs/scoring.md").read_text(encoding="utf-8")
    script = page[page.index("import json, sys") :].partition("'\n```")[0]
    ended = subprocess.run([sys.executable, "-c", script], cwd=here, capture_output=True, text=True, check=False)
    assert ended.returncode == code
    assert ended.stderr == ("balanced accuracy 0.250 is below 0.6\n" if code else "")


def test_without_out_the_same_table_is_printed_and_nothing_is_written(here: Path) -> None:
    before = sorted(here.rglob("*"))
    bare = invoke("faces", "--model", "one", "--device", "cpu")
    assert bare.exit_code == 0, bare.output
    assert sorted(here.rglob("*")) == before
    written = invoke("faces", "--model", "one", "--device", "cpu", "--out", "scores")
    assert bare.stdout == written.stdout


def test_a_score_below_the_threshold_ends_with_code_2_and_names_the_model(here: Path) -> None:
    (here / "right.csv").write_text(
        "picture,expression\n"
        + "".join(f"{name}/{n}.png,{name}\n" for name, count in COUNTS.items() for n in range(count))
    )
    (here / "wrong.csv").write_text((here / "right.csv").read_text().replace(",neutral", ",fear"))  # 9 of 12 are right
    both = ("faces", "--predictions", "right.csv", "--predictions", "wrong.csv")
    low = invoke(*both, "--at-least", "75.1")
    assert (low.exit_code, low.stderr.splitlines()[-1]) == (2, "2 wrong.csv: accuracy 75.0 % is below 75.1 %")
    assert "right.csv: accuracy" not in low.stderr
    assert low.stdout == invoke(*both).stdout
    kept = invoke(*both, "--at-least", "75.1", "--out", "scores")
    assert (kept.exit_code, (here / "scores/scores.json").is_file()) == (2, True)
    assert invoke(*both, "--at-least", "75").exit_code == 0


@pytest.mark.parametrize("wrong", ["0.7", "101", "nan", "-5"])
@pytest.mark.usefixtures("here")
def test_a_threshold_that_is_not_in_per_cent_is_refused(wrong: str) -> None:
    answer = invoke("faces", "--model", "one", f"--at-least={wrong}")
    assert answer.exit_code == 1
    assert answer.stderr == f"error: --at-least {wrong}: per cent, from 1 to 100, as 70; the table has the same unit\n"
