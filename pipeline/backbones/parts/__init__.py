"""What backbones share: what an entry says, and torchvision's residual networks."""
