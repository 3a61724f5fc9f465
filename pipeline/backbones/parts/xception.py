"""Parts of mini-Xception: the grey pictures that it takes, and its residual blocks."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GREY = (9798.0, 19235.0, 3735.0)
"""OpenCV's weights of red, green and blue, in 2^−15: 0.299, 0.587 and 0.114."""


class GreyLevels(nn.Module):
    """RGB in [0, 1] to grey from −1 to 1, as OpenCV makes it of whole numbers: grey first, then the size.

    Whole levels are kept at both steps, since that is what the network was trained on. They have no gradient.
    """

    weights: Tensor

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side
        self.register_buffer("weights", torch.tensor(GREY).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Float N×3×H×W in, N×1×side×side out."""
        levels = (255.0 * images).round()
        # Products and sum are below 2^24, so float32 has them exactly.
        grey = (((levels * self.weights).sum(dim=1, keepdim=True) + 2.0**14) / 2.0**15).floor()
        # OpenCV samples where it shrinks by less than two; no filter is widened.
        small = F.interpolate(grey, size=(self.side, self.side), mode="bilinear", align_corners=False)
        return ((small + 0.5).floor() / 255.0 - 0.5) * 2.0


class SeparableConv(nn.Sequential):
    """A 3×3 convolution of each channel, then one of 1×1 over channels; N×narrow×H×W in, N×wide×H×W out."""

    def __init__(self, narrow: int, wide: int) -> None:
        super().__init__(
            nn.Conv2d(narrow, narrow, 3, padding=1, groups=narrow, bias=False), nn.Conv2d(narrow, wide, 1, bias=False)
        )


class XceptionBlock(nn.Module):
    """Two separable convolutions and a pooling, beside a 1×1 convolution; N×narrow×S×S in, N×wide×⌈S/2⌉×⌈S/2⌉ out.

    The pooling's border is TensorFlow's "same": a side of even length gets a pixel at its end, of odd length one at
    each end.

    Args:
        narrow: channels of the input.
        wide: channels of the output.
        side: S, in pixels.
    """

    def __init__(self, narrow: int, wide: int, side: int) -> None:
        super().__init__()
        self.first, self.first_norm = SeparableConv(narrow, wide), nn.BatchNorm2d(wide, eps=1e-3)
        self.second, self.second_norm = SeparableConv(wide, wide), nn.BatchNorm2d(wide, eps=1e-3)
        self.pool = nn.MaxPool2d(3, stride=2, padding=side % 2, ceil_mode=True)
        self.beside, self.beside_norm = nn.Conv2d(narrow, wide, 1, stride=2, bias=False), nn.BatchNorm2d(wide, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(self.first_norm(self.first(x)))
        pooled: Tensor = self.pool(self.second_norm(self.second(inner)))
        return pooled + self.beside_norm(self.beside(x))
