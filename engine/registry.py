"""What has a name and can be chosen by it: our own things, and those that installed packages bring.

A package declares what it brings in its metadata, as an entry point of one of our groups::

    [project.entry-points."nadtui.attacks"]
    stripes = "my_package.stripes:Stripes"

Only what is named is imported; a package that is broken, or that takes a name which is taken, costs a warning of one
line. Free of torch.
"""

from __future__ import annotations

import difflib
import logging
import re
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import Any

_log = logging.getLogger("nadtui")
_told: set[str] = set()


def warn(text: str) -> None:
    """Say a line about a package, once a process: on standard error, where nobody has asked for another place."""
    if text not in _told:
        _told.add(text)
        _log.warning("warning: %s", text)


@dataclass(frozen=True)
class Plugin:
    """What a package brings, not yet imported."""

    entry: EntryPoint
    package: str
    """The distribution's name and version."""


class Registry(Collection[str]):
    """Names of one kind of thing, ours first, and what each stands for."""

    def __init__(
        self,
        kind: str,
        group: str,
        ours: Mapping[str, str],
        check: Callable[[Any], None] = lambda found: None,
    ) -> None:
        """Make a registry; nothing is imported and no package looked for.

        Args:
            kind: what to call such a thing in messages.
            group: the entry points' group.
            ours: name -> "module:attribute", or "module" where the module is the thing.
            check: raises whatever says why something that a package brings is not of this kind.
        """
        self.kind = kind
        self.ours = dict(ours)
        self._group = group
        self._check = check

    def names(self) -> tuple[str, ...]:
        """Every name that can be chosen: ours in their order, then those of packages, sorted; nothing is imported."""
        return (*self.ours, *sorted(self._plugins()[0]))

    def get(self, name: str) -> Any:
        """What `name` stands for, imported.

        Raises:
            ValueError: nothing has that name (those that are known are named), two packages claim it, or the package
                that has it is broken; one line.
        """
        if name in self.ours:
            return EntryPoint(name, self.ours[name], self._group).load()
        plugins, refused = self._plugins()
        if name in refused:
            raise ValueError(refused[name])
        if name not in plugins:
            near = difflib.get_close_matches(name, self, n=1)
            hint = f", did you mean '{near[0]}'" if near else ""
            raise ValueError(f"unknown {self.kind} '{name}'{hint}; known: {', '.join(self)}")
        try:
            found = plugins[name].entry.load()
            self._check(found)
        except (Exception, SystemExit) as error:  # a stranger's module may raise whatever it likes
            raise ValueError(f"{self.kind} '{name}' of {plugins[name].package}: {_line(error)}") from error
        return found

    def loaded(self) -> dict[str, Any]:
        """Everything that can be chosen, imported, by name; of a broken package a warning is left."""
        found = {}
        for name in self:
            try:
                found[name] = self.get(name)
            except ValueError as error:
                warn(str(error))
        return found

    def origin(self, name: str) -> str:
        """Where `name` comes from: "built in", or the package's name and version; raises KeyError for no such name."""
        return "built in" if name in self.ours else self._plugins()[0][name].package

    def target(self, name: str) -> str:
        """What `name` stands for, not imported: "module:attribute"; raises KeyError for no such name."""
        return self.ours.get(name) or self._plugins()[0][name].entry.value

    def __contains__(self, name: object) -> bool:
        return name in self.ours or name in self._plugins()[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())

    def _plugins(self) -> tuple[dict[str, Plugin], dict[str, str]]:
        """The packages' names that can be chosen, and those that cannot, with the reason."""
        offered = [plugin for plugin in _declared(tuple(sys.path)) if plugin.entry.group == self._group]
        times = Counter(plugin.entry.name for plugin in offered)
        plugins, refused = {}, {}
        for plugin in offered:
            name = plugin.entry.name
            if name in self.ours:
                warn(f"{self.kind} '{name}' of {plugin.package} is left out: the name is ours")
            elif times[name] > 1:
                claim = ", ".join(sorted(each.package for each in offered if each.entry.name == name))
                refused[name] = f"{self.kind} '{name}' is left out: more than one package brings it ({claim})"
                warn(refused[name])
            else:
                plugins[name] = plugin
        return plugins, refused


@lru_cache(maxsize=1)
def _declared(path: tuple[str, ...]) -> tuple[Plugin, ...]:
    """What the packages on `path`, which is Python's search path, declare in any group of ours."""
    found: list[Plugin] = []
    seen: set[str] = set()
    for distribution in distributions():
        name, version = "", ""
        try:
            if "nadtui." not in (distribution.read_text("entry_points.txt") or ""):
                continue  # of most packages nothing more is read
            name, version = _about(distribution)
            entries = tuple(distribution.entry_points)
        except Exception as error:  # metadata that a stranger wrote by hand
            warn(f"the entry points of {name or 'a package without a name'} cannot be read: {_line(error)}")
            continue
        if name and name.lower() in seen:  # found twice: as when Python imports it, the first one counts
            continue
        seen.add(name.lower())
        for entry in entries:
            found.append(Plugin(entry, f"{name or re.split('[.:]', entry.value)[0]} {version}".strip()))
    return tuple(found)


def _about(distribution: Distribution) -> tuple[str, str]:
    """The distribution's name and version, "" where its metadata has none: some versions of Python raise then."""
    try:
        return distribution.metadata["Name"] or "", distribution.metadata["Version"] or ""
    except Exception:
        return "", ""


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
