"""A family of networks that an installed package brings stands beside ours."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
import torch

from engine import models
from engine.errors import RequestError
from tests.plugins import installed

SOURCE = """
import torch
from torch import nn

from engine.models.families import Family
from engine.models.taps import Tap


class Small(nn.Module):
    tap_names = ("only",)

    def __init__(self, width, classes):
        super().__init__()
        self.name = f"nt-small-{width}"
        self.conv = nn.Conv2d(3, width, 3, stride=2, padding=1)
        self.head = nn.Linear(width, classes)

    def forward_with_taps(self, images):
        only = self.conv(images)
        return self.head(only.relu().mean(dim=(2, 3))), (only,)

    def forward(self, images):
        return self.forward_with_taps(images)[0]


FAMILY = Family(
    form="nt-small-WIDTH",
    pattern="nt-small-([1-9])",
    fits=lambda width: width % 2 == 0,
    build=lambda width, classes: Small(width, classes),
    taps=lambda width: (Tap("only", width, 2),),
)
SILENT = Family(
    form="nt-silent",
    pattern="nt-silent",
    fits=lambda: True,
    build=lambda classes: Small(2, classes),
)
not_a_family = Small
"""
ENTRIES = {
    "nt-small": "nt_families:FAMILY",
    "nt-silent": "nt_families:SILENT",
    "nt": "nt_families:not_a_family",
    "nt-broken": "nt_families:absent",
    "wrn": "nt_families:FAMILY",
    "wrn-16": "nt_families:FAMILY",
}


@pytest.fixture(scope="module", autouse=True)
def _families(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with installed(tmp_path_factory.mktemp("site"), "nt-families", "nadtui.models", ENTRIES, {"nt_families": SOURCE}):
        yield


def test_it_is_imported_when_one_of_its_networks_is_named():
    sys.modules.pop("nt_families", None)
    models.check_name("wrn-16-1")
    assert models.tap_names("wrn-16-1") == ("group1", "group2", "group3")
    assert "nt_families" not in sys.modules
    models.check_name("nt-small-2")
    assert "nt_families" in sys.modules


def test_its_networks_are_built_like_ours():
    assert models.tap_names("nt-small-2") == ("only",)
    assert models.tap_names("nt-silent") is None
    one, other = (models.build("nt-small-4", 5, seed=seed) for seed in (1, 1))
    assert one(torch.rand(2, 3, 8, 8)).shape == (2, 5)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nt-small-3", r"unknown model 'nt-small-3'; allowed: nt-small-WIDTH"),
        ("nt-3", r"model family 'nt' of nt-families 1\.0: TypeError: an engine\.models\.families\.Family is wanted"),
        ("nt-broken-1", r"model family 'nt-broken' of nt-families 1\.0: AttributeError: module 'nt_families' has"),
        (
            "resnext",
            r"allowed: wrn-DEPTH-WIDTH .*; nt-\.\.\. \(nt-families 1\.0\);.*nt-small-\.\.\. \(nt-families 1\.0\)",
        ),
    ],
)
def test_what_cannot_be_built_is_refused_in_a_line(name, message):
    with pytest.raises(RequestError, match=message) as caught:
        models.check_name(name)
    assert "\n" not in str(caught.value)
