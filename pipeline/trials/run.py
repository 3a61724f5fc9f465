"""Runs of a method on a suite of trial targets: adapt the head to each target and score it by the known labels."""

import copy
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from pipeline.compute.team import Team
from pipeline.config.learning import UNCHANGED
from pipeline.config.methods import AdaptParams
from pipeline.data.batches import DeviceFeatures
from pipeline.data.prepared import PreparedData
from pipeline.errors import DatasetError, DivergedError, ParamsError
from pipeline.evaluation.scores import score
from pipeline.methods import Method, SourceDomain, TargetDomain, implementation
from pipeline.networks.encoder_statistics import StatisticsChoice
from pipeline.networks.feature_files import read_choice
from pipeline.networks.features import FeatureRequest, GivenFeatures, source_rows, swap_encoder
from pipeline.networks.inference import classify
from pipeline.networks.network import Encoder, PrototypeClassifier
from pipeline.networks.source_pictures import SourcePictures
from pipeline.networks.trained import TrainedModel
from pipeline.progress import progress_bar, say
from pipeline.training import loop
from pipeline.trials.camera import Camera
from pipeline.trials.suite import Case, Suite, cases

WORSE = 0.005
"""A target counts as harmed if balanced accuracy falls by more than this."""

TABLE_BEGINS = b"camera,shares,draw,"
"""The first columns of the table, as its file begins."""

ADAPTED, DIVERGED, MISSING = "adapted", "diverged", "missing"
"""Outcomes of a target; missing: it has not been run yet."""


@dataclass(frozen=True, eq=False)
class Trial:
    """One target.

    Attributes:
        case: its pictures.
        method: the untrained method.
        direct: classes predicted by direct transfer, int64.
        choice: what the encoder takes over from the target.
    """

    case: Case
    method: Method
    direct: NDArray[np.int64]
    choice: StatisticsChoice


