"""Pictures for the tests of face detection, made of three files by exact integer arithmetic.

In tests/data: astronaut.png is a part of NASA's portrait of Eileen Collins (public domain) and chelsea.png a cat by
Stéfan van der Walt (CC0) at half its size, both as in scikit-image's ``data``; drawn.png is a scene of a stand-in with
two drawn faces. Nothing here resamples with a library, so that every machine sees the pixels that the reference was
recorded on.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.uint8]

DATA = Path(__file__).parents[1] / "data"


def read(name: str) -> Picture:
    """A picture of tests/data."""
    pixels: Picture = np.array(Image.open(DATA / name).convert("RGB"), dtype=np.uint8)
    return pixels


def photograph() -> Picture:
    """One face of about 84×108 pixels; 240×272 (height × width)."""
    return read("astronaut.png")


def halved(picture: Picture) -> Picture:
    """Half the size: means of 2×2 pixels, rounded down."""
    height, width = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2
    blocks = picture[:height, :width].astype(np.uint32).reshape(height // 2, 2, width // 2, 2, 3)
    means: NDArray[np.uint32] = blocks.sum(axis=(1, 3)) // 4
    return means.astype(np.uint8)


def dimmed(picture: Picture) -> Picture:
    """Mirrored, at two fifths of the brightness."""
    return (picture[:, ::-1].astype(np.uint32) * 2 // 5).astype(np.uint8)


def two_faces() -> Picture:
    """The photograph and, mirrored and half as large, itself on grey; 300×440."""
    canvas = np.full((300, 440, 3), 110, dtype=np.uint8)
    large, small = photograph(), halved(photograph())[:, ::-1]
    canvas[20 : 20 + large.shape[0], 5 : 5 + large.shape[1]] = large
    canvas[150 : 150 + small.shape[0], 295 : 295 + small.shape[1]] = small
    return canvas


def small_face() -> Picture:
    """48×48 pixels with the head alone, as in FER2013 and CK+48."""
    return halved(photograph())[27:75, 43:91]


def enlarged(picture: Picture, times: int) -> Picture:
    """Every pixel ``times`` × ``times``."""
    return picture.repeat(times, axis=0).repeat(times, axis=1)


def crowd() -> Picture:
    """Six photographed and two drawn faces of many sizes; 560×640."""
    canvas = np.full((560, 640, 3), 90, dtype=np.uint8)
    drawn, large = read("drawn.png"), photograph()
    half = halved(large)
    places = [(0, 0, drawn), (0, 365, large), (245, 370, half), (250, 510, half[:, ::-1]), (300, 0, dimmed(large))]
    places += [(300, 280, halved(half)), (370, 280, halved(dimmed(large)))]
    for top, left, picture in places:
        part = picture[: canvas.shape[0] - top, : canvas.shape[1] - left]
        canvas[top : top + part.shape[0], left : left + part.shape[1]] = part
    return canvas


def cut_off() -> Picture:
    """The face runs out of the picture on the left and at the top."""
    return photograph()[58:, 102:]


def noise(height: int, width: int, seed: int = 0) -> Picture:
    """No face; the numbers of PCG64 are the same everywhere."""
    return np.random.Generator(np.random.PCG64(seed)).integers(0, 256, (height, width, 3), dtype=np.uint8)


def scenes() -> dict[str, Picture]:
    """The pictures of the reference, by name."""
    return {
        "photograph": photograph(),
        "half size": halved(photograph()),
        "mirrored and dimmed": dimmed(photograph()),
        "two faces": two_faces(),
        "small face, three times": enlarged(small_face(), 3),
        "cut off": cut_off(),
        "collar": photograph()[170:, :120],
        "noise": noise(97, 130),
        "cat": read("chelsea.png"),
        "drawn": read("drawn.png"),
        "drawn in grey": read("drawn.png")[..., 1:2].repeat(3, axis=2),
        "crowd": crowd(),
    }
