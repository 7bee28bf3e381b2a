"""What the workbench remembers from one start to the next: theme, panes, how curves and maps are drawn."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import platformdirs

from engine.errors import RequestError
from engine.storage.paths import of_user, write_atomically

FILE = "workbench.json"
PANES = ("curves", "maps", "health", "log")


@dataclass(frozen=True)
class Settings:
    """A person's choices; each has the value of a first start."""

    theme: str = "nadtui-dark"
    maps: str = field(default="auto", metadata={"allowed": ("auto", "blocks", "ascii")})
    """How maps are drawn: as the terminal allows, in half-blocks, or in letters."""
    maps_view: str = field(default="both", metadata={"allowed": ("both", "clean", "triggered", "difference")})
    axis: str = field(default="epoch", metadata={"allowed": ("step", "epoch", "seconds")})
    """What the curves run over."""
    smoothing: float = field(default=0.0, metadata={"allowed": (0.0, 0.6, 0.9, 0.97)})
    log_y: bool = False
    pane: str = field(default="curves", metadata={"allowed": PANES})
    """The pane that is worked in, and shown where there is room for one alone."""
    maximized: bool = False
    """Whether that pane has the whole screen."""
    workspace: dict[str, Any] = field(default_factory=dict)
    """What the workspace keeps, by its own names, in plain types; who reads one judges it."""

    def changed(self, **values: Any) -> Settings:
        """The same with some values replaced."""
        return replace(self, **values)


def settings_file() -> Path:
    """Where the settings are, among the user's other settings."""
    return of_user(platformdirs.user_config_dir) / FILE


def load(file: Path) -> tuple[Settings, str]:
    """The settings kept in `file`, and what is wrong with it in one line (empty = nothing).

    A value that is not allowed, or not there, becomes that of a first start; fields that are not known are ignored.
    """
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return Settings(), ""
    except (OSError, ValueError) as error:
        return Settings(), f"{file} cannot be read ({error}): the workbench starts with its own settings"
    if not isinstance(values, dict):
        return Settings(), f"{file}: a table of settings is wanted; the workbench starts with its own"
    kept, wrong = {}, []
    for each in fields(Settings):
        if each.name in values:
            allowed = each.metadata.get("allowed")
            value = values[each.name]
            if type(value) is type(getattr(Settings(), each.name)) and (allowed is None or value in allowed):
                kept[each.name] = value
            else:
                wrong.append(each.name)
    said = f"{file}: {', '.join(wrong)} not understood, and left at its first value" if wrong else ""
    return Settings(**kept), said


def save(settings: Settings, file: Path) -> str:
    """Keep the settings; returns why that was not possible, or nothing."""
    try:
        write_atomically(file, (json.dumps(asdict(settings), indent=1) + "\n").encode())
    except RequestError as error:
        return str(error)
    return ""
