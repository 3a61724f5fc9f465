"""Drawing groups of pictures that belong together, and what is scored with the groups of each draw."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.labels import NUM_CLASSES

Floats = NDArray[np.float64]
Unit = Literal["subject", "sequence", "picture"]
CHUNK = 200
"""Resamples drawn together, which bounds the memory."""


def units(samples: pd.DataFrame) -> tuple[Unit, NDArray[np.int64]]:
    """Which pictures are drawn together: those of a subject, else of a sequence, else each alone.

    Args:
        samples: N rows with a crop store's columns ``subject`` and ``sequence``.

    Returns:
        What is drawn: the first of the three that every picture names and that there are two of; and its number for
        each picture, N int64.
    """
    kinds: tuple[Unit, ...] = ("subject", "sequence")
    for unit in kinds:
        numbers, names = pd.factorize(samples[unit])
        if len(names) > 1 and (numbers >= 0).all():
            return unit, numbers.astype(np.int64)
    return "picture", np.arange(len(samples), dtype=np.int64)


@dataclass(frozen=True)
class Grouped:
    """A value of every picture for each of S seeds, summed by group and class.

    Attributes:
        sums: G×k×S float64.
        sizes: pictures, G×k float64.
    """

    sums: Floats
    sizes: Floats

    @classmethod
    def of(cls, values: NDArray[Any], labels: NDArray[np.int64], groups: NDArray[Any]) -> "Grouped":
        """Sum up.

        Args:
            values: S×N.
            labels: the true classes, N int64.
            groups: which pictures belong together, N of any kind.

        Raises:
            ValueError: there is not one label and one group a picture.
        """
        if not values.shape[1:] == labels.shape == groups.shape:
            raise ValueError(
                f"{values.shape} values, {labels.shape} labels and {groups.shape} groups: of other pictures"
            )
        numbers = np.unique(groups, return_inverse=True)[1]
        count = int(numbers.max(initial=-1)) + 1
        sums, sizes = np.zeros((count, NUM_CLASSES, len(values))), np.zeros((count, NUM_CLASSES))
        np.add.at(sums, (numbers, labels), values.T)
        np.add.at(sizes, (numbers, labels), 1.0)
        return cls(sums, sizes)

    def __len__(self) -> int:
        return len(self.sums)

    def means(self, weights: Floats | None = None) -> Floats:
        """The mean over pictures, and the mean over classes of their means.

        Args:
            weights: how often each group counts, B×G; None: once, in one row.

        Returns:
            2×B×S; of classes that the drawn groups have.
        """
        weights = np.ones((1, len(self))) if weights is None else weights
        found = (weights @ self.sums.reshape(len(self), -1)).reshape(len(weights), *self.sums.shape[1:])
        pictures = (weights @ self.sizes)[:, :, None]
        of_classes = (found / np.maximum(pictures, 1.0)).sum(axis=1) / (pictures > 0).sum(axis=1)
        return np.stack([found.sum(axis=1) / pictures.sum(axis=1), of_classes])

    def drawn(self, resamples: int, generator: np.random.Generator) -> Floats:
        """``means`` with as many groups drawn with replacement as there are, ``resamples`` times: 2×resamples×S."""
        return np.concatenate([self.means(weights) for weights in draws(generator, len(self), resamples)], axis=1)


def draws(generator: np.random.Generator, count: int, resamples: int) -> Iterator[Floats]:
    """How often each of ``count`` is drawn when as many are drawn with replacement: rows of ``count``, in chunks."""
    for start in range(0, resamples, CHUNK):
        size = min(CHUNK, resamples - start)
        places = generator.integers(0, count, (size, count)) + count * np.arange(size)[:, None]
        yield np.bincount(places.ravel(), minlength=size * count).reshape(size, count).astype(np.float64)
