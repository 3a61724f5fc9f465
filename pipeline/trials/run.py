"""Runs of a method on a suite of trial targets: adapt the head to each target and score it by the known labels."""

import copy
import hashlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from pipeline.compute.team import Team
from pipeline.config.methods import AdaptParams
from pipeline.data.batches import DeviceFeatures
from pipeline.data.prepared import PreparedData
from pipeline.errors import DatasetError, DivergedError, ParamsError
from pipeline.evaluation.scores import score
from pipeline.methods import Method, SourceDomain, TargetDomain, implementation
from pipeline.networks.features import FeatureRequest, GivenFeatures, source_rows, swap_encoder
from pipeline.networks.network import PrototypeClassifier
from pipeline.networks.trained import TrainedModel
from pipeline.progress import progress_bar
from pipeline.training import loop
from pipeline.trials.camera import Camera
from pipeline.trials.suite import Case, Suite, cases

WORSE = 0.005
"""A target counts as harmed if balanced accuracy falls by more than this."""

ADAPTED, DIVERGED, MISSING = "adapted", "diverged", "missing"
"""Outcomes of a target; missing: it has not been run yet."""


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
            One row per target: camera, shares, draw, pictures, outcome (adapted or diverged), accuracy and balanced
            accuracy of direct transfer and of the epoch that ``params.choose`` keeps, and that epoch. After a diverged
            adaptation the latter are NaN, and the run continues.

        Raises:
            DatasetError: the source's test rows have no labels.
            ParamsError: ``params.search`` is set.
            DivergedError: predictions of the source model itself are not finite.
        """
        rows, found = [_named(case, MISSING) for case in self.drawn], pd.DataFrame()
        for place, (case, method) in enumerate(self._methods(params)):
            rows[place] = _row(case, method, self._adapt(method, case), self.labels[case.rows])
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
        for case, method in self._methods(params):
            self._train(method)
            yield case, method

    def _methods(self, params: AdaptParams) -> Iterator[tuple[Case, Method]]:
        """Yield every target with its untrained method."""
        drawn = self.drawn
        if params.search:
            raise ParamsError("adapt.search: trial targets try one configuration; set adapt.search: 0")
        params = params.model_copy(update={"trains": "head"})
        source, targets = self._features(params)
        for case in progress_bar(drawn, desc=f"{params.title}, trial targets", unit="target"):
            yield case, self._method(params, source, targets[case.camera], case)

    def _train(self, method: Method) -> None:
        loop.fit_unseen(method, self.team.device)
        method.predict_target()

    def _adapt(self, method: Method, case: Case) -> str:
        """Train a method on a target to the last epoch; return the outcome."""
        try:
            self._train(method)
        except DivergedError as error:
            if not method.predictions:  # the source model's own predictions: all targets would fail
                raise
            tqdm.write(f"{case.camera}, {case.shares}, draw {case.draw}: {DIVERGED}: {error}", file=sys.stderr)
            return DIVERGED
        return ADAPTED

    def _features(self, params: AdaptParams) -> tuple[DeviceFeatures, dict[str, DeviceFeatures]]:
        """Compute features of the source, and of its test rows through every camera, unless they exist already."""
        device, augment, model = self.team.device, self.trained.augment, self._model()
        encoder, images, tested = model.network.encoder, self.source.store.images, self.source.split.test
        request = FeatureRequest.of_source(encoder, self.source, params.source_pictures, params.source_views, augment)
        request.write(self.folder / "source", device)
        source, targets = request.read(self.folder / "source", device), {}
        for name, camera in self.suite.cameras.items():
            shown = through(camera, images, tested, self.seed)
            digest = hashlib.sha256(shown.tobytes()).hexdigest()
            every = torch.arange(len(shown))
            request = FeatureRequest(encoder, name, shown, digest, every, every, params.target_views, augment)
            request.write(self.folder / name, device)
            targets[name] = request.read(self.folder / name, device)
        return source, targets

    def _method(self, params: AdaptParams, source: DeviceFeatures, target: DeviceFeatures, case: Case) -> Method:
        data, rows = self.source, torch.from_numpy(case.rows)
        labelled = SourceDomain(source, source_rows(data, params.source_pictures), data.source_labels(), data.test_rows)
        head = copy.deepcopy(self.head)
        if self.known_classes:
            head.decision.restrict(np.unique(self.labels[case.rows]).tolist())
        torch.manual_seed(self.seed)
        return implementation(params)(
            head,
            labelled,
            TargetDomain(target, rows, rows),
            params,
            self.trained.augment,
            self.seed,
            self.team,
        )

    @cached_property
    def head(self) -> PrototypeClassifier:
        """The source model on features, without f."""
        encoder = self._model().network.encoder
        head = copy.deepcopy(self._model(), {id(encoder): encoder})
        swap_encoder(head, GivenFeatures(encoder.dim))
        return head

    def _model(self) -> PrototypeClassifier:
        model = self.trained.model
        assert isinstance(model, PrototypeClassifier)
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


def _row(case: Case, method: Method, outcome: str, labels: NDArray[np.int64]) -> dict[str, str | int | float | None]:
    """Return the row of a target; a diverged one has only the scores of direct transfer."""
    kept = method.kept_epoch if outcome == ADAPTED else None
    before = score(labels, method.predictions[0].numpy().astype(np.int64))
    after = None if kept is None else score(labels, method.predictions[kept].numpy().astype(np.int64))
    return {
        **_named(case, outcome),
        "dt_accuracy": before.accuracy,
        "dt_balanced": before.balanced_accuracy,
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


def summary(found: pd.DataFrame) -> Iterator[str]:
    """Yield lines with the results of a suite, in per cent: overall, by camera and by shares.

    Direct transfer is averaged over all targets, gains over those that have not diverged.
    """
    yield _line("all", found)
    for column in ("camera", "shares"):
        for name, group in found.groupby(column, sort=False):
            yield _line(str(name), group)


def _line(name: str, found: pd.DataFrame) -> str:
    transfer = f"direct transfer {100 * found.dt_accuracy.mean():.1f} ({100 * found.dt_balanced.mean():.1f})"
    ended = found[found.outcome == ADAPTED]
    diverged = f"; diverged {len(found) - len(ended)}" if len(ended) < len(found) else ""
    if not len(ended):
        return f"{name:14} {transfer}{diverged} of {len(found)}"
    gain, balanced = ended.accuracy - ended.dt_accuracy, ended.balanced - ended.dt_balanced
    harmed, kept = (balanced < -WORSE).sum(), (ended.kept_epoch == 0).sum()
    return (
        f"{name:14} {transfer}, gain {100 * gain.mean():+.1f} ({100 * balanced.mean():+.1f}), worst "
        f"{100 * balanced.min():+.1f}{diverged}; harmed {harmed}, source model kept {kept} of {len(found)}"
    )
