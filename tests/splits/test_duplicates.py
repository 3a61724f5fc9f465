"""Duplicates: what is found in however a copy was made, what is not, against a plain comparison of all pairs."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.fft import dctn

from pipeline.splits import duplicates
from pipeline.splits.duplicates import THRESHOLD, between, fingerprints, within

Images = NDArray[np.uint8]
SIDE = 112


def textures(count: int, seed: int = 0) -> Images:
    """Smooth random pictures, as different as photographs are."""
    generator = np.random.Generator(np.random.PCG64(seed))
    small = generator.integers(0, 256, (count, 14, 14, 3), dtype=np.uint8)
    return np.stack([cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for image in small])


def jpeg(image: Images) -> Images:
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_COLOR))


def reduced(image: Images) -> Images:
    small = cv2.resize(image, (48, 48), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC))


def cropped(image: Images) -> Images:
    return np.asarray(cv2.resize(image[1:-1, 1:-1], (SIDE, SIDE)))


def test_equal_pictures_are_exact() -> None:
    images = textures(4)[[0, 1, 0, 2, 3]]
    pairs = within(fingerprints(images))
    assert (pairs.first.tolist(), pairs.second.tolist()) == ([0], [2])
    assert pairs.exact.tolist() == [True]
    assert pairs.mirrored.tolist() == [False]


@pytest.mark.parametrize(
    "change",
    [jpeg, reduced, cropped, lambda image: (0.6 * image + 20).astype(np.uint8)],
    ids=["jpeg", "reduced", "cropped", "lightened"],
)
@pytest.mark.parametrize("mirror", [False, True])
def test_a_changed_copy_is_near(change: Callable[[Images], Images], mirror: bool) -> None:
    images = textures(20)
    copy = change(images[7])
    copies = np.concatenate([images, copy[None, :, ::-1] if mirror else copy[None]])
    pairs = within(fingerprints(copies))
    assert (pairs.first.tolist(), pairs.second.tolist()) == ([7], [20])
    assert pairs.exact.tolist() == [False]
    assert pairs.mirrored.tolist() == [mirror]


def test_different_pictures_are_no_duplicates() -> None:
    assert len(within(fingerprints(textures(300)))) == 0


def test_pictures_of_one_colour_are_only_ever_exact() -> None:
    images = np.stack([np.full((SIDE, SIDE, 3), value, dtype=np.uint8) for value in (0, 90, 255, 90)])
    pairs = within(fingerprints(images))
    assert (pairs.first.tolist(), pairs.second.tolist(), pairs.exact.tolist()) == ([1], [3], [True])


def test_a_thousand_copies_are_a_thousand_pairs() -> None:
    images = np.repeat(textures(2)[:1], 1000, axis=0)
    images = np.concatenate([images, jpeg(images[0])[None]])
    pairs = within(fingerprints(images))
    assert len(pairs) == 1000
    assert set(pairs.first.tolist()) == {0}
    assert pairs.exact.sum() == 999


def test_two_sets_are_compared_and_every_picture_of_the_first_is_named() -> None:
    images = textures(30)
    own = np.concatenate([images[:10], images[:1]])
    other = np.stack([images[20], images[0], jpeg(images[5]), images[0], images[8][:, ::-1]])
    pairs = between(fingerprints(own), fingerprints(other))
    found = list(zip(pairs.first, pairs.second, pairs.exact, pairs.mirrored, strict=True))
    assert found == [(0, 1, True, False), (5, 2, False, False), (8, 4, False, True), (10, 1, True, False)]


def reference(image: Images) -> NDArray[np.float64]:
    """The fingerprint by SciPy's transform of the means of 4×4 squares."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(float)
    small = grey.reshape(28, 4, 28, 4).mean(axis=(1, 3))
    spectrum = dctn(small, norm="ortho")[:12, :12]
    vector = np.array([[np.hypot(u, v) * spectrum[u, v] for v in range(12)] for u in range(12)]).ravel()
    return np.asarray(vector / np.linalg.norm(vector))


def test_pairs_are_those_of_a_plain_comparison(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    generator = np.random.Generator(np.random.PCG64(3))
    images = textures(12, seed=4)
    # Mixtures lie on both sides of the threshold.
    mixed = []
    for share in generator.uniform(0.5, 1.0, 40):
        one, other = images[generator.choice(12, 2, replace=False)]
        mixed.append((share * one + (1 - share) * other).astype(np.uint8))
    whole = np.concatenate([images, np.stack(mixed)])
    vectors = np.stack([reference(image) for image in whole])
    mirrored = np.stack([reference(np.ascontiguousarray(image[:, ::-1])) for image in whole])
    near = (vectors @ vectors.T >= THRESHOLD) | (mirrored @ vectors.T >= THRESHOLD)
    expected = [(i, j) for i, j in zip(*np.nonzero(near), strict=True) if i < j]
    assert 10 < len(expected) < 1000
    np.save(tmp_path / "images.npy", whole)
    for block in (2048, 7):
        monkeypatch.setattr(duplicates, "BLOCK", block)
        pairs = within(fingerprints(np.load(tmp_path / "images.npy", mmap_mode="r")))
        assert list(zip(pairs.first, pairs.second, strict=True)) == expected


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_to_compare(count: int) -> None:
    prints = fingerprints(textures(2)[:count])
    assert len(prints) == count
    assert len(within(prints)) == 0
    assert len(between(prints, fingerprints(textures(3, seed=9)))) == 0
    assert len(between(fingerprints(textures(3, seed=9)), prints)) == 0
