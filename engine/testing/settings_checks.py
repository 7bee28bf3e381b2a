"""The check that all settings are held to, and the one that is made of a whole kind at once. Needs no torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Collection, Mapping
from typing import Any

import yaml
from pydantic import ValidationError

from engine.config.run import validate
from engine.errors import RequestError
from engine.settings import Section
from engine.testing.contract import ContractBroken, NotTried, one_line, require
from engine.testing.subject import REGISTRIES, Kind, Subject, registered_as

UNKNOWN = "no_such_field"


def settings(subject: Subject) -> None:
    """Its defaults are valid and frozen, come back from YAML as they were, and an unknown field is refused by name."""
    kind = section(subject)
    where = f"{subject.kind} {subject.name}"
    require(subject.name in (getattr(kind, "name", None), _default_name(kind)), f"{where}: its name is another")
    require(bool(kind.summary) and "\n" not in kind.summary, f"{where}: its summary is to be one line")
    try:
        plain = kind()
    except ValidationError as error:
        raise ContractBroken(one_line(f"{where}: its defaults are not valid: {error}")) from error
    require(_frozen(plain), f"{where}: its settings can be changed once they are made")
    config = subject.world.config(_layer(subject, plain.model_dump(mode="json")), **_defended(subject, {}))
    back = validate(yaml.safe_load(config.to_yaml()))
    require(back == config, f"{where}: its settings come back from YAML as others")
    _check_unknown(subject, where)


def _check_unknown(subject: Subject, where: str) -> None:
    place = "attack" if subject.kind == "attack" else f"defenses.{subject.name}"
    wrong = {UNKNOWN: 1}
    try:
        subject.world.config(_layer(subject, {"name": subject.name, **wrong}), **_defended(subject, wrong))
    except RequestError as error:
        named = f"{place}.{UNKNOWN}" in str(error)
        require(named, f"{where}: an unknown field is refused, but not by its name: {error}")
    else:
        raise ContractBroken(f"{where}: an unknown field is taken without a word")


def section(subject: Subject) -> type[Any]:
    """The class of an attack's or a defense's settings; ContractBroken where it cannot be imported."""
    return class_of(subject.kind, subject.name)


def class_of(kind: Kind, name: str) -> type[Any]:
    """The same of what is registered under a name."""
    try:
        return REGISTRIES[kind].get(name)
    except ValueError as error:
        raise ContractBroken(str(error)) from error


def _default_name(kind: type[Section]) -> Any:
    field = kind.model_fields.get("name")
    return None if field is None else field.default


def _layer(subject: Subject, values: Mapping[str, Any]) -> dict[str, Any]:
    return {"attack": values} if subject.kind == "attack" else {}


def _defended(subject: Subject, values: Mapping[str, Any]) -> dict[str, Any]:
    return {"defenses": {subject.name: values}} if subject.kind == "defense" else {}


def _frozen(plain: Section) -> bool:
    name = next(iter(type(plain).model_fields), None)
    if name is None:
        return bool(plain.model_config.get("frozen"))
    try:
        setattr(plain, name, getattr(plain, name))
    except ValidationError:
        return True
    return False


_SCRIPT = """
import json, sys
from importlib.metadata import EntryPoint
from engine import data, models
kind, targets = json.loads(sys.argv[1])
for name, (target, network) in targets.items():
    if kind == "data":
        data.check_name(name)
    elif kind == "model":
        family = EntryPoint(name, target, kind).load()
        parameters = family.parameters(network or family.smallest)
        if family.taps is not None and parameters is not None:
            family.taps(*parameters)
    else:
        EntryPoint(name, target, kind).load()()
    heavy = sorted({"torch", "torchvision"} & set(sys.modules))
    if heavy:
        sys.exit(f"{kind} {name}: before it is used it loads {' and '.join(heavy)}")
"""


def loads_late(subject: Subject) -> None:
    """What is asked of it before anything runs loads no torch."""
    name = registered_as(subject.kind, subject.name)
    if name is None:
        raise NotTried("it comes from a file, which nothing opens before it runs")
    loads_no_torch(subject.kind, [name], subject.name if subject.kind == "model" else "")


def loads_no_torch(kind: Kind, names: Collection[str], network: str = "") -> None:
    """What is asked of a name before anything runs (settings, taps, whether there is such a thing) loads no torch.

    All of the names are tried in one process of their own, in which nothing is loaded yet; of a family of networks
    `network`, or else its smallest.
    """
    targets = {name: (REGISTRIES[kind].target(name), network) for name in names}
    path = {"PYTHONPATH": os.pathsep.join(each for each in sys.path if each)}
    command = [sys.executable, "-c", _SCRIPT, json.dumps([kind, targets])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **path})
    last = (done.stderr.strip().splitlines() or [""])[-1]
    require(done.returncode == 0, last or f"{kind}: a process of its own ends with {done.returncode}")
