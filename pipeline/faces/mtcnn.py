"""MTCNN (Zhang et al. 2016) in batches: face boxes and five landmarks.

The cascade follows the ``mtcnn`` package step by step, and agrees with it to a fraction of a pixel
(tests/faces/test_reference.py). There is one difference. The package's pyramid can end in levels that are too small for
P-Net; with a ``min_face`` of 32 it always does. The package then reports no face, while this module skips these levels.

A search for large faces first begins with the coarse levels of the pyramid, which are cheap. It continues with finer
levels only in pictures without a face yet that is clearly larger than the faces these levels would show.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.faces import boxes as arithmetic
from pipeline.faces.boxes import Boxes
from pipeline.faces.crop import Image
from pipeline.faces.networks import ONet, PNet, RNet, load_weights
from pipeline.faces.pyramid import Stack, scales

CPU_PIXELS, CPU_PATCHES = 1 << 17, 32
"""Pixels of P-Net's input, and patches, per pass on a CPU. They fit into its caches, which is several times faster."""

GPU_PIXELS, GPU_PATCHES = 1 << 24, 2048
"""The same on other devices. They limit memory for large pictures and for pictures with many proposals."""

STACKED_PIXELS = 1 << 22
"""Number of pixels of pictures that are processed together."""


@dataclass(frozen=True)
class Detection:
    """The faces of one picture, best first, in pixels of the picture.

    Attributes:
        boxes: float32 n×4, x1, y1, x2, y2, within the picture.
        landmarks: float32 n×5×2, x and y of left eye, right eye, nose, left and right mouth corner as seen by the
            viewer; they may lie outside the picture.
        scores: O-Net's scores in [0, 1], float32 n.
    """

    boxes: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    scores: NDArray[np.float32]


