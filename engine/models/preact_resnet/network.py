"""Pre-activation residual networks (He et al., ECCV 2016), the networks of most published backdoored models.

Parameter names and arithmetic are those of the widely used kuangliu/pytorch-cifar, which BackdoorBench and others took
over: no batch norm before the pooling.
"""

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from engine.models.scale import STRIDED, scaled


class PreActBlock(nn.Module):
    """The basic block, batch norms and activations before its convolutions."""

    def __init__(self, in_planes: int, planes: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_planes)
        self.conv1 = nn.Conv2d(in_planes, planes, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.shortcut = None
        if stride != 1 or in_planes != planes:
            self.shortcut = nn.Sequential(nn.Conv2d(in_planes, planes, 1, stride=stride, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, in_planes, H, W] to [N, planes, H / stride, W / stride]."""
        activated = F.relu(self.bn1(x))
        shortcut = x if self.shortcut is None else self.shortcut(activated)
        return self.conv2(F.relu(self.bn2(self.conv1(activated)))) + shortcut


def preact_resnet(blocks: Sequence[int], factor: float, classes: int, *, small: bool) -> nn.Module:
    """The network with so many blocks at each of its four resolutions, of 64 to 512 planes times the factor."""
    planes = [scaled(64 * 2**level, factor, STRIDED) for level in range(4)]
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if small:
        layers["conv1"] = nn.Conv2d(3, planes[0], 3, padding=1, bias=False)
    else:
        layers["conv1"] = nn.Conv2d(3, planes[0], 7, stride=2, padding=3, bias=False)
        layers["maxpool"] = nn.MaxPool2d(3, stride=2, padding=1)
    before = planes[0]
    for level, (count, after) in enumerate(zip(blocks, planes, strict=True)):
        first = PreActBlock(before, after, 1 if level == 0 else 2)
        layers[f"layer{level + 1}"] = nn.Sequential(first, *(PreActBlock(after, after, 1) for _ in range(count - 1)))
        before = after
    layers["avgpool"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["linear"] = nn.Linear(before, classes)
    return nn.Sequential(layers)
