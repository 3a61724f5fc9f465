"""Parts of mini-Xception: the grey pictures that it takes, and its residual blocks."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GREY = (9798.0, 19235.0, 3735.0)
"""OpenCV's weights of red, green and blue, in 2^−15: 0.299, 0.587 and 0.114."""

PARTS = 8
"""Of a pixel: from 112 to 64 pixels every sample lies at a multiple of an eighth between two of them."""


class GreyLevels(nn.Module):
    """RGB of 112×112 pixels in [0, 1] to grey of 64×64 from −1 to 1, level by level as OpenCV makes it of bytes.

    That is what the network was trained on. The numbers are whole and below 2^24, so float32 has them exactly. Levels
    have no gradient.
    """

    weights: Tensor
    left: Tensor
    part: Tensor

    def __init__(self, crop: int, side: int) -> None:
        super().__init__()
        at = (torch.arange(side, dtype=torch.double) + 0.5) * crop / side - 0.5
        self.register_buffer("weights", torch.tensor(GREY).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("left", at.floor().long(), persistent=False)
        self.register_buffer("part", ((at - at.floor()) * PARTS).round().float(), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Float N×3×112×112 in, N×1×64×64 out."""
        levels = (255.0 * images).round()
        grey = (((levels * self.weights).sum(dim=1, keepdim=True) + 2.0**14) / 2.0**15).floor()
        rows = grey[..., self.left] * (PARTS - self.part) + grey[..., self.left + 1] * self.part
        part = self.part[:, None]
        above, below = rows[:, :, self.left] * (PARTS - part), rows[:, :, self.left + 1] * part
        # OpenCV drops bits of both before it adds and rounds.
        small = (((above / 16.0).floor() + (below / 16.0).floor() + 2.0) / 4.0).floor()
        return (small / 255.0 - 0.5) * 2.0


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
        self.beside, self.beside_norm = nn.Conv2d(narrow, wide, 1, bias=False), nn.BatchNorm2d(wide, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(self.first_norm(self.first(x)))
        pooled: Tensor = self.pool(self.second_norm(self.second(inner)))
        # Taken by hand: with stride 2 the convolution's gradient crashes PyTorch 2.15 on some CPUs (channels last).
        beside: Tensor = self.beside_norm(self.beside(x[:, :, ::2, ::2]))
        return pooled + beside
