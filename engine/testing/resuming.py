"""A run that is stopped wherever it can be, and resumed each time, to be compared with one that is left alone."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from engine.config.run import RunConfig
from engine.control import Control
from engine.events import (
    Chosen,
    Evaluation,
    Event,
    Preparing,
    RunFailed,
    RunFinished,
    RunResumed,
    RunStarted,
    RunStopped,
    StageFinished,
    StageStarted,
)
from engine.record.layout import checkpoint_file, state_file
from engine.storage.checkpoints import load_weights
from engine.testing import digests
from engine.testing.contract import ContractBroken, one_line, require
from engine.testing.world import World, folder_in

STOPS = 40
"""More than any tiny run has places to be stopped at: one that goes round in a circle is given up."""


@dataclass
class Interrupted:
    """A run in pieces."""

    folder: Path = Path()
    stops: list[Hashable] = field(default_factory=list)
    """Where it was stopped."""
    halfway: dict[str, set[str]] = field(default_factory=dict)
    """By stage, digests of the weights that were saved after an epoch."""
    final: dict[str, str] = field(default_factory=dict)
    """By stage, the digest of its weights at the end, of the stages in `halfway`."""


def interrupted(world: World, config: RunConfig, wanted: Callable[[Event], bool], *, cache: bool) -> Interrupted:
    """Carry a run out, stopped once at every place where an event is `wanted`.

    Raises:
        ContractBroken: resumed, it fails or goes round in a circle.
    """
    pieces = Interrupted()
    out = world.folder / "runs" / str(world.runs)
    last = _piece(world, config, wanted, pieces, cache=cache)
    pieces.folder = folder_in(out)
    while isinstance(last, RunStopped):
        if last.epoch:
            _note(pieces, last.stage)
        require(len(pieces.stops) < STOPS, "stopped and resumed again and again, it comes to no end")
        last = _piece(world, config, wanted, pieces, cache=cache, resume=pieces.folder)
    if isinstance(last, RunFailed):
        raise ContractBroken(one_line(f"resumed after {_told(pieces.stops)}, it fails: {last.message}"))
    require(isinstance(last, RunFinished), f"resumed after {_told(pieces.stops)}, it ends with {last.kind}")
    for stage in pieces.halfway:
        pieces.final[stage] = digests.of_tensors(load_weights(checkpoint_file(pieces.folder, stage))[0])
    return pieces


def _piece(
    world: World,
    config: RunConfig,
    wanted: Callable[[Event], bool],
    pieces: Interrupted,
    *,
    cache: bool,
    resume: Path | None = None,
) -> Event:
    """Carry it on to the next place; the last event."""
    control = _Steered()
    recorded = False
    for event in world.run(config, cache=cache, control=control, resume=resume):
        recorded = recorded or isinstance(event, RunStarted | RunResumed)
        here = _place(event) if recorded else None
        if here is not None and here not in pieces.stops and wanted(event):
            pieces.stops.append(here)
            control.stop_after(isinstance(event, StageStarted))
    return event


class _Steered(Control):
    """Stops at once, or so many looks later."""

    _left: int | None = None

    def stop_after(self, looks: int) -> None:
        """Let it look that often before it is stopped: once before every step of training."""
        self._left = looks

    def _hear(self) -> None:
        super()._hear()
        if self._left == 0:
            self.stop()
        elif self._left is not None:
            self._left -= 1


def _place(event: Event) -> Hashable:
    """Where a run is when it says this; None where it is not to be stopped."""
    match event:
        case StageStarted() if event.epochs and event.steps > 1 and event.step == event.epoch == 0:
            return "the first step of", event.stage
        case Evaluation(final=False):
            return "epoch", event.stage, event.epoch
        case StageFinished():
            return "the end of", event.stage
        case Chosen():
            return "the choice in", event.stage, event.what
        case Preparing():
            return "a step of", event.what
    return None


def _told(stops: list[Hashable]) -> str:
    return " ".join(map(str, stops[-1])) if stops else "nothing"


def _note(pieces: Interrupted, stage: str) -> None:
    file = state_file(pieces.folder, stage)
    if file.is_file():
        pieces.halfway.setdefault(stage, set()).add(digests.of_tensors(_weights(load_weights(file)[0])))


def _weights(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The network's own in a saved training state, by the names that they have in a checkpoint."""
    joint = any(name.startswith("model.learner.") for name in state)
    prefix = "model.classifier." if joint else "model."
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
