"""The evaluation of one adaptation: its scores, and the record of them with everything that they depend on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.config import paths
from pipeline.config.dependencies import result_params
from pipeline.config.schema import Params
from pipeline.data.outcome import Outcome
from pipeline.data.prepared import PreparedData
from pipeline.evaluation import scorecard
from pipeline.evaluation.records import Epochs, ProvenancePair, Result
from pipeline.evaluation.scorecard import Scores
from pipeline.files.records import read_record
from pipeline.labels import EXPRESSIONS
from pipeline.splits.report import SplitReport


@dataclass(frozen=True)
class Origin:
    """Where a result was computed.

    Attributes:
        revision: the git commit; None outside git.
        experiment: the DVC experiment; None outside an experiment.
        run_id: the MLflow run; None if the adaptation has no run of its own.
    """

    revision: str | None
    experiment: str | None
    run_id: str | None


@dataclass(frozen=True)
class Evaluated:
    """The evaluation of one adaptation.

    Attributes:
        result: what was run on which data, and the scores. Reports read nothing else.
        scores: the scores by the target's labels; None if it has none.
        reliability: the reliability diagram's bins (``scorecard.calibration_scores``).
    """

    result: Result
    scores: Scores | None
    reliability: pd.DataFrame


def evaluate(
    settings: Params,
    source: PreparedData,
    target: PreparedData,
    outcome: Outcome,
    by_epoch: NDArray[np.uint8],
    validations: pd.DataFrame,
    model: Mapping[str, Any],
    origin: Origin,
) -> Evaluated:
    """Score the source model and the adapted model on the target's test rows.

    Args:
        settings: the parameters of the run.
        source: the source data.
        target: the target data.
        outcome: the predictions of both models.
        by_epoch: classes predicted for the test rows after 0, 1, … epochs, E×N_test; of a search by configuration.
        validations: the validators' values, one row for each row of ``by_epoch``.
        model: the content of the adapted model's JSON.
        origin: where the result was computed.

    Raises:
        DamagedFileError: the target's split report is missing or damaged.
    """
    scores = scorecard.score(target, outcome, by_epoch, settings.evaluate, settings.seed)
    source_labels, test = source.store.labels()[outcome.source.rows], target.split.test
    calibrated, reliability = scorecard.calibration_scores(
        outcome.after, model["temperature"], source_labels, test, target.store.labels()[test]
    )
    possible = [EXPRESSIONS.index(name) for name in settings.split[target.name].classes or EXPRESSIONS]
    unlabelled = scorecard.unlabelled_scores(outcome, source_labels, possible)
    if scores is not None:
        choices = scorecard.chosen_epochs(validations, scores.by_epoch, settings.adapt.search > 0)
        unlabelled = unlabelled.model_copy(update={"choices": choices})
    result = Result(
        source=settings.source,
        target=target.name,
        method=settings.adapt.method,
        adapts=settings.adapt.adapts,
        without=tuple(settings.adapt.left_out()),
        provenance=ProvenancePair(
            source=source.store.description["provenance"],
            target=target.store.description["provenance"],
        ),
        backbone=settings.model.backbone,
        weights=settings.model.weights,
        seed=settings.seed,
        epochs=Epochs(
            pretrain=settings.pretrain.epochs,
            prototypes=settings.prototypes.epochs,
            adapt=settings.adapt.passes,
        ),
        parameters=result_params(settings, target.name),
        kept_epoch=model["kept_epoch"],
        encoder_statistics=model["encoder_statistics"]["chosen"],
        histogram_matched=model["encoder_statistics"]["matched"],
        features_restored=model["encoder_statistics"]["restored"],
        candidates=tuple(scorecard.candidates(model.get("candidates", []), validations, scores)),
        own_share=model.get("own_share"),
        environment=model["environment"],
        split=read_record(SplitReport, paths.split_report(target.name), f"dvc repro split@{target.name}"),
        n_train=len(target.split.train),
        n_test=len(test),
        before=scores.before if scores else None,
        after=scores.after if scores else None,
        oracle=scores.oracle if scores else None,
        tested=scores.tested if scores else None,
        unlabelled=unlabelled,
        calibration=calibrated,
        revision=origin.revision,
        experiment=origin.experiment,
        run_id=origin.run_id,
    )
    return Evaluated(result, scores, reliability)
