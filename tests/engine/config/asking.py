"""What a person writes into files, and gets for a configuration that is wrong."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from engine.config.layers import parse_override
from engine.config.presets import resolve
from engine.errors import RequestError

BOTH = ("nad", "fine-tuning")


def short(value: Any) -> str | None:
    """The name of a parameter in a test's name, where the value itself would fill pages."""
    return ascii(value)[:40] if isinstance(value, str) else None


def write(file: Path, text: str) -> Path:
    """A file of a person's, in whatever folder."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(dedent(text), encoding="utf-8")
    return file


def refused(*arguments: Any, **options: Any) -> str:
    """The one line that `resolve` refuses these with."""
    with pytest.raises(RequestError) as caught:
        resolve(*arguments, **options)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def message(*overrides: str) -> str:
    """The one line that a person gets for these overrides of the badnets preset, defended in both ways."""
    text = refused("badnets", overrides=[parse_override(text) for text in overrides], defenses=BOTH)
    assert len(text) < 400
    return text
