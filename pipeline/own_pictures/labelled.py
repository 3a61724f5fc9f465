"""A few labels of the user's own: which model they speak for, found by cross-validation, and how good it is then."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from pipeline.adaptation import Final
from pipeline.data.batches import NetworkInputs
from pipeline.errors import DatasetError
from pipeline.labels import EXPRESSIONS, NUM_CLASSES
from pipeline.methods import Method
from pipeline.methods.few_labels import Evidence, Weights, first_of_the_best, fit, folds
from pipeline.networks.calibration import rescaled
from pipeline.networks.features import GivenFeatures, swap_encoder
from pipeline.networks.network import Classifier, PrototypeClassifier
from pipeline.own_pictures.user_labels import UserLabel
from pipeline.progress import progress_bar
from pipeline.search import Search
from pipeline.validators import best_epoch, chooser

STRENGTHS = {"firmly": 30.0, "freely": 1.0}
"""How a fit is held at the source model: in words, and as ``Weights.hold``."""

ENOUGH = 3.0
"""Labels a class, in the mean over the labelled classes, from which the firmly held fit is preferred. On trial targets
it lost accuracy with one label a class, and gained with five and ten (docs/results.md, "A few labels")."""

FOLDS = 5
REST = 1000
"""Pictures without a label, and of the source, that a fit looks at: more change its time and little else."""

TEMPERATURES = (0.05, 20.0)


@dataclass(frozen=True)
class Candidate:
    """A model that the labels may speak for.

    Attributes:
        name: source, adapted or fit.
        title: in words.
        hold: of a fit, how firmly it is held at the source model.
        probabilities: what it predicts of the labelled pictures, of a fit by the folds without them: n×k.
        right: whether the most probable class is the label, n bool.
    """

    name: str
    title: str
    hold: float
    probabilities: NDArray[np.float64]
    right: NDArray[np.bool_]


@dataclass(frozen=True)
class Verdict:
    """What cross-validation came to.

    Attributes:
        candidates: in the order of preference.
        chosen: the place of the one that is kept.
        labels: of the labelled pictures, n int64.
        faceless: labels that are not used, as no face was found in their pictures.
        rule: what put the first candidate first.
    """

    candidates: Sequence[Candidate]
    chosen: int
    labels: NDArray[np.int64]
    faceless: Sequence[str]
    rule: str

    @property
    def kept(self) -> Candidate:
        """The candidate whose model is kept."""
        return self.candidates[self.chosen]


@dataclass(eq=False)
class Labelled:
    """Ends an adaptation with the model that the user's labels speak for (``pipeline.adaptation.adapt``).

    Attributes:
        given: the labels.
        keys: of the pictures in the crop store, in its order.
        faces: rows of the store in which a face was found, int64.
        source_model: a copy of its own of the source model.
        title: of the method.
        own_statistics: whether the encoder has the target's statistics.
        rule: the label-free rule by which the source model or the adapted one comes first.
        seed: of the folds and of which pictures a fit looks at.
        verdict: what came out, after the call.
    """

    given: Sequence[UserLabel]
    keys: Sequence[str]
    faces: NDArray[np.int64]
    source_model: PrototypeClassifier
    title: str
    own_statistics: bool
    rule: str
    seed: int
    verdict: Verdict = field(init=False)

    def __post_init__(self) -> None:
        rows = {key: row for row, key in enumerate(self.keys)}
        seen = set(self.faces.tolist())
        used = [(rows[one.key], one) for one in self.given if rows.get(one.key) in seen]
        self._faceless = [one.place for one in self.given if rows.get(one.key) not in seen]
        self.rows = np.array([row for row, _ in used], np.int64)
        self.labels = np.array([one.label for _, one in used], np.int64)
        if len(np.unique(self.labels)) < 2:
            named = ", ".join(self._faceless[:3])
            raise DatasetError(f"{named}: no face was found there; so too few labels are left: label other pictures")

    @property
    def by_row(self) -> dict[int, int]:
        """The class of each labelled picture by its row."""
        return dict(zip(self.rows.tolist(), self.labels.tolist(), strict=True))

    def __call__(self, method: Method | Search) -> Final:
        """Compare the source model, what the method has adapted, and fits of the labels; keep one."""
        device = method.target.inputs.device
        plain = self.source_model.to(device).eval()
        swap_encoder(plain, GivenFeatures(plain.network.encoder.dim))
        work = _Fits(plain, method, torch.from_numpy(self.rows), torch.from_numpy(self.labels), self.seed)
        start = "with the statistics of your pictures" if self.own_statistics else "as it is"
        found = [self._candidate("source", f"the source model {start}", 0.0, work.predicted(plain))]
        if method.kept_epoch > 0:  # else the method, too, has kept the source model
            title = f"adapted by {self.title} without labels"
            adapted = self._candidate("adapted", title, 0.0, work.predicted(method.model))
            found.insert(0 if _prefers_adapted(self.rule, method) else 1, adapted)
        count = min(FOLDS, len(self.rows))
        parts = folds(self.labels, count, self.seed)
        bar: tqdm[Any] = progress_bar(total=count * len(STRENGTHS), desc="fit the labels", unit="fit")
        fits = []
        with bar:
            for words, hold in STRENGTHS.items():
                held_out = np.empty((len(self.rows), NUM_CLASSES))
                for part in range(count):
                    fitted = work.fitted(torch.from_numpy(np.flatnonzero(parts != part)), hold)
                    held_out[parts == part] = work.predicted(fitted)[parts == part]
                    bar.update()
                title = f"fitted to the labels, held {words} at the source model"
                fits.append(self._candidate("fit", title, hold, held_out))
        found = in_order(found, fits, self.labels)
        chosen = first_of_the_best([one.right for one in found])
        self.verdict = Verdict(found, chosen, self.labels, self._faceless, self.rule)
        return self._final(self.verdict.kept, work, plain, method)

    def _candidate(self, name: str, title: str, hold: float, probabilities: NDArray[np.float64]) -> Candidate:
        return Candidate(name, title, hold, probabilities, probabilities.argmax(axis=1) == self.labels)

    def _final(self, kept: Candidate, work: "_Fits", plain: PrototypeClassifier, method: Method | Search) -> Final:
        counts = np.bincount(self.labels, minlength=NUM_CLASSES).tolist()
        said: dict[str, Any] = {
            "kept": kept.name,
            "hold": kept.hold,
            "counts": dict(zip(EXPRESSIONS, counts, strict=True)),
            "right": int(kept.right.sum()),
        }
        right, n = int(kept.right.sum()), len(kept.right)
        temperature = matching_temperature(kept.probabilities, (right + 1) / (n + 2))
        if kept.name == "adapted":
            return Final(method.model, method.modules(), temperature, {"labels": said})
        model = plain if kept.name == "source" else work.fitted(torch.arange(len(self.rows)), kept.hold)
        if kept.name == "fit":
            model.statistics = None  # of another z than the fitted g makes
        epoch = {"kept_epoch": 0} if kept.name == "source" else {}
        return Final(model, dict(model.named_children()), temperature, {"labels": said, **epoch})


def in_order(unlabelled: Sequence[Candidate], fits: Sequence[Candidate], labels: NDArray[np.int64]) -> list[Candidate]:
    """Candidates in the order of preference: from ``ENOUGH`` labels a class on the first fit leads.

    Args:
        unlabelled: the models that no label has shaped, in the order of the label-free rule.
        fits: from the one that is held most firmly on.
        labels: of the labelled pictures, n int64.
    """
    leading = 1 if len(labels) >= ENOUGH * len(np.unique(labels)) else 0
    return [*fits[:leading], *unlabelled, *fits[leading:]]


class _Fits:
    """Fits of parts of the labels, and what a model predicts of the labelled pictures."""

    def __init__(
        self, plain: PrototypeClassifier, method: Method | Search, rows: Tensor, labels: Tensor, seed: int
    ) -> None:
        self._plain, device = plain, method.target.inputs.device
        generator = torch.Generator().manual_seed(seed)
        target, source = method.target, method.source
        self._views, self._labels = target.inputs.batch(rows), labels.to(device)
        others = target.train_rows[~torch.isin(target.train_rows, rows)]
        self._rest = _features(target.inputs, _drawn(others, generator))
        of_source = _drawn(source.rows, generator)
        self._source, self._source_labels = _features(source.inputs, of_source), source.labels[of_source].to(device)

    def fitted(self, places: Tensor, hold: float) -> PrototypeClassifier:
        """A model fitted on the labelled pictures at ``places``, all their stored views."""
        views, labels = self._views[places], self._labels[places]
        evidence = Evidence(
            views.flatten(0, 1),
            labels.repeat_interleave(views.shape[1]),
            self._rest,
            self._source,
            self._source_labels,
        )
        return fit(self._plain, evidence, Weights(hold=hold))

    @torch.no_grad()
    def predicted(self, model: Classifier) -> NDArray[np.float64]:
        """What a model predicts of the labelled pictures' evaluation views, n×k."""
        found: NDArray[np.float64] = model.eval().embed(self._views[:, 0])[1].double().cpu().numpy()
        return found


