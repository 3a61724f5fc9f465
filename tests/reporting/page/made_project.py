"""A project with everything that the page of the report stage reads: 140 pictures a set, each of one grey level."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from pipeline.config import paths
from pipeline.config.schema import Params, ReportParams
from pipeline.data.prepared import Split, write_split
from pipeline.files.io import write_json, write_text
from pipeline.labels import EXPRESSIONS
from pipeline.reporting.page.report_page import page
from pipeline.reporting.report import render
from pipeline.reporting.results import load_evaluations, load_source
from pipeline.reporting.study_results import StudyCell, StudyRow, StudySummary, load_studies
from tests.reporting.made_results import PAPER, UNLABELLED, params_for, result, write
from tests.stores import flat, write_store

COUNT = 140
HOSTILE = "</script><b>7</b>.png"
"""The name of picture 7."""

KEYS = [HOSTILE if row == 7 else f"{row:03d}.png" for row in range(COUNT)]
LABELS = [row % 7 for row in range(COUNT)]
PREDICTED = [(label + 1) % 7 if row % 4 == 0 else label for row, label in enumerate(LABELS)]
"""Every fourth is wrong."""
CONFIDENCE = [round(0.3 + 0.7 * row / COUNT, 4) for row in range(COUNT)]


def params(target: str = "ckplus", pictures: bool = False) -> Params:
    return params_for(target).model_copy(update={"report": ReportParams(pictures=pictures)})


def write_project(root: Path, target: str = "ckplus", labels: bool = True) -> None:
    """Results, crops, divisions and predictions of a target, by their places in a project."""
    write(root, result(target, **({} if labels else UNLABELLED)), labels=labels)
    for name in ("rafdb", target):
        known = labels or name == "rafdb"
        rows = [
            {"key": key, "label": label if known else None, "method": "mtcnn"}
            for key, label in zip(KEYS, LABELS, strict=True)
        ]
        write_store(root / "data/crops" / name, [flat(row) for row in range(COUNT)], rows, name, "stand-in")
    rows_of_test = np.arange(COUNT) if labels else np.empty(0, np.int64)
    write_split(root / f"data/splits/{target}.parquet", Split(np.arange(COUNT), rows_of_test))
    (root / "data/predictions").mkdir()
    names = [EXPRESSIONS[index] for index in PREDICTED]
    table = pd.DataFrame({"picture": KEYS, "expression": names, "confidence": CONFIDENCE})
    table.to_csv(root / f"data/predictions/{target}.csv", index=False)


def write_study(root: Path) -> None:
    """A study with a row in Table 1 and a picture, as ``pocan study`` leaves it."""
    cell = StudyCell(mean=70.0, deviation=0.0, seeds=1, drawn=True, known=False, current=True, alike=True)
    row = StudyRow(name="DANN", source="RAF-DB", backbone="ResNet-10", cells={"ckplus": cell})
    summary = StudySummary(
        name="two",
        title="Two",
        tables=(1,),
        found=1,
        planned=1,
        revisions=("0123abc",),
        parameters={},
        rows=(row,),
        pictures=("two-matrix.png",),
    )
    write_json(root / paths.STUDIES / "two.json", summary.model_dump(mode="json"))
    Image.new("RGB", (1600, 400), "navy").save(root / paths.STUDIES / "two-matrix.png")


def page_of(root: Path, target: str = "ckplus", pictures: bool = False) -> Path:
    """The page of the project's results, written as the report stage writes it, but without tables and figures."""
    wanted, reports = params(target, pictures), root / "reports"
    evaluations, source = load_evaluations(wanted, root), load_source(wanted, root)
    studies = load_studies(root / paths.STUDIES)
    tables = render([evaluation.result for evaluation in evaluations], source, [], PAPER, studies)
    write_text(reports / "index.html", page(wanted, evaluations, source, tables, root))
    return reports / "index.html"
