"""CLP: a channel's constant against a singular value decomposition by hand, and which channels go."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from engine import models
from engine.defenses.clp import Clp, deviations, lipschitz
from engine.defenses.neurons import by_norm
from engine.defenses.tracing import convolutions_before_norms
from engine.models.inference import freeze

IMAGES = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(2))


def network() -> nn.Module:
    net = models.build("wrn-10-1", 4, 0)
    torch.manual_seed(1)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, -1, 1)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return freeze(net)


def test_a_channels_constant_is_its_kernels_spectral_norm_times_its_norms_scale():
    net = network()
    before = convolutions_before_norms(net, IMAGES)["block1.layer.0.bn2"]
    block = net.block1.layer[0]
    found = lipschitz(net, "block1.layer.0.bn2", before)
    for channel in range(4):
        values = np.linalg.svd(block.conv1.weight[channel].numpy().reshape(16, 9), compute_uv=False)
        scale = abs(float(block.bn2.weight[channel])) / np.sqrt(float(block.bn2.running_var[channel]) + block.bn2.eps)
        np.testing.assert_allclose(float(found[channel]), values.max() * scale, rtol=1e-5)


def test_a_channel_stands_above_its_own_layer_by_that_layers_deviation():
    net = network()
    with torch.no_grad():
        net.block2.layer[0].bn2.weight.fill_(0.5)
        net.block2.layer[0].bn2.running_var.fill_(1)
        net.block2.layer[0].bn2.weight[7] = 30
    before = convolutions_before_norms(net, IMAGES)
    found = by_norm(net, deviations(net, before))
    for name in ("block2.layer.0.bn2", "block1.layer.0.bn1"):
        constants = lipschitz(net, name, before[name]).numpy()
        wanted = (constants - constants.mean()) / constants.std(ddof=1)
        np.testing.assert_allclose(found[name].numpy(), wanted, rtol=1e-4, atol=1e-5)
    assert torch.cat(list(found.values())).argmax() == 16 + 16 + 16 + 7
    del before["block2.layer.0.bn2"]
    assert by_norm(net, deviations(net, before))["block2.layer.0.bn2"].max() < -10


def test_a_network_whose_norms_stand_behind_no_convolution_cannot_bear_it():
    norms_first = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 4, 3), nn.Flatten())
    assert Clp().unfit(norms_first, IMAGES) == "none of its batch norms stands behind a convolution"
    assert Clp().unfit(network(), IMAGES) is None
    assert Clp(spread=3).held == 0 < Clp().held
