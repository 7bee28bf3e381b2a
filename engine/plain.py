"""Values in JSON's own types, as the record, the summary and the manifests of the cache hold them."""

from __future__ import annotations

import base64
import dataclasses
import math
from typing import Any


def utf8(text: str) -> bytes:
    """The bytes of a document; what UTF-8 does not have (bytes of a file's name that are no letters) is escaped as in
    JSON, which reads it back as it was."""
    return text.encode("utf-8", "backslashreplace")


def plain(value: Any) -> Any:
    """`value` in JSON's own types: dataclasses as tables, bytes as base64, NaN and infinities as null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain({f.name: getattr(value, f.name) for f in dataclasses.fields(value)})
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
