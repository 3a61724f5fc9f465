"""Face crops as thumbnails of 28×28 grey cells: how two are compared by a few frequencies, and aligned to each other.

Alignment goes by how a thumbnail's coarse form changes with shift, scale and rotation, to first order.

n thumbnails are float32 n×28×28 throughout; every product here is one of matrices, over all of them at once.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

CELLS = 28
"""Side of a thumbnail: a cell is a square of 4×4 pixels of a crop of 112×112."""

COARSE, DETAIL = 8, 16
"""Frequencies of the cosine transform, each way, that find candidates and align them, and that are compared then."""

EDGE = 2
"""Cells at each edge that are not compared, since a shifted copy has something else there."""

STEPS = 2
"""Rounds of alignment."""

SHIFT, ROTATION = 2.5, 0.2
"""How far alignment goes: cells each way; radians, and share of the scale."""

Floats = NDArray[np.float32]


def thumbnails_of(images: NDArray[np.uint8]) -> Floats:
    """Thumbnails of crops (n×S×S×3 uint8 RGB): grey, of mean 0 and length 1; all 0 for a picture of one colour."""
    # One picture below the other: OpenCV then shrinks them all at once, and no cell spans two of them.
    tall = cv2.cvtColor(images.reshape(-1, images.shape[2], 3), cv2.COLOR_RGB2GRAY).astype(np.float32)
    small = cv2.resize(tall, (CELLS, len(images) * CELLS), interpolation=cv2.INTER_AREA).reshape(-1, CELLS, CELLS)
    centred: Floats = small - small.mean(axis=(1, 2), keepdims=True)
    # In grey levels: a sixteenth in one cell is more, rounding in a picture of one colour less.
    return _unit(centred.reshape(len(images), CELLS**2), least=1e-2).reshape(small.shape)


def _unit(rows: Floats, least: float = 1e-4) -> Floats:
    """Rows of length 1; those of less than ``least`` become 0."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.where(lengths >= least, rows / np.maximum(lengths, least), 0.0).astype(np.float32)


def _cosines(frequencies: int, places: NDArray[np.float64], cells: int) -> Floats:
    """The rows of the orthonormal DCT-II of the lowest frequencies, at any places, counted in cells."""
    pace = np.pi * np.arange(frequencies)[:, None] / cells
    rows: Floats = (np.sqrt(2.0 / cells) * np.cos(pace * (places + 0.5))).astype(np.float32)
    rows[0] /= np.sqrt(2.0)
    return rows


def _weights(frequencies: int, power: float) -> Floats:
    """Weights that grow with the frequency: the lowest hold what all faces share (light above, shade below)."""
    down, across = np.mgrid[:frequencies, :frequencies]
    weights: Floats = (np.hypot(down, across) ** power).astype(np.float32)
    return weights


PLACES = np.linspace(EDGE + 1, CELLS - EDGE - 2, 12)
"""Where coarse forms are looked up to align them: enough places for their frequencies, alike from left and right."""

AT = _cosines(COARSE, PLACES, CELLS)
"""The cosines of the lowest frequencies at these places, 8×12: ``AT.T @ spectrum @ AT`` is the form there."""

_ALL = _cosines(COARSE, np.arange(float(CELLS)), CELLS)
_INNER = CELLS - 2 * EDGE
_FINE = _cosines(DETAIL, np.arange(float(_INNER)), _INNER)


def spectrum_of(thumbnails: Floats) -> Floats:
    """The lowest 8×8 frequencies of thumbnails, vertical ones first: n×8×8."""
    spectrum: Floats = np.asarray(_ALL @ thumbnails @ _ALL.T, dtype=np.float32)
    return spectrum


