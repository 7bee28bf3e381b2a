"""The artifact cache: what took long to make, kept under the hash of everything that shaped it.

    <root>/<kind>/<key>/content.safetensors    the artifact, weights as a rule
                        manifest.json          its SHA-256, and what belongs beside it (the history of the training)

An entry is one folder, put in place by one rename: nobody ever sees content without manifest, or either by half. Free
of torch.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import RequestError
from engine.plain import plain, utf8
from engine.storage.paths import cache_dir, write_atomically

CONTENT = "content.safetensors"
MANIFEST = "manifest.json"
SCHEMA = 1
LEFTOVER_S = 86_400.0

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,127}")


@dataclass(frozen=True)
class Artifact:
    """A whole entry of the cache: its file, and the JSON that was put beside it."""

    path: Path
    extra: dict[str, Any]


class ArtifactCache:
    """Artifacts by kind (a short name) and key. Any number of processes may use one cache at a time."""

    def __init__(self, root: Path | None = None, *, keeps: bool = True, behind: ArtifactCache | None = None) -> None:
        """`keeps`: whether it takes what it is offered; else it is there to be read. `behind`: where it looks for what
        it lacks."""
        self.root = cache_dir() / "artifacts" if root is None else Path(root)
        self._keeps = keeps
        self._behind = behind

    @staticmethod
    def key(parts: Mapping[str, Any]) -> str:
        """SHA-256 (hex) of plain JSON values, whatever order their keys came in; 1 and 1.0 are two keys.

        Raises:
            ValueError: a number that is not finite, which has no place in a key.
            TypeError: a value that JSON does not have.
        """
        canonical = json.dumps(dict(parts), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def get(self, kind: str, key: str) -> Artifact | None:
        """The entry, if it is there and every byte of it is as it was put; a damaged one is removed."""
        found = self._own(kind, key)
        return self._behind.get(kind, key) if found is None and self._behind is not None else found

    def _own(self, kind: str, key: str) -> Artifact | None:
        folder = self._folder(kind, key)
        if not os.path.lexists(folder):
            return None
        extra = _whole(folder, key)
        if extra is None:
            _discard(folder, key)
            return None
        return Artifact(folder / CONTENT, extra)

    def offer(self, kind: str, key: str, source: Path) -> str:
        """As `put`, where that can be done: a cache is a convenience. Says, once, what stands in the way."""
        if not self._keeps:
            return ""
        try:
            self.put(kind, key, source)
        except RequestError as error:
            self._keeps = False
            return f"{error}; the next run will have to make it again"
        return ""

    def put(self, kind: str, key: str, source: Path, extra: Mapping[str, Any] | None = None) -> Artifact:
        """Keep a copy of the file `source`, and `extra` (JSON values) beside it.

        Where another process was faster, its entry stays: same key, same content.

        Raises:
            RequestError: `source` cannot be read, or the cache not be written (disk full); nothing half-made stays.
        """
        there = self._own(kind, key)
        if there is not None:
            return there
        folder = self._folder(kind, key)
        hidden = folder.with_name(f".new-{os.getpid()}-{secrets.token_hex(4)}")
        try:
            _sweep(folder.parent)
            content = Path(source).read_bytes()
            write_atomically(hidden / CONTENT, content)
            manifest = {
                "schema": SCHEMA,
                "key": key,
                "sha256": hashlib.sha256(content).hexdigest(),
                "extra": plain(dict(extra or {})),
            }
            write_atomically(hidden / MANIFEST, utf8(json.dumps(manifest, ensure_ascii=False)))
            with suppress(OSError):  # the place may be taken; what counts is what is there afterwards
                hidden.rename(folder)
        except (OSError, RequestError) as error:
            cause = error.__cause__ or error
            reason = (isinstance(cause, OSError) and cause.strerror) or str(cause)
            raise RequestError(f"cannot keep {source} in the cache {self.root}: {reason}") from error
        finally:
            shutil.rmtree(hidden, ignore_errors=True)
        kept = self._own(kind, key)
        if kept is None:
            raise RequestError(f"cannot keep {source} in the cache {self.root}: {folder} cannot be replaced")
        return kept

    def drop(self, kind: str, key: str) -> None:
        """Remove an entry whose content proved to be of no use, if it is there and can be removed."""
        folder = self._folder(kind, key)
        doomed = folder.with_name(f".old-{os.getpid()}-{secrets.token_hex(4)}")
        with suppress(OSError):
            folder.rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)

    def _folder(self, kind: str, key: str) -> Path:
        for name in (kind, key):
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} cannot name an artifact")
        return self.root / kind / key


def _whole(folder: Path, key: str) -> dict[str, Any] | None:
    """What was put beside the content, if every byte of the entry is as it was put; else None."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        digest = hashlib.sha256((folder / CONTENT).read_bytes()).hexdigest()
        if (manifest["schema"], manifest["key"], manifest["sha256"]) == (SCHEMA, key, digest):
            return dict(manifest["extra"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return None


def _discard(folder: Path, key: str) -> None:
    """Take a damaged entry out of sight in one step, then delete it; a cache that is read-only stays as it is."""
    doomed = folder.with_name(f".old-{os.getpid()}-{secrets.token_hex(4)}")
    with suppress(OSError):
        folder.rename(doomed)
        if _whole(doomed, key) is not None:  # another process has put it right in between
            doomed.rename(folder)
        elif doomed.is_dir():
            shutil.rmtree(doomed, ignore_errors=True)
        else:
            doomed.unlink()


def _sweep(folder: Path) -> None:
    """Remove what processes that were killed within `put` or `get` left behind a day ago or more."""
    for pattern in (".new-*", ".old-*"):
        for leftover in folder.glob(pattern):
            with suppress(OSError):
                if time.time() - leftover.stat().st_mtime > LEFTOVER_S:
                    shutil.rmtree(leftover, ignore_errors=True)
