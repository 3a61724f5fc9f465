"""Face crops as grey thumbnails of 28×28 cells: comparing two of them by low frequencies, and aligning them.

Alignment uses how a thumbnail's coarse form changes, to first order, with shift, scale and rotation.

n thumbnails are always float32 n×28×28. Every product is a matrix product over all of them at once.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

CELLS = 28
"""Side of a thumbnail in cells. In a crop of 112×112, a cell is 4×4 pixels."""

COARSE, DETAIL = 8, 16
"""Number of frequencies of the cosine transform per direction, for finding and aligning, and for comparing."""

EDGE = 2
"""Number of cells at each edge that are not compared, because they differ in a shifted copy."""

STEPS = 2
"""Number of alignment steps."""

SHIFT, ROTATION = 2.5, 0.2
"""Limits of alignment: shift in cells in each direction; rotation in radians, also the limit of the scale's change."""

Floats = NDArray[np.float32]


def thumbnails_of(images: NDArray[np.uint8]) -> Floats:
    """Return thumbnails of crops (n×S×S×3 uint8 RGB): grey, with mean 0 and length 1; all 0 for a uniform picture."""
    # Stacked vertically, so that OpenCV shrinks all pictures at once; no cell spans two of them.
    tall = cv2.cvtColor(images.reshape(-1, images.shape[2], 3), cv2.COLOR_RGB2GRAY).astype(np.float32)
    small = cv2.resize(tall, (CELLS, len(images) * CELLS), interpolation=cv2.INTER_AREA).reshape(-1, CELLS, CELLS)
    centred: Floats = small - small.mean(axis=(1, 2), keepdims=True)
    # In grey levels: a difference of 1/16 in one cell is larger, rounding in a uniform picture is smaller.
    return _unit(centred.reshape(len(images), CELLS**2), least=1e-2).reshape(small.shape)


