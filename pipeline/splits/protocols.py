"""Dividing a data set into pictures to train on or adapt to, and pictures to test on.

A division depends only on a seed and the sorted keys. So it is the same on every machine and for every order of rows.
A test part contains only labelled pictures, because others cannot be scored.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.random import PCG64

from pipeline.config.pictures import SplitParams
from pipeline.data.prepared import Indices, Split
from pipeline.errors import DatasetError
from pipeline.labels import EXPRESSIONS, NUM_CLASSES

UNLABELLED = -1
SUBJECT_DRAWS = 64
"""Number of random orders of the subjects that are tried. The division with the best balanced classes is used."""


def make_split(manifest: pd.DataFrame, params: SplitParams, name: str) -> Split:
    """Divide the pictures of a set by one of four protocols.

    official: the parts as distributed. If ``test`` has no labelled pictures, ``val`` is the test part, else ``val`` is
    not used. all: every picture is in the training part, every labelled one also in the test part. stratified: the
    classes keep their proportions; unlabelled pictures are in the training part. subject: no subject is in both parts;
    unlabelled pictures of the test part's subjects are not used.

    Args:
        manifest: one row per picture, with a crop store's columns ``key``, ``label``, ``subject`` and ``split``.
        params: protocol, size of the test part, seed.
        name: name of the set in errors.

    Raises:
        DatasetError: the manifest lacks what the protocol needs, or a part would be empty. Under protocol ``all`` the
            test part of a set without labels may be empty: the set can be adapted to, but not scored.
    """
    if manifest.empty:
        raise DatasetError(f"{name}: no pictures to divide; check its faces stage")
    labels = _labels(manifest)
    if params.protocol == "official":
        return _official(manifest, labels, name)
    if params.protocol == "all":
        return Split(np.arange(len(labels), dtype=np.int64), np.flatnonzero(labels != UNLABELLED))
    by_key = np.argsort(manifest["key"].to_numpy(dtype=object), kind="stable")
    rows = by_key[labels[by_key] != UNLABELLED]
    wanted = _test_size(len(rows), params, name)
    if params.protocol == "stratified":
        test = _stratified(rows, labels, wanted, params, name)
        return Split(np.setdiff1d(np.arange(len(labels), dtype=np.int64), test), test)
    return _by_subject(manifest, rows, labels, wanted, params, name)


def describe(manifest: pd.DataFrame, split: Split) -> str:
    """Return the number of pictures per class and part, as a table for the terminal."""
    labels = _labels(manifest)
    lines = [f"{'':<12}{'train':>8}{'test':>8}"]
    for label, title in (*enumerate(EXPRESSIONS), (UNLABELLED, "no label")):
        counts = [int(np.count_nonzero(labels[part] == label)) for part in (split.train, split.test)]
        lines.append(f"{title:<12}{counts[0]:>8}{counts[1]:>8}")
    lines.append(f"{'total':<12}{len(split.train):>8}{len(split.test):>8}")
    return "\n".join(lines)


def _labels(manifest: pd.DataFrame) -> Indices:
    return np.asarray(manifest["label"].astype("Int64").fillna(UNLABELLED), dtype=np.int64)


def _official(manifest: pd.DataFrame, labels: Indices, name: str) -> Split:
    parts = manifest["split"].to_numpy(dtype=object, na_value="")
    train = np.flatnonzero(parts == "train")
    test = np.flatnonzero((parts == "test") & (labels != UNLABELLED))
    if not len(test):
        test = np.flatnonzero((parts == "val") & (labels != UNLABELLED))
    for part, rows in (("pictures to train on", train), ("labelled pictures to test on", test)):
        if not len(rows):
            raise DatasetError(
                f"{name}: as distributed it has no {part}; set split.{name}.protocol to all, stratified or subject"
            )
    return Split(train, test)


def _test_size(labelled: int, params: SplitParams, name: str) -> int:
    """Return the requested number of test pictures; a share refers to the labelled pictures."""
    if not labelled:
        raise DatasetError(f"{name}: no picture has a label; set split.{name}.protocol to all")
    assert params.test is not None
    wanted = params.test if isinstance(params.test, int) else max(1, round(params.test * labelled))
    if wanted >= labelled:
        raise DatasetError(
            f"{name}: split.{name}.test asks for {wanted} of {labelled} labelled pictures, so none remain to train on; "
            f"lower it"
        )
    return wanted


def _stratified(rows: Indices, labels: Indices, wanted: int, params: SplitParams, name: str) -> Indices:
    classes = [rows[labels[rows] == label] for label in range(NUM_CLASSES)]
    at_least = [int(len(members) >= 2) for members in classes]
    at_most = [max(len(members) - 1, 0) for members in classes]
    if isinstance(params.test, float):
        wanted = max(wanted, sum(at_least))
    if not sum(at_least) <= wanted <= sum(at_most):
        raise DatasetError(
            f"{name}: split.{name}.test: {wanted} pictures cannot be taken with at least one of each class in both "
            f"parts; choose between {sum(at_least)} and {sum(at_most)}"
        )
    seats = _apportion([len(members) for members in classes], at_least, at_most, wanted)
    generator = PCG64(params.seed)
    drawn = [members[_order(len(members), generator)[:n]] for members, n in zip(classes, seats, strict=True)]
    return np.sort(np.concatenate(drawn))


def _apportion(sizes: list[int], at_least: list[int], at_most: list[int], total: int) -> list[int]:
    """Distribute seats in proportion to sizes by the method of largest remainders, within bounds; ties go to the first.

    The next seat goes to the class that is furthest below its exact share. Without bounds this is the method of largest
    remainders. All numbers are integers, so that rounding does not matter.

    Args:
        sizes: the size of each class.
        at_least: minimum number of seats of each class.
        at_most: maximum number of seats of each class.
        total: total number of seats.

    Returns:
        The number of seats of each class.
    """
    seats = list(at_least)
    population = sum(sizes)
    for _ in range(total - sum(seats)):
        open_to = [i for i in range(len(sizes)) if seats[i] < at_most[i]]
        seats[max(open_to, key=lambda i: total * sizes[i] - population * seats[i])] += 1
    return seats


def _by_subject(
    manifest: pd.DataFrame, rows: Indices, labels: Indices, wanted: int, params: SplitParams, name: str
) -> Split:
    if manifest["subject"].isna().any():
        first = manifest["key"][manifest["subject"].isna()].min()
        raise DatasetError(f"{name}: {first} has no subject; set split.{name}.protocol to stratified, all or official")
    everyone = manifest["subject"].to_numpy(dtype=object)
    subjects, places = np.unique(everyone[rows], return_inverse=True)
    if len(subjects) < 2:
        raise DatasetError(f"{name}: only one subject has labels; set split.{name}.protocol to stratified or all")
    cells = np.bincount(places * NUM_CLASSES + labels[rows], minlength=len(subjects) * NUM_CLASSES)
    chosen = subjects[_choose_subjects(cells.reshape(-1, NUM_CLASSES), wanted, params.seed)]
    in_test = np.isin(everyone, chosen)
    return Split(np.flatnonzero(~in_test), np.flatnonzero(in_test & (labels != UNLABELLED)))


def _choose_subjects(counts: Indices, wanted: int, seed: int) -> list[int]:
    """Choose subjects whose total number of pictures is as close as possible to a wanted number.

    Args:
        counts: number of pictures by subject and class, S×7.
        wanted: wanted number of pictures.
        seed: seed of the random choices.

    Returns:
        Rows of ``counts``. Of several random choices, the one whose class proportions are closest to those of the whole
        set.
    """
    sizes = [int(size) for size in counts.sum(axis=1)]
    population = sum(sizes)
    reachable = _reachable(sizes)[0]
    total = min((n for n in range(1, population) if reachable >> n & 1), key=lambda n: (abs(n - wanted), n))
    generator = PCG64(seed)
    best: tuple[int, list[int]] | None = None
    for _ in range(SUBJECT_DRAWS):
        order = _order(len(sizes), generator).tolist()
        chosen = _fill(order, sizes, total)
        exact = counts.sum(axis=0) * total
        imbalance = int(np.abs(counts[chosen].sum(axis=0) * population - exact).sum())
        if best is None or imbalance < best[0]:
            best = imbalance, chosen
    assert best is not None
    return best[1]


def _fill(order: Iterable[int], sizes: list[int], total: int) -> list[int]:
    """Take subjects in ``order``, each if the remaining ones can still complete ``total`` exactly."""
    order = list(order)
    later = _reachable([sizes[i] for i in order])[1:]
    chosen = []
    for i, reachable in zip(order, later, strict=True):
        if sizes[i] <= total and reachable >> (total - sizes[i]) & 1:
            chosen.append(i)
            total -= sizes[i]
    return chosen


def _reachable(sizes: list[int]) -> list[int]:
    """Return, for each suffix of ``sizes``, the possible sums of its subsets, as the set bits of an integer."""
    sums = [1]
    for size in reversed(sizes):
        sums.append(sums[-1] | sums[-1] << size)
    return sums[::-1]


def _order(n: int, generator: PCG64) -> Indices:
    """Return a random order of n items, from raw draws: NumPy guarantees their stream, but not ``permutation``'s."""
    return np.argsort(generator.random_raw(n), kind="stable")
