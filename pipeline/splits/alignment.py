"""Thumbnails moved onto others: how their coarse forms change with shift, scale and turn, to first order."""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.splits.thumbnails import AT, CELLS, COARSE, PLACES, Floats, samples_of, spectrum_of

STEPS = 2
"""Rounds of alignment."""

SHIFT, TURN = 2.5, 0.2
"""How far alignment goes: cells each way; radians, and share of the scale."""


def _slopes(frequencies: int, places: NDArray[np.float64], cells: int) -> Floats:
    """The derivatives of the cosines of ``AT`` by the place."""
    pace = np.pi * np.arange(frequencies)[:, None] / cells
    rows: Floats = (-np.sqrt(2.0 / cells) * pace * np.sin(pace * (places + 0.5))).astype(np.float32)
    return rows


_RISE = _slopes(COARSE, PLACES, CELLS)


def _tangents(thumbnails: Floats) -> Floats:
    """n×6×144, at the places of ``samples_of``: 1, the coarse form, and how it changes with a shift to the right, one
    down, with scale and with a turn.
    """
    spectrum = spectrum_of(thumbnails)
    value, right, down = AT.T @ spectrum @ AT, AT.T @ spectrum @ _RISE, _RISE.T @ spectrum @ AT
    y, x = np.meshgrid(*2 * [(PLACES - PLACES.mean()).astype(np.float32)], indexing="ij")
    parts = [np.ones_like(value), value, right, down, x * right + y * down, x * down - y * right]
    return np.stack(parts, axis=1).reshape(len(thumbnails), len(parts), len(PLACES) ** 2)


def planes_of(thumbnails: Floats) -> Floats:
    """Orthonormal bases of the tangents, less their first, which is constant: n×5×144."""
    return np.ascontiguousarray(np.linalg.qr(_tangents(thumbnails).transpose(0, 2, 1))[0].transpose(0, 2, 1)[:, 1:])


def aligned(thumbnails: Floats, targets: Floats) -> Floats:
    """The thumbnails, shifted, scaled and turned onto the targets, by Gauss-Newton on their coarse forms."""
    goal = samples_of(targets).reshape(len(targets), len(PLACES) ** 2, 1)
    motion = np.zeros((len(targets), 4))
    limit = np.array([SHIFT, SHIFT, TURN, TURN])
    for _ in range(STEPS):
        tangents = _tangents(_moved(thumbnails, motion))
        normal = tangents @ tangents.transpose(0, 2, 1) + 1e-6 * np.eye(6, dtype=np.float32)
        found = np.linalg.solve(normal, tangents @ goal)[:, :, 0]
        # The form's own share is the contrast, which the changes come with.
        motion = (motion + found[:, 2:] / np.maximum(found[:, 1:2], 0.2)).clip(-limit, limit)
    return _moved(thumbnails, motion)


def _moved(thumbnails: Floats, motion: NDArray[np.float64]) -> Floats:
    """motion: shift to the right and down (cells), scale − 1, turn (radians) about the middle; n×4."""
    moved, middle = np.empty_like(thumbnails), (CELLS - 1) / 2
    for index, (right, down, scale, turn) in enumerate(motion):
        matrix = np.array([[1 + scale, -turn, right], [turn, 1 + scale, down]])
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
