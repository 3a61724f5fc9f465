"""Duplicates: what is found however a copy was made, what is not, against a plain search for the best shift."""

import tracemalloc
from collections.abc import Callable
from itertools import combinations, product
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.splits import duplicates
from pipeline.splits.duplicates import Pairs, between, fingerprints, within

Images = NDArray[np.uint8]
Change = Callable[[Images], Images]
SIDE = 112


def textures(count: int, seed: int = 0, side: int = SIDE, grid: int = 14) -> Images:
    """Smooth random pictures, as different as photographs are."""
    generator = np.random.Generator(np.random.PCG64(seed))
    small = generator.integers(0, 256, (count, grid, grid, 3), dtype=np.uint8)
    return np.stack([cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC) for image in small])


def jpeg(image: Images) -> Images:
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_COLOR))


def reduced(image: Images) -> Images:
    small = cv2.resize(image, (48, 48), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC))


def lightened(image: Images) -> Images:
    return (0.6 * image + 80).astype(np.uint8)


def noisy(image: Images) -> Images:
    noise = np.random.Generator(np.random.PCG64(1)).normal(0, 12, image.shape)
    return (image + noise).clip(0, 255).astype(np.uint8)


def moved(right: float = 0, down: float = 0, scale: float = 1, turn: float = 0) -> Change:
    """Shifted by pixels, enlarged about the middle, turned by degrees."""
    matrix = cv2.getRotationMatrix2D(((SIDE - 1) / 2, (SIDE - 1) / 2), turn, scale)
    matrix[:, 2] += np.array([right, down])
    return lambda image: np.asarray(cv2.warpAffine(image, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT))


CHANGES: dict[str, Change] = {
    "jpeg": jpeg,
    "reduced": reduced,
    "lightened": lightened,
    "noisy": noisy,
    "shifted right": moved(right=3),
    "shifted up": moved(down=-3),
    "shifted both ways": moved(right=-2, down=2),
    "cropped": moved(scale=1 / 0.95),
    "turned": moved(turn=4),
    "all of it": lambda image: jpeg(lightened(moved(right=1.5, down=1, scale=1.02)(image))),
}


def rows(pairs: Pairs) -> list[tuple[int, int, bool, bool]]:
    """first, second, exact, mirrored."""
    assert pairs.first.dtype == pairs.second.dtype == np.int64
    assert pairs.exact.dtype == pairs.mirrored.dtype == np.bool_
    columns = (pairs.first, pairs.second, pairs.exact, pairs.mirrored)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_equal_pictures_are_exact() -> None:
    images = textures(4)[[0, 1, 0, 2, 3]]
    assert rows(within(fingerprints(images))) == [(0, 2, True, False)]


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("mirror", [False, True])
def test_a_changed_copy_is_near(change: Change, mirror: bool) -> None:
    images = textures(20)
    copy = change(images[7])
    copies = np.concatenate([images, copy[None, :, ::-1] if mirror else copy[None]])
    assert rows(within(fingerprints(copies))) == [(7, 20, False, mirror)]


