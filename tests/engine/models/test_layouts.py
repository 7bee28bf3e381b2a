"""What modules give, read as maps."""

from __future__ import annotations

import pytest
import torch

from engine.models.layouts import as_map


def images(height: int = 32, width: int = 32) -> torch.Tensor:
    return torch.zeros(2, 3, height, width)


@pytest.mark.parametrize(
    ("given", "size", "wanted"),
    [
        ((2, 96, 8, 8), (32, 32), (2, 96, 8, 8)),
        ((2, 8, 8, 96), (32, 32), (2, 96, 8, 8)),
        ((2, 8, 8, 8), (32, 32), (2, 8, 8, 8)),
        ((2, 12, 8, 50), (48, 32), (2, 50, 12, 8)),
        ((2, 5, 12, 8), (48, 32), (2, 5, 12, 8)),
        ((2, 7, 23, 15), (45, 30), (2, 7, 23, 15)),
        ((2, 5, 1, 1), (32, 32), (2, 5, 1, 1)),
        ((2, 5, 7, 3), (32, 32), (2, 5, 7, 3)),
        ((2, 64, 10), (32, 32), (2, 10, 8, 8)),
        ((2, 65, 10), (32, 32), (2, 10, 8, 8)),
        ((2, 66, 10), (32, 32), (2, 10, 8, 8)),
        ((2, 201, 10), (224, 224), (2, 10, 14, 14)),
        ((2, 97, 10), (48, 32), (2, 10, 12, 8)),
        ((2, 2, 10), (32, 32), (2, 10, 1, 1)),
    ],
)
def test_read_as_a_map(given, size, wanted):
    assert as_map(torch.zeros(given), images(*size)).shape == wanted


@pytest.mark.parametrize(
    "given",
    [torch.zeros(2, 10), torch.zeros(3, 4, 8, 8), torch.zeros(2, 4, 8, 8).long(), torch.zeros(2, 60, 10), (1,), None],
)
def test_no_map(given):
    assert as_map(given, images()) is None


def test_a_map_is_a_view_row_by_row():
    tokens = torch.arange(2 * 7 * 2).float().view(2, 7, 2)
    found = as_map(tokens, images(48, 32))
    assert found.shape == (2, 2, 3, 2)
    assert found[1, :, 2, 1].tolist() == tokens[1, 1 + 2 * 2 + 1].tolist()
    found[0, 0, 0, 0] = -1
    assert tokens[0, 1, 0] == -1
