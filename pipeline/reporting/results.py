"""What was written of every target, read back and checked: the report is a function of these files alone.

``reports/evaluate/<target>/result.json``      metrics of one target before and after adaptation
``reports/evaluate/<target>/tsne.csv``         points of its t-SNE embedding
``reports/evaluate/<target>/reliability.csv``  bins of the adapted model's confidence
``reports/evaluate/<target>/accuracy.csv``     accuracy on the test part by epoch
``reports/curves/adapt-<target>.csv``          losses by epoch
``reports/validations/<target>.csv``           what is said of every epoch without labels
``reports/source.json``                        metrics of the source model on the source's own test part
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.config.schema import Params
from pipeline.errors import DamagedFileError, PipelineError
from pipeline.evaluation.records import Result, SourceMetrics, SourceReport, parse
from pipeline.files.io import read_csv
from pipeline.labels import NUM_CLASSES

Stage = Literal["before", "after"]


@dataclass(frozen=True)
class Embedding:
    """t-SNE points of one stage: ``points`` float64 (n, 2), ``label`` int64 (n,) with -1 for none, ``target`` bool.

    row: int64 (n,), each picture's place in the crop store of its set.
    """

    points: NDArray[np.float64]
    row: NDArray[np.int64]
    label: NDArray[np.int64]
    target: NDArray[np.bool_]


@dataclass(frozen=True)
class Training:
    """What was written of an adaptation by epoch; each table has a column ``epoch``.

    losses: from epoch 1. validations: a column a validator. accuracy: on the test part. The last two from epoch 0, the
    source model; accuracy has no row where the target has no labels.
    """

    losses: pd.DataFrame
    validations: pd.DataFrame
    accuracy: pd.DataFrame


@dataclass(frozen=True)
class Evaluation:
    """Everything the report knows of one target. ``tsne`` has no ``after`` where nothing was adapted.

    reliability: the bins of the adapted model's confidence (``pipeline.evaluation.calibration.bins``), as it is and
    ``scaled``; empty where the target has no labels.
    """

    result: Result
    tsne: dict[Stage, Embedding]
    reliability: pd.DataFrame
    training: Training


def load_evaluations(params: Params, reports: Path) -> list[Evaluation]:
    """Read the results of every target of ``params``, in its order.

    Raises:
        PipelineError: a file is missing or damaged, belongs to another target, or two targets were run differently.
    """
    evaluations = [_load_evaluation(target, reports) for target in params.targets]
    _refuse_mixture([evaluation.result for evaluation in evaluations], reports)
    return evaluations


def load_source(params: Params, reports: Path) -> SourceMetrics:
    """Read the source's own test metrics.

    Raises:
        PipelineError: reports/source.json is missing, damaged or belongs to another source.
    """
    path = reports / "source.json"
    source = parse(SourceReport, path, "dvc repro prototypes").source
    if source.dataset != params.source:
        raise PipelineError(f"{path}: dataset: {source.dataset!r}, but source is {params.source!r}; run dvc repro")
    return source


def _load_evaluation(target: str, reports: Path) -> Evaluation:
    folder, command = reports / "evaluate" / target, f"dvc repro evaluate@{target}"
    path = folder / "result.json"
    result = parse(Result, path, command)
    if result.target != target:
        raise PipelineError(f"{path}: target: {result.target!r}, expected {target!r}; run {command}")
    tsne, reliability = _read_tsne(folder / "tsne.csv", command), _read_reliability(folder / "reliability.csv", command)
    return Evaluation(result, tsne, reliability, _read_training(target, reports))


def _read_training(target: str, reports: Path) -> Training:
    adapt = f"dvc repro adapt@{target}"
    return Training(
        losses=read_curve(reports / "curves" / f"adapt-{target}.csv", adapt),
        validations=read_curve(reports / "validations" / f"{target}.csv", adapt),
        accuracy=read_curve(reports / "evaluate" / target / "accuracy.csv", f"dvc repro evaluate@{target}"),
    )


def _read_reliability(path: Path, command: str) -> pd.DataFrame:
    types = {"scaled": "bool", "count": "int64", "confidence": "float64", "accuracy": "float64"}
    table = read_table(path, command, usecols=list(types), dtype=types)
    shares, counts = table[["confidence", "accuracy"]].to_numpy(np.float64), table["count"].to_numpy(np.int64)
    if not (((shares >= 0) & (shares <= 1)).all() and (counts > 0).all()):
        raise PipelineError(f"{path}: value out of range; run {command}")
    return table


def _read_tsne(path: Path, command: str) -> dict[Stage, Embedding]:
    types = {"stage": "string", "domain": "string", "row": "int64", "label": "int64", "x": "float64", "y": "float64"}
    table = read_table(path, command, usecols=list(types), dtype=types)
    sound = (
        table["stage"].isin(["before", "after"])
        & table["domain"].isin(["source", "target"])
        & table["label"].between(-1, NUM_CLASSES - 1)
        & (table["row"] >= 0)
    ).to_numpy(bool) & np.isfinite(table[["x", "y"]].to_numpy(np.float64)).all(axis=1)
    if not sound.all():
        raise PipelineError(f"{path}: line {int(np.argmin(sound)) + 2}: value out of range; run {command}")
    stages: tuple[Stage, ...] = ("before", "after")
    tsne = {stage: embedding(rows) for stage in stages if len(rows := table[table["stage"] == stage])}
    if "before" not in tsne:
        raise PipelineError(f"{path}: no point of stage before; run {command}")
    return tsne


def embedding(rows: pd.DataFrame) -> Embedding:
    """The rows of one stage of a tsne.csv."""
    return Embedding(
        points=rows[["x", "y"]].to_numpy(np.float64),
        row=rows["row"].to_numpy(np.int64),
        label=rows["label"].to_numpy(np.int64),
        target=(rows["domain"] == "target").to_numpy(bool),
    )


def _refuse_mixture(results: list[Result], reports: Path) -> None:
    """One row of a table is one configuration: results of different ones must not share it."""
    first = results[0]
    for result in results[1:]:
        configuration = _configuration(result)
        for key, expected in _configuration(first).items():
            if (found := configuration.get(key)) != expected:
                path = reports / "evaluate" / result.target / "result.json"
                raise PipelineError(
                    f"{path}: {key} is {found!r}, but {expected!r} for {first.target}: "
                    f"these runs do not belong in one table; run dvc repro"
                )


def _configuration(result: Result) -> dict[str, object]:
    """What was run, by every parameter but the target's own division, and whether the source is drawn."""
    shared = ("source", "method", "without", "backbone", "weights", "seed")
    own = f"split.{result.target}."
    return {
        **{key: getattr(result, key) for key in shared},
        **{f"epochs.{key}": value for key, value in result.epochs.model_dump().items()},
        "provenance.source": result.provenance.source,
        **{key: value for key, value in result.parameters.items() if not key.startswith(own)},
    }


def read_table(path: Path, command: str, **options: Any) -> pd.DataFrame:
    """The table at ``path``; ``command`` makes it. options: of pandas.

    Raises:
        PipelineError: it is missing or damaged.
    """
    if not path.is_file():
        raise PipelineError(f"{path}: missing; run {command}")
    try:
        return read_csv(path, **options)
    except DamagedFileError as error:
        raise PipelineError(f"{path}: damaged ({error.__cause__}); run {command}") from None


def read_curve(path: Path, command: str) -> pd.DataFrame:
    """A table with a column ``epoch``, all of numbers; without rows where nothing was trained.

    Raises:
        PipelineError: it is missing or damaged; ``command`` makes it.
    """
    table = read_table(path, command, dtype="float64")
    if "epoch" not in table:
        raise PipelineError(f"{path}: damaged (no column epoch); run {command}")
    return table
