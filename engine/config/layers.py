"""The layers a configuration is put together from: tables of plain values, later ones laid over earlier ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from engine.errors import RequestError

_FIELD = re.compile(r"[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*")


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` overlaid by `over`: tables merge key by key, everything else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(old, value) if both else value
    return merged


def merged(layers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """All of the layers, laid over each other in their order."""
    values: dict[str, Any] = {}
    for layer in layers:
        values = merge(values, layer)
    return values


class _Loader(yaml.SafeLoader):
    """YAML without its octal numbers: 00014 is what a folder is called, and as a number 14, never 12."""


def _whole_number(loader: _Loader, node: yaml.ScalarNode) -> int | str:
    if re.fullmatch(r"[-+]?0[0-9_]+", node.value):
        return node.value
    return loader.construct_yaml_int(node)


_Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)


def read_yaml(text: str) -> Any:
    """The plain values that YAML text stands for; tags that would build anything else are refused.

    Raises:
        yaml.YAMLError: it is not valid YAML.
    """
    try:
        if _BYTES.search(text):
            return _restored(yaml.load(text.translate(_HIDDEN), _Loader))
        return yaml.load(text, _Loader)
    except (ValueError, LookupError, AttributeError, TypeError, RecursionError) as error:
        # What PyYAML lets through from the types it builds: 2001-99-99, !!int x, !!bool x, [[[[[...
        raise yaml.YAMLError(str(error)) from None


_BYTES = re.compile("[\udc80-\udcff]")
"""How Python keeps the bytes of a path that are no UTF-8; YAML has no such characters."""
_HIDDEN = {0xDC00 + byte: 0x10FF00 + byte for byte in range(0x80, 0x100)}
"""What stands for them while YAML is read: characters for private use."""
_SHOWN = {hidden: shown for shown, hidden in _HIDDEN.items()}


def _restored(value: Any) -> Any:
    if isinstance(value, str):
        return value.translate(_SHOWN)
    if isinstance(value, Mapping):
        return {_restored(key): _restored(item) for key, item in value.items()}
    return [_restored(item) for item in value] if isinstance(value, list) else value


def as_yaml(value: Any) -> str:
    """Plain values in one line, as `read_yaml` reads them back and as they are typed after `--set FIELD=`."""
    if isinstance(value, str) and value and "\n" not in value and _reads_back(value):
        return value
    return yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True).split("\n...")[0].strip()


def _reads_back(text: str) -> bool:
    """Whether the text, without quotes, is itself in YAML."""
    try:
        return read_yaml(text) == text
    except yaml.YAMLError:
        return False


def parse_override(text: str) -> dict[str, Any]:
    """`a.b=VALUE`, VALUE in YAML, as nested tables.

    Raises:
        RequestError: no `=`, an empty name, or VALUE is not YAML.
    """
    name, equals, value = text.partition("=")
    if not equals or not _FIELD.fullmatch(name.strip()):
        raise RequestError(f"--set {text!r}: FIELD=VALUE is wanted, as in defenses.nad.distill.p=2")
    try:
        given: Any = read_yaml(value)
    except yaml.YAMLError:
        raise RequestError(f"--set {text!r}: the value is not valid YAML") from None
    return nested(name.strip(), given)


def nested(field: str, value: Any) -> dict[str, Any]:
    """The value of a dotted field as nested tables."""
    for part in reversed(field.split(".")):
        value = {part: value}
    return value
