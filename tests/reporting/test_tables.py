"""The cells of tables.md from fixed metrics."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.config.dependencies import result_params
from pipeline.config.methods import METHODS
from pipeline.evaluation.records import Result
from pipeline.reporting.markdown import markdown_table
from pipeline.reporting.report import render
from pipeline.reporting.results import load_evaluations, load_source
from pipeline.reporting.study_results import StudySummary
from pipeline.reporting.titles import start_title
from pipeline.validators import VALIDATORS
from tests.reporting.made_results import (
    ENVIRONMENT,
    PAPER,
    PARAMS,
    REAL,
    SPLIT,
    UNLABELLED,
    confusion,
    judged,
    metrics,
    params_for,
    result,
    write,
)
from tests.reporting.made_results import (
    pictures as pictures_of,
)

DRAWN_SOURCE = {"source": "stand-in", "target": "real"}
DRAWN_TARGET = {"source": "real", "target": "stand-in"}


def text_of(tmp_path: Path, *results: dict[str, Any], studies: Sequence[StudySummary] = ()) -> str:
    """tables.md of these results; its figures are not drawn."""
    write(tmp_path, *results)
    params = params_for(*(value["target"] for value in results))
    evaluations = load_evaluations(params, tmp_path)
    found = [evaluation.result for evaluation in evaluations]
    return render(found, load_source(params, tmp_path), [], PAPER, studies)


def section(text: str, title: str) -> str:
    """The section whose title starts so, up to the next one."""
    return text.split(f"\n## {title}", 1)[1].split("\n## ", 1)[0]


def row(part: str, *first: str) -> list[str]:
    """The cells after ``first`` of the one row that begins with ``first``."""
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in part.splitlines() if line[:1] == "|"]
    (found,) = [cells[len(first) :] for cells in rows if tuple(cells[: len(first)]) == first]
    return found


def test_stand_in_cells_are_marked_one_by_one(tmp_path: Path) -> None:
    table = section(text_of(tmp_path, result("ckplus"), result("jaffe")), "Table 1.")
    front = ("RAF-DB", "ResNet-10, no pre-training")
    assert row(table, "DT (measured)", *front) == [
        "60.0 ◊ [52.0, 68.0], balanced 60.0 ◊",
        "60.0 ◊ [52.0, 68.0], balanced 60.0 ◊",
        "–",
        "–",
    ]
    assert row(table, "POCAN (measured)", *front) == [
        "75.0 ◊ [68.0, 82.0], balanced 75.0 ◊",
        "75.0 ◊ [68.0, 82.0], balanced 75.0 ◊",
        "–",
        "CK+ 80.0 ◊ (epoch 3); JAFFE 80.0 ◊ (epoch 3)",
    ]
    assert "◊ Measured on drawn stand-ins: never comparable with the other numbers." in table
    assert (
        "‡ Oracle is not a result: it is the best epoch (in a search, the best configuration) by target test" in table
    )


@pytest.mark.parametrize("provenance", [DRAWN_SOURCE, DRAWN_TARGET], ids=["source", "target"])
def test_one_drawn_side_is_enough_for_the_mark(tmp_path: Path, provenance: dict[str, str]) -> None:
    text = text_of(tmp_path, result("fer2013", provenance=provenance))
    assert row(section(text, "Table 2."), "POCAN (measured)")[2] == "75.0 ◊ [68.0, 82.0], balanced 75.0 ◊"
    kinds = {"stand-in": "drawn stand-ins", "real": "real"}
    assert f"source RAF-DB ({kinds[provenance['source']]})" in text
    assert f"targets FER2013 ({kinds[provenance['target']]})" in text


def test_only_targets_that_were_drawn_are_marked_when_the_source_is_real(tmp_path: Path) -> None:
    text = text_of(tmp_path, result("ckplus", provenance=DRAWN_TARGET), result("jaffe", provenance=REAL))
    cells = row(section(text, "Table 1."), "POCAN (measured)")
    assert cells[2:4] == ["75.0 ◊ [68.0, 82.0], balanced 75.0 ◊", "75.0 [68.0, 82.0], balanced 75.0"]
    assert cells[-1] == "CK+ 80.0 ◊ (epoch 3); JAFFE 80.0 (epoch 3)"


def test_real_results_carry_no_mark_anywhere(tmp_path: Path) -> None:
    text = text_of(tmp_path, result("ckplus", provenance=REAL), result("sfew", provenance=REAL))
    assert "75.0 [68.0, 82.0], balanced 75.0" in text
    assert "◊" not in text
    assert "stand-in" not in text


def test_every_measured_number_of_a_drawn_target_is_marked(tmp_path: Path) -> None:
    text = text_of(tmp_path, result("ckplus48"))
    cells = row(section(text, "Measured, target by target"), "CK+48")
    assert cells == [
        "1,125 ◊",
        "140 ◊",
        "60.0 ◊ [52.0, 68.0]",
        "75.0 ◊ [68.0, 82.0]",
        cells[4],
        "60.0 ◊",
        "75.0 ◊",
        cells[7],
        "0.600 ◊",
        "0.750 ◊",
        "80.0 ◊ (epoch 3)",
    ]
    # 105 of 140 against 84, none of which is lost: 1.96 standard errors are 5.9 points.
    assert cells[4].startswith("+15.0 ◊ [+9.")
    assert cells[7].startswith("+15.0 ◊ [+8.")
    f1 = section(text, "F1 per class")
    assert row(f1, "CK+48", "after (POCAN)") == ["0.750 ◊"] * 8
    assert row(f1, "CK+48", "test pictures") == ["20 ◊"] * 7 + ["140 ◊"]
    assert "scores 90.0 ◊ % (macro F1 0.850 ◊) on the 160 ◊ test pictures of RAF-DB" in text
    assert "its balanced accuracy there is 80.0 ◊ %." in text
    assert "it scores 91.0 ◊ %." in text


def test_quoted_cells_are_never_marked(tmp_path: Path) -> None:
    text = text_of(tmp_path, result("ckplus"), result("fer2013"))
    assert row(section(text, "Table 1."), "POCAN (Ours)") == ["RAF-DB", "ResNet-50", "84.50", "64.32", "55.83", ""]
    assert row(section(text, "Table 1."), "STCNN [8]") == ["MMI+FERA", "Inception-ResNet", "73.91", "-", "-", ""]
    assert row(section(text, "Table 2."), "POCAN (Ours)") == ["RAF-DB", "ResNet-50", "58.87", "53.44", ""]
    quoted = ["84.50", "64.32", "55.83", "58.74", "53.44", "63.37"]
    assert row(section(text, "Table 3."), "POCAN") == quoted
    assert "58.87 in Table 2 and 58.74 in Table 3" in section(text, "Table 3.")


def test_all_table_rows_have_the_width_of_their_head(tmp_path: Path) -> None:
    text = text_of(tmp_path, result("ckplus"), result("ckplus48"), result("fer2013"))
    tables = [part.splitlines() for part in re.split(r"\n\n+", text) if part.startswith("|")]
    assert len(tables) == 11  # with the parameters that are not the paper's, and the divisions
    for lines in tables:
        assert len({line.count("|") for line in lines}) == 1, lines[0]


def test_targets_without_a_column_in_the_paper(tmp_path: Path) -> None:
    further = section(text_of(tmp_path, result("ckplus48"), result("my_faces")), "Further targets")
    assert row(further, "Method") == ["Source", "Backbone", "CK+48", "my_faces", "Oracle ‡"]
    assert row(further, "DT (measured)")[2:4] == [
        "60.0 ◊ [52.0, 68.0], balanced 60.0 ◊",
        "60.0 ◊ [52.0, 68.0], balanced 60.0 ◊",
    ]
    assert "CK+48 is not the paper's CK+" in further


def test_no_further_targets_no_such_section(tmp_path: Path) -> None:
    text = text_of(tmp_path, result("ckplus"))
    assert "## Further targets" not in text
    assert "No target of this table was run." in section(text, "Table 2.")
    assert "(measured)" not in section(text, "Table 2.")


def test_target_without_labels(tmp_path: Path) -> None:
    text = text_of(tmp_path, result("my_faces", **UNLABELLED, provenance=REAL))
    further = section(text, "Further targets")
    assert row(further, "DT (measured)")[2:] == ["no labels", "–"]
    assert row(further, "POCAN (measured)")[2:] == ["no labels", "–"]
    targets = section(text, "Measured, target by target")
    assert row(targets, "my_faces") == ["1,125", *["no labels"] * 3, "–", *["no labels"] * 2, *["–"] * 4]
    assert "No target has labels, so nobody can say whether adaptation helped." in targets
    assert row(section(text, "F1 per class"), "my_faces", "no labels") == ["–"] * 8


def test_missing_f1_is_a_dash(tmp_path: Path) -> None:
    absent = confusion(12, 0)
    absent[6] = [0] * 7
    scores = metrics(absent)
    assert scores["f1"][6] is None
    text = text_of(tmp_path, result("ckplus48", n_test=72, before=scores, after=scores))
    f1 = section(text, "F1 per class")
    assert row(f1, "CK+48", "before (DT)") == ["1.000 ◊"] * 6 + ["–", "1.000 ◊"]
    assert row(f1, "CK+48", "test pictures")[6] == "0 ◊"


def test_on_which_targets_adaptation_is_better_or_worse_is_said_as_the_cards_say_it(tmp_path: Path) -> None:
    """A difference whose interval contains 0 is neither; 0.0 is one, and so is a difference without an interval."""
    same, worse, slightly = confusion(12, 8), confusion(2, 18), confusion(11, 9)
    results = [
        result("ckplus"),
        result("jaffe", after=metrics(worse), tested=pictures_of(confusion(12, 8), worse)),
        result("oulu", after=metrics(same), tested=pictures_of(confusion(12, 8), same)),
        result("sfew", after=metrics(slightly), tested=None),
    ]
    targets = section(text_of(tmp_path, *results), "Measured, target by target")
    assert (
        "**Better than direct transfer** on 1 of 4 labelled targets: CK+ +15.0 ◊ points. "
        "**Worse than direct transfer** on 1 of 4 labelled targets: JAFFE −50.0 ◊ points. "
        "**No clear difference** (the 95 % interval contains 0, or there is none) on 2 of 4 labelled targets: "
        "Oulu-CASIA 0.0 ◊ points; SFEW 2.0 −5.0 ◊ points."
    ) in targets
    assert row(targets, "SFEW 2.0")[4] == "−5.0 ◊"


def test_a_loss_that_hardly_acts_is_said_so(tmp_path: Path) -> None:
    text = text_of(tmp_path, result("ckplus", own_share=0.008), result("jaffe", own_share=0.4), result("sfew"))
    targets = section(text, "Measured, target by target")
    assert "CK+ 0.8 % ◊, **its own loss hardly acts**; JAFFE 40.0 % ◊." in targets
    assert "hardly acts" not in text_of(tmp_path / "unknown", result("ckplus"))


def test_the_intervals_say_what_was_drawn(tmp_path: Path) -> None:
    pairs = {**result("ckplus")["tested"], "unit": "sequence", "units": [index // 2 for index in range(140)]}
    text = text_of(tmp_path, result("ckplus", tested=pairs), result("jaffe"), result("sfew", tested=None))
    targets = section(text, "What these numbers are")
    assert "- CK+: MLflow run `f00d`, revision `0123abc`, bootstrap over its 70 sequences" in targets
    assert "- JAFFE: MLflow run `f00d`, revision `0123abc`, bootstrap over its 140 pictures" in targets
    measured = section(text, "Measured, target by target")
    assert row(measured, "SFEW 2.0")[4] == "+15.0 ◊"  # of before the pictures were kept


def test_where_it_helped_everywhere(tmp_path: Path) -> None:
    text = text_of(tmp_path, result("ckplus"), result("my_faces", **UNLABELLED))
    assert "**Better than direct transfer** on 1 of 1 labelled targets: CK+ +15.0 ◊ points." in text
    assert "**Worse" not in text
    assert "**No clear difference" not in text


def test_direct_transfer_has_no_adapted_row(tmp_path: Path) -> None:
    same = metrics(confusion(12, 8), [0.52, 0.68])
    text = text_of(tmp_path, result("ckplus", method="dt", after=same, oracle={"accuracy": 0.6, "epoch": 0}))
    assert row(section(text, "Table 1."), "DT (measured)")[2] == "60.0 ◊ [52.0, 68.0], balanced 60.0 ◊"
    assert "POCAN (measured)" not in text
    assert "(epoch 0)" not in text
    assert "method DT" in text
    assert row(section(text, "Measured, target by target"), "CK+")[3:] == [*"––", "60.0 ◊", *"––", "0.600 ◊", *"––"]
    assert "No adapted target of this table was run." in section(text, "Table 3.")


def test_ablation_row_of_this_run(tmp_path: Path) -> None:
    targets = ("ckplus", "jaffe", "oulu", "fer2013", "sfew")
    text = text_of(tmp_path, *(result(target, without=["L_in", "weights"]) for target in targets))
    cells = row(section(text, "Table 3."), "POCAN (w/o L_in, weights) (measured)")
    assert cells == ["75.0 ◊ [68.0, 82.0], balanced 75.0 ◊"] * 5 + ["75.0 ◊, balanced 75.0 ◊"]
    assert (
        row(section(text, "Table 1."), "POCAN (w/o L_in, weights) (measured)")[2]
        == "75.0 ◊ [68.0, 82.0], balanced 75.0 ◊"
    )


def test_average_needs_every_column_and_is_marked_if_one_is(tmp_path: Path) -> None:
    real = [result(target, provenance=REAL) for target in ("ckplus", "jaffe", "oulu", "fer2013")]
    drawn = result("sfew", provenance=DRAWN_TARGET, after=metrics(confusion(20, 0), [1.0, 1.0]))
    for name in ("four", "five"):
        (tmp_path / name).mkdir()
    assert row(section(text_of(tmp_path / "four", *real), "Table 3."), "POCAN (measured)")[-2:] == ["–", "–"]
    cells = row(section(text_of(tmp_path / "five", *real, drawn), "Table 3."), "POCAN (measured)")
    assert cells[3:] == [
        "75.0 [68.0, 82.0], balanced 75.0",
        "100.0 ◊ [100.0, 100.0], balanced 100.0 ◊",
        "80.0 ◊, balanced 80.0 ◊",
    ]


def test_provenance_paragraph_names_the_run(tmp_path: Path) -> None:
    text = text_of(tmp_path, result("ckplus"), result("jaffe", revision="4567def", experiment=None))
    assert "backbone ResNet-10, no pre-training; epochs: 10 source pre-training, 50 prototypes, 5 adaptation" in text
    assert "seed 0; git revision `0123abc`, `4567def`; DVC experiment `tidal-owl`" in text
    assert "- JAFFE: MLflow run `f00d`, revision `4567def`" in text
    assert "from the paper's protocol: the backbone is ResNet-10, no pre-training (paper: ResNet-50, VGGFace2)" in text


def test_the_papers_protocol_has_no_differences(tmp_path: Path) -> None:
    epochs = {"pretrain": 300, "prototypes": 20, "adapt": 20}
    run = result("ckplus", provenance=REAL, backbone="resnet50", weights="vggface2", epochs=epochs, run_id=None)
    run["parameters"] = result_params(PAPER, "ckplus") | {"seed": 3, "evaluate.bootstrap": 10}
    text = text_of(tmp_path, run)
    assert "differs from the paper's protocol" not in text
    assert row(section(text, "Table 1."), "POCAN (measured)")[:2] == ["RAF-DB", "ResNet-50, VGGFace2"]
    assert "- CK+: no MLflow run, revision `0123abc`" in text


def test_a_backbone_of_a_family_is_named_by_its_architecture(tmp_path: Path) -> None:
    run = result("ckplus", provenance=REAL, backbone="timm", weights="pretrained")
    run["parameters"] = run["parameters"] | {"model.architecture": "resnet18.a1_in1k"}
    found = row(section(text_of(tmp_path, run), "Table 1."), "POCAN (measured)")
    assert found[1] == "timm resnet18.a1_in1k, pre-trained by timm"


@pytest.mark.parametrize(
    ("key", "value"), [("adapt.tau", 0.6), ("adapt.use_l_in", False), ("pretrain.lr", 0.5), ("split.ckplus.test", 0.25)]
)
def test_whatever_leaves_the_papers_protocol_is_said(tmp_path: Path, key: str, value: float) -> None:
    run = result("ckplus", provenance=REAL, backbone="resnet50", weights="vggface2")
    run["parameters"] = result_params(PAPER, "ckplus") | {key: value}
    text = text_of(tmp_path, run)
    assert "This run differs from the paper's protocol: 1 parameter differs from params/paper.yaml." in text
    theirs = result_params(PAPER, "ckplus")[key]
    assert row(text, f"`{key}`") == [str(v).lower() if isinstance(v, bool) else str(v) for v in (value, theirs)]


def test_direct_transfer_is_not_measured_by_the_values_of_adaptation(tmp_path: Path) -> None:
    run = result("ckplus", provenance=REAL, backbone="resnet50", weights="vggface2", method="dt")
    run["parameters"] = result_params(PAPER, "ckplus") | {"adapt.method": "dt", "adapt.epochs": 3}
    assert "differs from the paper's protocol" not in text_of(tmp_path, run)


def test_what_was_computed_unlike_shares_no_row(tmp_path: Path) -> None:
    gpu = {"precision": "bf16", "compile": True, "device": "cuda", "hardware": "H100", "torch": "2.11.0"}
    other = result("jaffe", environment={"pretrain": ENVIRONMENT, "adapt": gpu})
    text = text_of(tmp_path, result("ckplus"), other)
    table = section(text, "Table 1.")
    on_cpu = "fp32 on cpu (AVX2), torch 2.11.0"
    on_both = f"pretrain: {on_cpu}; adapt: bf16, compiled on cuda (H100), torch 2.11.0"
    assert row(table, f"POCAN (measured, {on_cpu})")[2:4] == ["75.0 ◊ [68.0, 82.0], balanced 75.0 ◊", "–"]
    assert row(table, f"POCAN (measured, {on_both})")[2:4] == ["–", "75.0 ◊ [68.0, 82.0], balanced 75.0 ◊"]
    assert f"computed with {on_cpu} (CK+); {on_both} (JAFFE)." in text
    assert [line.count("(measured") for line in section(text, "Table 3.").splitlines()].count(1) == 2


def test_divisions_say_what_their_parts_share(tmp_path: Path) -> None:
    dropped = SPLIT | {"dropped": 2, "test_in_train": {"picture": 140, "sequence": None, "subject": 7}}
    text = text_of(tmp_path, result("ckplus"), result("jaffe", split=dropped))
    part = text.split("### Splits", 1)[1]
    cells = ["stratified, test 0.25, seed 0", "140 ◊", "0 ◊", "40 ◊", "unknown", "2 ◊", "4 ◊"]
    assert row(part.split("\n## ")[0], "CK+") == cells
    cells = ["stratified, test 0.25, seed 0, 2 duplicates dropped", "140 ◊", "140 ◊", "unknown", "7 ◊", "2 ◊", "4 ◊"]
    assert row(part.split("\n## ")[0], "JAFFE") == cells


def test_a_known_label_set_is_marked_in_every_cell(tmp_path: Path) -> None:
    known = SPLIT | {"protocol": SPLIT["protocol"] | {"classes": ["anger", "happiness"]}}
    text = text_of(tmp_path, result("ckplus"), result("jaffe", split=known))
    table = section(text, "Table 1.")
    assert row(table, "POCAN (measured)")[2:4] == [
        "75.0 ◊ [68.0, 82.0], balanced 75.0 ◊",
        "75.0 ◊ § [68.0, 82.0], balanced 75.0 ◊ §",
    ]
    assert "§ Measured with a given list of the target's expressions" in table
    assert "classes §: anger happiness" in text.split("### Splits", 1)[1]


def test_without_one_no_cell_is_marked(tmp_path: Path) -> None:
    assert "§" not in text_of(tmp_path, result("ckplus"))


def test_a_bar_in_a_cell_does_not_split_it() -> None:
    assert markdown_table(["a|b", "c"], [["1", "2"]]) == "| a\\|b | c |\n| :--- | ---: |\n| 1 | 2 |"


def test_what_no_label_says_of_an_adaptation(tmp_path: Path) -> None:
    worse = {"before": judged(1.2), "after": judged(1.1, source_accuracy=0.5)}
    text = section(text_of(tmp_path, result("ckplus"), result("jaffe", unlabelled=worse)), "Judged without")
    assert "| CK+ | after (POCAN) | 0.400 ◊ | 1.200 ◊ | 3.500 ◊ | 88.0 ◊ | no sign of harm |" in text
    assert "| JAFFE | after (POCAN) | 0.400 ◊ | 1.100 ◊ | 3.500 ◊ | 50.0 ◊ | **doubtful** |" in text


def test_a_source_model_that_was_kept_is_no_adaptation(tmp_path: Path) -> None:
    text = text_of(tmp_path, result("ckplus"), result("jaffe", kept_epoch=0))
    assert "88.0 ◊ | kept the source model |" in section(text, "Judged without")
    targets = section(text, "Measured, target by target")
    assert (
        "**Better than direct transfer** on 1 of 1 labelled targets: CK+ +15.0 ◊ points. A label-free rule kept the "
        "source model for JAFFE." in targets
    )


def test_whose_statistics_the_encoder_has_is_said_by_target(tmp_path: Path) -> None:
    own = result_params(PARAMS, "ckplus") | {"adapt.encoder_statistics": "entropy"}
    text = text_of(
        tmp_path,
        result("ckplus", parameters=own, kept_epoch=0, encoder_statistics="target"),
        result("jaffe", parameters=own),
    )
    said = "where predictions became clearly surer; no label was used"
    assert f"the target's own statistics for CK+, {said} (`adapt.encoder_statistics: entropy`)." in text
    assert "kept the source model" not in section(text, "Judged without")
    sources = result("ckplus", parameters=own | {"adapt.encoder_statistics": "source"})
    assert "Batch norms of the encoder" not in text_of(tmp_path / "published", sources)


def test_whose_grey_levels_are_matched_is_said_by_target(tmp_path: Path) -> None:
    own = result_params(PARAMS, "ckplus") | {"adapt.histogram_matching": "entropy"}
    matched = result("ckplus", parameters=own, kept_epoch=0, histogram_matched=True)
    text = text_of(tmp_path, matched, result("jaffe", parameters=own))
    said = "maps grey levels to the source's for CK+, where predictions became clearly surer; no label was used"
    assert f"{said} (`adapt.histogram_matching: entropy`)." in text
    assert "kept the source model" not in section(text, "Judged without")
    assert start_title(Result.model_validate_json(json.dumps(matched))) == "the source model with matched grey levels"


def test_whose_features_are_restored_is_said_by_target(tmp_path: Path) -> None:
    own = result_params(PARAMS, "ckplus") | {"adapt.restoration": "always"}
    restored = result("ckplus", parameters=own, kept_epoch=0, features_restored=True)
    text = text_of(tmp_path, restored, result("jaffe", parameters=own))
    assert "restores features for the target's camera for CK+ (`adapt.restoration: always`)." in text
    assert "kept the source model" not in section(text, "Judged without")
    assert start_title(Result.model_validate_json(json.dumps(restored))) == "the source model with restored features"


def test_what_each_validator_would_have_chosen(tmp_path: Path) -> None:
    text = section(text_of(tmp_path, result("ckplus")), "Choosing an epoch")
    assert "| CK+ | 60.0 ◊, balanced 60.0 ◊ | 75.0 ◊ (epoch 5), balanced 72.0 ◊ | 70.0 ◊ (epoch 3) | " in text
    assert text.count("70.0 ◊ (epoch 3) | ") == len(VALIDATORS)
    unscored = {"before": judged(1.2), "after": judged(1.1), "choices": {}}
    assert "Choosing an epoch" not in text_of(tmp_path / "unscored", result("ckplus", unlabelled=unscored))


def test_a_row_says_who_chose_its_epoch(tmp_path: Path) -> None:
    chosen = result_params(PARAMS, "ckplus") | {"adapt.choose": "information"}
    text = text_of(tmp_path, result("ckplus", parameters=chosen, kept_epoch=2))
    assert (
        row(section(text, "Table 1."), "POCAN, epoch by mutual information (measured)")[2]
        == "75.0 ◊ [68.0, 82.0], balanced 75.0 ◊"
    )
    assert (
        "by mutual information (`adapt.choose`; Shi and Sha, ICML 2012); 0 is the model before training: CK+ 2." in text
    )
    assert "from the last epoch." not in text
    last = section(text, "Choosing an epoch")
    assert "| CK+ | 60.0 ◊, balanced 60.0 ◊ | 75.0 ◊ (epoch 5), " in last


def test_what_confidence_is_worth(tmp_path: Path) -> None:
    unknown = {"temperature": 1.2, "source": {"before": 0.05, "after": 0.02}, "target": None}
    text = section(text_of(tmp_path, result("ckplus"), result("jaffe", calibration=unknown)), "Calibration")
    assert "| CK+ | 1.60 ◊ | 9.0 ◊ | 2.0 ◊ | 21.0 ◊ | 8.0 ◊ |" in text
    assert "| JAFFE | 1.20 ◊ | 5.0 ◊ | 2.0 ◊ | – | – |" in text


def test_nothing_adapted_nothing_judged(tmp_path: Path) -> None:
    assert "Judged without" not in text_of(tmp_path, result("ckplus", method="dt", **{"oracle": None}))


@pytest.mark.parametrize("name", [name for name, params in METHODS.items() if params.adapts])
def test_every_method_has_its_rows(name: str, tmp_path: Path) -> None:
    text = text_of(tmp_path, result("ckplus", method=name))
    assert (
        row(section(text, "Table 1."), f"{METHODS[name].title} (measured)")[2] == "75.0 ◊ [68.0, 82.0], balanced 75.0 ◊"
    )
    assert f"| CK+ | after ({METHODS[name].title}) |" in text


def test_the_configurations_of_a_search_stand_in_a_table(tmp_path: Path) -> None:
    validations = {validator.name: 1.25 for validator in VALIDATORS}
    tried = [
        {"parameters": {"lr": rate, "batch_norm": "frozen"}, "validations": validations, "accuracy": 0.5 + rate}
        | {"balanced_accuracy": 0.4}
        for rate in (0.1, 0.2)
    ]
    chosen = result_params(PARAMS, "ckplus") | {"adapt.choose": "information", "adapt.search": 2}
    text = text_of(tmp_path, result("ckplus", parameters=chosen, kept_epoch=2, candidates=tried))
    table = section(text, "Configurations tried on CK+")
    assert "|  | `lr` | `batch_norm` | mutual information | entropy |" in table
    assert row(table, "1")[:2] == ["0.1", "frozen"]
    assert row(table, "**2, kept**")[-2:] == ["70.0 ◊", "40.0 ◊"]
    assert "POCAN, configuration by mutual information (measured)" in text
    assert "adaptation of each of 2 configurations" in text
    choice = section(text, "Choosing a configuration without labels")
    assert "| Target | keep the source model | entropy |" in choice  # none of them is the last
    assert "Accuracy (%) at the configuration that each rule chooses without a label of the target" in choice
    assert "Configurations tried" not in text_of(tmp_path / "none", result("ckplus"))
