"""The defenses of a run, one after the other, each at its port: what they ask for is carried out here.

A defense holds its port and nothing else; the test set, the trigger and the target stand on this side of it.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from engine.config.run import RunConfig
from engine.data.clean import CleanImages
from engine.defenses.base import Adopt, Ask, Choose, Defense, Isolate, LabeledImages, Optimize, Port, Train
from engine.errors import RequestError, StageError
from engine.events import Chosen, Event
from engine.models.inference import copy_of, freeze
from engine.running.isolating import isolated
from engine.running.optimizing import Optimization
from engine.running.session import Session
from engine.running.stages import StageRunner
from engine.running.suspect import Suspect
from engine.running.verifying import unverified, verify
from engine.training.progress import ToldSteps

OPTIMIZED = "optimized"
"""The folder, inside the run's, of what defenses optimized."""


def defend(session: Session, runner: StageRunner, suspect: Suspect) -> Generator[Event, None, None]:
    """Run every defense of the session that is not finished, and again, from its checkpoints, what it stands on."""
    stood_on = {other for defense in session.config.defenses.values() for other in defense.stands_on}
    purified: dict[str, nn.Module] = {}  # of these alone: the models of twenty defenses take their memory
    for name in _needed(session, runner):
        defense = session.config.defenses[name]
        port = port_of(session, defense, suspect, {other: purified[other] for other in defense.stands_on})
        model = yield from _Defender(session, runner, defense, port, suspect).run()
        yield from verify(session, runner, suspect, defense.stages()[-1].name, model)
        if name in stood_on:
            purified[name] = model


def _needed(session: Session, runner: StageRunner) -> list[str]:
    """The defenses that are to run, in the run's order."""
    needed: set[str] = set()
    for name, defense in reversed(session.config.defenses.items()):
        finished = all(stage.name in runner.finished for stage in defense.stages())
        if name in needed or not finished or unverified(session, defense.stages()[-1].name):
            needed |= {name, *defense.stands_on}
    return [name for name in session.config.defenses if name in needed]


def port_of(
    session: Session, defense: Defense, suspect: Suspect, purified: Mapping[str, nn.Module] | None = None
) -> Port:
    """What one defense is handed; every tensor of it is a copy of its own, no view of a larger one.

    Args:
        purified: what the defenses came to on which it stands, by name.
    """
    clean, held = split(session, defense)
    poisoned = None
    if "poisoned set" in defense.needs:
        made = suspect.poisoned_set(session.config.attack)
        poisoned = LabeledImages(made.images, made.labels)
    return Port(
        suspect=suspect.model,
        clean=clean,
        held=held,
        classes=session.data.classes,
        taps=suspect.model.tap_names,
        device=session.device,
        seed=session.config.seed,
        mirror=bool(session.config.data.mirror),
        purified={name: freeze(copy_of(model)) for name, model in (purified or {}).items()},
        _build=partial(session.network.fresh, device=session.device),
        _poisoned=poisoned,
    )


def split(session: Session, defense: Defense) -> tuple[LabeledImages, LabeledImages]:
    """The clean subset as a defense has it: to train on, and to choose on where it does."""
    clean = session.clean
    held = held_places(session.config, defense, len(clean))
    return _lent(session, clean[~held]), _lent(session, clean[held])


def held_places(config: RunConfig, defense: Defense, clean: int) -> Tensor:
    """Which of so many clean images a defense holds, bool [clean]."""
    order = torch.randperm(clean, generator=_generator(config))
    held = torch.zeros(clean, dtype=torch.bool)
    held[order[: held_images(defense, clean)]] = True
    return held


def held_images(defense: Defense, clean: int) -> int:
    """How many of so many clean images a defense holds: at least one where it holds any."""
    return max(1, round(defense.held * clean)) if defense.held else 0


def _generator(config: RunConfig) -> torch.Generator:
    return torch.Generator().manual_seed((config.seed * 1_000_003 + 4_409) % 2**63)


def _lent(session: Session, clean: CleanImages) -> LabeledImages:
    there = session.device.torch
    return LabeledImages(clean.images.to(there), clean.labels.to(there))


