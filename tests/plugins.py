"""Invented packages: a module and the metadata that declares what it brings, in a folder on Python's search path."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def installed(
    folder: Path,
    package: str,
    group: str,
    entries: Mapping[str, str],
    modules: Mapping[str, str] | None = None,
    version: str | None = "1.0",
) -> Iterator[None]:
    """`package` (a distribution's name) is installed: `entries` are its entry points, `modules` its files' source."""
    about = folder / f"{package.replace('-', '_')}-{version or 0}.dist-info"
    about.mkdir(parents=True)
    lines = [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())]
    (about / "entry_points.txt").write_text("\n".join(lines))
    if version is not None:
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    for name, source in (modules or {}).items():
        (folder / f"{name}.py").write_text(source)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        importlib.invalidate_caches()
        try:
            yield
        finally:
            for name in modules or {}:
                sys.modules.pop(name, None)
