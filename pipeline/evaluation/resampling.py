"""Bootstrap over groups of similar pictures: drawing groups, and computing scores of each draw."""

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
"""Number of draws that are computed at once, to limit memory."""


def units(samples: pd.DataFrame) -> tuple[Unit, NDArray[np.int64]]:
    """Choose the groups of pictures to draw: subjects, else sequences, else single pictures.

    Args:
        samples: N rows with a crop store's columns ``subject`` and ``sequence``.

    Returns:
        The kind of group: the first of the three that is known for every picture and has at least two groups. And the
        number of each picture's group, N int64.
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
        sums: sums of the values, G×k×S float64.
        sizes: numbers of pictures, G×k float64.
    """

    sums: Floats
    sizes: Floats

    @classmethod
    def of(cls, values: NDArray[Any], labels: NDArray[np.int64], groups: NDArray[Any]) -> "Grouped":
        """Sum values by group and class.

        Args:
            values: S×N.
            labels: the true classes, N int64.
            groups: the group of each picture, N of any type.

        Raises:
            ValueError: the numbers of values, labels and groups differ.
        """
        if not values.shape[1:] == labels.shape == groups.shape:
            raise ValueError(
                f"{values.shape} values, {labels.shape} labels and {groups.shape} groups are not of the same pictures"
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
        """Return the mean over pictures, and the mean over classes of the class means.

        Args:
            weights: weight of each group, B×G; None: one row of weights 1.

        Returns:
            2×B×S; classes without pictures in the drawn groups are ignored.
        """
        weights = np.ones((1, len(self))) if weights is None else weights
        found = (weights @ self.sums.reshape(len(self), -1)).reshape(len(weights), *self.sums.shape[1:])
        pictures = (weights @ self.sizes)[:, :, None]
        of_classes = (found / np.maximum(pictures, 1.0)).sum(axis=1) / (pictures > 0).sum(axis=1)
        return np.stack([found.sum(axis=1) / pictures.sum(axis=1), of_classes])

    def drawn(self, resamples: int, generator: np.random.Generator) -> Floats:
        """Return ``means`` of bootstrap draws of groups (as many as there are, with replacement): 2×resamples×S."""
        return np.concatenate([self.means(weights) for weights in draws(generator, len(self), resamples)], axis=1)


def draws(generator: np.random.Generator, count: int, resamples: int) -> Iterator[Floats]:
    """Yield bootstrap draws in chunks: how often each of ``count`` items is drawn, as rows of length ``count``."""
    for start in range(0, resamples, CHUNK):
        size = min(CHUNK, resamples - start)
        places = generator.integers(0, count, (size, count)) + count * np.arange(size)[:, None]
        yield np.bincount(places.ravel(), minlength=size * count).reshape(size, count).astype(np.float64)
