"""Exact and near duplicates among face crops, as in FER data sets: re-encoded, mirrored or cropped differently.

A fingerprint is a digest and a thumbnail of 28×28 grey cells. Pairs are found in three steps, each of which leaves
fewer pairs. First, matrix products compare the coarse forms (the 8×8 lowest frequencies) of all pairs, as they are and
mirrored, block by block. This takes seconds, so no index of hashes is needed, which would miss some pairs. Second, a
linear fit estimates whether shift, scale and rotation can turn one coarse form into the other. Third, the remaining
pairs are aligned, and their thumbnails are compared. Each frequency is weighted by itself, so that what all faces have
in common counts little.

Measured on 15,588 pictures of FER2013 and the 981 of CK+48, all 48×48, enlarged to 112×112. Altered copies of 600
pictures of FER2013, chosen after the thresholds were set: it finds all that were saved as JPEG of quality 30 to 90,
mirrored, lightened, darkened, reduced to 48 pixels, made noisy, shifted by two pixels in each direction, cropped to 97
or 95 %, or rotated by 3° or 5°. It finds 599 that were shifted by three pixels in each direction, 573 by four, and 566
cropped to 90 %. Of two windows of one picture it finds all that are two pixels apart in each direction, 560 at four
pixels, 75 at six. In FER2013 it finds 378 exact pairs and 1,158 near ones, 18 of them mirrored. Of the near pairs, the
63 with the lowest correlation, the mirrored ones and 63 others were inspected by eye: each is one photograph twice.

The pictures of CK+48 have the same lighting and cropping, and the threshold was chosen on them. There it finds none of
476,397 pairs of different people (none at 0.88 either, 38 at 0.87), and 976 of the 981 pairs of frames of one take:
neighbouring frames are near duplicates. It also finds 198 of the 3,312 pairs of one person in two takes, which are not
copies but two expressions in one sitting.

36,000 crops like FER2013's take seconds. If faces are as similar as in CK+48, a third of all pairs pass the first step:
its 981 pictures take a second, and ten times as many would take a hundred times as long.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.data.prepared import Indices
from pipeline.splits.thumbnails import (
    CELLS,
    PLACES,
    Floats,
    aligned,
    coarse_forms,
    correlation,
    sampled_forms,
    tangent_planes,
    thumbnails_of,
)

THRESHOLD = 0.9
"""Minimum correlation of two aligned thumbnails to count as one picture; its choice is explained above."""

CANDIDATE = 0.8
"""Minimum correlation of coarse forms before alignment for a pair to be examined; shifted copies reach it."""

FITTING = 0.92
"""Minimum correlation of coarse forms, after the linear fit of shift, scale and rotation, for a pair to be aligned."""

BLOCK = 1024
"""Number of crops that are read, and thumbnails that are compared, at once."""

AT_ONCE = 4
"""Number of blocks of one set that one matrix product compares with a block of the other. If other work keeps the cores
busy, each product waits for its slowest thread: many small products took ten times as long as few large ones."""

CHUNK = 4096
"""Number of pairs that are verified at once."""

Thumbnails = NDArray[np.float16]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Fingerprints:
    """Data by which pictures are recognised.

    Attributes:
        digests: digests of the pictures' bytes, hexadecimal, n ``S32``.
        thumbnails: n×28×28 float16, grey, with mean 0 and length 1 (all 0 for a uniform picture).
    """

    digests: NDArray[np.bytes_]
    thumbnails: Thumbnails

    def __len__(self) -> int:
        return len(self.digests)


@dataclass(frozen=True)
class Pairs:
    """Pairs of pictures that are the same, in ascending order.

    Attributes:
        first: one picture of each pair, int64.
        second: the other picture, int64.
        exact: whether all bytes are equal, bool.
        mirrored: whether they are the same only if one is mirrored, bool.
    """

    first: Indices
    second: Indices
    exact: Flags
    mirrored: Flags

    def __len__(self) -> int:
        return len(self.first)


def fingerprints(images: NDArray[np.uint8]) -> Fingerprints:
    """Compute fingerprints of crops, block by block.

    Args:
        images: uint8 n×S×S×3 RGB, where S is a multiple of 28, for example a memory map.

    Raises:
        ValueError: the array has another type or shape.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] != images.shape[2] or images.shape[3] != 3:
        raise ValueError(f"crops are uint8 n×S×S×3, not {images.dtype} {images.shape}")
    if images.shape[1] == 0 or images.shape[1] % CELLS:
        raise ValueError(f"the side of a crop is a multiple of {CELLS}, not {images.shape[1]}")
    digests = np.empty(len(images), dtype="S32")
    thumbnails = np.empty((len(images), CELLS, CELLS), dtype=np.float16)
    for start in range(0, len(images), BLOCK):
        block = np.ascontiguousarray(images[start : start + BLOCK])
        # In hexadecimal, because NumPy drops trailing zero bytes.
        digests[start : start + BLOCK] = [hashlib.blake2b(image, digest_size=16).hexdigest() for image in block]
        thumbnails[start : start + BLOCK] = thumbnails_of(block)
    return Fingerprints(digests, thumbnails)


