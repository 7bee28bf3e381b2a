"""What a person has beside the built in presets."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own folder of presets."""
    monkeypatch.setenv("NADTUI_PRESETS", str(tmp_path / "mine"))
    return tmp_path / "mine"