@dataclass(frozen=True, eq=False)
class Trials:
    """A suite for one source model.

    Attributes:
        trained: the source model.
        source: its source data; targets are made from the test rows.
        suite: the suite.
        folder: folder of the features, which later runs reuse.
        seed: seed of the targets and of each adaptation.
        team: the process that computes.
        known_classes: predict only the expressions that occur in a target.
    """

    trained: TrainedModel
    source: PreparedData
    suite: Suite
    folder: Path
    seed: int
    team: Team
    known_classes: bool = False

    def run(self, params: AdaptParams, keep: Callable[[pd.DataFrame], None] = lambda _: None) -> pd.DataFrame:
        """Adapt the head to every target.

        Args:
            params: parameters of the method; ``trains`` is always set to head.
            keep: called after each target with all rows so far, to save them; targets not run yet have the outcome
                ``missing``.

        Returns:
            One row per target: camera, shares, draw, pictures, outcome (adapted or diverged), the statistics of the
            encoder, whether grey levels are matched and features restored, and accuracy and balanced accuracy of direct
            transfer (dt_), of direct transfer with the encoder changed in this way (start_) and of the epoch that
            ``params.choose`` keeps, and that epoch. After a diverged adaptation the latter are NaN, and the run
            continues.

        Raises:
            DatasetError: the source's test rows have no labels.
            ParamsError: ``params.search`` is set.
            DivergedError: predictions of the source model itself are not finite.
        """
        rows, found = [_named(case, MISSING) for case in self.drawn], pd.DataFrame()
        for place, trial in enumerate(self._trials(params)):
            rows[place] = _row(trial, self._adapt(trial), self.labels[trial.case.rows])
            found = pd.DataFrame(rows).astype({"accuracy": float, "balanced": float, "kept_epoch": "Int64"})
            keep(found)
        return found

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """The labels of the source's test rows, from which the targets are drawn."""
        return self.source.store.labels()[self.source.split.test]

    @cached_property
    def drawn(self) -> list[Case]:
        """The targets.

        Raises:
            DatasetError: the source's test rows have no labels.
        """
        if not (self.labels >= 0).any():
            raise DatasetError(f"{self.source.name}: no picture of its test part has a label: nothing could be scored")
        return list(cases(self.suite, self.labels, self.seed))

    def adaptations(self, params: AdaptParams) -> Iterator[tuple[Case, Method]]:
        """Adapt the head to every target, one after the other.

        Args:
            params: as in ``run``.

        Yields:
            The target, and the method after its last epoch and ``predict_target``.

        Raises:
            DatasetError: the source's test rows have no labels.
            ParamsError: ``params.search`` is set.
            TrainingError: an adaptation failed.
        """
        for trial in self._trials(params):
            self._train(trial.method)
            yield trial.case, trial.method

    def _trials(self, params: AdaptParams) -> Iterator[Trial]:
        """Yield every target with its untrained method."""
        drawn = self.drawn
        if params.search:
            raise ParamsError("adapt.search: trial targets try one configuration; set adapt.search: 0")
        params = params.model_copy(update={"trains": "head"})
        request = FeatureRequest.of_source(
            self._encoder, self.source, params.source_pictures, params.source_views, self.trained.augment
        )
        request.write(self.folder / "source", self.team.device)
        source = request.read(self.folder / "source", self.team.device)
        for case in progress_bar(drawn, desc=f"{params.title}, trial targets", unit="target"):
            yield self._trial(params, source, case)

    def _train(self, method: Method) -> None:
        loop.fit_silently(method, self.team.device)
        method.predict_target()

    def _adapt(self, trial: Trial) -> str:
        """Train the method to the last epoch; return the outcome."""
        case = trial.case
        try:
            self._train(trial.method)
        except DivergedError as error:
            if not trial.method.predictions:  # the source model's own predictions: all targets would fail
                raise
            say(f"{case.camera}, {case.shares}, draw {case.draw}: {DIVERGED}: {error}")
            return DIVERGED
        return ADAPTED

    def _trial(self, params: AdaptParams, source: DeviceFeatures, case: Case) -> Trial:
        """Compute the target's features, unless they exist already, and create its method."""
        device, data, augment = self.team.device, self.source, self.trained.augment
        shown = through(self.suite.cameras[case.camera], data.store.images, data.split.test[case.rows], self.seed)
        digest, every = hashlib.sha256(shown.tobytes()).hexdigest(), torch.arange(len(shown))
        request = FeatureRequest(
            encoder=self._encoder,
            name=f"{case.camera}-{case.shares}-{case.draw}",
            images=shown,
            crops=digest,
            rows=every,
            train_rows=every,
            views=params.target_views,
            augment=augment,
            rules=params.encoder_rules if params.adapts else UNCHANGED,
            model=self._model,
            source=SourcePictures.of(self.source),
        )
        folder = self.folder / request.name
        request.write(folder, device)
        head = copy.deepcopy(self.head)
        if self.known_classes:
            head.decision.restrict(np.unique(self.labels[case.rows]).tolist())
        head.to(device)
        direct = classify(head, request.read_by_source(folder, device), every, augment.eval_crop, show_progress=False)
        labelled = SourceDomain(source, source_rows(data, params.source_pictures), data.source_labels(), data.test_rows)
        target = TargetDomain(request.read(folder, device), every, every)
        torch.manual_seed(self.seed)
        method = implementation(params)(head, labelled, target, params, augment, self.seed, self.team)
        return Trial(case, method, direct[1].argmax(dim=1).cpu().numpy(), read_choice(folder))

    @cached_property
    def head(self) -> PrototypeClassifier:
        """The source model on features, without f."""
        head = copy.deepcopy(self._model, {id(self._encoder): self._encoder})
        swap_encoder(head, GivenFeatures(self._encoder.dim))
        return head

    @property
    def _encoder(self) -> Encoder:
        return self._model.network.encoder

    @property
    def _model(self) -> PrototypeClassifier:
        model = self.trained.model
        if not isinstance(model, PrototypeClassifier):
            raise ParamsError(f"{self.trained.name}: adapted already; name the source model that it was made from")
        return model


