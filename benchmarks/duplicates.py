"""Near duplicates among many crops: this project beside a perceptual hash of 64 bits.

    python -m benchmarks.duplicates

The hash is imagehash's where that is installed, else much the same by a loop over OpenCV; it takes one picture at a
time and compares all pairs bit by bit. It gets fewer crops; what it would need for all is extrapolated, and said to be.
The crops are random, but in one light, so that as many of them look alike at first as of FER2013's; some are copies,
shifted, lightened and saved as JPEG, every other mirrored.
"""

import time
from collections.abc import Callable
from typing import Annotated

import cv2
import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image

from benchmarks.memory import peak
from pipeline.splits import duplicates
from pipeline.splits.duplicates import Fingerprints

Images = NDArray[np.uint8]
Pairs = set[tuple[int, int]]

SIDE, WIDE = 112, 118
COPIED = 50
"""Every so manieth crop is a copy of the one before."""

BITS = 8
"""Difference from which two hashes are two pictures."""


def textures(count: int) -> Images:
    """Random crops and their copies: uint8 count×112×112×3."""
    generator = np.random.Generator(np.random.PCG64(0))
    light = _smooth(generator.normal(0, 31, (5, 5, 1)).repeat(3, axis=2))
    images = np.empty((count, SIDE, SIDE, 3), dtype=np.uint8)
    for index in range(count):
        if index % COPIED != COPIED - 1:
            coarse, fine = (_smooth(generator.normal(0, 26, (grid, grid, 3))) for grid in (7, 20))
            wide = (128 + light + coarse + fine).clip(0, 255).astype(np.uint8)
            images[index] = wide[3:-3, 3:-3]
        else:
            images[index] = _copy(wide, generator)[:, :: -1 if index // COPIED % 2 else 1]
    return images


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(cv2.resize(values, (WIDE, WIDE), interpolation=cv2.INTER_CUBIC))


def _copy(wide: Images, generator: np.random.Generator) -> Images:
    y, x = generator.integers(1, 6, 2)
    lighter = (wide[y : y + SIDE, x : x + SIDE] * 0.8 + 30).astype(np.uint8)
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", lighter, [cv2.IMWRITE_JPEG_QUALITY, 70])[1], cv2.IMREAD_COLOR))


def planted(count: int) -> Pairs:
    """The pairs of crops and their copies."""
    return {(index - 1, index) for index in range(COPIED - 1, count, COPIED)}


def timed(steps: list[Callable[[], object]]) -> list[float]:
    """Seconds of each step."""
    seconds = []
    for step in steps:
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    return seconds


def project(images: Images) -> tuple[list[float], Pairs]:
    """Seconds of fingerprints, within, and between a tenth of the crops and the others; and the pairs within."""
    prints = duplicates.fingerprints(images[:0])
    pairs = duplicates.within(prints)

    def read() -> None:
        nonlocal prints
        prints = duplicates.fingerprints(images)

    def compare() -> None:
        nonlocal pairs
        pairs = duplicates.within(prints)

    def compare_two() -> None:
        parts = slice(len(prints) // 10), slice(len(prints) // 10, None)
        own, other = (Fingerprints(prints.digests[part], prints.thumbnails[part]) for part in parts)
        duplicates.between(own, other)

    seconds = timed([read, compare, compare_two])
    return seconds, set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))


def hash_by_opencv(image: Images) -> NDArray[np.bool_]:
    """As imagehash's phash: the signs of the low frequencies about their median; 64 bits."""
    small = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (32, 32), interpolation=cv2.INTER_AREA)
    low = cv2.dct(small.astype(np.float32))[:8, :8].ravel()
    return np.asarray(low > np.median(low))


def hash_by_imagehash(image: Images) -> NDArray[np.bool_]:
    """Imagehash's phash; 64 bits."""
    from imagehash import phash

    return np.asarray(phash(Image.fromarray(image)).hash.ravel())


def peer() -> tuple[str, Callable[[Images], NDArray[np.bool_]]]:
    """What it is called, and its hash of one picture."""
    try:
        import imagehash
    except ImportError:
        return "plain OpenCV loop", hash_by_opencv
    return f"imagehash {imagehash.__version__}", hash_by_imagehash


def hashed(images: Images, hash_one: Callable[[Images], NDArray[np.bool_]]) -> tuple[list[float], Pairs]:
    """Seconds of hashing pictures and their mirror images, and of comparing all pairs; and the pairs found."""
    bits: list[NDArray[np.uint64]] = []
    found: Pairs = set()

    def read() -> None:
        for step in (1, -1):
            rows = [hash_one(np.ascontiguousarray(image[:, ::step])) for image in images]
            bits.append(np.packbits(rows, axis=1).view(np.uint64)[:, 0])

    def compare() -> None:
        for other in bits:
            for start in range(0, len(images), 256):
                row, column = np.nonzero(np.bitwise_count(bits[0][start : start + 256, None] ^ other) <= BITS)
                later = row + start < column
                found.update(zip((row[later] + start).tolist(), column[later].tolist(), strict=True))

    return timed([read, compare]), found


def described(found: Pairs, count: int) -> str:
    """How many of the copies were found, and how many other pairs."""
    copies = planted(count)
    return f"{len(found & copies)} of {len(copies)} copies found, and {len(found - copies)} other pairs"


def main(
    count: Annotated[int, typer.Option(help="Crops for this project.")] = 36_000,
    peer_count: Annotated[int, typer.Option(help="Crops for the hash.")] = 3_000,
) -> None:
    """Print seconds, memory, what was found, and the ratio."""
    images = textures(count)
    duplicates.within(duplicates.fingerprints(images[:100]))  # and libraries are loaded
    before = peak()
    (reading, within, between), found = project(images)
    grown = peak() - before
    print(f"this project, {count} crops: {reading:.1f} s fingerprints, {within:.1f} s within, {between:.1f} s between")
    print(f"  {grown:.0f} MiB beyond the crops; {described(found, count)}")
    name, hash_one = peer()
    (hashing, comparing), found = hashed(images[:peer_count], hash_one)
    print(f"{name}, {peer_count} crops: {hashing:.1f} s hashing, {comparing:.2f} s for all pairs")
    print(f"  {described(found, peer_count)}")
    share = count / peer_count
    hashing, comparing = hashing * share, comparing * share**2
    print(f"  extrapolated to {count} crops: {hashing:.1f} s hashing, {comparing:.1f} s for all pairs")
    ratio = (hashing + comparing) / (reading + within)
    print(f"fingerprints and within: {ratio:.1f} × as fast as that, {hashing / reading:.1f} × in reading alone")


if __name__ == "__main__":
    typer.run(main)
