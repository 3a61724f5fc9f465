"""The blocks of residual networks (He et al., CVPR 2016) that are built here rather than by torchvision."""

from torch import Tensor, nn
from torch.nn import functional as F


class BasicBlock(nn.Module):
    """The basic block, two 3×3 convolutions beside a shortcut; tensors have the names of torchvision's block.

    It is here because importing torchvision costs a second.

    Args:
        narrow: channels in; N×narrow×H×W float.
        wide: channels out; N×wide×H/stride×W/stride.
        stride: of the first convolution.
        downsample: the shortcut, where the shape changes.
    """

    def __init__(self, narrow: int, wide: int, stride: int = 1, downsample: nn.Module | None = None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(narrow, wide, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(wide, wide, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.downsample = downsample

    def forward(self, images: Tensor) -> Tensor:
        shortcut = images if self.downsample is None else self.downsample(images)
        inner = self.relu(self.bn1(self.conv1(images)))
        outer: Tensor = self.relu(self.bn2(self.conv2(inner)) + shortcut)
        return outer


class PaddedBlock(nn.Module):
    """The block of dlib's networks, whose shortcut has no weights.

    Two 3×3 convolutions beside a shortcut; where they widen or shrink, zeros fill what one of the two lacks.

    Args:
        narrow: channels in; N×narrow×H×W float.
        wide: channels out; N×wide×H'×W'.
        halves: the first convolution strides by 2 without padding and the shortcut is 2×2 average pooling, so the two
            may differ by a row and a column; dlib's sum has the larger size of both.
    """

    def __init__(self, narrow: int, wide: int, halves: bool) -> None:
        super().__init__()
        stride, padding = (2, 0) if halves else (1, 1)
        self.conv1 = nn.Conv2d(narrow, wide, 3, stride=stride, padding=padding, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(wide, wide, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.shortcut = nn.AvgPool2d(2) if halves else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        inner = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(images)))))
        outer = self.shortcut(images)
        size = [max(a, b) for a, b in zip(inner.shape[1:], outer.shape[1:], strict=True)]
        summed: Tensor = self.relu(_filled(inner, size) + _filled(outer, size))
        return summed


def _filled(tensor: Tensor, size: list[int]) -> Tensor:
    """Pad N×C×H×W with zeros after its channels, rows and columns, to ``size``."""
    channels, rows, columns = (wanted - have for wanted, have in zip(size, tensor.shape[1:], strict=True))
    if channels == rows == columns == 0:
        return tensor
    return F.pad(tensor, (0, columns, 0, rows, 0, channels))
