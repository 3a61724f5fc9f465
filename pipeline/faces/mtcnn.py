"""MTCNN (Zhang et al. 2016) in batches: face boxes and five landmarks.

The cascade follows the ``mtcnn`` package step by step, and agrees with it to a fraction of a pixel
(tests/faces/test_reference.py). One departure: where the package's pyramid ends in levels that are too small for P-Net,
as it always does with a ``min_face`` of 32, the package gives up and reports no face; here these levels are left out.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from pipeline.faces import boxes as arithmetic
from pipeline.faces import weights
from pipeline.faces.boxes import Boxes
from pipeline.faces.networks import ONet, PNet, RNet

Image = NDArray[np.uint8]

PIXELS_AT_ONCE = 1 << 20
"""Pixels of pictures stacked for one pass; bounds the memory and, on a CPU, keeps the pass near the caches."""

PATCHES_AT_ONCE = 256
"""Patches for one pass of R-Net or O-Net; bounds the memory on pictures full of proposals."""


@dataclass(frozen=True)
class Detection:
    """The faces of one picture, best first, in pixels of the picture.

    boxes: float32 n×4, x1, y1, x2, y2, within the picture. scores: float32 n, O-Net's, in [0, 1].
    landmarks: float32 n×5×2, x and y of left eye, right eye, nose, left and right mouth corner as seen by the viewer;
    they may lie outside the picture.
    """

    boxes: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    scores: NDArray[np.float32]


@dataclass(frozen=True)
class _Candidates:
    """Boxes of several pictures of one size. picture: n int64, the picture of each box; scores: n float64."""

    picture: NDArray[np.int64]
    boxes: Boxes
    scores: NDArray[np.float64]

    def __getitem__(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> "_Candidates":
        return _Candidates(self.picture[chosen], self.boxes[chosen], self.scores[chosen])


class MTCNN:
    """The cascade with the weights of the ``mtcnn`` package."""

    SUPPRESSION = (0.5, 0.7, 0.7, 0.7)
    """Overlap limits: within a pyramid level, between levels, after R-Net, and after O-Net."""

    def __init__(
        self, min_face: int, scale_factor: float, thresholds: tuple[float, float, float], device: torch.device
    ) -> None:
        """
        ``min_face``: side of the smallest face that is found, in pixels. ``scale_factor``: ratio of neighbouring
        pyramid levels. ``thresholds``: the scores that must be exceeded in P-Net, R-Net and O-Net.

        Raises:
            WeightsError: the weight files are missing or damaged.
        """
        self.min_face, self.scale_factor, self.thresholds, self.device = min_face, scale_factor, thresholds, device
        self._pnet, self._rnet, self._onet = PNet(), RNet(), ONet()
        for network, name in ((self._pnet, "pnet"), (self._rnet, "rnet"), (self._onet, "onet")):
            weights.load(network, name)
            network.to(device).eval()

    def detect(self, images: Sequence[Image]) -> list[Detection]:
        """The faces of each picture (uint8 H×W×3 RGB, sizes may differ), in the order of ``images``."""
        by_size: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for index, image in enumerate(images):
            by_size[image.shape].append(index)
        found: dict[int, Detection] = {}
        # TF32 would move scores by about 1e-3, across a threshold now and then.
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            for shape, indices in by_size.items():
                step = max(1, PIXELS_AT_ONCE // (shape[0] * shape[1]))
                for start in range(0, len(indices), step):
                    some = indices[start : start + step]
                    found.update(zip(some, self._detect_stack([images[index] for index in some]), strict=True))
        return [found[index] for index in range(len(images))]

    def _detect_stack(self, images: Sequence[Image]) -> list[Detection]:
        """The cascade on pictures of one size."""
        pictures = (np.stack(images).astype(np.float32) - 127.5) / 128.0
        height, width = pictures.shape[1:3]
        candidates = self._propose(pictures)
        on_device = torch.from_numpy(pictures).to(self.device).permute(0, 3, 1, 2)
        candidates = self._refine(on_device, candidates)
        candidates, landmarks = self._conclude(on_device, candidates)
        return [
            Detection(
                arithmetic.clipped(candidates.boxes[rows], width, height).astype(np.float32),
                landmarks[rows].astype(np.float32),
                candidates.scores[rows].astype(np.float32),
            )
            for rows in (candidates.picture == index for index in range(len(images)))
        ]

    def _propose(self, pictures: NDArray[np.float32]) -> _Candidates:
        """P-Net on every level of the pyramid of ``pictures`` (N×H×W×3, normalised)."""
        height, width = pictures.shape[1:3]
        within, between = self.SUPPRESSION[:2]
        levels = [_none()]
        for scale in pyramid(width, height, self.min_face, self.scale_factor):
            level = torch.from_numpy(resized(pictures, scale)).to(self.device).permute(0, 3, 1, 2)
            offsets, scores = self._pnet(level)
            picture, row, column = (scores > self.thresholds[0]).nonzero(as_tuple=True)
            # Windows are counted as the weights were trained: pixels from 1, so that 12 of them span 11.
            corner = torch.stack([column, row], dim=1).cpu().numpy() * float(PNet.STRIDE) + 1.0
            windows = np.concatenate([corner, corner + (PNet.WINDOW - 1)], axis=1)
            moved = windows + (PNet.WINDOW - 1) * _to_numpy(offsets[picture, :, row, column])
            candidates = _Candidates(picture.cpu().numpy(), moved / scale, _to_numpy(scores[picture, row, column]))
            levels.append(candidates[_best(candidates, within, "union")])
        merged = _Candidates(
            np.concatenate([level.picture for level in levels]),
            np.concatenate([level.boxes for level in levels]),
            np.concatenate([level.scores for level in levels]),
        )
        merged = merged[_best(merged, between, "union")]
        return _Candidates(merged.picture, arithmetic.to_square(merged.boxes), merged.scores)

    def _refine(self, pictures: Tensor, proposals: _Candidates) -> _Candidates:
        """R-Net on every proposal; its boxes, squared."""
        outputs = [self._rnet(patches) for patches in _patches(pictures, proposals, RNet.SIZE)]
        if not outputs:
            return _none()
        offsets, scores = (_to_numpy(torch.cat(parts)) for parts in zip(*outputs, strict=True))
        refined = _Candidates(proposals.picture, arithmetic.shifted(proposals.boxes, offsets), scores)
        refined = refined[scores > self.thresholds[1]]
        refined = refined[_best(refined, self.SUPPRESSION[2], "union")]
        return _Candidates(refined.picture, arithmetic.to_square(refined.boxes), refined.scores)

    def _conclude(self, pictures: Tensor, refined: _Candidates) -> tuple[_Candidates, NDArray[np.float64]]:
        """O-Net on what R-Net left; the faces and their landmarks n×5×2."""
        outputs = [self._onet(patches) for patches in _patches(pictures, refined, ONet.SIZE)]
        if not outputs:
            return _none(), np.empty((0, 5, 2))
        offsets, scores, shares = (_to_numpy(torch.cat(parts)) for parts in zip(*outputs, strict=True))
        corner, size = refined.boxes[:, None, :2], (refined.boxes[:, 2:] - refined.boxes[:, :2] + 1.0)[:, None]
        landmarks = corner + size * shares.reshape(-1, 2, 5).transpose(0, 2, 1) - 1.0
        faces = _Candidates(refined.picture, arithmetic.shifted(refined.boxes, offsets), scores)
        sure = scores > self.thresholds[2]
        faces, landmarks = faces[sure], landmarks[sure]
        best = _best(faces, self.SUPPRESSION[3], "smaller")
        return faces[best], landmarks[best]


def pyramid(width: int, height: int, min_face: int, scale_factor: float) -> list[float]:
    """The scales at which P-Net looks at a picture: the first shows ``min_face`` as 12 pixels.

    Their number is the ``mtcnn`` package's, which does not depend on ``min_face``; levels that are too small for P-Net
    are left out. A picture of less than about 17 pixels has none.
    """
    levels = round(-(np.log(min(width, height) / PNet.WINDOW) / np.log(scale_factor) + 1.0))
    scales = [PNet.WINDOW / min_face * scale_factor**level for level in range(levels)]
    return [scale for scale in scales if int(min(width, height) * scale) >= PNet.SMALLEST]


def resized(pictures: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    """N×H×W×3 shrunk by averaging over exact areas, with sides of ``int(side · scale)``."""
    count, height, width, channels = pictures.shape
    level = np.empty((count, int(height * scale), int(width * scale), channels), dtype=np.float32)
    for picture, small in zip(pictures, level, strict=True):
        cv2.resize(picture, (small.shape[1], small.shape[0]), dst=small, interpolation=cv2.INTER_AREA)
    return level


def _patches(pictures: Tensor, candidates: _Candidates, size: int) -> Iterator[Tensor]:
    """The candidates' patches, at most ``PATCHES_AT_ONCE`` in one tensor; none if there is no candidate."""
    for start in range(0, len(candidates.picture), PATCHES_AT_ONCE):
        yield crop_and_resize(
            pictures,
            candidates.picture[start : start + PATCHES_AT_ONCE],
            candidates.boxes[start : start + PATCHES_AT_ONCE],
            size,
        )


