"""Wide residual networks (Zagoruyko & Komodakis, 2016), the networks of the NAD paper.

The parameter names and the arithmetic are those of the widely used PyTorch WideResNet (xternalz), so that
published state dicts load unchanged.
"""

from torch import Tensor, nn
from torch.nn import functional as F


class BasicBlock(nn.Module):
    """The pre-activation block B(3, 3) (section 2 of the paper), without dropout."""

    def __init__(self, in_planes: int, out_planes: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_planes)
        self.conv1 = nn.Conv2d(in_planes, out_planes, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_planes)
        self.conv2 = nn.Conv2d(out_planes, out_planes, 3, padding=1, bias=False)
        self.convShortcut = None
        if in_planes != out_planes:
            self.convShortcut = nn.Conv2d(in_planes, out_planes, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, in_planes, H, W] to [N, out_planes, H / stride, W / stride]."""
        activated = F.relu(self.bn1(x), inplace=True)
        # Where the number of planes changes, the shortcut starts after the activation, as published ones do.
        shortcut = x if self.convShortcut is None else self.convShortcut(activated)
        inner = F.relu(self.bn2(self.conv1(activated)), inplace=True)
        return shortcut + self.conv2(inner)


class Group(nn.Module):
    """A row of blocks at one resolution; the first one changes planes and stride."""

    def __init__(self, blocks: int, in_planes: int, out_planes: int, stride: int) -> None:
        super().__init__()
        rest = (BasicBlock(out_planes, out_planes, 1) for _ in range(blocks - 1))
        self.layer = nn.Sequential(BasicBlock(in_planes, out_planes, stride), *rest)

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, in_planes, H, W] to [N, out_planes, H / stride, W / stride]."""
        return self.layer(x)


class WRN(nn.Module):
    """WRN-depth-width, for images of any size from 4x4 on; its taps are the outputs of the three groups.

    Args:
        depth: 6n + 4 with n >= 1: the number of convolution and linear layers.
        width: the factor k >= 1 on the planes 16, 32, 64.
        classes: the number of logits.
    """

    tap_names = ("group1", "group2", "group3")

    def __init__(self, depth: int, width: int, classes: int) -> None:
        super().__init__()
        self.name = f"wrn-{depth}-{width}"
        blocks = (depth - 4) // 6
        planes = (16, 16 * width, 32 * width, 64 * width)
        self.conv1 = nn.Conv2d(3, planes[0], 3, padding=1, bias=False)
        self.block1 = Group(blocks, planes[0], planes[1], 1)
        self.block2 = Group(blocks, planes[1], planes[2], 2)
        self.block3 = Group(blocks, planes[2], planes[3], 2)
        self.bn1 = nn.BatchNorm2d(planes[3])
        self.fc = nn.Linear(planes[3], classes)
        self._initialize()

    def _initialize(self) -> None:
        """He's normal initialization by fan-out for convolutions; batch norms start at 1 and 0 by default."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.fc.bias)

    def forward_with_taps(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """Return the logits [N, classes] and the three groups' outputs, before the last batch norm.

        For images [N, 3, H, W] in [0, 1] the taps are [N, 16k, H, W], [N, 32k, H/2, W/2], [N, 64k, H/4, W/4].
        """
        group1 = self.block1(self.conv1(images))
        group2 = self.block2(group1)
        group3 = self.block3(group2)
        pooled = F.relu(self.bn1(group3), inplace=True).mean(dim=(2, 3))
        return self.fc(pooled), (group1, group2, group3)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits [N, classes] for images [N, 3, H, W] in [0, 1]."""
        return self.forward_with_taps(images)[0]