def _unit(rows: Floats, least: float = 1e-4) -> Floats:
    """Normalise rows to length 1; rows shorter than ``least`` become 0."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.where(lengths >= least, rows / np.maximum(lengths, least), 0.0).astype(np.float32)


def _cosines(frequencies: int, places: NDArray[np.float64], cells: int) -> Floats:
    """Return the lowest frequencies of the orthonormal DCT-II at any places, in cells."""
    pace = np.pi * np.arange(frequencies)[:, None] / cells
    rows: Floats = (np.sqrt(2.0 / cells) * np.cos(pace * (places + 0.5))).astype(np.float32)
    rows[0] /= np.sqrt(2.0)
    return rows


def _weights(frequencies: int, power: float) -> Floats:
    """Return weights that grow with the frequency, because all faces share the lowest (light above, shade below)."""
    down, across = np.mgrid[:frequencies, :frequencies]
    weights: Floats = (np.hypot(down, across) ** power).astype(np.float32)
    return weights


PLACES = np.linspace(EDGE + 1, CELLS - EDGE - 2, 12)
"""Places at which coarse forms are sampled for alignment: enough for their frequencies, and symmetric."""

AT = _cosines(COARSE, PLACES, CELLS)
"""Cosines of the lowest frequencies at these places, 8×12: ``AT.T @ spectrum @ AT`` is the form there."""

_ALL = _cosines(COARSE, np.arange(float(CELLS)), CELLS)
_INNER = CELLS - 2 * EDGE
_FINE = _cosines(DETAIL, np.arange(float(_INNER)), _INNER)


def spectrum_of(thumbnails: Floats) -> Floats:
    """Return the lowest 8×8 frequencies of thumbnails, n×8×8; the first index is the vertical one."""
    spectrum: Floats = np.asarray(_ALL @ thumbnails @ _ALL.T, dtype=np.float32)
    return spectrum


def coarse_forms(thumbnails: Floats) -> Floats:
    """Return coarse forms of length 1, n×64: first the even horizontal frequencies, then the odd ones."""
    spectrum: Floats = (spectrum_of(thumbnails) * _weights(COARSE, 0.5)).astype(np.float32)
    halves = [spectrum[:, :, parity::2].reshape(len(spectrum), COARSE**2 // 2) for parity in (0, 1)]
    return _unit(np.concatenate(halves, axis=1))


def sampled_forms(thumbnails: Floats) -> Floats:
    """Return coarse forms at 12×12 places, with mean 0 and length 1."""
    values: Floats = np.asarray(AT.T @ spectrum_of(thumbnails) @ AT, dtype=np.float32)
    values -= values.mean(axis=(1, 2), keepdims=True)
    flat: Floats = values.reshape(len(values), len(PLACES) ** 2)
    return _unit(flat).reshape(values.shape)


def correlation(own: Floats, other: Floats) -> Floats:
    """Return the correlation of pairs of thumbnails, n in [−1, 1].

    Edges are ignored. Each frequency is weighted by itself.
    """
    inner, weights = slice(EDGE, -EDGE), _weights(DETAIL, 1.0)
    spectra = (_FINE @ each[:, inner, inner] @ _FINE.T * weights for each in (own, other))
    one, two = (_unit(spectrum.astype(np.float32).reshape(-1, DETAIL**2)) for spectrum in spectra)
    products: Floats = np.einsum("nk,nk->n", one, two)
    return products


def _slopes(frequencies: int, places: NDArray[np.float64], cells: int) -> Floats:
    """Return the derivatives of the cosines in ``AT`` with respect to the place."""
    pace = np.pi * np.arange(frequencies)[:, None] / cells
    rows: Floats = (-np.sqrt(2.0 / cells) * pace * np.sin(pace * (places + 0.5))).astype(np.float32)
    return rows


_RISE = _slopes(COARSE, PLACES, CELLS)


def _tangents(thumbnails: Floats) -> Floats:
    """Return the coarse forms and their derivatives, at the places of ``sampled_forms``.

    Returns:
        n×6×144: 1, the coarse form, and its derivatives by shift to the right, shift down, scale and rotation.
    """
    spectrum = spectrum_of(thumbnails)
    value, right, down = AT.T @ spectrum @ AT, AT.T @ spectrum @ _RISE, _RISE.T @ spectrum @ AT
    y, x = np.meshgrid(*2 * [(PLACES - PLACES.mean()).astype(np.float32)], indexing="ij")
    parts = [np.ones_like(value), value, right, down, x * right + y * down, x * down - y * right]
    return np.stack(parts, axis=1).reshape(len(thumbnails), len(parts), len(PLACES) ** 2)


def tangent_planes(thumbnails: Floats) -> Floats:
    """Return orthonormal bases of the tangents without the first, constant one: n×5×144."""
    return np.ascontiguousarray(np.linalg.qr(_tangents(thumbnails).transpose(0, 2, 1))[0].transpose(0, 2, 1)[:, 1:])


def aligned(thumbnails: Floats, targets: Floats) -> Floats:
    """Shift, scale and rotate thumbnails onto targets, by Gauss-Newton on their coarse forms."""
    goal = sampled_forms(targets).reshape(len(targets), len(PLACES) ** 2, 1)
    motion = np.zeros((len(targets), 4))
    limit = np.array([SHIFT, SHIFT, ROTATION, ROTATION])
    for _ in range(STEPS):
        tangents = _tangents(_moved(thumbnails, motion))
        normal = tangents @ tangents.transpose(0, 2, 1) + 1e-6 * np.eye(6, dtype=np.float32)
        found = np.linalg.solve(normal, tangents @ goal)[:, :, 0]
        # The form's own coefficient is the contrast, by which the derivatives are scaled.
        motion = (motion + found[:, 2:] / np.maximum(found[:, 1:2], 0.2)).clip(-limit, limit)
    return _moved(thumbnails, motion)


def _moved(thumbnails: Floats, motion: NDArray[np.float64]) -> Floats:
    """Shift, scale and rotate thumbnails.

    Args:
        thumbnails: n×28×28.
        motion: n×4: shift to the right and down (cells), scale − 1, rotation about the middle (radians).
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