def crop_and_resize(pictures: Tensor, picture: NDArray[np.int64], boxes: Boxes, size: int) -> Tensor:
    """Bilinear samples at size×size places of each box, its edges included; outside of the picture they are 0.

    ``pictures``: N×3×H×W. ``picture`` (n int64, ascending or not) and ``boxes`` say what to cut out: n×3×size×size.
    Coordinates are TensorFlow's: a box edge at x samples the column x · (W − 1) / W.
    """
    height, width = pictures.shape[2:]
    # −1 … 1 is the picture from the centre of its first pixel to that of its last one (align_corners).
    ends = torch.from_numpy((boxes / [width, height, width, height] * 2.0 - 1.0).astype(np.float32)).to(pictures.device)
    along = torch.linspace(0.0, 1.0, size, device=pictures.device)
    x = ends[:, 0:1] + (ends[:, 2:3] - ends[:, 0:1]) * along
    y = ends[:, 1:2] + (ends[:, 3:4] - ends[:, 1:2]) * along
    grid = torch.stack([x[:, None, :].expand(-1, size, -1), y[:, :, None].expand(-1, -1, size)], dim=-1)
    patches = pictures.new_empty(len(boxes), pictures.shape[1], size, size)
    for index in np.unique(picture):
        rows = torch.from_numpy(np.flatnonzero(picture == index)).to(pictures.device)
        # All patches of a picture as one tall sampling grid, so that the picture is not repeated in memory.
        tall = grid[rows].view(1, -1, size, 2)
        samples = F.grid_sample(
            pictures[index : index + 1], tall, mode="bilinear", padding_mode="border", align_corners=True
        )
        patches[rows] = samples.view(pictures.shape[1], len(rows), size, size).transpose(0, 1)
    inside = (x.abs() <= 1.0)[:, None, None, :] & (y.abs() <= 1.0)[:, None, :, None]
    return patches * inside


def _best(candidates: _Candidates, threshold: float, share_of: arithmetic.ShareOf) -> NDArray[np.int64]:
    """Rows that remain after suppression within each picture: by picture, then by falling score."""
    chosen = [np.empty(0, dtype=np.int64)]
    for index in np.unique(candidates.picture):
        rows = np.flatnonzero(candidates.picture == index)
        rows = rows[arithmetic.by_score(candidates.scores[rows])]
        chosen.append(rows[arithmetic.unsuppressed(candidates.boxes[rows], threshold, share_of)])
    return np.concatenate(chosen)


def _none() -> _Candidates:
    return _Candidates(np.empty(0, dtype=np.int64), np.empty((0, 4)), np.empty(0))


def _to_numpy(tensor: Tensor) -> NDArray[np.float64]:
    return tensor.double().cpu().numpy()
