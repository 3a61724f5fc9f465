"""The basic block of residual networks (He et al., CVPR 2016), as torchvision has it, whose import costs a second."""

from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut; tensors have the names of torchvision's block.

    N×narrow×H×W float in, N×wide×H/stride×W/stride out; ``downsample`` is the shortcut where the shape changes.
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
        """Both ways added."""
        shortcut = images if self.downsample is None else self.downsample(images)
        inner = self.relu(self.bn1(self.conv1(images)))
        outer: Tensor = self.relu(self.bn2(self.conv2(inner)) + shortcut)
        return outer