@dataclass(frozen=True)
class _Candidates:
    """Boxes of several pictures of one size.

    Attributes:
        picture: the picture of each box, n int64.
        boxes: n×4 float64.
        scores: n float64.
    """

    picture: NDArray[np.int64]
    boxes: Boxes
    scores: NDArray[np.float64]

    def __getitem__(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> "_Candidates":
        return _Candidates(self.picture[chosen], self.boxes[chosen], self.scores[chosen])

    def best(self, threshold: float, share_of: arithmetic.ShareOf) -> NDArray[np.int64]:
        """Return the rows that remain after suppression within each picture, by picture and descending score."""
        return arithmetic.suppress(self.picture, self.boxes, self.scores, threshold, share_of)


@dataclass(frozen=True)
class _Round:
    """One step of a search.

    Attributes:
        levels: scales of the levels that the step adds, finest first.
        conclusive: side of the smallest face that ends the search, in pixels.
    """

    levels: list[float]
    conclusive: float


class MTCNN:
    """The cascade with the weights of the ``mtcnn`` package."""

    SUPPRESSION = (0.5, 0.7, 0.7, 0.7)
    """Maximum overlaps: within a pyramid level, between levels, after R-Net, and after O-Net."""

    FIRST_ROUND = 1 / 4
    """A search for large faces first begins with levels that show faces of this share of the shorter side."""

    CLEARLY_LARGER = 1.5
    """The search ends at a face with this many times the side of the smallest face that the levels so far can show."""

    def __init__(
        self,
        min_face: int,
        scale_factor: float,
        thresholds: tuple[float, float, float],
        device: torch.device,
        large_first: bool = False,
    ) -> None:
        """Load the three networks.

        Args:
            min_face: side of the smallest face to find, in pixels.
            scale_factor: ratio of neighbouring pyramid levels.
            thresholds: minimum scores in P-Net, R-Net and O-Net.
            device: device of the networks.
            large_first: skip the finer levels if the coarser ones show a face. Then only the largest face of a picture
                is found with certainty.

        Raises:
            WeightsError: the weight files are missing or damaged.
        """
        self.min_face, self.scale_factor, self.thresholds, self.device = min_face, scale_factor, thresholds, device
        self.large_first = large_first
        self._pnet, self._rnet, self._onet = PNet(), RNet(), ONet()
        for network, name in ((self._pnet, "pnet"), (self._rnet, "rnet"), (self._onet, "onet")):
            load_weights(network, name)
            network.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        on_cpu = device.type == "cpu"
        self._pixels_at_once, self._patches_at_once = (CPU_PIXELS, CPU_PATCHES) if on_cpu else (GPU_PIXELS, GPU_PATCHES)

    def detect(self, images: Sequence[Image]) -> list[Detection]:
        """Return the faces of each picture (uint8 H×W×3 RGB; sizes may differ), in the order of ``images``."""
        by_size: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for index, image in enumerate(images):
            by_size[image.shape].append(index)
        found: dict[int, Detection] = {}
        # TF32 would change scores by about 1e-3, sometimes across a threshold.
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            for shape, indices in by_size.items():
                step = max(1, STACKED_PIXELS // (shape[0] * shape[1]))
                for start in range(0, len(indices), step):
                    some = indices[start : start + step]
                    found.update(zip(some, self._detect_stack([images[index] for index in some]), strict=True))
        return [found[index] for index in range(len(images))]

    def _detect_stack(self, images: Sequence[Image]) -> list[Detection]:
        """Run the cascade on pictures of one size."""
        stack = Stack(images, self.device)
        found: dict[int, Detection] = {}
        proposals = _none()
        for search in self._rounds(stack.width, stack.height):
            left = np.array([index for index in range(stack.count) if index not in found], dtype=np.int64)
            if not len(left):
                break
            proposals = _joined(
                # Finer levels first, as if all were searched at once: of equal scores the later proposal wins.
                [self._propose(stack, search.levels, left), proposals[np.isin(proposals.picture, left)]]
            )
            faces, landmarks = self._conclude(stack, self._refine(stack, proposals))
            boxes = arithmetic.clipped(faces.boxes, stack.width, stack.height)
            sides = np.sqrt(arithmetic.area(boxes))
            for index in left:
                rows = faces.picture == index
                if sides[rows].max(initial=0.0) >= search.conclusive:
                    found[int(index)] = Detection(
                        boxes[rows].astype(np.float32),
                        landmarks[rows].astype(np.float32),
                        faces.scores[rows].astype(np.float32),
                    )
        return [found[index] for index in range(stack.count)]

    def _rounds(self, width: int, height: int) -> Iterator[_Round]:
        """Yield the steps of a search. The last one adds all remaining levels and accepts any result, even no face."""
        levels = scales(width, height, self.min_face, self.scale_factor)
        smallest = self.FIRST_ROUND * min(width, height)
        while self.large_first and smallest > self.min_face:
            shown = [scale for scale in levels if PNet.WINDOW / scale >= smallest]
            if shown:
                levels = [scale for scale in levels if scale not in shown]
                yield _Round(shown, self.CLEARLY_LARGER * PNet.WINDOW / shown[0])
            smallest /= 2.0
        yield _Round(levels, 0.0)

    def _propose(self, stack: Stack, levels: Sequence[float], chosen: NDArray[np.int64]) -> _Candidates:
        """Run P-Net on ``levels`` of the ``chosen`` pictures, with suppression within each level."""
        proposals = [_none()]
        for scale, level in zip(levels, stack.levels(levels, chosen), strict=True):
            step = max(1, self._pixels_at_once // (level.shape[2] * level.shape[3]))
            for start in range(0, len(chosen), step):
                candidates = self._propose_on(level[start : start + step], scale)
                candidates = _Candidates(chosen[start + candidates.picture], candidates.boxes, candidates.scores)
                proposals.append(candidates[candidates.best(self.SUPPRESSION[0], "union")])
        return _joined(proposals)

    def _propose_on(self, level: Tensor, scale: float) -> _Candidates:
        """Run P-Net on one level (n×3×h×w). Return all windows above the threshold, in pixels of the full pictures."""
        # In strips, so that memory does not grow with the picture; each strip has ``rows`` rows of windows.
        rows = max(1, self._pixels_at_once // (len(level) * level.shape[3] * PNet.STRIDE))
        strips = []
        for top in range(0, max(1, (level.shape[2] - PNet.SMALLEST) // PNet.STRIDE + 1), rows):
            bottom = PNet.STRIDE * (top + rows) + PNet.WINDOW - PNet.STRIDE
            strips.append(self._propose_in(level[:, :, PNet.STRIDE * top : bottom], top, scale))
        return _joined(strips)

    def _propose_in(self, strip: Tensor, top: int, scale: float) -> _Candidates:
        """Run P-Net on a strip of a level whose first row of windows has the number ``top``."""
        offsets, scores = self._pnet(strip)
        picture, row, column = (scores > self.thresholds[0]).nonzero(as_tuple=True)
        # Coordinates as in the training of the weights: pixels count from 1, so that 12 pixels span 11.
        corner = torch.stack([column, row + top], dim=1).cpu().numpy() * float(PNet.STRIDE) + 1.0
        windows = np.concatenate([corner, corner + (PNet.WINDOW - 1)], axis=1)
        moved = windows + (PNet.WINDOW - 1) * _to_numpy(offsets[picture, :, row, column])
        return _Candidates(picture.cpu().numpy(), moved / scale, _to_numpy(scores[picture, row, column]))

    def _refine(self, stack: Stack, proposals: _Candidates) -> _Candidates:
        """Suppress proposals between levels, run R-Net on the rest, and return its boxes as squares."""
        proposals = proposals[proposals.best(self.SUPPRESSION[1], "union")]
        squares = _Candidates(proposals.picture, arithmetic.to_square(proposals.boxes), proposals.scores)
        outputs = [self._rnet(patches) for patches in self._patches(stack, squares, RNet.SIZE)]
        if not outputs:
            return _none()
        offsets, scores = (_to_numpy(torch.cat(parts)) for parts in zip(*outputs, strict=True))
        refined = _Candidates(squares.picture, arithmetic.apply_offsets(squares.boxes, offsets), scores)
        refined = refined[scores > self.thresholds[1]]
        refined = refined[refined.best(self.SUPPRESSION[2], "union")]
        return _Candidates(refined.picture, arithmetic.to_square(refined.boxes), refined.scores)

    def _conclude(self, stack: Stack, refined: _Candidates) -> tuple[_Candidates, NDArray[np.float64]]:
        """Run O-Net on R-Net's boxes. Return the faces and their landmarks, n×5×2."""
        outputs = [self._onet(patches) for patches in self._patches(stack, refined, ONet.SIZE)]
        if not outputs:
            return _none(), np.empty((0, 5, 2))
        offsets, scores, shares = (_to_numpy(torch.cat(parts)) for parts in zip(*outputs, strict=True))
        corner, size = refined.boxes[:, None, :2], (refined.boxes[:, 2:] - refined.boxes[:, :2] + 1.0)[:, None]
        landmarks = corner + size * shares.reshape(-1, 2, 5).transpose(0, 2, 1) - 1.0
        faces = _Candidates(refined.picture, arithmetic.apply_offsets(refined.boxes, offsets), scores)
        sure = scores > self.thresholds[2]
        faces, landmarks = faces[sure], landmarks[sure]
        best = faces.best(self.SUPPRESSION[3], "smaller")
        return faces[best], landmarks[best]

    def _patches(self, stack: Stack, candidates: _Candidates, size: int) -> Iterator[Tensor]:
        """Yield the candidates' normalised patches in tensors of the size of one pass; nothing without candidates."""
        for start in range(0, len(candidates.picture), self._patches_at_once):
            some = candidates[np.arange(start, min(start + self._patches_at_once, len(candidates.picture)))]
            yield stack.patches(some.picture, some.boxes, size)


def _joined(parts: Sequence[_Candidates]) -> _Candidates:
    return _Candidates(
        np.concatenate([part.picture for part in parts]),
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.scores for part in parts]),
    )


def _none() -> _Candidates:
    return _Candidates(np.empty(0, dtype=np.int64), np.empty((0, 4)), np.empty(0))


def _to_numpy(tensor: Tensor) -> NDArray[np.float64]:
    return tensor.double().cpu().numpy()
