"""A run's files as readers get them: whole, however damaged, and in today's terms whoever wrote them.

Readers take no lock, survive whatever they find, and report damage instead of raising it.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from engine.errors import RequestError
from engine.events import Event
from engine.record import old_schema
from engine.record.codec import decode
from engine.record.layout import CONFIG, RECORD, SUMMARY

_MAP = re.compile(rb'\{"kind":"attention","seq":\d+,"time":[\d.e+-]+,"stage":"([^"]*)","epoch":(\d+),')


@dataclass(frozen=True)
class EventLog:
    """A record as far as it can be read: its events in order, and how many lines were damaged."""

    events: list[Event]
    damaged: int


def read_events(path: Path) -> EventLog:
    """Read a run's whole record; a torn last line is dropped, damaged lines are counted, unknown kinds skipped.

    A record that is missing or unreadable is empty.
    """
    try:
        content = (Path(path) / RECORD).read_bytes()
    except OSError:
        return EventLog([], 0)
    return decode_lines(content[: content.rfind(b"\n") + 1].split(b"\n"))


class Tail:
    """Follows a run's record while it is written.

    `damaged` counts the lines that could not be read; `missing` says that the record is not there (any more).
    """

    def __init__(self, path: Path, maps_of: int | None = None) -> None:
        """`maps_of`: of a stage with attention maps of more epochs than this, those of some epochs are left out unread.

        They are most of a long record's bytes, and a view keeps few of them; the newest epoch's are never left out.
        """
        self.path = Path(path)
        self._maps_of = maps_of
        self.damaged = 0
        self.missing = False
        self._offset = 0
        self._file: tuple[int, int] | None = None

    def poll(self) -> list[Event]:
        """The events recorded since the last call; a line under way waits for the next.

        A record that was replaced or cut shorter than what was read comes again from its start, that is from a
        RunStarted. (Resuming a run does not do that: it cuts a torn last line only, which was never given out.)
        """
        try:
            with (self.path / RECORD).open("rb") as file:
                stat = os.fstat(file.fileno())
                if (stat.st_dev, stat.st_ino) != self._file or stat.st_size < self._offset:
                    self._file, self._offset, self.damaged = (stat.st_dev, stat.st_ino), 0, 0
                file.seek(self._offset)
                content = file.read()
        except OSError:
            self.missing = True
            return []
        self.missing = False
        whole = content[: content.rfind(b"\n") + 1]
        self._offset += len(whole)
        lines = whole.split(b"\n")
        log = decode_lines(lines if self._maps_of is None else _with_maps_of(lines, self._maps_of))
        self.damaged += log.damaged
        return log.events


def _with_maps_of(lines: list[bytes], most: int) -> list[bytes]:
    """The lines without the attention maps of as many epochs, evenly spread, as a stage has more than `most` of."""
    heads = [_MAP.match(line) for line in lines]
    epochs: dict[bytes, dict[bytes, None]] = {}
    for head in heads:
        if head is not None:
            epochs.setdefault(head[1], {})[head[2]] = None
    kept = set()
    for stage, all_of_it in epochs.items():
        newest_first = list(all_of_it)[::-1]
        kept |= {(stage, epoch) for epoch in newest_first[:: max(1, -(-len(newest_first) // most))]}
    return [line for line, head in zip(lines, heads, strict=True) if head is None or head.groups() in kept]


def decode_lines(lines: list[bytes]) -> EventLog:
    """The events in these lines, without their ends; empty lines are none and no damage."""
    events: list[Event] = []
    damaged = 0
    for line in lines:
        if line:
            try:
                event = decode(line.decode())
            except ValueError:
                damaged += 1
            else:
                if event is not None:
                    events.append(event)
    return EventLog(events, damaged)


def last_seq(whole_lines: bytes) -> int:
    """The number of the last event, of whatever kind; 0 for an empty record."""
    for line in reversed(whole_lines.split(b"\n")):
        try:
            return int(json.loads(line)["seq"])
        except (ValueError, TypeError, KeyError):
            continue
    return 0


def read_summary(path: Path) -> dict[str, Any] | None:
    """A run's `summary.json` in today's terms, None where there is none yet.

    Raises:
        RequestError: it is damaged.
    """
    file = Path(path) / SUMMARY
    try:
        summary = json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise RequestError(f"{file} cannot be read: {error}") from error
    if not isinstance(summary, dict):
        raise RequestError(f"{file} cannot be read: a JSON object is wanted")
    return old_schema.summary(summary)


def read_config_yaml(path: Path) -> str:
    """The text of a run's `config.yaml`.

    Raises:
        RequestError: it is missing or no text.
    """
    file = Path(path) / CONFIG
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise RequestError(f"{file} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise RequestError(f"{file} cannot be read: it is not UTF-8 text") from error


def read_settings(path: Path) -> dict[str, Any]:
    """A run's configuration in plain types, under today's names.

    Raises:
        RequestError: it is missing or damaged.
    """
    text = read_config_yaml(path)
    try:
        settings = load_yaml(text)
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, RecursionError):
        settings = None
    if not isinstance(settings, dict):
        raise RequestError(f"{Path(path) / CONFIG} cannot be read: it is no table in YAML")
    return old_schema.configuration(settings)


def load_yaml(text: str) -> Any:
    """What a YAML document holds, in plain types; whatever PyYAML raises where it holds none."""
    # The library in C takes no escapes of bytes that are no letters, which a path may have.
    return yaml.load(text, Loader=yaml.SafeLoader if "\\uDC" in text else _YAML)


_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The same safe loader, in C where the library has it: ten times as fast."""
