"""What the two parts of a division share: sequences, subjects and duplicate pictures. It helps to interpret scores."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline.data.prepared import Indices, Split
from pipeline.splits import duplicates
from pipeline.splits.duplicates import Fingerprints, Pairs

PARTS = ("train", "test")

Names = NDArray[Any]
"""A text for each picture of a set, N object."""


def count_shared(samples: pd.DataFrame, split: Split) -> dict[str, int | None]:
    """Count the test pictures that have something in common with the training part.

    Returns:
        picture: test pictures that are in the training part themselves. sequence, subject: test pictures with another
            frame
        of the same recording, or another picture of the same person, in the training part; None if the set does not
        say.
    """
    counts: dict[str, int | None] = {"picture": len(np.intersect1d(split.train, split.test))}
    for column in ("sequence", "subject"):
        values = samples[column].astype(object).where(samples[column].notna(), None).to_numpy()
        counts[column] = None if all(value is None for value in values) else _sharing(values, split)
    return counts


def _sharing(values: np.ndarray[Any, Any], split: Split) -> int:
    training = pd.Series(values[split.train]).value_counts()
    also_trained = np.isin(split.test, split.train)
    others = [training.get(value, 0) - own for value, own in zip(values[split.test], also_trained, strict=True)]
    return sum(int(count > 0) for count in others)


@dataclass(frozen=True)
class Duplicates:
    """Pictures of one set that are exact or near duplicates of other pictures.

    Attributes:
        within: pairs within the set.
        between: pairs with other sets, by their name.
    """

    within: Pairs
    between: Mapping[str, Pairs]

    @classmethod
    def find(cls, own: Fingerprints, others: Mapping[str, Fingerprints]) -> "Duplicates":
        """Compare the pictures of a set with each other and with those of ``others``."""
        return cls(duplicates.within(own), {name: duplicates.between(own, prints) for name, prints in others.items()})

    def left_out(self, split: Split, of_others: bool) -> Indices:
        """Return the training rows to remove: exact or near duplicates of a test picture.

        Args:
            split: the division.
            of_others: also remove duplicates of pictures in other sets.
        """
        like_test = self._like_test(split)
        if not of_others or not self.between:
            return like_test
        elsewhere = np.concatenate([pairs.first for pairs in self.between.values()])
        return np.union1d(like_test, np.intersect1d(split.train, elsewhere))

    def _like_test(self, split: Split) -> Indices:
        count = 1 + max(int(rows.max(initial=0)) for rows in (split.train, split.test, self.within.second))
        links = coo_array((np.ones(len(self.within.first)), (self.within.first, self.within.second)), (count, count))
        groups = connected_components(links, directed=False)[1]
        return np.setdiff1d(split.train[np.isin(groups[split.train], groups[split.test])], split.test)

    def report(self, split: Split) -> dict[str, Any]:
        """Return counts: pairs in the set, training pictures that duplicate test pictures, pairs with other sets."""
        return {
            "within": _counts(self.within, np.concatenate([self.within.first, self.within.second])),
            "train_like_test": len(self._like_test(split)),
            "with": {name: _counts(pairs, pairs.first) for name, pairs in self.between.items()},
        }

    def table(self, name: str, keys: Mapping[str, Names], split: Split) -> pd.DataFrame:
        """Return all pairs as a table.

        Args:
            name: this set.
            keys: the pictures' keys in this set and the others, by set.
            split: the division of this set.

        Returns:
            One row per pair: file and part in this set; set, file and part of the other picture; exact or near;
            mirrored.
        """
        parts = np.full(len(keys[name]), "", dtype=object)
        for part in PARTS:
            rows = getattr(split, part)
            parts[rows] = [f"{before}+{part}" if before else part for before in parts[rows]]
        tables = [_table(self.within, name, keys[name], keys[name], parts, parts)]
        for other, pairs in self.between.items():
            tables.append(_table(pairs, other, keys[name], keys[other], parts, None))
        return pd.concat(tables, ignore_index=True)


def _counts(pairs: Pairs, pictures: Indices) -> dict[str, int]:
    """Return the numbers of exact and near pairs, and the number of different ``pictures``."""
    exact = int(pairs.exact.sum())
    return {"exact": exact, "near": len(pairs) - exact, "pictures": len(np.unique(pictures))}


def describe(report: Mapping[str, Any]) -> str:
    """Describe the leaks in a division's report (``data/splits/SET.json``), as sentences for the terminal."""
    lines = []
    for kind, text in (
        ("picture", "are themselves in the training part"),
        ("sequence", "have another frame of their sequence in the training part"),
        ("subject", "have another picture of their person in the training part"),
    ):
        if count := report["test_in_train"][kind]:
            lines.append(f"{count} of {report['test']} test pictures {text}")
    found = report["duplicates"]
    sets = {"within the set": found["within"], **{f"with {name}": counts for name, counts in found["with"].items()}}
    lines += [f"duplicates {where}: {n['exact']} exact, {n['near']} near" for where, n in sets.items() if n["pictures"]]
    if found["train_like_test"]:
        lines.append(f"{found['train_like_test']} training pictures are, or nearly are, a test picture")
    if "dropped" in report:
        lines.append(f"{report['dropped']} pictures were left out of the training part (duplicates: drop)")
    return "\n".join(lines) or "the parts share no picture, sequence or person that is known"


def _table(
    pairs: Pairs, other: str, keys: Names, other_keys: Names, parts: Names, other_parts: Names | None
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "picture": keys[pairs.first],
            "part": parts[pairs.first],
            "other_set": other,
            "other_picture": other_keys[pairs.second],
            "other_part": other_parts[pairs.second] if other_parts is not None else "",
            "kind": np.where(pairs.exact, "exact", "near"),
            "mirrored": pairs.mirrored,
        }
    )
