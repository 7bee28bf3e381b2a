"""Attention maps as what there is to see: a row for each model, a column for each tap. Free of textual and torch.

What draws them stands elsewhere: `map_grid` all of them, `single_map` one alone with its numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from engine.events import AttentionCaptured, SampleShown
from engine.record import absent
from engine.record.stage_view import StageView
from engine.record.view import RunView
from nadtui import formatting
from nadtui.runs.digest import role_titled

ViewMode = Literal["both", "clean", "triggered", "difference"]
VIEWS: tuple[ViewMode, ...] = ("both", "clean", "triggered", "difference")


@dataclass(frozen=True)
class ModelMaps:
    """A row: one model's maps of one sample at one moment."""

    title: str
    """suspect, or the stage's name."""
    when: str
    """Of which epoch they are, or why there are none."""
    maps: tuple[AttentionCaptured | None, ...] = ()
    """One for each tap."""
    answers: str = ""
    """What the model answers to the sample, as far as it is recorded."""


@dataclass(frozen=True)
class Maps:
    """Everything the grid shows."""

    taps: tuple[str, ...] = ()
    rows: tuple[ModelMaps, ...] = ()
    sample: SampleShown | None = None
    label: str = ""
    """The sample's class."""
    view: ViewMode = "both"
    selected: tuple[int, int] | None = None
    """Row and tap of the chosen cell."""
    maximized: bool = False
    operator: str = ""
    """Whose maps they are, where it is not the run's own."""


# --- from a run ---


def views_of(view: RunView) -> tuple[ViewMode, ...]:
    """The ways of looking at a run's maps: without a trigger there are clean ones alone."""
    return VIEWS if view.attacked else ("clean",)


def seen(view: RunView, wanted: ViewMode) -> ViewMode:
    """The way of looking that is wanted, if the run has it."""
    return wanted if wanted in views_of(view) else "clean"


def models_of(view: RunView, defense: str | None = None) -> list[tuple[str, StageView]]:
    """The rows' titles and stages: the suspect, and what the defenses came by; of `defense` alone where one is named.

    Where there are several, each purified model stands with the references that it was made by.
    """
    shown = [
        stage for stage in view.stages.values() if stage.role != "measurement" and defense in (None, stage.defense)
    ]
    suspect = view.suspect
    several = len(view.defenses) > 1
    rows = [] if suspect is None else [("suspect", suspect)]
    others = [stage for stage in shown if stage is not suspect]
    return rows + [(role_titled(stage.name, stage.role, stage.defense, several=several), stage) for stage in others]


def taps_of(view: RunView, models: Sequence[tuple[str, StageView]]) -> tuple[str, ...]:
    """The taps that the models' newest maps show, in the network's own order as far as the record tells it."""
    known = {tap for _, stage in models for _, tap in stage.maps()}
    told = [tap for tap in view.taps if tap in known]
    return (*told, *in_order(known - set(told)))


def samples(view: RunView) -> list[int]:
    """The samples of which there are maps."""
    return sorted({sample for _, stage in models_of(view) for sample, _ in stage.maps()})


def shared_samples(views: Sequence[RunView]) -> list[tuple[int, ...]]:
    """For each image of which all runs have maps its number in each; where there is none, the first of each.

    Every run must have maps.
    """
    own = [{_image(view, number): number for number in samples(view)} for view in views]
    shared = [image for image in own[0] if image is not None and all(image in each for each in own[1:])]
    if not shared:
        return [tuple(next(iter(each.values())) for each in own)]
    return [tuple(each[image] for each in own) for image in shared]


def _image(view: RunView, number: int) -> tuple[int, bytes] | None:
    sample = view.samples.get(number)
    return None if sample is None else (sample.index, sample.clean)


def in_order(taps: Iterable[str]) -> tuple[str, ...]:
    """Taps in the order in which images pass them: as their names are numbered."""
    return tuple(sorted(taps, key=lambda tap: (len(tap), tap)))


def class_name(view: RunView, sample: SampleShown | None) -> str:
    """The class of a sample, by name where the record gives one."""
    if sample is None:
        return ""
    return absent.class_name(view, sample.label)


def answered(view: RunView, stage: StageView, epoch: int | None, sample: int) -> str:
    """What a model answers to a sample, without and with the trigger: `yield .97 → stop .99`; empty if not recorded."""
    found = stage.answers.get((epoch, sample)) if epoch is not None else None
    if found is None:
        return ""
    pairs = [(found.clean, found.clean_confidence), (found.triggered, found.triggered_confidence)]
    told = [(absent.class_name(view, label), sure) for label, sure in pairs if label >= 0]
    return " → ".join(f"{name} {formatting.confidence(sure)}" for name, sure in told)


def newest(
    view: RunView,
    sample: int = 0,
    models: Sequence[tuple[str, StageView]] | None = None,
    look: ViewMode = "both",
) -> Maps:
    """The newest maps of one sample in these models, by default in all."""
    models = models_of(view) if models is None else models
    taps = taps_of(view, models)
    rows = []
    for title, stage in models:
        maps = tuple(stage.maps().get((sample, tap)) for tap in taps)
        epoch = next((each.epoch for each in maps if each is not None), None)
        when = "no maps" if epoch is None else f"epoch {epoch}"
        rows.append(ModelMaps(title, when, maps, answered(view, stage, epoch, sample)))
    shown = view.samples.get(sample)
    return Maps(taps, tuple(rows), shown, class_name(view, shown), seen(view, look))
