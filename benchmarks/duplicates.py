"""Near duplicates among many crops: this project beside imagehash's perceptual hash.

python -m benchmarks.duplicates
"""

import resource
import sys
import time
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image

from pipeline.splits import duplicates

Images = NDArray[np.uint8]


def textures(count: int) -> Images:
    """Random pictures of 16×16 squares: uint8 count×112×112×3."""
    squares = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (count, 7, 7, 3), dtype=np.uint8)
    return squares.repeat(16, axis=1).repeat(16, axis=2)


def project(images: Images) -> tuple[float, float]:
    """Seconds of fingerprinting, and of comparing all pairs as they are and mirrored."""
    began = time.perf_counter()
    prints = duplicates.fingerprints(images)
    printed = time.perf_counter()
    duplicates.within(prints)
    return printed - began, time.perf_counter() - printed


def imagehash(images: Images) -> tuple[float, float] | None:
    """The same with imagehash: a hash of 64 bits, of the picture and of its mirror image, compared bit by bit."""
    try:
        from imagehash import phash
    except ImportError:
        return None
    began = time.perf_counter()
    hashes = [[phash(Image.fromarray(picture)).hash.ravel() for picture in (i, i[:, ::-1])] for i in images]
    straight, mirrored = (np.packbits([pair[k] for pair in hashes], axis=1).view(np.uint64)[:, 0] for k in range(2))
    printed = time.perf_counter()
    for other in (straight, mirrored):
        for start in range(0, len(images), 256):
            np.nonzero(np.bitwise_count(straight[start : start + 256, None] ^ other[None]) <= 6)
    return printed - began, time.perf_counter() - printed


def main(
    count: Annotated[int, typer.Option(help="Crops for this project.")] = 36_000,
    peer_count: Annotated[int, typer.Option(help="Crops for imagehash, which hashes one at a time.")] = 3_000,
) -> None:
    """Print seconds and the ratio of fingerprinting speeds."""
    images = textures(count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    hashing, comparing = project(images)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10
    print(f"this project, {count} crops: {hashing:.1f} s to read, {comparing:.1f} s for all pairs both ways")
    print(f"  memory beyond the crops: {grown:.0f} MiB; {count / hashing:.0f} crops/s")
    peer = imagehash(images[:peer_count])
    if peer is None:
        print("imagehash is not installed: pip install imagehash", file=sys.stderr)
        return
    print(f"imagehash, {peer_count} crops: {peer[0]:.1f} s to hash, {peer[1]:.1f} s for all pairs both ways")
    rate = peer_count / peer[0]
    print(f"  {rate:.0f} crops/s; this project reads {count / hashing / rate:.1f} × as many")


if __name__ == "__main__":
    typer.run(main)
