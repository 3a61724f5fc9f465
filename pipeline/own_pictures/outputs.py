"""The output files of ``pocan adapt``: predictions, pictures to label next, the report and the page."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.adaptation import Adaptation
from pipeline.data.outcome import Outcome
from pipeline.data.prepared import PreparedData
from pipeline.evaluation.records import ProvenancePair
from pipeline.evaluation.scorecard import predictions_table
from pipeline.faces.crop import Face
from pipeline.files.io import read_parquet, write_csv, write_text
from pipeline.files.names import as_text
from pipeline.networks import saved
from pipeline.networks.calibration import rescaled
from pipeline.own_pictures import next_labels, page, report
from pipeline.own_pictures.changed import Change, changes
from pipeline.own_pictures.labelled import Labelled
from pipeline.own_pictures.request import AdaptRequest, Plan
from pipeline.prediction.outputs import Row, csv_text
from pipeline.prediction.predictor import Prediction
from pipeline.progress import working
from pipeline.reporting.results import read_curve

REPORT, PREDICTIONS, PAGE, MODEL = "report.md", "predictions.csv", "index.html", "model"
NEXT, LABEL_PAGE = "label-next.csv", "label.html"
"""Files in the output folder; other modules write faces.md, contact sheets, crops and curves."""


def write(
    request: AdaptRequest,
    plan: Plan,
    work: Adaptation,
    outcome: Outcome,
    temperature: float,
    labelled: Labelled | None,
) -> list[Path]:
    """Write the predictions of every picture with a face, the pictures to label next, the report and the page.

    Args:
        request: the user's request.
        plan: the parameters of the run.
        work: the adaptation.
        outcome: the predictions of both models.
        temperature: temperature of the source model.
        labelled: the user's labels; None if there are none.

    Returns:
        The files to log to MLflow.
    """
    target, out = work.target, request.out
    description = saved.describe(work.outputs.model)
    adapted = rescaled(outcome.after.probabilities, description["temperature"])
    before = rescaled(outcome.before.probabilities, temperature)
    queries = _queries(outcome, adapted, labelled)
    every, changed = predictions_table(target, adapted), changes(target, before, adapted)
    data = _report_data(request, plan, work, outcome, description["kept_epoch"], every, changed, queries, labelled)
    text = report.text(data)
    with working("draw the page"):
        curve = read_curve(work.outputs.curve, "the same command again")
        html = page.html(data, text, work.source, every, before, curve)
    write_csv(out / NEXT, next_labels.table(queries, target.store))
    given = labelled.by_row if labelled else {}
    write_text(out / LABEL_PAGE, next_labels.html(target.name, queries, target.store, given))
    write_text(out / PREDICTIONS, csv_text(_rows(request, target, adapted, bool(data.note))))
    write_text(out / REPORT, text)
    write_text(out / PAGE, html)
    return [out / PREDICTIONS, out / REPORT]


def _report_data(
    request: AdaptRequest,
    plan: Plan,
    work: Adaptation,
    outcome: Outcome,
    kept_epoch: int,
    every: pd.DataFrame,
    changed: Sequence[Change],
    queries: Sequence[next_labels.LabelQuery],
    labelled: Labelled | None,
) -> report.ReportData:
    """Collect the data of the report; ``every`` has the prediction for each picture of the store."""
    target = work.target
    source_labels = None if work.source is None else work.source.store.labels()
    of_source, of_target = work.trained.description["source"], target.store.description
    return report.ReportData(
        settings=plan.settings,
        model=as_text(request.model),
        why=plan.why,
        target=target,
        unit=request.unit,
        outcome=outcome,
        kept_epoch=kept_epoch,
        statistics=work.statistics,
        moved=_moved(work, kept_epoch),
        scores=report.judged(target, outcome, source_labels, work.known_classes),
        with_source=work.source is not None,
        predictions=every.iloc[target.split.test],
        changes=changed,
        validations=pd.read_csv(work.outputs.validations),
        verdict=labelled.verdict if labelled else None,
        queries=target.store.samples["key"].iloc[[one.row for one in queries]].tolist(),
        provenance=ProvenancePair(source=of_source["provenance"], target=of_target["provenance"]),
        imported=work.trained.imported,
        known=work.known_classes,
    )


def _queries(
    outcome: Outcome, probabilities: NDArray[np.float64], labelled: Labelled | None
) -> list[next_labels.LabelQuery]:
    """Choose the pictures to label next, among those with a face whose embeddings are kept."""
    rows = outcome.target.rows
    known = labelled.by_row if labelled else {}
    return next_labels.most_telling(rows, probabilities[rows], outcome.after.target, known)


def _moved(work: Adaptation, kept_epoch: int) -> float:
    """Return the share of pictures whose predicted class the adaptation has changed.

    For a search: by the kept configuration, or, if the source model is kept, by the one that changes most.
    """
    classes = read_parquet(work.outputs.epochs)
    moved = (classes.iloc[:, 1:].ne(classes.iloc[:, 0], axis=0)).mean()
    if not len(moved):
        return 0.0
    if work.params.search:
        return float(moved.iloc[kept_epoch - 1] if kept_epoch else moved.max())
    return float(moved.iloc[-1])


def _rows(
    request: AdaptRequest, target: PreparedData, probabilities: NDArray[np.float64], drawn: bool
) -> Iterator[Row]:
    """Yield rows as ``pocan predict`` writes them, but only for the one face per picture that was adapted to.

    The model is named relative to the output folder, so that the file does not depend on where it lies.
    """
    faces = target.store.manifest.iloc[target.split.test].to_dict("records")
    for face, shares in zip(faces, probabilities[target.split.test], strict=True):
        left, top, right, bottom = face["box"]
        score = None if pd.isna(face["score"]) else float(face["score"])
        place = Face(face["method"], face["faces"], (left, top, right, bottom), score)
        found = Prediction(place, shares.astype(np.float32))
        if request.is_video:
            yield Row(as_text(request.pictures), int(face["frame"]), 1, found, MODEL, drawn)
        else:
            yield Row(as_text(request.pictures / face["key"]), None, 1, found, MODEL, drawn)
