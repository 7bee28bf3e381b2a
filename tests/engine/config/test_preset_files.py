"""The files of presets, recipes and profiles: readable at a glance."""

from __future__ import annotations

from pathlib import Path

import pytest

FILES = sorted((Path(__file__).parents[3] / "presets").rglob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_comments_say_what_and_why_in_a_few_lines(file: Path):
    """What was tried on the way, and every figure, is in the book: `nadtui results`."""
    comments = [line for line in file.read_text(encoding="utf-8").splitlines() if "#" in line]
    assert len(comments) <= 12


def test_there_are_files():
    assert len(FILES) >= 18