def within(prints: Fingerprints) -> Pairs:
    """Find the pairs within one set, ``first`` < ``second``.

    Exact copies are listed only with the first of them, and only this one is compared with other pictures. So a
    thousand copies give a thousand pairs, not half a million. Copies that differ, even if only by their encoding, are
    listed with each other.
    """
    _, firsts, group = np.unique(prints.digests, return_index=True, return_inverse=True)
    leader = firsts[group]
    copies = np.flatnonzero(leader != np.arange(len(prints)))
    leaders = np.sort(firsts)
    thumbnails = prints.thumbnails[leaders]
    first, second, mirrored = _near(thumbnails, thumbnails, later=True)
    return _sorted(leader[copies], copies, leaders[first], leaders[second], mirrored)


def between(own: Fingerprints, other: Fingerprints) -> Pairs:
    """Find the pairs of two sets. ``first`` indexes ``own``, ``second`` the first of exact copies in ``other``."""
    digests, firsts = np.unique(other.digests, return_index=True)
    leaders = np.sort(firsts)
    place = np.searchsorted(digests, own.digests).clip(max=max(len(digests) - 1, 0))
    twin = np.full(len(own), -1, dtype=np.int64)
    if len(digests):
        twin = np.where(digests[place] == own.digests, firsts[place], -1)
    copies = np.flatnonzero(twin >= 0)
    first, second, mirrored = _near(own.thumbnails, other.thumbnails[leaders], later=False)
    second = leaders[second]
    unlike = twin[first] != second
    return _sorted(copies, twin[copies], first[unlike], second[unlike], mirrored[unlike])


def _sorted(exact_first: Indices, exact_second: Indices, first: Indices, second: Indices, mirrored: Flags) -> Pairs:
    """Merge exact and near pairs in ascending order."""
    firsts, seconds = np.concatenate([exact_first, first]), np.concatenate([exact_second, second])
    exact = np.arange(len(firsts)) < len(exact_first)
    mirrors = np.concatenate([np.zeros(len(exact_first), dtype=bool), mirrored])
    order = np.lexsort((seconds, firsts))
    return Pairs(firsts[order].astype(np.int64), seconds[order].astype(np.int64), exact[order], mirrors[order])


def _near(own: Thumbnails, other: Thumbnails, later: bool) -> tuple[Indices, Indices, Flags]:
    """Return all near pairs in ascending order, and whether they match only if one is mirrored.

    Args:
        own: n×28×28.
        other: m×28×28.
        later: return only pairs with first < second, for a set compared with itself.
    """
    codes: dict[bool, list[Indices]] = {False: [np.empty(0, dtype=np.int64)], True: []}
    for flip, first, second in _near_blocks(own, other, later):
        codes[flip].append(first * len(other) + second)
    straight = np.concatenate(codes[False])
    either = np.unique(np.concatenate([straight, *codes[True]]))
    first, second = np.divmod(either, max(len(other), 1))
    return first, second, ~np.isin(either, straight)


