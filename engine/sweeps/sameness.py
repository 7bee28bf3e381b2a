"""What two workers must have alike to come to the same results: the program, and the images. Free of torch until asked.

A number of a version says little while the program is being worked on; so what counts is its source. And a path says
nothing of what lies there, on this host or by now: a sweep's folder keeps what its cells were made with.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.errors import RequestError
from engine.storage.paths import write_atomically
from engine.sweeps.layout import IMAGES, held

DIGITS = 12
READ = ("name", "size", "train_images", "test_images")
"""The settings that a data set is read by."""


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


def other_images(folder: Path, config: Mapping[str, Any], dataset: Mapping[str, Any]) -> str:
    """In what a cell's images differ from those that other cells of the sweep were made with; empty where they do not.
    The first to name images says what they are.

    Args:
        folder: the sweep's.
        config, dataset: as in the cell's `RunStarted`.

    Raises:
        RequestError: the folder cannot be written, or a stopped process holds it.
    """
    named = config["data"]
    every = json.dumps({key: named[key] for key in READ})
    clean = json.dumps({**named, "seed": config["seed"]}, sort_keys=True)
    ours = {every: dataset["fingerprint"], clean: dataset["clean_fingerprint"]}
    with held(folder):
        known = _known_images(folder)
        for key, fingerprint in ours.items():
            if known.get(key, fingerprint) != fingerprint:
                what = f"images of {named['name']}" if key == every else "clean images"
                return f"its {what} are others than earlier cells' ({_short(fingerprint)}, not {_short(known[key])})"
        if not ours.items() <= known.items():
            write_atomically(Path(folder) / IMAGES, json.dumps({**known, **ours}, indent=1).encode(), within=folder)
    return ""


def _known_images(folder: Path) -> dict[str, str]:
    try:
        known = json.loads((Path(folder) / IMAGES).read_bytes())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


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