def _named(case: Case, outcome: str) -> dict[str, str | int | float | None]:
    """Return the columns that identify a target, and its outcome."""
    return {
        "camera": case.camera,
        "shares": case.shares,
        "draw": case.draw,
        "pictures": len(case.rows),
        "outcome": outcome,
    }


def _row(trial: Trial, outcome: str, labels: NDArray[np.int64]) -> dict[str, str | int | float | None]:
    """Return the row of a target; a diverged one has only the scores of direct transfer."""
    kept = trial.method.kept_epoch if outcome == ADAPTED else None
    before = score(labels, trial.direct)
    start = score(labels, trial.method.predictions[0].numpy().astype(np.int64))
    after = None if kept is None else score(labels, trial.method.predictions[kept].numpy().astype(np.int64))
    return {
        **_named(trial.case, outcome),
        "statistics": trial.choice.chosen,
        "matched": trial.choice.matched,
        "restored": trial.choice.restored,
        "dt_accuracy": before.accuracy,
        "dt_balanced": before.balanced_accuracy,
        "start_accuracy": start.accuracy,
        "start_balanced": start.balanced_accuracy,
        "accuracy": after.accuracy if after else None,
        "balanced": after.balanced_accuracy if after else None,
        "kept_epoch": kept,
    }


def through(camera: Camera, images: NDArray[np.uint8], rows: NDArray[np.int64], seed: int) -> NDArray[np.uint8]:
    """Return ``rows`` of crops as a camera shows them: uint8 n×112×112×3. Random numbers depend only on the row."""
    shown = np.empty((len(rows), *images.shape[1:]), np.uint8)
    for place, row in enumerate(rows):
        shown[place] = camera.show(images[row], np.random.default_rng([seed, int(row)]))
    return shown


def require_replaceable(out: Path) -> None:
    """Check that nothing but an earlier table of this command would be replaced.

    Raises:
        DatasetError: something else is there.
    """
    if out.is_dir():
        raise DatasetError(f"{out}: a folder; name a CSV file to write, such as {out / 'trials.csv'}")
    if out.exists():
        with out.open("rb") as file:
            if not file.readline().startswith(TABLE_BEGINS):
                raise DatasetError(f"{out}: exists already, and is no table of pocan trials; name another file")


def summary(found: pd.DataFrame) -> Iterator[str]:
    """Yield lines with the results of a suite, in per cent: overall, by camera and by shares.

    Direct transfer is averaged over all targets, gains over those that have not diverged.
    """
    yield _line("all", found)
    for column in ("camera", "shares"):
        for name, group in found.groupby(column, sort=False):
            yield _line(str(name), group)


def direct_transfer(found: pd.DataFrame) -> str:
    """Return the mean accuracy, and balanced accuracy in brackets, of direct transfer on some targets, in per cent."""
    return f"{100 * found.dt_accuracy.mean():.1f} ({100 * found.dt_balanced.mean():.1f})"


def _line(name: str, found: pd.DataFrame) -> str:
    transfer = f"direct transfer {direct_transfer(found)}"
    ended = found[found.outcome == ADAPTED]
    diverged = f"; diverged {len(found) - len(ended)}" if len(ended) < len(found) else ""
    if not len(ended):
        return f"{name:14} {transfer}{diverged} of {len(found)}"
    gain, balanced = ended.accuracy - ended.dt_accuracy, ended.balanced - ended.dt_balanced
    matched, restored = ended.matched.astype(bool), ended.restored.astype(bool)
    kept = ((ended.kept_epoch == 0) & (ended.statistics == "source") & ~matched & ~restored).sum()
    return (
        f"{name:14} {transfer}, gain {100 * gain.mean():+.1f} ({100 * balanced.mean():+.1f}), worst "
        f"{100 * balanced.min():+.1f}{diverged}; harmed {(balanced < -WORSE).sum()}, source model kept {kept}, "
        f"target's statistics {(ended.statistics == 'target').sum()}, grey levels matched {matched.sum()}, "
        f"features restored {restored.sum()} of {len(found)}"
    )
