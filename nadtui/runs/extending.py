"""A run's request with more epochs for one of its stages."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from engine.errors import RequestError

if TYPE_CHECKING:
    from engine.running.request import RunRequest


def stages(request: RunRequest) -> list[str]:
    """The stages whose number of epochs the request says."""
    from engine.running.plan import epochs_fields

    return list(epochs_fields(request.config))


def with_more_epochs(request: RunRequest, stage: str, epochs: int) -> RunRequest:
    """The request with another number of epochs for one stage.

    Raises:
        RequestError: the stage has no such number, or it is not allowed.
    """
    from engine.config.layers import merge, nested
    from engine.config.run import validate

    values = merge(request.config.to_dict(), nested(_epochs_field(request, stage), epochs))
    return replace(request, config=validate(values))


def epochs_of(request: RunRequest, stage: str) -> int:
    """The epochs that the request gives a stage.

    Raises:
        RequestError: the stage has no such number.
    """
    value: Any = request.config.to_dict()
    for name in _epochs_field(request, stage).split("."):
        value = value[name]
    return int(value)


def _epochs_field(request: RunRequest, stage: str) -> str:
    from engine.running.plan import epochs_fields

    field = epochs_fields(request.config).get(stage)
    if field is None:
        raise RequestError(f"{stage} has no number of epochs")
    return field
