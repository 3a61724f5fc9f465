"""Compare the search for near duplicates among many crops with a 64-bit perceptual hash.

    python -m benchmarks.duplicates

The hash is imagehash's, or a similar one in OpenCV if that is not installed. It processes one picture at a time and
compares all pairs. It gets fewer crops, and its time for all is extrapolated and marked as such. The crops are random,
but with a common lighting, so that the first filter passes about as many pairs as in FER2013. Some are copies: shifted,
lightened and saved as JPEG, every second one mirrored.
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
"""Every n-th crop is a copy of the previous one."""

BITS = 8
"""Minimum difference of hashes of different pictures."""


def textures(count: int) -> Images:
    """Create random crops and copies: uint8 count×112×112×3."""
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
    """Return the pairs of crops and their copies."""
    return {(index - 1, index) for index in range(COPIED - 1, count, COPIED)}


def timed(steps: list[Callable[[], object]]) -> list[float]:
    """Durations of the steps, in seconds."""
    seconds = []
    for step in steps:
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    return seconds


def project(images: Images) -> tuple[list[float], Pairs]:
    """Return durations of fingerprints and of the searches (all crops; a tenth against the rest), and the pairs."""
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
    """Compute a hash like imagehash's phash: low frequencies compared with their median; 64 bits."""
    small = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (32, 32), interpolation=cv2.INTER_AREA)
    low = cv2.dct(small.astype(np.float32))[:8, :8].ravel()
    return np.asarray(low > np.median(low))


def hash_by_imagehash(image: Images) -> NDArray[np.bool_]:
    """Compute imagehash's phash; 64 bits."""
    from imagehash import phash

    return np.asarray(phash(Image.fromarray(image)).hash.ravel())


def peer() -> tuple[str, Callable[[Images], NDArray[np.bool_]]]:
    """Return name and function of the hash."""
    try:
        import imagehash
    except ImportError:
        return "plain OpenCV loop", hash_by_opencv
    return f"imagehash {imagehash.__version__}", hash_by_imagehash


def hashed(images: Images, hash_one: Callable[[Images], NDArray[np.bool_]]) -> tuple[list[float], Pairs]:
    """Return durations of hashing pictures and mirror images and of comparing all pairs; and the pairs found."""
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
    """Return the number of copies found, and of other pairs."""
    copies = planted(count)
    return f"{len(found & copies)} of {len(copies)} copies found, and {len(found - copies)} other pairs"


def main(
    count: Annotated[int, typer.Option(help="Crops for this project.")] = 36_000,
    peer_count: Annotated[int, typer.Option(help="Crops for the hash.")] = 3_000,
) -> None:
    """Print durations, memory, pairs found and the ratio."""
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
