"""reports/index.html: the page of the report stage."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.config import layout
from pipeline.config.schema import Params
from pipeline.data import split
from pipeline.data.crops import CropStore
from pipeline.errors import PipelineError
from pipeline.reporting.markdown import KNOWN_NOTE, marked
from pipeline.reporting.page import curves, pictures, plots
from pipeline.reporting.page.content import Group, Plot, Predictions
from pipeline.reporting.page.document import document
from pipeline.reporting.page.pictures import Shown
from pipeline.reporting.page.predictions import chosen, predictions
from pipeline.reporting.results import Evaluation, Result, SourceMetrics
from pipeline.reporting.titles import DRAWN_MARK, dataset_title, provenance_note


def page(
    params: Params,
    evaluations: Sequence[Evaluation],
    source: SourceMetrics,
    tables: str,
    reports: Path = layout.REPORTS,
) -> str:
    """The page as HTML: the tables, the plots of every target and of the source model, the predictions.

    In a clone to which DVC has not brought the data the page is made without predictions and says so.

    Args:
        tables: the text of reports/tables.md without figures. reports: the folder with evaluate/<target>/ and curves/.

    Raises:
        PipelineError: a curve is missing or damaged, a file does not fit the crops, or pictures are to be shown and
            their crops are missing.
    """
    of_source = {row for evaluation in evaluations for row in _embedded(evaluation, of_target=False)}
    stores = {name: _store(name, params.report.pictures) for name in (params.source, *params.targets)}
    title = dataset_title(params.source)
    shown = pictures.shown(title, params.source, stores[params.source], _copied(params, of_source))
    found = [
        _target(params, evaluation, stores[evaluation.result.target], shown, reports) for evaluation in evaluations
    ]
    groups = [*(group for group, _ in found), _source_model(source, reports)]
    sheets = {
        one.sheet: pictures.sheet(store.images, one.cells)
        for one in (shown, *(target for _, target in found))
        if one.cells and (store := stores[one.sheet]) is not None
    }
    return document(tables, groups, sheets)


def _target(
    params: Params, evaluation: Evaluation, store: CropStore | None, source: Shown, reports: Path
) -> tuple[Group, Shown]:
    """What the page says of one target, and what it shows of its pictures."""
    result = evaluation.result
    table, rows, of, missing = _predicted(result, store)
    wanted = _copied(params, {*_embedded(evaluation, of_target=True), *rows.tolist()})
    shown = pictures.shown(dataset_title(result.target), result.target, store, wanted)
    mark = marked("", result)
    found: Predictions | None = None
    if table is not None and store is not None:
        what = "test pictures" if result.n_test else "pictures, none with a label,"
        found = predictions(table, store.labels(), rows, of, what, shown)
    drawn = plots.of_target(evaluation, mark, source, shown)
    group = Group(
        result.target,
        f"{source.title} → {shown.title}",
        mark,
        _note(result),
        [*drawn, *_training(result.target, mark, reports)],
        found,
        missing,
    )
    return group, shown


def _note(result: Result) -> str:
    """What must be known of every number of this target."""
    drawn = provenance_note(result)
    notes = [f"{DRAWN_MARK} {drawn}: not comparable with results on the real sets."] if drawn else []
    if result.split.protocol.classes is not None:
        notes.append(KNOWN_NOTE)
    return " ".join(notes)


def _training(target: str, mark: str, reports: Path) -> list[Plot]:
    """The curves of an adaptation; the accuracy by epoch, which labels were needed for, stands by itself."""
    accuracy = curves.read(reports / "evaluate" / target / "accuracy.csv", f"dvc repro evaluate@{target}")
    curve = curves.read(reports / "curves" / f"adapt-{target}.csv", f"dvc repro adapt@{target}")
    title = "Accuracy on the test pictures by epoch: seen by their labels, by which no epoch is chosen"
    return [
        *curves.curves("adaptation", "Adaptation by epoch; the legend shows further curves", curve, mark),
        *curves.curves("accuracy", title, accuracy, mark),
    ]


def _source_model(source: SourceMetrics, reports: Path) -> Group:
    """The curves of stage 1 and of the source prototypes."""
    drawn = source.provenance == "stand-in"
    mark = f" {DRAWN_MARK}" if drawn else ""
    found = [
        plot
        for name, title in (("pretrain", "Stage 1"), ("prototypes", "Source prototypes"))
        for plot in curves.curves(
            name,
            f"{title} by epoch; the legend shows further curves",
            curves.read(reports / "curves" / f"{name}.csv", f"dvc repro {name}"),
            mark,
        )
    ]
    note = f"{DRAWN_MARK} drawn stand-ins: not comparable with results on the real sets." if drawn else ""
    title = f"{dataset_title(source.dataset)}: training of the source model"
    return Group(source.dataset, title, mark, note, found, missing="Choose a target to see its predictions.")


def _copied(params: Params, rows: set[int]) -> list[int]:
    """The rows of which the page holds copies."""
    return sorted(rows) if params.report.pictures else []


def _embedded(evaluation: Evaluation, of_target: bool) -> set[int]:
    embeddings = evaluation.tsne.values()
    return {row for one in embeddings for row in one.row[one.target == of_target].tolist()}


def _store(name: str, needed: bool) -> CropStore | None:
    """The crops; None where DVC has not brought them and nothing is shown of them."""
    folder = layout.crops(name)
    return CropStore.open(folder) if needed or folder.is_dir() else None


def _predicted(
    result: Result, store: CropStore | None
) -> tuple[pd.DataFrame | None, split.Indices, split.Indices, str]:
    """The predictions, the rows of them that are shown, the rows these are of, and why there are none.

    Raises:
        PipelineError: they are of other pictures than the store's.
    """
    path, none = layout.predictions(result.target), np.empty(0, np.int64)
    if store is None or not path.is_file():
        return None, none, none, f"{path} or its crops are not here; dvc pull or dvc repro brings them."
    table = pd.read_csv(path, dtype={"picture": "string"}, keep_default_na=False)
    if table["picture"].tolist() != store.samples["key"].tolist():
        raise PipelineError(f"{path}: of other pictures than {store.folder}; run dvc repro evaluate@{result.target}")
    test = split.read(layout.split(result.target)).test
    of = test if len(test) else np.arange(len(table), dtype=np.int64)
    return table, chosen(of), of, ""
