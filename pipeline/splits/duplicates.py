"""Exact and near duplicates among face crops, as copies of FER data sets hold them: re-encoded, mirrored, cut anew.

A fingerprint is a digest and a thumbnail of 28×28 grey cells. Pairs are found in three steps, each of which leaves
fewer for the next. A product of matrices compares the coarse forms (the 8×8 lowest frequencies) of all pairs, as they
are and mirrored, block by block: that takes seconds, so there is no index of hashes, which would miss some. Then a
linear fit tells whether shift, scale and turn could make one coarse form of the other. What passes is moved so, and the
thumbnails are compared, each frequency weighted by itself, so that what all faces have in common counts little.

Measured on 15,588 pictures of FER2013 and the 981 of CK+48, all 48×48, enlarged to 112×112. Of 600 of FER2013's, drawn
after the thresholds were set, it finds all that were saved as JPEG of quality 30 to 90, mirrored, lightened, darkened,
reduced to 48 pixels, made noisy, shifted by two pixels each way, cropped to 97 or 95 %, or turned by 3° or 5°; 599 that
were shifted by three pixels each way, 573 by four, 566 cropped to 90 %. Of two windows of one picture it finds all that
lie two pixels apart each way, 560 four, 75 six. In FER2013 it finds 378 exact pairs and 1,158 near ones, 18 mirrored;
of the near ones the 63 that correlate least, the mirrored and 63 others were looked at: to the eye, each is one
photograph twice.

In CK+48, which is lit and cropped alike, and on which the threshold was chosen, it finds none of 476,397 pairs of
different people (none at 0.88 either, 38 at 0.87), and 976 of the 981 pairs of frames of one take: neighbouring frames
are near duplicates. Not copies, but found, are 198 of the 3,312 pairs of one person in two takes: two expressions in
one sitting.

36,000 crops like FER2013's take seconds. Where faces are as alike as CK+48's, a third of all pairs pass the first step:
its 981 take a second, and ten times as many would take a hundred times as long.
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
"""Correlation of two aligned thumbnails from which they count as one picture: see above how it was chosen."""

CANDIDATE = 0.8
"""Correlation of coarse forms, not aligned, from which a pair is looked at; shifted copies keep it."""

FITTING = 0.92
"""Correlation of coarse forms from which a pair is aligned, after the shift, scale and turn that a linear fit finds."""

BLOCK = 1024
"""Crops that are read, and thumbnails that are compared, at a time."""

AT_ONCE = 4
"""Blocks of one set that are compared with a block of the other by one product: where other work keeps the cores busy,
each product waits for its slowest thread, and many small ones took ten times as long as few large ones."""

CHUNK = 4096
"""Pairs that are verified at a time."""

Thumbnails = NDArray[np.float16]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Fingerprints:
    """What pictures are recognised by.

    Attributes:
        digests: n ``S32``, of their bytes, hexadecimal.
        thumbnails: n×28×28 float16, grey, of mean 0 and length 1 (all 0 where the picture is of one colour).
    """

    digests: NDArray[np.bytes_]
    thumbnails: Thumbnails

    def __len__(self) -> int:
        return len(self.digests)


@dataclass(frozen=True)
class Pairs:
    """Pairs of pictures that are the same, in ascending order.

    Attributes:
        first: int64, a picture of each pair.
        second: int64, the other one.
        exact: bool, whether they are the same to the last byte.
        mirrored: bool, whether they are the same only when one is mirrored.
    """

    first: Indices
    second: Indices
    exact: Flags
    mirrored: Flags

    def __len__(self) -> int:
        return len(self.first)


def fingerprints(images: NDArray[np.uint8]) -> Fingerprints:
    """Fingerprints of crops (n×S×S×3 uint8 RGB, S a multiple of 28, such as a memory map), read block by block.

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
        # In hexadecimal, since NumPy drops zeros at the end of bytes.
        digests[start : start + BLOCK] = [hashlib.blake2b(image, digest_size=16).hexdigest() for image in block]
        thumbnails[start : start + BLOCK] = thumbnails_of(block)
    return Fingerprints(digests, thumbnails)


