"""The pyramid and the patches: exact areas, TensorFlow's coordinates, and the device's way beside OpenCV's."""

import numpy as np
import pytest
import torch

from pipeline.faces import pyramid
from pipeline.faces.pyramid import Stack, scales
from tests.faces.scenes import Picture, noise, photograph

CPU = torch.device("cpu")


def raw(samples: torch.Tensor) -> torch.Tensor:
    """Back to 0 … 255 from what the networks take."""
    return samples * 128.0 + 127.5


def test_scales_start_at_min_face_and_leave_out_what_is_too_small() -> None:
    assert scales(272, 240, 20, 0.709)[0] == pytest.approx(0.6)
    assert len(scales(272, 240, 20, 0.709)) == 8
    assert min(240 * scale for scale in scales(272, 240, 32, 0.709)) >= 11
    assert scales(12, 12, 12, 0.709) == []


def test_levels_average_fractional_areas() -> None:
    row = np.array([0, 3, 9], dtype=np.uint8).reshape(1, 3, 1).repeat(2, axis=0).repeat(3, axis=2)
    # Two pixels of 1.5: the middle one counts half in each.
    (level,) = Stack([row], CPU).levels([0.67], np.array([0]))
    torch.testing.assert_close(raw(level)[0, 0, 0], torch.tensor([1.0, 7.0]))


@pytest.mark.parametrize("picture", [photograph(), noise(97, 130)])
def test_sums_and_opencv_average_the_same_areas(picture: Picture) -> None:
    pixels = torch.from_numpy(np.stack([picture, picture[::-1]]))
    sizes = [(60, 71), (23, 30), (48, 65), (1, 1)]
    by_sums, by_opencv = ([torch.empty(2, *size, 3) for size in sizes] for _ in range(2))
    pyramid._average_by_sums(pixels, by_sums)
    pyramid._average_by_opencv(pixels, by_opencv)
    for one, other in zip(by_sums, by_opencv, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=0.0)


def test_levels_are_those_of_the_chosen_pictures() -> None:
    values = [np.full((400, 400, 3), value, dtype=np.uint8) for value in (10, 20, 30)]
    for level in Stack(values, CPU).levels([0.5, 0.1], np.array([2, 0])):  # by OpenCV, by sums
        assert raw(level).mean(dim=(1, 2, 3)).tolist() == pytest.approx([30.0, 10.0])


def test_patches_follow_tensorflow() -> None:
    ramp = np.arange(1, 11, dtype=np.uint8)[None, :, None].repeat(10, axis=0).repeat(3, axis=2)
    stack = Stack([ramp], CPU)

    def first_row(box: list[float], size: int) -> torch.Tensor:
        patches = stack.patches(np.array([0]), np.array([box]), size)
        return patches[0, 0, 0]

    torch.testing.assert_close(raw(first_row([0.0, 0.0, 10.0, 10.0], 4)), torch.tensor([1.0, 4.0, 7.0, 10.0]))
    # An edge at x = 5 of 10 samples column 5 · 9 / 10 = 4.5.
    torch.testing.assert_close(raw(first_row([5.0, 0.0, 10.0, 10.0], 2)), torch.tensor([5.5, 10.0]))
    # What lies outside is 0 (as the networks see it) at once, not blended with the edge.
    outside = first_row([-0.5, 0.0, 10.0, 10.0], 2)
    assert outside[0] == 0.0
    assert raw(outside)[1] == pytest.approx(10.0)
    assert (stack.patches(np.array([0]), np.array([[20.0, 20.0, 30.0, 30.0]]), 5) == 0.0).all()


def test_patches_come_from_their_own_picture() -> None:
    stack = Stack([np.full((8, 8, 3), value, dtype=np.uint8) for value in range(3)], CPU)
    box = np.array([[1.0, 1.0, 6.0, 6.0]])
    patches = stack.patches(np.array([0, 1, 2, 2]), box.repeat(4, axis=0), 5)
    assert raw(patches).mean(dim=(1, 2, 3)).tolist() == pytest.approx([0.0, 1.0, 2.0, 2.0])


def test_one_pixel_wide_pictures_have_patches() -> None:
    patches = Stack([np.full((1, 1, 3), 9, dtype=np.uint8)], CPU).patches(
        np.array([0]), np.array([[0.0, 0.0, 1.0, 1.0]]), 3
    )
    assert (raw(patches) == 9.0).all()
