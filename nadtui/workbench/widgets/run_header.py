"""The head of the run screen: what the run is, how it goes, where it computes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from engine.record.absent import UNKNOWN, absent, target_class
from engine.record.origin import origin
from engine.record.state import RunState
from engine.record.summary import summarize
from engine.record.verdict import Word, of_summary
from engine.record.view import RunView
from nadtui import formatting
from nadtui.draw import colors
from nadtui.draw.run_states import LOOKS, VERDICT_COLORS
from nadtui.runs import narrate

if TYPE_CHECKING:
    from nadtui.runs.hosting import Host


def activity(view: RunView, state: RunState) -> str:
    """What goes on, in one line: stage, elapsed time, ETA, rate, device and memory are `facts`."""
    if view.queued is not None and state is RunState.QUEUED:
        held = f", held by {', '.join(view.queued.holders)}" if view.queued.holders else ""
        return f"{formatting.ordinal(view.queued.position)} in line for the machine{held}"
    if view.preparing is not None and not view.ended:
        return narrate.preparing(view.preparing)
    stage = view.stage
    if stage is not None and not view.ended:
        return f"{stage.name} epoch {max(1, stage.epoch)}/{stage.epochs}" if stage.epochs else stage.name
    if view.finished is not None:
        return outcome(view)
    if view.failure is not None:
        return f"failed in {view.failure.stage}"
    if view.stopped is not None:
        return f"stopped in {narrate.place(view.stopped, view)}; R goes on from there"
    return ""


def outcome(view: RunView) -> str:
    """What the run has come to: ASR and ACC of the suspect and of what was made of it, else of the last stage."""
    done = [stage for stage in view.stages.values() if stage.metrics is not None]
    if not done:
        return ""
    purified = [stage for stage in done if stage.role == "purified"]
    known = [view.foremost] if view.foremost is not None and view.foremost.metrics is not None else purified
    last = (known or done[-1:])[0]
    before, after = done[0].metrics, last.metrics
    assert before is not None and after is not None
    figures = {"ASR": (before.asr, after.asr), "ACC": (before.acc, after.acc)}
    why = absent(view, after).get("asr", "")
    if why:
        del figures["ASR"]
    said = [
        f"{name} {formatting.percentage(now)}"
        if last is done[0]
        else f"{name} {formatting.percentage(then)} → {formatting.percentage(now)}"
        for name, (then, now) in figures.items()
    ]
    more = f" · {last.defense} of {formatting.plural(len(purified), 'defense')}" if len(purified) > 1 else ""
    if why and why != UNKNOWN:  # without an attack there is nothing to be missed
        said.append(f"no ASR: {why}")
    return " · ".join(said) + more


def verdict(view: RunView) -> Word | None:
    """What has become of the backdoor in the model that stands for the run; None until the run is finished."""
    if view.finished is None or view.foremost is None:
        return None
    found = of_summary(summarize(view)).get(view.foremost.name)
    return None if found is None else found.word


def aim(view: RunView) -> str:
    """What the attacker wants and how many images he poisoned, as far as that is known."""
    target, poisoned = target_class(view), view.dataset.get("poisoned")
    parts = [] if target is None else [f"to {target!r}"]
    if isinstance(poisoned, int):
        parts.append(f"{formatting.plural(poisoned, 'image')} poisoned")
    return ", ".join(parts)


def facts(view: RunView, memory: int, now: float) -> list[str]:
    """Elapsed time, ETA, rate, device and memory, as far as they are known."""
    parts = [formatting.duration(view.elapsed(now))]
    remaining = view.eta(now)
    if remaining is not None:
        parts.append(f"ETA {formatting.duration(remaining)}")
    stage = view.stage
    if stage is not None and stage.last is not None and not view.ended:
        parts.append(f"{formatting.count(stage.last.images_per_second)} images/s")
    if view.environment.get("device"):
        parts.append(str(view.environment["device"]))
    if memory:
        parts.append(size(memory))
    return parts


def size(memory: int) -> str:
    """Bytes as `512 MiB` or `1.4 GiB`."""
    return f"{memory / 2**30:.1f} GiB" if memory >= 2**30 else f"{memory / 2**20:.0f} MiB"


def state_style(state: RunState, *, dark: bool) -> Style:
    """The color of a state; the words tell it too."""
    return Style(color=colors.series(LOOKS[state].color, dark=dark), bold=True)


def about(view: RunView) -> list[str]:
    """What the run is made of, as far as it is known: preset, data, seed, model; and whence a suspect not its own."""
    came_from = origin(view)
    parts = [
        view.preset,
        str(view.dataset.get("name", "")),
        f"seed {view.config['seed']}" if "seed" in view.config else "",
        str(view.model.get("name", "")),
        aim(view),
        f"suspect: {came_from.named}" if came_from is not None and came_from.source != "trained" else "",
    ]
    return [part for part in parts if part]


def whole(parts: Sequence[str], room: int) -> str:
    """As many of the parts, in their order, as so many cells hold: none is cut."""
    shown = ""
    for part in parts:
        longer = f"{shown} · {part}" if shown else part
        if cell_len(longer) > room:
            break
        shown = longer
    return shown


class RunHeader(Widget):
    """Two lines; repainted where something in them changed."""

    DEFAULT_CSS = """
    RunHeader { height: 2; width: 1fr; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: tuple = ("", (), "", "", "", "")

    def show(self, host: Host, now: float) -> None:
        """Show the run of this host at `now` (seconds since the epoch)."""
        view, state = host.view, host.state
        known = facts(view, host.memory, now)
        lines = (
            host.title,
            tuple(map(formatting.clean, about(view))),
            state,
            activity(view, state),
            known,
            verdict(view),
        )
        if lines != self._lines:
            self._lines = lines
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """Name and state; what goes on."""
        style, width = self.rich_style, self.size.width
        title, about, state, doing, known, word = self._lines
        if y == 0:
            badge, name = f" {LOOKS[state].title} ", f" {formatting.clean(title)}"
            room = width - cell_len(badge) - cell_len(name) - 2
            left = [Segment(name, style + Style(bold=True)), Segment(f"  {whole(about, room)}", style)]
            right = [Segment(badge, style + state_style(state, dark=self.app.current_theme.dark))]
        elif y == 1:
            left = [Segment(f" {formatting.clean(doing)}", style)]
            if word:
                color = colors.series(VERDICT_COLORS[word], dark=self.app.current_theme.dark)
                left.insert(0, Segment(f" {word}", style + Style(color=color, bold=True)))
            right = [Segment(f" {formatting.clean(' · '.join(known))} ", style + Style(dim=True))]
        else:
            return Strip.blank(width, style)
        end = sum(segment.cell_length for segment in right)
        return Strip.join([Strip(left).crop_extend(0, max(0, width - end), style), Strip(right)]).crop_extend(
            0, width, style
        )
