"""reports/index.html: the page of the report stage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.config import paths
from pipeline.config.schema import Params
from pipeline.data.crops import CropStore
from pipeline.data.prepared import Indices, read_split
from pipeline.errors import PipelineError
from pipeline.evaluation.records import Result, SourceMetrics
from pipeline.files.io import read_csv
from pipeline.labels import DRAWN_MARK, EXPRESSIONS
from pipeline.reporting import protocol
from pipeline.reporting.figures import ramp_note
from pipeline.reporting.markdown import KEPT_SOURCE, KNOWN_NOTE, NOTHING, marked, percent, signed
from pipeline.reporting.page import pictures, plots
from pipeline.reporting.page.content import Card, Group, Plot, Predictions, judged_card
from pipeline.reporting.page.document import document
from pipeline.reporting.page.pictures import SetPictures, page_predictions, sample_rows
from pipeline.reporting.results import Evaluation, read_curve
from pipeline.reporting.target_tables import Verdict, gain, paired_gain, verdict
from pipeline.reporting.titles import dataset_title, losses_title, method_title, provenance_note, step_word


@dataclass(frozen=True)
class _Predicted:
    """The predictions of a target.

    Attributes:
        table: one row per picture of the store.
        of: the test rows, or all rows if there are no labels.
        rows: the rows of these that are shown.
    """

    table: pd.DataFrame
    of: Indices
    rows: Indices


def page(params: Params, evaluations: Sequence[Evaluation], source: SourceMetrics, tables: str, root: Path) -> str:
    """Return the page as HTML: tables, plots of every target and of the source model, predictions.

    In a clone without DVC's data, the page has no predictions and says so.

    Args:
        params: the parameters: source, targets, and whether pictures are shown.
        evaluations: the results, one per target.
        source: scores of the source model.
        tables: text of reports/tables.md without figures.
        root: root of the project.

    Raises:
        PipelineError: a curve is missing or damaged, a file does not match the crops, or pictures are to be shown and
            their crops are missing.
    """
    names = (params.source, *params.targets)
    stores = {name: _store(root / paths.crops(name), params.report.pictures) for name in names}
    for one in evaluations:
        _require_fit(one, stores, root)
    of_source = {row for one in evaluations for row in _embedded(one, of_target=False)}
    shown = pictures.set_pictures(
        dataset_title(params.source), params.source, stores[params.source], _copied(params, of_source)
    )
    found = [_target(params, one, stores[one.result.target], shown, root) for one in evaluations]
    groups = [*(group for group, _ in found), _source_model(source, root)]
    sheets = {
        one.sheet: pictures.sheet(store.images, one.cells)
        for one in (shown, *(target for _, target in found))
        if one.cells and (store := stores[one.sheet]) is not None
    }
    figure = plots.overview(evaluations, f" {DRAWN_MARK}" if any(one.result.drawn for one in evaluations) else "")
    return document(tables, (root / paths.TABLES).parent, groups, sheets, figure, [protocol.TITLE])


def _target(
    params: Params, evaluation: Evaluation, store: CropStore | None, source: SetPictures, root: Path
) -> tuple[Group, SetPictures]:
    """Return the group of one target, and its pictures."""
    result = evaluation.result
    path = root / paths.predictions(result.target)
    predicted = None if store is None or not path.is_file() else _predicted(path, result.target, store, root)
    rows = set() if predicted is None else set(predicted.rows.tolist())
    wanted = _copied(params, _embedded(evaluation, of_target=True) | rows)
    shown = pictures.set_pictures(dataset_title(result.target), result.target, store, wanted)
    mark = marked("", result)
    found: Predictions | None = None
    if predicted is not None and store is not None:
        what = "test pictures" if result.n_test else "pictures, none with a label"
        found = page_predictions(predicted.table, store.labels(), predicted.rows, predicted.of, what, shown)
    group = Group(
        name=result.target,
        title=f"{source.title} → {shown.title}",
        mark=mark,
        note=_note(result),
        plots=[
            *plots.of_target(evaluation, mark, source, shown),
            *_training(evaluation, mark),
        ],
        card=_card(result),
        predictions=found,
        missing=f"{path} or its crops are not here; dvc pull or dvc repro makes them.",
    )
    return group, shown


def _note(result: Result) -> str:
    """Return the remark on all numbers of a target."""
    drawn = provenance_note(result)
    notes = [f"{DRAWN_MARK} {drawn}: not comparable with results on the real sets."] if drawn else []
    if result.split.protocol.classes is not None:
        notes.append(KNOWN_NOTE)
    return " ".join(notes)


def _card(result: Result) -> Card:
    """Return the card of a target: accuracies, gain and verdict; without labels, label-free scores."""
    if not result.adapts:
        numbers = [("DT", percent(result.before.accuracy, result) + " %")] if result.before else []
        return Card(numbers, "not adapted: direct transfer", "open")
    if result.before is None or result.after is None:
        return judged_card([("labels", NOTHING)], result.unlabelled, result.kept_source_model)
    found, points = paired_gain(result), gain(result)
    assert points is not None
    numbers = [
        ("before: DT", percent(result.before.accuracy, result) + " %"),
        (f"after: {method_title(result)}", percent(result.after.accuracy, result) + " %"),
        ("difference", f"{marked(signed(points), result)} points"),
    ]
    if found is not None:
        numbers.append(("95 % interval", f"[{signed(found.accuracy.low)}, {signed(found.accuracy.high)}]"))
    numbers += _test_part(result)
    if result.kept_source_model:
        return Card(numbers, KEPT_SOURCE, "open")
    said = verdict(result)
    if said is Verdict.OPEN:
        why = "there is no interval" if found is None else "the interval contains 0"
        return Card(numbers, f"{said}: {why}", "open")
    return Card(numbers, str(said), "good" if said is Verdict.BETTER else "bad")


def _test_part(result: Result) -> list[tuple[str, str]]:
    """Describe the test rows: pictures, subjects, and whether the model was adapted to the same pictures."""
    numbers = [("test pictures", f"{result.n_test:,}")]
    if result.tested is not None and result.tested.unit == "subject":
        numbers.append(("subjects", f"{len(set(result.tested.units)):,}"))
    if shared := result.split.test_in_train.picture:
        numbers.append(("adapted on its test pictures", "yes" if shared == result.n_test else f"{shared:,} of them"))
    return [(name, marked(number, result)) for name, number in numbers]


def _training(evaluation: Evaluation, mark: str) -> list[Plot]:
    """Return the curves of an adaptation; accuracies, which need labels, are a separate plot."""
    result, training, note = evaluation.result, evaluation.training, ramp_note(evaluation.result.method)
    return [
        *plots.losses("adaptation", losses_title(bool(result.candidates)), training.losses, mark, note),
        *plots.accuracy_by_step(training.accuracy, mark, step_word(result)),
    ]


def _source_model(source: SourceMetrics, root: Path) -> Group:
    """Return the curves of stage 1 and of the source prototypes."""
    drawn = source.provenance == "stand-in"
    mark = f" {DRAWN_MARK}" if drawn else ""
    found = [
        plot
        for name, title in (("pretrain", "Stage 1"), ("prototypes", "Source prototypes"))
        for plot in plots.losses(
            name,
            f"{title} by epoch",
            read_curve(root / paths.curve(name), f"dvc repro {name}"),
            mark,
        )
    ]
    note = f"{DRAWN_MARK} drawn stand-ins: not comparable with results on the real sets." if drawn else ""
    title = f"{dataset_title(source.dataset)}: training of the source model"
    return Group(source.dataset, title, mark, note, found, missing="Choose a target to see its predictions.")


def _copied(params: Params, rows: set[int]) -> list[int]:
    """Return the rows whose pictures are copied into the page."""
    return sorted(rows) if params.report.pictures else []


def _embedded(evaluation: Evaluation, of_target: bool) -> set[int]:
    embeddings = evaluation.tsne.values()
    return {row for one in embeddings for row in one.row[one.target == of_target].tolist()}


def _require_fit(evaluation: Evaluation, stores: Mapping[str, CropStore | None], root: Path) -> None:
    """Check that the pictures of t-SNE are in the stores, if these are available.

    Raises:
        PipelineError: they are not.
    """
    target = evaluation.result.target
    for name, of_target in ((evaluation.result.source, False), (target, True)):
        store = stores[name]
        if store is not None and max(_embedded(evaluation, of_target), default=-1) >= len(store.images):
            path = root / paths.evaluation_table(target, "tsne")
            raise PipelineError(f"{path}: of other pictures than {store.folder}; run dvc repro evaluate@{target}")


def _store(folder: Path, needed: bool) -> CropStore | None:
    """Open the crops; None if they are not available and no pictures are shown."""
    return CropStore.open(folder) if needed or folder.is_dir() else None


def _predicted(path: Path, target: str, store: CropStore, root: Path) -> _Predicted:
    """Read the predictions of the test rows, or of all rows if there are no labels.

    Raises:
        PipelineError: the file is damaged or does not match the store, or the split is missing.
    """
    types = {"picture": "string", "expression": "string", "confidence": "float64"}
    table = read_csv(path, usecols=list(types), dtype=types, keep_default_na=False)
    if not table["expression"].isin(EXPRESSIONS).all():
        raise PipelineError(f"{path}: damaged (an unknown expression); run dvc repro evaluate@{target}")
    if table["picture"].tolist() != store.samples["key"].tolist():
        raise PipelineError(f"{path}: of other pictures than {store.folder}; run dvc repro evaluate@{target}")
    test = read_split(root / paths.split(target)).test
    of = test if len(test) else np.arange(len(table), dtype=np.int64)
    return _Predicted(table, of, sample_rows(of))
