"""Run folders that are deleted for good."""

from __future__ import annotations

import shutil
from pathlib import Path

from engine.record.liveness import is_running


def delete_run(path: Path) -> str:
    """Delete a run folder for good; what is wrong, empty where all went well. A run at work is left alone."""
    if path.is_symlink():
        return f"{path} is a link: delete it by hand"
    if is_running(path):
        return f"{path.name} is at work: stop it first"
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"{path} cannot be deleted: {error.strerror or error}"
    return ""
