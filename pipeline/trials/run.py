"""A method on a suite of trial targets: the head adapted to each, scored by the true labels."""

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
from pipeline.config.methods import AdaptParams
from pipeline.data.batches import DeviceFeatures
from pipeline.data.prepared import PreparedData
from pipeline.errors import DatasetError, DivergedError, ParamsError
from pipeline.evaluation.scores import score
from pipeline.methods import Method, SourceDomain, TargetDomain, implementation
from pipeline.networks.features import FeatureRequest, GivenFeatures, source_rows, swap_encoder
from pipeline.networks.network import PrototypeClassifier
from pipeline.networks.trained import TrainedModel
from pipeline.progress import progress_bar, say
from pipeline.training import loop
from pipeline.trials.camera import Camera
from pipeline.trials.suite import Case, Suite, cases

WORSE = 0.005
"""A target is counted as harmed where balanced accuracy falls by more than this."""

ADAPTED, DIVERGED, MISSING = "adapted", "diverged", "missing"
"""How a target ends; missing: it has not been run yet."""


@dataclass(frozen=True, eq=False)
class Trials:
    """A suite for one source model.

    Attributes:
        trained: the source model.
        source: its source; its test part is what the targets are made of.
        suite: the targets.
        folder: where features are kept, which later runs read.
        seed: of the targets and of each adaptation.
        team: the process that computes.
        known_classes: whether nothing is predicted but the expressions that occur in a target.
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
            params: of the method; what it ``trains`` is the head, whatever they say.
            keep: is given all rows after each target, so that an interruption costs none of those that are done; the
                outcome of the others is ``missing``.

        Returns:
            A row a target: camera, shares, draw, pictures, outcome (adapted or diverged), accuracy and balanced
            accuracy of direct transfer and of the epoch that ``params.choose`` keeps, and that epoch. What a target
            whose adaptation has diverged lacks is NaN; the others go on.

        Raises:
            DatasetError: the source's test part has no labels.
            ParamsError: a search is asked for.
            DivergedError: what the source model itself predicts is not finite.
        """
        rows, found = [_named(case, MISSING) for case in self.drawn], pd.DataFrame()
        for place, (case, method) in enumerate(self._methods(params)):
            rows[place] = _row(case, method, self._adapt(method, case), self.labels[case.rows])
            found = pd.DataFrame(rows).astype({"accuracy": float, "balanced": float, "kept_epoch": "Int64"})
            keep(found)
        return found

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """Of the pictures that the targets are drawn from, the source's test part, in its order."""
        return self.source.store.labels()[self.source.split.test]

    @cached_property
    def drawn(self) -> list[Case]:
        """The targets.

        Raises:
            DatasetError: the source's test part has no labels.
        """
        if not (self.labels >= 0).any():
            raise DatasetError(f"{self.source.name}: no picture of its test part has a label: nothing could be scored")
        return list(cases(self.suite, self.labels, self.seed))

    def adaptations(self, params: AdaptParams) -> Iterator[tuple[Case, Method]]:
        """Adapt the head to every target, one after the other.

        Args:
            params: as of ``run``.

        Yields:
            The target, and the method after its last epoch, which has predicted the target's pictures.

        Raises:
            DatasetError: the source's test part has no labels.
            ParamsError: a search is asked for.
            TrainingError: an adaptation failed.
        """
        for case, method in self._methods(params):
            self._train(method)
            yield case, method

    def _methods(self, params: AdaptParams) -> Iterator[tuple[Case, Method]]:
        """The method before its training, for every target."""
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
        """Train a method on a target to the last epoch; returns how that ended."""
        try:
            self._train(method)
        except DivergedError as error:
            if not method.predictions:  # the source model's own: every other target would end alike
                raise
            say(f"{case.camera}, {case.shares}, draw {case.draw}: {DIVERGED}: {error}")
            return DIVERGED
        return ADAPTED

    def _features(self, params: AdaptParams) -> tuple[DeviceFeatures, dict[str, DeviceFeatures]]:
        """Compute the features of the source and of its test part through every camera, unless they are there."""
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
        """The source model without f: it takes features."""
        encoder = self._model().network.encoder
        head = copy.deepcopy(self._model(), {id(encoder): encoder})
        swap_encoder(head, GivenFeatures(encoder.dim))
        return head

    def _model(self) -> PrototypeClassifier:
        model = self.trained.model
        assert isinstance(model, PrototypeClassifier)
        return model


def _named(case: Case, outcome: str) -> dict[str, str | int | float | None]:
    """Which target, and how it ended."""
    return {
        "camera": case.camera,
        "shares": case.shares,
        "draw": case.draw,
        "pictures": len(case.rows),
        "outcome": outcome,
    }


def _row(case: Case, method: Method, outcome: str, labels: NDArray[np.int64]) -> dict[str, str | int | float | None]:
    """What a target came to; of one that has diverged nothing but direct transfer is known."""
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
    """Some crops as a camera shows them: uint8 n×112×112×3. Each picture's draw depends on its row alone."""
    shown = np.empty((len(rows), *images.shape[1:]), np.uint8)
    for place, row in enumerate(rows):
        shown[place] = camera.show(images[row], np.random.default_rng([seed, int(row)]))
    return shown


def summary(found: pd.DataFrame) -> Iterator[str]:
    """Lines that say what a suite came to, in per cent: all of it, by camera and by shares.

    Direct transfer is of all targets, gains are of those that have not diverged.
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