def coarse_forms(thumbnails: Floats) -> Floats:
    """Coarse forms of length 1, n×64: first the even horizontal frequencies, then the odd."""
    spectrum: Floats = (spectrum_of(thumbnails) * _weights(COARSE, 0.5)).astype(np.float32)
    halves = [spectrum[:, :, parity::2].reshape(len(spectrum), COARSE**2 // 2) for parity in (0, 1)]
    return _unit(np.concatenate(halves, axis=1))


def sampled_forms(thumbnails: Floats) -> Floats:
    """Coarse forms at 12×12 places, of mean 0 and length 1."""
    values: Floats = np.asarray(AT.T @ spectrum_of(thumbnails) @ AT, dtype=np.float32)
    values -= values.mean(axis=(1, 2), keepdims=True)
    flat: Floats = values.reshape(len(values), len(PLACES) ** 2)
    return _unit(flat).reshape(values.shape)


def correlation(own: Floats, other: Floats) -> Floats:
    """How alike pairs of thumbnails are, without their edges, each frequency weighted by itself: n, −1 to 1."""
    inner, weights = slice(EDGE, -EDGE), _weights(DETAIL, 1.0)
    spectra = (_FINE @ each[:, inner, inner] @ _FINE.T * weights for each in (own, other))
    one, two = (_unit(spectrum.astype(np.float32).reshape(-1, DETAIL**2)) for spectrum in spectra)
    products: Floats = np.einsum("nk,nk->n", one, two)
    return products


def _slopes(frequencies: int, places: NDArray[np.float64], cells: int) -> Floats:
    """The derivatives of the cosines of ``AT`` by the place."""
    pace = np.pi * np.arange(frequencies)[:, None] / cells
    rows: Floats = (-np.sqrt(2.0 / cells) * pace * np.sin(pace * (places + 0.5))).astype(np.float32)
    return rows


_RISE = _slopes(COARSE, PLACES, CELLS)


def _tangents(thumbnails: Floats) -> Floats:
    """The coarse forms and their changes, at the places of ``sampled_forms``.

    Returns:
        n×6×144: 1, the coarse form, and how it changes with a shift to the right, one down, with scale and rotation.
    """
    spectrum = spectrum_of(thumbnails)
    value, right, down = AT.T @ spectrum @ AT, AT.T @ spectrum @ _RISE, _RISE.T @ spectrum @ AT
    y, x = np.meshgrid(*2 * [(PLACES - PLACES.mean()).astype(np.float32)], indexing="ij")
    parts = [np.ones_like(value), value, right, down, x * right + y * down, x * down - y * right]
    return np.stack(parts, axis=1).reshape(len(thumbnails), len(parts), len(PLACES) ** 2)


def tangent_planes(thumbnails: Floats) -> Floats:
    """Orthonormal bases of the tangents, less their first, which is constant: n×5×144."""
    return np.ascontiguousarray(np.linalg.qr(_tangents(thumbnails).transpose(0, 2, 1))[0].transpose(0, 2, 1)[:, 1:])


def aligned(thumbnails: Floats, targets: Floats) -> Floats:
    """The thumbnails, shifted, scaled and rotated onto the targets, by Gauss-Newton on their coarse forms."""
    goal = sampled_forms(targets).reshape(len(targets), len(PLACES) ** 2, 1)
    motion = np.zeros((len(targets), 4))
    limit = np.array([SHIFT, SHIFT, ROTATION, ROTATION])
    for _ in range(STEPS):
        tangents = _tangents(_moved(thumbnails, motion))
        normal = tangents @ tangents.transpose(0, 2, 1) + 1e-6 * np.eye(6, dtype=np.float32)
        found = np.linalg.solve(normal, tangents @ goal)[:, :, 0]
        # The form's own share is the contrast, which the changes come with.
        motion = (motion + found[:, 2:] / np.maximum(found[:, 1:2], 0.2)).clip(-limit, limit)
    return _moved(thumbnails, motion)


def _moved(thumbnails: Floats, motion: NDArray[np.float64]) -> Floats:
    """The thumbnails, moved.

    Args:
        thumbnails: n×28×28.
        motion: n×4: shift to the right and down (cells), scale − 1, rotation (radians) about the middle.
    """
    moved, middle = np.empty_like(thumbnails), (CELLS - 1) / 2
    for index, (right, down, scale, angle) in enumerate(motion):
        matrix = np.array([[1 + scale, -angle, right], [angle, 1 + scale, down]])
        matrix[:, 2] += middle - matrix[:, :2].sum(axis=1) * middle
        cv2.warpAffine(
            thumbnails[index],
            matrix,
            (CELLS, CELLS),
            dst=moved[index],
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    return moved
