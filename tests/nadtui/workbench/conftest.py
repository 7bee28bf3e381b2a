"""What all screens under a pilot are tested with."""

from __future__ import annotations

import pytest

from engine.attacks.preview import TriggerPreview
from nadtui.draw import trigger_process
from tests import pilot


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every pilot waits for what it has brought about."""
    pilot.patient(monkeypatch)


@pytest.fixture(autouse=True)
def _drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """No drawing process: a white picture with a black corner."""
    clean = bytes([255]) * 192
    picture = TriggerPreview(8, 8, "stop", clean, clean[:-3] + bytes(3))
    monkeypatch.setattr(trigger_process, "preview", lambda attack, data=None: picture)