def _drawn(rows: Tensor, generator: torch.Generator) -> Tensor:
    return rows[torch.randperm(len(rows), generator=generator)[:REST]]


def _features(inputs: NetworkInputs, rows: Tensor) -> Tensor:
    """Features of the evaluation views of some pictures."""
    return inputs.evaluation_view(inputs.batch(rows), 1.0) if len(rows) else inputs.nothing()


def _prefers_adapted(rule: str, method: Method | Search) -> bool:
    """Whether the label-free rule would not keep the source model."""
    if isinstance(method, Search):
        return method.kept_epoch > 0
    validator = chooser(rule)
    return validator is None or best_epoch(validator, [said[rule] for said in method.validations]) > 0


def matching_temperature(p: NDArray[np.float64], confidence: float) -> float:
    """The temperature with which the mean of the highest probabilities is ``confidence``.

    Args:
        p: probabilities of pictures, n×k.
        confidence: a share, as (right + 1) / (n + 2), by the rule of succession.

    Returns:
        Within ``TEMPERATURES``: the nearer end where no temperature between does it.
    """
    low, high = np.log(TEMPERATURES)
    for _ in range(50):
        middle = 0.5 * (low + high)
        if rescaled(p, float(np.exp(middle))).max(axis=1).mean() > confidence:
            low = middle
        else:
            high = middle
    return float(np.exp(0.5 * (low + high)))