def _near_blocks(own: Thumbnails, other: Thumbnails, later: bool) -> Iterator[tuple[bool, Indices, Indices]]:
    """Yield, for pairs of blocks, whether ``own`` is mirrored, and the rows of the near pairs."""
    forms, samples = _by_blocks(coarse_forms, own), _by_blocks(sampled_forms, own)
    for left in range(0, len(other), BLOCK):
        theirs = other[left : left + BLOCK]
        facing, planes = _by_blocks(coarse_forms, theirs), _by_blocks(tangent_planes, theirs)
        end = min(len(own), left + BLOCK) if later else len(own)
        for top in range(0, end, AT_ONCE * BLOCK):
            rows = slice(top, min(top + AT_ONCE * BLOCK, end))
            for flip, row, column in _candidates(forms[rows], facing):
                if later:
                    row, column = row[after := row + top < column + left], column[after]
                across = slice(None, None, -1 if flip else 1)
                same = _same(own[rows, :, across], samples[rows, :, across], theirs, planes, row, column)
                yield flip, row[same] + top, column[same] + left


def _candidates(forms: Floats, facing: Floats) -> Iterator[tuple[bool, Indices, Indices]]:
    """Yield candidate pairs of two blocks: first unmirrored, then with the first block mirrored.

    Mirroring changes only the sign of the odd frequencies. So the correlations are the sum and the difference of two
    products.
    """
    half = forms.shape[1] // 2
    even, odd = forms[:, :half] @ facing[:, :half].T, forms[:, half:] @ facing[:, half:].T
    either = np.abs(odd)
    either += even  # in place and searched once, because memory bandwidth limits this step
    row, column = np.divmod(np.flatnonzero(either >= CANDIDATE), len(facing))
    for flip, sign in ((False, 1.0), (True, -1.0)):
        chosen = even[row, column] + sign * odd[row, column] >= CANDIDATE
        yield flip, row[chosen], column[chosen]


def _by_blocks(function: Callable[[Floats], Floats], thumbnails: Thumbnails) -> Floats:
    starts = range(0, max(len(thumbnails), 1), BLOCK)
    return np.concatenate([function(thumbnails[start : start + BLOCK].astype(np.float32)) for start in starts])


def _same(own: Thumbnails, samples: Floats, other: Thumbnails, planes: Floats, row: Indices, column: Indices) -> Flags:
    """Return which candidates are the same picture.

    Args:
        own: thumbnails of the first pictures, n×28×28.
        samples: their sampled coarse forms, n×12×12.
        other: thumbnails of the second pictures, m×28×28.
        planes: their tangent planes, m×5×144.
        row: for each candidate the index into ``own``.
        column: for each candidate the index into ``other``.
    """
    low, same = samples.reshape(len(samples), len(PLACES) ** 2), np.zeros(len(row), dtype=bool)
    for start in range(0, len(row), CHUNK):
        r, c = row[start : start + CHUNK], column[start : start + CHUNK]
        # How much of one form lies in the span of the other and its derivatives by shift, scale and rotation.
        fits = np.square(planes[c] @ low[r, :, None]).sum(axis=(1, 2)) >= FITTING**2
        same[start + np.flatnonzero(fits)] = _are_same(
            own[r[fits]].astype(np.float32), other[c[fits]].astype(np.float32)
        )
    return same


def _are_same(own: Floats, other: Floats) -> Flags:
    """Return which thumbnails are the same, without or with alignment."""
    alike = correlation(own, other) >= THRESHOLD
    unsure = np.flatnonzero(~alike)
    alike[unsure] = correlation(own[unsure], aligned(other[unsure], own[unsure])) >= THRESHOLD
    return alike