def test_a_picture_that_is_its_own_mirror_image_is_not_called_mirrored() -> None:
    image = textures(1)[0]
    image[:, SIDE // 2 :] = image[:, : SIDE // 2][:, ::-1]
    assert rows(within(fingerprints(np.stack([image, jpeg(image)])))) == [(0, 1, False, False)]


def test_different_pictures_are_no_duplicates() -> None:
    assert len(within(fingerprints(textures(300)))) == 0


def test_pictures_alike_but_for_their_details_are_no_duplicates(monkeypatch: pytest.MonkeyPatch) -> None:
    """As faces are in the same light."""
    light, details = textures(1, grid=5).astype(float), textures(2, seed=5, grid=28).astype(float)
    prints = fingerprints((0.7 * light + 0.3 * details).astype(np.uint8))
    assert len(within(prints)) == 0
    monkeypatch.setattr(duplicates, "THRESHOLD", 0.3)  # and it is the last step that tells them apart
    assert len(within(prints)) == 1


def test_pictures_of_one_colour_are_only_ever_exact() -> None:
    colours = [(0, 0, 0), (90, 90, 90), (255, 255, 255), (90, 90, 90), (200, 10, 60)]
    images = np.stack([np.full((SIDE, SIDE, 3), colour, dtype=np.uint8) for colour in colours])
    prints = fingerprints(images)
    assert not prints.thumbnails.any()
    assert rows(within(prints)) == [(1, 3, True, False)]


def test_thousands_of_equal_pictures_are_as_many_pairs() -> None:
    images = np.repeat(textures(2), [1, 5000], axis=0)
    images = np.concatenate([images, jpeg(images[1])[None]])
    found = rows(within(fingerprints(images)))
    assert found == [(1, copy, True, False) for copy in range(2, 5001)] + [(1, 5001, False, False)]


def test_two_sets_are_compared_and_every_picture_of_the_first_is_named() -> None:
    images = textures(30)
    own = np.concatenate([images[:10], images[:1]])
    other = np.stack([images[20], images[0], jpeg(images[5]), images[0], images[8][:, ::-1], jpeg(images[0])])
    assert rows(between(fingerprints(own), fingerprints(other))) == [
        (0, 1, True, False),
        (0, 5, False, False),
        (5, 2, False, False),
        (8, 4, False, True),
        (10, 1, True, False),
        (10, 5, False, False),
    ]


def best_correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """NumPy's, at the best shift by up to four pixels each way; without the edges."""
    inner = one[8:-8, 8:-8].ravel()
    steps = range(-4, 5)
    windows = (other[8 + y : SIDE - 8 + y, 8 + x : SIDE - 8 + x].ravel() for y, x in product(steps, steps))
    return max(float(np.corrcoef(inner, window)[0, 1]) for window in windows)


def mixed(seed: int) -> Images:
    """Copies of a few pictures, shifted, mirrored and lightened, and others that are half of one of them."""
    generator = np.random.Generator(np.random.PCG64(seed))
    wide, made = textures(6, seed, side=SIDE + 8), []
    for kind in range(24):
        one, other = wide[generator.choice(6, 2, replace=False)]
        y, x = generator.integers(2, 6, 2)
        image = (one if kind % 3 else one // 2 + other // 2)[y : y + SIDE, x : x + SIDE]
        made.append((0.8 * image + generator.integers(0, 50)).astype(np.uint8)[:, :: generator.choice([1, -1])])
    return np.stack(made)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_pairs_are_those_of_a_plain_search(seed: int) -> None:
    images = mixed(seed)
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(float) for image in images]
    expected, between_the_two = [], 0
    for one, other in combinations(range(len(grey)), 2):
        straight, mirrored = (best_correlation(own, grey[other]) for own in (grey[one], grey[one][:, ::-1]))
        between_the_two += 0.8 < max(straight, mirrored) < 0.95
        if max(straight, mirrored) >= 0.95:
            expected.append((one, other, False, straight < 0.95))
    assert between_the_two == 0  # so that it does not matter how exactly a correlation is taken
    assert len(expected) > 10
    assert {mirrored for *_, mirrored in expected} == {False, True}
    assert rows(within(fingerprints(images))) == expected


def test_a_memory_map_and_small_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    images = np.concatenate([textures(3), mixed(2), textures(3)])
    expected, expected_between = within(fingerprints(images)), between(fingerprints(images), fingerprints(images[5:]))
    assert len(expected) > 10
    assert expected.exact.sum() == 3
    np.save(tmp_path / "crops.npy", images)
    monkeypatch.setattr(duplicates, "BLOCK", 7)
    monkeypatch.setattr(duplicates, "CHUNK", 2)
    prints = fingerprints(np.load(tmp_path / "crops.npy", mmap_mode="r"))
    assert rows(within(prints)) == rows(expected)
    assert rows(between(prints, fingerprints(images[5:]))) == rows(expected_between)


def test_no_second_copy_of_the_array_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "BLOCK", 16)
    images = np.repeat(textures(1), 1000, axis=0)
    tracemalloc.start()
    fingerprints(images)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < images.nbytes / 4


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_to_compare(count: int) -> None:
    prints, others = fingerprints(textures(2)[:count]), fingerprints(textures(3, seed=9))
    assert len(prints) == count
    assert rows(within(prints)) == rows(between(prints, others)) == rows(between(others, prints)) == []


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, SIDE, SIDE, 3), dtype=np.float32), r"uint8 n×S×S×3, not float32"),
        (np.zeros((2, SIDE, SIDE), dtype=np.uint8), r"not uint8 \(2, 112, 112\)"),
        (np.zeros((2, SIDE, 84, 3), dtype=np.uint8), r"not uint8 \(2, 112, 84, 3\)"),
        (np.zeros((2, 100, 100, 3), dtype=np.uint8), "multiple of 28, not 100"),
    ],
)
def test_other_arrays_are_refused(images: Images, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fingerprints(images)
