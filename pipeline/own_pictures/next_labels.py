"""Pictures to label next: the most informative ones, balanced over classes, as a CSV and as a page of faces."""

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
"""Maximum number of pictures in the list: ten per class."""

QUALITY = 85
"""Quality of the JPEG copies on the page."""


@dataclass(frozen=True)
class LabelQuery:
    """A picture whose label is requested: a query of active learning.

    Attributes:
        row: row in the crop store.
        first: the predicted class.
        second: the second most probable class.
        confidence: probability of the predicted class.
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
    """Choose the pictures whose labels are most informative.

    Each step takes the class with the fewest labels and queries, and among the pictures predicted as it the one with
    the largest product of doubt and novelty. Doubt is 1 minus the difference of the two highest probabilities (margin
    sampling, Scheffer et al. 2001). Novelty is the cosine distance to the nearest labelled or chosen picture, so that
    only one of several similar pictures is chosen.

    Args:
        rows: the candidates, N int64.
        probabilities: their probabilities, N×k.
        z: their embeddings, N×d.
        labels: class of the labelled pictures, by row.
        count: maximum number of pictures.

    Returns:
        The chosen pictures, the most informative first.
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
    """Return the cosine distance of each row of z to the nearest row of ``others``, in [0, 2]."""
    found: NDArray[np.float64] = np.maximum(1.0 - (z.astype(np.float64) @ others.astype(np.float64).T).max(axis=1), 0.0)
    return found


def table(queries: Sequence[LabelQuery], store: CropStore) -> pd.DataFrame:
    """Return the table of label-next.csv: an empty column ``expression`` to fill in, and the predictions."""
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
    """Return label.html, which shows the faces one by one, takes one key per class and saves the labels as CSV.

    Args:
        title: name of the set of pictures.
        queries: the pictures to label.
        store: the crop store.
        labels: class of the pictures that are already labelled, by row; the saved CSV contains them as well.
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
    """Return a crop as a data URI of a JPEG; the same crop gives the same text."""
    file = io.BytesIO()
    Image.fromarray(np.array(crop)).save(file, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
