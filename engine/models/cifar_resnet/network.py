"""The residual networks of the first paper's experiments on CIFAR-10 (He et al., CVPR 2016, section 4.2).

Parameter names and arithmetic are those of the widely used akamaster/pytorch_resnet_cifar10: shortcuts without
parameters (the paper's option A), 16, 32 and 64 planes.
"""

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional as F

from engine.models.scale import scaled

PLANES = (16, 32, 64)


class BasicBlock(nn.Module):
    """Two convolutions, and around them the input: every second place of it, filled up with zeros, where it shrinks."""

    def __init__(self, in_planes: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_planes, planes, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.stride = stride
        self.more = planes - in_planes

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, in_planes, H, W] to [N, planes, H / stride, W / stride]."""
        inner = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        before = self.more // 2
        shortcut = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, before, self.more - before))
        return F.relu(inner + shortcut)


def cifar_resnet(blocks: int, factor: float, classes: int) -> nn.Module:
    """The network with so many blocks at each of its three resolutions; for images of any size."""
    planes = [scaled(each, factor) for each in PLANES]
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=nn.Conv2d(3, planes[0], 3, padding=1, bias=False), bn1=nn.BatchNorm2d(planes[0]), relu=nn.ReLU()
    )
    before = planes[0]
    for level, after in enumerate(planes):
        first = BasicBlock(before, after, 1 if level == 0 else 2)
        layers[f"layer{level + 1}"] = nn.Sequential(first, *(BasicBlock(after, after, 1) for _ in range(blocks - 1)))
        before = after
    layers["avgpool"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["linear"] = nn.Linear(before, classes)
    network = nn.Sequential(layers)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
    return network
