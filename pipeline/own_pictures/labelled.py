"""Choice of a model by a few labels of the user, by cross-validation, and an estimate of its accuracy."""

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
"""How strongly a fit is regularised towards the source model: in words, and as ``Weights.hold``."""

ENOUGH = 3.0
"""Mean number of labels per labelled class from which the strongly regularised fit is preferred. On trial targets it
lost accuracy with one label per class, and gained with five and ten (docs/results.md, "A few labels")."""

FOLDS = 5
REST = 1000
"""Maximum number of unlabelled pictures, and of source pictures, in a fit: more take longer and change little."""

TEMPERATURES = (0.05, 20.0)


@dataclass(frozen=True)
class Candidate:
    """A model among which the labels choose.

    Attributes:
        name: source, adapted or fit.
        title: description in words.
        hold: for a fit: strength of the regularisation towards the source model.
        probabilities: predictions for the labelled pictures, n×k; for a fit: by cross-validation.
        right: whether the prediction equals the label, n bool.
    """

    name: str
    title: str
    hold: float
    probabilities: NDArray[np.float64]
    right: NDArray[np.bool_]


@dataclass(frozen=True)
class Verdict:
    """The result of the cross-validation.

    Attributes:
        candidates: the candidates, in order of preference.
        chosen: index of the kept candidate.
        labels: labels of the labelled pictures, n int64.
        faceless: labels that are not used, because no face was found in their pictures.
        rule: the label-free rule that ordered the source model and the adapted one.
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
    """Chooses the model to keep by the user's labels; the argument ``conclude`` of ``pipeline.adaptation.adapt``.

    Attributes:
        given: the labels.
        keys: keys of the pictures in the crop store, in its order.
        faces: rows of the store in which a face was found, int64.
        source_model: a separate copy of the source model.
        title: title of the method.
        taken: what the encoder takes over from these pictures, in words; empty: nothing.
        rule: the label-free rule that decides whether the source model or the adapted one is preferred.
        seed: seed of the folds and of the pictures used in a fit.
        verdict: the result, set by the call.
    """

    given: Sequence[UserLabel]
    keys: Sequence[str]
    faces: NDArray[np.int64]
    source_model: PrototypeClassifier
    title: str
    taken: str
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
        """The class of each labelled picture, by its row in the store."""
        return dict(zip(self.rows.tolist(), self.labels.tolist(), strict=True))

    def __call__(self, method: Method | Search) -> Final:
        """Compare the source model, the adapted model and fits to the labels, and return one."""
        device = method.target.inputs.device
        plain = self.source_model.to(device).eval()
        swap_encoder(plain, GivenFeatures(plain.network.encoder.dim))
        work = _Fits(plain, method, torch.from_numpy(self.rows), torch.from_numpy(self.labels), self.seed)
        start = f"with {self.taken}" if self.taken else "as it is"
        found = [self._candidate("source", f"the source model {start}", 0.0, work.predicted(plain))]
        if method.kept_epoch > 0:  # otherwise the method has kept the source model as well
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
            model.statistics = None  # they do not describe z of the fitted g
        epoch = {"kept_epoch": 0} if kept.name == "source" else {}
        return Final(model, dict(model.named_children()), temperature, {"labels": said, **epoch})


def in_order(unlabelled: Sequence[Candidate], fits: Sequence[Candidate], labels: NDArray[np.int64]) -> list[Candidate]:
    """Return candidates in order of preference: with ``ENOUGH`` labels per class, the first fit comes first.

    Args:
        unlabelled: the models that were not fitted to labels, in the order of the label-free rule.
        fits: the fits, the most strongly regularised first.
        labels: labels of the labelled pictures, n int64.
    """
    leading = 1 if len(labels) >= ENOUGH * len(np.unique(labels)) else 0
    return [*fits[:leading], *unlabelled, *fits[leading:]]


class _Fits:
    """Fits models to subsets of the labels, and predicts the labelled pictures."""

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
        """Return a model fitted to all stored views of the labelled pictures at ``places``."""
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
        """Return a model's predictions for the evaluation views of the labelled pictures, n×k."""
        found: NDArray[np.float64] = model.eval().embed(self._views[:, 0])[1].double().cpu().numpy()
        return found


def _drawn(rows: Tensor, generator: torch.Generator) -> Tensor:
    return rows[torch.randperm(len(rows), generator=generator)[:REST]]


def _features(inputs: NetworkInputs, rows: Tensor) -> Tensor:
    """Return the features of the evaluation views of ``rows``."""
    return inputs.evaluation_view(inputs.batch(rows), 1.0) if len(rows) else inputs.empty_batch()


def _prefers_adapted(rule: str, method: Method | Search) -> bool:
    """Return whether the label-free rule prefers the adapted model to the source model."""
    if isinstance(method, Search):
        return method.kept_epoch > 0
    validator = chooser(rule)
    return validator is None or best_epoch(validator, [said[rule] for said in method.validations]) > 0


def matching_temperature(p: NDArray[np.float64], confidence: float) -> float:
    """Find the temperature at which the mean of the highest probabilities is ``confidence``, by bisection.

    Args:
        p: probabilities, n×k.
        confidence: the wanted mean, such as (right + 1) / (n + 2), the rule of succession.

    Returns:
        The temperature, limited to ``TEMPERATURES``.
    """
    low, high = np.log(TEMPERATURES)
    for _ in range(50):
        middle = 0.5 * (low + high)
        if rescaled(p, float(np.exp(middle))).max(axis=1).mean() > confidence:
            low = middle
        else:
            high = middle
    return float(np.exp(0.5 * (low + high)))
