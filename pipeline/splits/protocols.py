"""Dividing a data set into the pictures trained or adapted on and the pictures tested on.

A division draws from a seed and the sorted keys alone: it is the same on every machine and for every order of rows.
Only labelled pictures are ever in a test part, since the others cannot be scored.
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
"""Orders of the subjects that are drawn; of the resulting divisions the one with the best balanced classes is kept."""


def make_split(manifest: pd.DataFrame, params: SplitParams, name: str) -> Split:
    """Divide the pictures of a set by one of four protocols.

    official: the parts as distributed; where nothing labelled is in ``test``, ``val`` is the test part, else it is left
    out. all: every picture is trained on, every labelled one tested. stratified: the classes keep their proportions,
    unlabelled pictures are trained on. subject: no subject is in both parts; unlabelled pictures of the test part's
    subjects are left out.

    Args:
        manifest: a row a picture, with a crop store's columns ``key``, ``label``, ``subject`` and ``split``.
        params: protocol, size of the test part, seed.
        name: what errors call the set.

    Raises:
        DatasetError: the manifest lacks what the protocol needs, or a part would be empty. Under protocol ``all`` a set
            without any label may be without a test part: it can be adapted to, not scored.
    """
    if manifest.empty:
        raise DatasetError(f"{name}: no pictures to divide; look at its faces stage")
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
    """Counts per class and part, as a table for the terminal."""
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
    """The number of test pictures asked for; a share is one of the labelled pictures."""
    if not labelled:
        raise DatasetError(f"{name}: no picture has a label; set split.{name}.protocol to all")
    assert params.test is not None
    wanted = params.test if isinstance(params.test, int) else max(1, round(params.test * labelled))
    if wanted >= labelled:
        raise DatasetError(
            f"{name}: split.{name}.test asks for {wanted} of {labelled} labelled pictures and leaves none to train on; "
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
    """Distribute seats in proportion to sizes by largest remainder, within bounds; ties go to the first.

    Whoever lacks most of its exact share gets the next seat, which without bounds is the largest-remainder method. All
    in whole numbers, so that no rounding decides.

    Args:
        sizes: the size of each class.
        at_least: fewest seats of each.
        at_most: most seats of each.
        total: seats in all.

    Returns:
        The seats of each.
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
        raise DatasetError(
            f"{name}: {first} names no subject; set split.{name}.protocol to stratified, all or official"
        )
    everyone = manifest["subject"].to_numpy(dtype=object)
    subjects, places = np.unique(everyone[rows], return_inverse=True)
    if len(subjects) < 2:
        raise DatasetError(f"{name}: only one subject has labels; set split.{name}.protocol to stratified or all")
    cells = np.bincount(places * NUM_CLASSES + labels[rows], minlength=len(subjects) * NUM_CLASSES)
    chosen = subjects[_choose_subjects(cells.reshape(-1, NUM_CLASSES), wanted, params.seed)]
    in_test = np.isin(everyone, chosen)
    return Split(np.flatnonzero(~in_test), np.flatnonzero(in_test & (labels != UNLABELLED)))


def _choose_subjects(counts: Indices, wanted: int, seed: int) -> list[int]:
    """Choose subjects whose pictures number as close to a wanted number as those of any choice can.

    Args:
        counts: S×7, the pictures of each subject by class.
        wanted: number of pictures.
        seed: of the draws.

    Returns:
        Rows of ``counts``: among several drawn choices the one whose classes are nearest to the proportions of the
        whole set.
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
    """Take subjects in ``order`` whenever the rest of them can still complete ``total`` exactly."""
    order = list(order)
    later = _reachable([sizes[i] for i in order])[1:]
    chosen = []
    for i, reachable in zip(order, later, strict=True):
        if sizes[i] <= total and reachable >> (total - sizes[i]) & 1:
            chosen.append(i)
            total -= sizes[i]
    return chosen


def _reachable(sizes: list[int]) -> list[int]:
    """For each suffix of ``sizes`` the sums its subsets can have, as the set bits of a whole number."""
    sums = [1]
    for size in reversed(sizes):
        sums.append(sums[-1] | sums[-1] << size)
    return sums[::-1]


def _order(n: int, generator: PCG64) -> Indices:
    """A random order of n things. Raw draws: NumPy keeps their stream for good, that of ``permutation`` it does not."""
    return np.argsort(generator.random_raw(n), kind="stable")