class _Defender:
    """Runs one defense, and carries out what it asks for."""

    def __init__(self, session: Session, runner: StageRunner, defense: Defense, port: Port, suspect: Suspect) -> None:
        self._session = session
        self._runner = runner
        self._defense = defense
        self._port = port
        self._suspect = suspect

    def run(self) -> Generator[Event, None, nn.Module]:
        """The defense's events, and those of what it asks for; its purified model at the end.

        Raises:
            StageError: it asks for a stage that it did not declare, or leaves one out.
        """
        stages = [each.name for each in self._defense.stages()]
        unfinished = (name for name in stages if name not in self._runner.finished)
        self._runner.enter(next(unfinished, stages[-1]))  # what it does before it first asks is of that stage, too
        work = self._defense.defend(self._port)
        answer: Any = None
        try:
            while True:
                try:
                    with self._runner.passes.counting():
                        said = work.send(answer)
                except StopIteration as end:
                    self._check_done()
                    return end.value
                if isinstance(said, Ask):
                    answer = yield from self._answer(said)
                elif not self._session.told(said):
                    yield said
        finally:
            work.close()

    def _answer(self, ask: Ask) -> Generator[Event, None, Any]:
        declared = [stage.name for stage in self._defense.stages()]
        if ask.stage not in declared:
            raise StageError(
                f"defense {self._defense.name}: it asks for stage {ask.stage!r}, but declares {', '.join(declared)}"
            )
        match ask:
            case Train():
                return self._runner.train(
                    ask.stage,
                    ask.model,
                    ask.objective,
                    ask.data or self._port.clean,
                    ask.settings,
                    optimizer=ask.optimizer,
                    step=ask.step,
                    watch=ask.watch,
                    beside=ask.beside,
                    end=ask.end,
                )
            case Adopt():
                return self._runner.adopt(ask.stage, ask.model, given=ask.given, curve=ask.curve)
            case Optimize():
                return self._optimize(ask)
            case Choose():
                return self._choose(ask)
            case Isolate():
                return self._isolate(ask)
        raise TypeError(f"nobody carries out {type(ask).__name__}")

    def _optimize(self, ask: Optimize) -> Generator[Event, None, dict[str, Tensor]]:
        session = self._session
        self._runner.enter(ask.stage)
        work = Optimization(
            ask,
            self._port.clean,
            session.folder.path / OPTIMIZED / f"{ask.stage}-{ask.name}.safetensors",
            seed=self._port.seed,
            device=session.device,
            control=session.control,
            passes=self._runner.passes,
            mirror=bool(session.config.data.mirror),
        )
        yield from work.run()
        self._runner.spent[ask.stage] += work.seconds
        return ask.parameters

    def _choose(self, ask: Choose) -> Generator[Event, None, str]:
        """The candidate of the highest score; one that was chosen before the run was resumed stays chosen."""
        self._runner.enter(ask.stage)
        known = self._session.choices.get((ask.stage, ask.what))
        passes = self._runner.passes
        if known is not None and known.choice in ask.candidates:
            passes.total += known.image_steps
            return known.choice
        if not ask.candidates:
            raise StageError(f"stage {ask.stage}: there is nothing to choose {ask.what} from")
        told = ToldSteps(self._session.control, f"choosing {ask.what}", len(ask.candidates))
        scores: dict[str, float] = {}
        before = passes.total
        for name in ask.candidates:
            with passes.counting():
                scores[name] = float(ask.score(name))
            yield from told.done()
        if not any(math.isfinite(score) for score in scores.values()):
            raise StageError(f"stage {ask.stage}: no candidate for {ask.what} has a finite score")
        choice = max(scores, key=lambda name: scores[name] if not math.isnan(scores[name]) else -math.inf)
        with passes.counting():
            cost = None if ask.cost is None else ask.cost(choice)
        spent = passes.total - before
        yield Chosen(stage=ask.stage, what=ask.what, choice=choice, scores=scores, image_steps=spent, cost=cost)
        return choice

    def _isolate(self, ask: Isolate) -> Generator[Event, None, Tensor]:
        """Keep the places that a defense isolated, and say how many of them are poisoned: it does not hear that."""
        self._runner.enter(ask.stage)
        if "poisoned set" not in self._defense.needs:
            raise StageError(f"stage {ask.stage}: there is no poisoned set at hand of which to isolate anything")
        return (yield from isolated(self._session, ask, self._suspect.poisoned_set(self._session.config.attack)))

    def _check_done(self) -> None:
        missing = [stage.name for stage in self._defense.stages() if stage.name not in self._runner.finished]
        if missing:
            raise StageError(f"defense {self._defense.name}: it ended without its stage {missing[0]!r}")


def check_held(config: RunConfig, clean: int) -> None:
    """Refuse a defense that would hold all of the clean images.

    Raises:
        RequestError: none would be left to train on.
    """
    for name, defense in config.defenses.items():
        if not 0 <= defense.held < 1 or held_images(defense, clean) >= clean:
            raise RequestError(f"defense {name}: it holds {defense.held:g} of {clean} clean images, none is left")
