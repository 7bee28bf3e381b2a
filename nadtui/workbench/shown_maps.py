"""What the run screen shows of a run's attention maps: which sample, models and cell, at which moment. No widget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.events import SampleAnswered
from engine.record.stage_view import StageView
from engine.record.view import RunView
from nadtui import formatting
from nadtui.draw import attention_maps, map_grid
from nadtui.draw.attention_maps import Maps, ModelMaps, ViewMode
from nadtui.draw.axis import Axis, epoch_at, spans

if TYPE_CHECKING:
    from nadtui.workbench.recomputed_maps import Recomputed


_LOOKS = {"both": "clean | triggered"}
"""What ways of looking are called where their name says too little."""


class ShownMaps:
    """A person's choices among the maps, and the grid that they come to."""

    def __init__(self) -> None:
        self.sample = 0
        self.cell: tuple[int, int] | None = None
        self.maximized_cell = False
        self.defense: str | None = None
        """The one defense whose models are shown beside the suspect; None = all."""
        self.narrowed: str | None = None
        """The one defense that is shown because there is no room for all."""
        self.recomputed: Recomputed | None = None
        """Maps under another operator than the run's."""

    def grid(self, view: RunView, axis: Axis, cursor: float | None, look: ViewMode, height: int, *, live: bool) -> Maps:
        """The maps at `cursor` on the axis (None = the newest), of as many models as `height` lines have room for."""
        self.narrowed = map_grid.one_for(view, height) if self.defense is None else None
        models = attention_maps.models_of(view, self.defense or self.narrowed)
        taps = attention_maps.taps_of(view, models)
        sample = view.samples.get(self.sample)
        moment = _Moment(view, axis, cursor, live)
        return Maps(
            taps,
            tuple(self._row(view, title, stage, taps, moment) for title, stage in models),
            sample,
            attention_maps.class_name(view, sample),
            attention_maps.seen(view, look),
            self.cell,
            self.maximized_cell,
            self.recomputed.operator if self.recomputed else "",
        )

    def title(self, view: RunView, look: ViewMode, *, brief: bool = False) -> str:
        """Which of the maps the grid shows, and how; `brief` where they are named and their columns labelled anyway."""
        parts = [f"sample {self.sample + 1}/{max(1, len(view.samples))}"]
        alone = self.defense or self.narrowed
        if alone is not None:
            parts.append(f"{formatting.clean(alone)} (w: others)")
        if self.recomputed is not None:
            parts.append(self.recomputed.operator)
        seen = attention_maps.seen(view, look)
        if not (brief and seen in _LOOKS):
            parts.append(_LOOKS.get(seen, seen))
        sample = view.samples.get(self.sample)
        if sample is not None:  # last: what there is no room for is cut
            parts.append(f"test image {sample.index}")
        return " · ".join(parts if brief else ["attention maps", *parts])

    def _row(self, view: RunView, title: str, stage: StageView, taps: tuple[str, ...], moment: _Moment) -> ModelMaps:
        if self.recomputed is not None:
            return self._recomputed_row(self.recomputed, title, stage, taps)
        captured, when = moment.captured(stage)
        maps = tuple(captured.get((self.sample, tap)) for tap in taps)
        newest, answers = next((each for each in maps if each is not None), None), ""
        if newest is not None:
            answers = attention_maps.answered(view, stage, newest.epoch, self.sample)
            when = "taken over" if stage.cached and not stage.epochs else f"epoch {newest.epoch}"
            when += "  ● live" if stage.state == "running" and moment.cursor is None and moment.live else ""
        return ModelMaps(title, when, maps, answers)

    def _recomputed_row(self, recomputed: Recomputed, title: str, stage: StageView, taps: tuple[str, ...]) -> ModelMaps:
        maps = tuple(recomputed.maps.get((stage.name, self.sample, tap)) for tap in taps)
        note = recomputed.notes.get(stage.name, recomputed.note)
        when = f"{recomputed.operator}, from its checkpoint" if any(maps) else note
        return ModelMaps(title, when, maps)

    # --- choices ---

    def move_cell(self, maps: Maps, columns: int, lines: int) -> None:
        """Choose the cell beside the chosen one, or the first."""
        if not maps.taps or abs(columns) > 1 or abs(lines) > 1:
            return
        row, tap = self.cell or (0, 0)
        if self.cell is not None:
            row, tap = row + lines, tap + columns
        self.cell = min(max(row, 0), len(maps.rows) - 1), min(max(tap, 0), len(maps.taps) - 1)

    def maximize(self, maps: Maps) -> None:
        """The chosen cell alone, or back to the grid; where none is chosen, the last one."""
        self.cell = self.cell or (len(maps.rows) - 1, max(0, len(maps.taps) - 1))
        self.maximized_cell = not self.maximized_cell

    def point_at(self, cell: tuple[int, int]) -> None:
        """Choose a cell; one that was chosen already is shown alone."""
        self.maximized_cell = self.cell == cell
        self.cell = cell

    def next_sample(self, view: RunView, step: int) -> None:
        """Go on to another sample image."""
        known = sorted(view.samples)
        if known:
            place = known.index(self.sample) + step if self.sample in known else 0
            self.sample = known[place % len(known)]

    def next_disputed(self, view: RunView, axis: Axis, cursor: float | None) -> tuple[int | None, str]:
        """The next sample to which not all models answer the same, at the cursor; None and why, where there is none."""
        moment, known, told = _Moment(view, axis, cursor, live=False), sorted(view.samples), False
        at = known.index(self.sample) if self.sample in known else -1
        for number in [*known[at + 1 :], *known[: at + 1]]:
            answers = [moment.answer(stage, number) for _, stage in attention_maps.models_of(view, self.defense)]
            given = {(each.clean, each.triggered) for each in answers if each is not None}
            told = told or bool(given)
            if len(given) > 1:
                return number, ""
        if not told:
            return None, "what the models answer is not recorded here"
        return None, "to every sample all models answer the same"

    def next_defense(self, view: RunView) -> bool:
        """From all defenses to the first alone, to the next, and back to all; False where there is only one."""
        if len(view.defenses) < 2:
            return False
        turns: list[str | None] = [None, *view.defenses]
        now = (
            self.defense or self.narrowed
        )  # where there is no room for all, the one that is shown was a turn of its own
        self.defense = turns[(turns.index(now) + 1) % len(turns)] if now in turns else None
        return True


class _Moment:
    """Where on the axis the maps are looked at."""

    def __init__(self, view: RunView, axis: Axis, cursor: float | None, live: bool) -> None:
        self.view, self.axis, self.cursor, self.live = view, axis, cursor, live

    def answer(self, stage: StageView, sample: int) -> SampleAnswered | None:
        """What a stage's model answers to the sample at the cursor."""
        captured, _ = self.captured(stage)
        epoch = next((each.epoch for (number, _), each in captured.items() if number == sample), None)
        return None if epoch is None else stage.answers.get((epoch, sample))

    def captured(self, stage: StageView) -> tuple[dict, str]:
        """A stage's captures at the cursor, and why there are none."""
        if not stage.attention:
            return {}, "not begun" if stage.state == "pending" else "nothing recorded yet"
        if self.cursor is None:
            return stage.maps(), ""
        span = next((each for each in spans(self.view, self.axis) if each.stage is stage), None)
        epoch = None if span is None else epoch_at(span, self.cursor)
        if epoch is None:
            return {}, "not begun at the cursor"
        found = stage.maps(epoch)
        return found, "" if found else "nothing recorded at the cursor"
