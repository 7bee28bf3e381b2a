"""Studies: a question, the grid that answers it, and what the paper found; YAML files like presets (`studies/`).

Built in ones ship in `presets/studies`; a person's own go into the folder of their own presets. Free of torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources.abc import Traversable
from typing import Any

from pydantic import Field, ValidationError, field_validator, model_validator

from engine.config import shelf
from engine.config.complaints import explained
from engine.config.layers import merge
from engine.config.selection import in_full, that_may_be_set
from engine.errors import RequestError
from engine.events import ZOO
from engine.settings import Section
from engine.sweeps.grid import Grid, misplaced, no_table
from engine.sweeps.index import NAMED

FOLDER = "studies"


class Known(Section):
    """A figure that somebody has published."""

    at: dict[str, Any]
    """The values of the axes it is of; of an axis that is left out, whatever a sweep has. `preset: all` is the mean."""
    acc: float | None = Field(None, ge=0, le=100)
    asr: float | None = Field(None, ge=0, le=100)
    suspect_acc: float | None = Field(None, ge=0, le=100)
    suspect_asr: float | None = Field(None, ge=0, le=100)
    note: str = ""
    """What else was other than here."""


class Study(Section):
    """A question and the grid that answers it."""

    name: str = ""
    origin: str = "built in"
    """built in, or the path of a person's file."""
    title: str
    question: str
    source: str = ""
    """Where the paper asks it."""
    setting: str = ""
    """What is the same in all of it, where that is another than the default recipe has it."""
    reproduces: bool = False
    """Whether it is a table or figure of the paper's."""
    axes: dict[str, list[Any]]
    """As a grid's. Of an axis with variants the values are their names."""
    base: dict[str, Any] = Field(default_factory=dict)
    """A layer of configuration under the axes' values."""
    variants: dict[str, dict[str, dict[str, Any]]] = Field(default_factory=dict)
    """Axes that are no field of the configuration: by name of a value, the layer it stands for. `{dataset}` in a text
    is the cell's."""
    known: tuple[Known, ...] = ()
    """What was published."""
    ladder: str = ""
    """An axis of rising strength, along which defenses are compared at equal accuracy lost."""

    @model_validator(mode="before")
    @classmethod
    def _variants_are_axes(cls, values: Any) -> Any:
        if not isinstance(values, Mapping) or not isinstance(values.get("variants"), Mapping):
            return values
        further = {axis: list(layers) for axis, layers in values["variants"].items() if isinstance(layers, Mapping)}
        return {**values, "axes": {**further, **values["axes"]} if isinstance(values.get("axes"), Mapping) else further}

    @field_validator("axes")
    @classmethod
    def _axes_have_values(cls, value: dict[str, list[Any]]) -> dict[str, list[Any]]:
        empty = next((axis for axis, values in value.items() if not values), None)
        if empty is not None or not value:
            raise ValueError(f"axis {empty} has no values" if empty else "one axis or more is wanted")
        return value

    @field_validator("base")
    @classmethod
    def _base_is_a_layer(cls, value: dict[str, Any]) -> dict[str, Any]:
        _check_layer(value)
        return value

    @field_validator("variants")
    @classmethod
    def _variants_are_layers(cls, value: dict[str, dict[str, dict[str, Any]]]) -> dict[str, dict[str, dict[str, Any]]]:
        for layers in value.values():
            for layer in layers.values():
                _check_layer(layer)
        return value

    @model_validator(mode="after")
    def _ladder_is_an_axis(self) -> Study:
        if self.ladder and self.ladder not in self.axes:
            raise ValueError(f"ladder = {self.ladder!r}: no axis of it; allowed: {', '.join(self.axes)}")
        return self

    @model_validator(mode="after")
    def _values_are_variants(self) -> Study:
        if said := self._no_variant(self.axes):
            raise ValueError(said)
        return self

    def _no_variant(self, axes: Mapping[str, Sequence[Any]]) -> str:
        """What is wrong with the first value of an axis with variants that is none of them; empty where all are."""
        for axis, layers in self.variants.items():
            unknown = next((str(each) for each in axes[axis] if str(each) not in layers), None)
            if unknown is not None:
                return f"{axis} = {unknown!r}; allowed: {', '.join(layers)}"
        return ""

    def grid(self, axes: Mapping[str, Sequence[Any]] | None = None, base: Mapping[str, Any] | None = None) -> Grid:
        """The study's grid; axes that are given stand in place of its own, what is given of the configuration over it.

        Raises:
            RequestError: a value of an axis with variants that the study does not have.
        """
        chosen = {**self.axes, **(axes or {})}
        if said := self._no_variant(chosen):
            raise RequestError(f"study {self.name}: {said}")
        for axis in self.variants:
            chosen[axis] = [str(each) for each in chosen[axis]]  # 0.05 of a command line is the "0.05" of a file
        own = dict(self.base)
        if "defenses" in own:  # of those it has; what is asked for beside it must fit
            layers = [self.base, base or {}, *(layer for layers in self.variants.values() for layer in layers.values())]
            kept = that_may_be_set(chosen.get("defense", ["nad"]), layers)
            own["defenses"] = {name: said for name, said in own["defenses"].items() if name in kept}
        own = merge(in_full(own), in_full(base or {}))
        ordered = {name: chosen[name] for name in (*NAMED, *chosen) if name in chosen}
        # The zoo does not have every suspect: those that it lacks are left out, and said so.
        lenient = ["attack_seed"] if own.get("suspect") == ZOO else []
        return Grid(ordered, own, variants=self.variants, study=self.name, lenient=lenient)


def _check_layer(layer: Mapping[str, Any]) -> None:
    said = no_table(layer) or misplaced(layer)
    if said:
        raise ValueError(said)


def list_studies() -> list[Study]:
    """All studies, in the order of their names; a person's file replaces ours of its name, or is left out with a
    warning where it is no valid study.
    """
    return shelf.read_all(FOLDER, _read)


def load_study(name: str) -> Study:
    """The study called `name`.

    Raises:
        RequestError: there is none (the nearest is suggested), or its file is not valid.
    """
    return _read(name, shelf.find(FOLDER, name, "study"))


def _read(name: str, file: Traversable) -> Study:
    values = shelf.read(file, f"study {name}")
    try:
        return Study.model_validate({**values, "name": name, "origin": shelf.origin(file)})
    except ValidationError as error:
        raise RequestError(f"study {name}: {explained(error, values, Study)}") from None