def within(prints: Fingerprints) -> Pairs:
    """The pairs of one set, ``first`` < ``second``.

    Of pictures that are equal to the last byte, each is listed with the first of them alone, and only this one is
    compared with others: so a thousand copies are a thousand pairs and not half a million. Copies that differ, if only
    by their encoding, are listed with each other.
    """
    _, firsts, group = np.unique(prints.digests, return_index=True, return_inverse=True)
    leader = firsts[group]
    copies = np.flatnonzero(leader != np.arange(len(prints)))
    leaders = np.sort(firsts)
    thumbnails = prints.thumbnails[leaders]
    first, second, mirrored = _near(thumbnails, thumbnails, later=True)
    return _sorted(leader[copies], copies, leaders[first], leaders[second], mirrored)


def between(own: Fingerprints, other: Fingerprints) -> Pairs:
    """The pairs of two sets: ``first`` indexes ``own``, ``second`` the first of equal pictures of ``other``."""
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
    """Exact pairs and near ones together."""
    firsts, seconds = np.concatenate([exact_first, first]), np.concatenate([exact_second, second])
    exact = np.arange(len(firsts)) < len(exact_first)
    mirrors = np.concatenate([np.zeros(len(exact_first), dtype=bool), mirrored])
    order = np.lexsort((seconds, firsts))
    return Pairs(firsts[order].astype(np.int64), seconds[order].astype(np.int64), exact[order], mirrors[order])


def _near(own: Thumbnails, other: Thumbnails, later: bool) -> tuple[Indices, Indices, Flags]:
    """All pairs that are near, ascending, and whether only when one is mirrored.

    Args:
        own: n×28×28.
        other: m×28×28.
        later: only pairs with first < second, as where both are the same set.
    """
    codes: dict[bool, list[Indices]] = {False: [np.empty(0, dtype=np.int64)], True: []}
    for flip, first, second in _near_blocks(own, other, later):
        codes[flip].append(first * len(other) + second)
    straight = np.concatenate(codes[False])
    either = np.unique(np.concatenate([straight, *codes[True]]))
    first, second = np.divmod(either, max(len(other), 1))
    return first, second, ~np.isin(either, straight)


def _near_blocks(own: Thumbnails, other: Thumbnails, later: bool) -> Iterator[tuple[bool, Indices, Indices]]:
    """For one block of each set after another: whether ``own`` is mirrored, and the rows of the pairs near then."""
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
    """Pairs of one block and another, first as they are, then with the first mirrored.

    Mirroring changes the sign of the odd frequencies alone, so that the correlations are sum and difference of two
    products.
    """
    half = forms.shape[1] // 2
    even, odd = forms[:, :half] @ facing[:, :half].T, forms[:, half:] @ facing[:, half:].T
    either = np.abs(odd)
    either += even  # in place, and looked through once: memory is what this waits for
    row, column = np.divmod(np.flatnonzero(either >= CANDIDATE), len(facing))
    for flip, sign in ((False, 1.0), (True, -1.0)):
        chosen = even[row, column] + sign * odd[row, column] >= CANDIDATE
        yield flip, row[chosen], column[chosen]


def _by_blocks(function: Callable[[Floats], Floats], thumbnails: Thumbnails) -> Floats:
    starts = range(0, max(len(thumbnails), 1), BLOCK)
    return np.concatenate([function(thumbnails[start : start + BLOCK].astype(np.float32)) for start in starts])


def _same(own: Thumbnails, samples: Floats, other: Thumbnails, planes: Floats, row: Indices, column: Indices) -> Flags:
    """Which candidates are the same picture.

    Args:
        own: n×28×28, thumbnails of the first of a pair.
        samples: n×12×12, their sampled coarse forms.
        other: m×28×28, thumbnails of the second of a pair.
        planes: m×5×144, their tangent planes.
        row: of ``own``, for each candidate.
        column: of ``other``, for each candidate.
    """
    low, same = samples.reshape(len(samples), len(PLACES) ** 2), np.zeros(len(row), dtype=bool)
    for start in range(0, len(row), CHUNK):
        r, c = row[start : start + CHUNK], column[start : start + CHUNK]
        # How much of one lies in the plane of what shift, scale and turn make of the other, to first order.
        fits = np.square(planes[c] @ low[r, :, None]).sum(axis=(1, 2)) >= FITTING**2
        same[start + np.flatnonzero(fits)] = _alike(own[r[fits]].astype(np.float32), other[c[fits]].astype(np.float32))
    return same


def _alike(own: Floats, other: Floats) -> Flags:
    """Which thumbnails are the same as they stand, or else aligned."""
    alike = correlation(own, other) >= THRESHOLD
    unsure = np.flatnonzero(~alike)
    alike[unsure] = correlation(own[unsure], aligned(other[unsure], own[unsure])) >= THRESHOLD
    return alike
