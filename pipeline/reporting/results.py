"""Reading and checking the results of all targets. The report depends only on these files.

Paths are those of ``pipeline.config.paths``, below the project's root.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.config import paths
from pipeline.config.schema import Params
from pipeline.errors import DamagedFileError, PipelineError
from pipeline.evaluation.records import Result, SourceMetrics, SourceReport
from pipeline.files.io import read_csv
from pipeline.files.records import read_record
from pipeline.labels import NUM_CLASSES

Stage = Literal["before", "after"]


@dataclass(frozen=True)
class Embedding:
    """t-SNE points of one stage.

    Attributes:
        points: n×2 float64.
        row: row of each picture in the crop store of its set, n int64.
        label: n int64; -1: none.
        target: whether a picture is of the target, n bool.
    """

    points: NDArray[np.float64]
    row: NDArray[np.int64]
    label: NDArray[np.int64]
    target: NDArray[np.bool_]


@dataclass(frozen=True)
class Training:
    """The curves of an adaptation; each table has a column ``epoch``.

    Attributes:
        losses: losses from epoch 1.
        validations: validators' values from epoch 0, the source model; one column per validator.
        accuracy: accuracies on the test rows from epoch 0; empty if the target has no labels.
    """

    losses: pd.DataFrame
    validations: pd.DataFrame
    accuracy: pd.DataFrame


@dataclass(frozen=True)
class Evaluation:
    """All results of one target.

    Attributes:
        result: the content of result.json.
        tsne: t-SNE points by stage; without ``after`` if nothing was adapted.
        reliability: bins of the adapted model's confidence (``pipeline.evaluation.calibration.bins``), unscaled and
            ``scaled``; empty if the target has no labels.
        training: the curves.
    """

    result: Result
    tsne: dict[Stage, Embedding]
    reliability: pd.DataFrame
    training: Training


def load_evaluations(params: Params, root: Path) -> list[Evaluation]:
    """Read the results of all targets, in the order of ``params``.

    Args:
        params: the parameters, which name the targets.
        root: root of the project.

    Raises:
        PipelineError: a file is missing, damaged or of another target, or targets have different configurations.
    """
    evaluations = [_load_evaluation(target, root) for target in params.targets]
    _refuse_mixture([evaluation.result for evaluation in evaluations], root)
    return evaluations


def load_source(params: Params, root: Path) -> SourceMetrics:
    """Read the source's own test metrics.

    Args:
        params: the parameters, which name the source.
        root: root of the project.

    Raises:
        PipelineError: reports/source.json is missing, damaged or of another source.
    """
    path = root / paths.SOURCE_REPORT
    source = read_record(SourceReport, path, "dvc repro prototypes").source
    if source.dataset != params.source:
        raise PipelineError(f"{path}: dataset: {source.dataset!r}, but source is {params.source!r}; run dvc repro")
    return source


def _load_evaluation(target: str, root: Path) -> Evaluation:
    command = f"dvc repro evaluate@{target}"
    path = root / paths.result(target)
    result = read_record(Result, path, command)
    if result.target != target:
        raise PipelineError(f"{path}: target: {result.target!r}, expected {target!r}; run {command}")
    tsne = _read_tsne(root / paths.evaluation_table(target, "tsne"), command)
    reliability = _read_reliability(root / paths.evaluation_table(target, "reliability"), command)
    return Evaluation(result, tsne, reliability, _read_training(target, root))


def _read_training(target: str, root: Path) -> Training:
    adapt = f"dvc repro adapt@{target}"
    return Training(
        losses=read_curve(root / paths.curve(f"adapt-{target}"), adapt),
        validations=read_curve(root / paths.validations(target), adapt),
        accuracy=read_curve(root / paths.evaluation_table(target, "accuracy"), f"dvc repro evaluate@{target}"),
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
    """Return the t-SNE points of one stage of a tsne.csv."""
    return Embedding(
        points=rows[["x", "y"]].to_numpy(np.float64),
        row=rows["row"].to_numpy(np.int64),
        label=rows["label"].to_numpy(np.int64),
        target=(rows["domain"] == "target").to_numpy(bool),
    )


def _refuse_mixture(results: list[Result], root: Path) -> None:
    """Check that all results have the same configuration, because they share a row of a table."""
    first = results[0]
    for result in results[1:]:
        configuration = _configuration(result)
        for key, expected in _configuration(first).items():
            if (found := configuration.get(key)) != expected:
                path = root / paths.result(result.target)
                raise PipelineError(
                    f"{path}: {key} is {found!r}, but {expected!r} for {first.target}: "
                    f"these runs do not belong in one table; run dvc repro"
                )


def _configuration(result: Result) -> dict[str, object]:
    """Return all parameters except the target's own split, and the source's provenance."""
    shared = ("source", "method", "without", "backbone", "weights", "seed")
    own = f"split.{result.target}."
    return {
        **{key: getattr(result, key) for key in shared},
        **{f"epochs.{key}": value for key, value in result.epochs.model_dump().items()},
        "provenance.source": result.provenance.source,
        **{key: value for key, value in result.parameters.items() if not key.startswith(own)},
    }


def read_table(path: Path, command: str, **options: Any) -> pd.DataFrame:
    """Read a CSV file.

    Args:
        path: the CSV file.
        command: the command that creates it, for error messages.
        **options: options of ``pandas.read_csv``.

    Raises:
        PipelineError: the file is missing or damaged.
    """
    if not path.is_file():
        raise PipelineError(f"{path}: missing; run {command}")
    try:
        return read_csv(path, **options)
    except DamagedFileError as error:
        raise PipelineError(f"{path}: damaged ({error.__cause__}); run {command}") from None


def read_curve(path: Path, command: str) -> pd.DataFrame:
    """Read a numeric table with a column ``epoch``; it has no rows if nothing was trained.

    Args:
        path: the CSV file.
        command: the command that creates it, for error messages.

    Raises:
        PipelineError: the file is missing or damaged.
    """
    table = read_table(path, command, dtype="float64")
    if "epoch" not in table:
        raise PipelineError(f"{path}: damaged (no column epoch); run {command}")
    return table
