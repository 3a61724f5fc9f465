"""Which pictures to label next: those that tell most, balanced over the classes, as a list and as a page of faces."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from string import Template

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from pipeline.data.crops import CropStore
from pipeline.labels import EXPRESSIONS, NUM_CLASSES
from pipeline.prediction.picture_table import EXPRESSION, PICTURE
from pipeline.reporting.page.document import embedded, head

COUNT = 70
"""Pictures in the list: ten a class, where there are so many."""

QUALITY = 85
"""Of the JPEG copies on the page."""


@dataclass(frozen=True)
class LabelQuery:
    """A picture whose label is asked for: a query of active learning.

    Attributes:
        row: in the crop store.
        first: the class that is predicted.
        second: the next probable.
        confidence: the probability of the first.
    """

    row: int
    first: int
    second: int
    confidence: float


def most_telling(
    rows: NDArray[np.int64],
    probabilities: NDArray[np.floating],
    z: NDArray[np.floating],
    labels: Mapping[int, int],
    count: int = COUNT,
) -> list[LabelQuery]:
    """Order pictures by how much their label tells.

    In turn the class with the fewest labels, given and asked for, has one more picture that is predicted as it: the
    one with the largest product of doubt (1 less the distance of the two highest probabilities; margin sampling,
    Scheffer et al. 2001) and novelty (its cosine distance from the nearest picture that is labelled or asked for
    already), so that a row of like pictures is asked for once.

    Args:
        rows: the pictures in question, N int64.
        probabilities: of them, N×k.
        z: of them, N×d.
        labels: class by row of what is labelled.
        count: how many are wanted, at most.

    Returns:
        The most telling first.
    """
    z = z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12)
    order = probabilities.argsort(axis=1)[:, ::-1]
    sorted_p = np.take_along_axis(probabilities, order, axis=1)
    doubt = 1.0 - (sorted_p[:, 0] - sorted_p[:, 1])
    known = np.isin(rows, list(labels))
    novelty = np.ones(len(rows))
    if known.any():
        novelty = _distance(z, z[known])
    have = np.bincount(list(labels.values()), minlength=NUM_CLASSES) if labels else np.zeros(NUM_CLASSES, np.int64)
    free, queries = ~known, list[LabelQuery]()
    while len(queries) < count and free.any():
        present = np.unique(order[free, 0])
        wanted = present[have[present].argmin()]
        place = int(np.where(free & (order[:, 0] == wanted), doubt * novelty, -1.0).argmax())
        queries.append(LabelQuery(int(rows[place]), int(wanted), int(order[place, 1]), float(sorted_p[place, 0])))
        free[place] = False
        have[wanted] += 1
        novelty = np.minimum(novelty, _distance(z, z[place : place + 1]))
    return queries


def _distance(z: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.float64]:
    """Cosine distance of each row of z from the nearest of some others, in [0, 2]."""
    found: NDArray[np.float64] = np.maximum(1.0 - (z.astype(np.float64) @ others.astype(np.float64).T).max(axis=1), 0.0)
    return found


def table(queries: Sequence[LabelQuery], store: CropStore) -> pd.DataFrame:
    """label-next.csv: an empty column ``expression`` to fill in, and what is predicted."""
    keys = store.samples["key"]
    return pd.DataFrame(
        {
            PICTURE: [keys.iloc[one.row] for one in queries],
            EXPRESSION: "",
            "predicted": [EXPRESSIONS[one.first] for one in queries],
            "confidence": [round(one.confidence, 3) for one in queries],
            "second": [EXPRESSIONS[one.second] for one in queries],
        }
    )


def html(title: str, queries: Sequence[LabelQuery], store: CropStore, labels: Mapping[int, int]) -> str:
    """label.html: the faces of ``queries`` one by one, a key a class, and a button that saves the CSV of labels.

    Args:
        title: what the pictures are called.
        queries: the pictures.
        store: their crops.
        labels: class by row of what is labelled already; it is in the saved file, too.
    """
    keys = store.samples["key"]
    data = {
        "expressions": EXPRESSIONS,
        "given": [[keys.iloc[row], label] for row, label in sorted(labels.items())],
        "faces": [
            {"picture": keys.iloc[one.row], "guess": one.first, "image": _jpeg(store.images[one.row])}
            for one in queries
        ],
    }
    template = Template(files(__package__).joinpath("label.html").read_text(encoding="utf-8"))
    return template.substitute(
        head=head(f"{title}: label faces"),
        title=escape(title),
        data=embedded(data),
    )


def _jpeg(crop: NDArray[np.uint8]) -> str:
    """A crop as the address of an image in itself; the same crop gives the same text."""
    file = io.BytesIO()
    Image.fromarray(np.array(crop)).save(file, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
