"""What two workers must have alike to come to the same results: the program, and the images. Free of torch until asked.

A number of a version says little while the program is being worked on; so what counts is its source.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.errors import RequestError

DIGITS = 12


def identity(texts: Sequence[str], token: str = "") -> dict[str, Any]:
    """What a worker has, for these configurations (YAML).

    Returns:
        `program` (a digest of the sources), `images` (fingerprints of the data sets, in the order in which the
        configurations name them), `error` (why they cannot be had, or empty), and `sees`: whether the file `token`
        is there.
    """
    images: dict[str, str] = {}
    error = ""
    try:
        for name, fingerprint in _images(texts):
            images[name] = fingerprint
    except RequestError as problem:
        error = str(problem)
    return {"program": program(), "images": images, "error": error, "sees": bool(token) and Path(token).is_file()}


def difference(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """In what a worker differs from this process, in a few words; empty where it does not."""
    if theirs["program"] != ours["program"]:
        return f"it has another version of nadtui ({_short(theirs['program'])}, here {_short(ours['program'])})"
    if theirs["error"]:
        return theirs["error"]
    for name, fingerprint in ours["images"].items():
        there = str(theirs["images"].get(name))
        if there != fingerprint:
            return f"its images of {name} are others ({_short(there)}, here {_short(fingerprint)})"
    return ""


@lru_cache(maxsize=1)
def program() -> str:
    """Digest of the engine's sources and of what ships with it as settings."""
    from engine.zoo import folder

    whole = hashlib.sha256()
    engine = Path(__file__).parents[1]
    for root, pattern in ((engine, "*.py"), (folder().parent, "*.yaml")):
        for file in sorted(root.rglob(pattern)):
            whole.update(file.relative_to(root).as_posix().encode())
            whole.update(file.read_bytes())
    return whole.hexdigest()


def _images(texts: Sequence[str]) -> list[tuple[str, str]]:
    from engine import data
    from engine.config.layers import read_yaml
    from engine.config.run import validate

    settings = {
        config.data.model_dump_json(exclude={"clean_fraction", "stratified"}): config.data
        for config in (validate(read_yaml(text)) for text in texts)
    }
    return [(each.name, data.load(each).fingerprint) for each in settings.values()]


def _short(digest: str) -> str:
    return f"{digest[:DIGITS]}…"
