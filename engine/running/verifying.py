"""Whether a backdoor is erased or only asleep: the measurements after a purified model, each beside a clean model's.

They know the trigger and belong to no defense. The clean model is the zoo's of the same network and data set; what it
comes to with a trigger is kept in the cache, as any suspect with that trigger is measured beside the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from engine import zoo
from engine.data.base import fingerprint
from engine.errors import RequestError, StageError
from engine.evaluation.metrics import live_draw, take
from engine.evaluation.verification.existence import coefficient, existence
from engine.evaluation.verification.linear_path import linear_path
from engine.evaluation.verification.material import Found, Labeled, Material, Unfit, Work
from engine.evaluation.verification.perturbation import perturbation
from engine.evaluation.verification.retuning import retuning
from engine.events import Event, Preparing, Verified
from engine.models.inference import freeze
from engine.running.plan import SUSPECT
from engine.running.session import Session
from engine.running.stages import StageRunner
from engine.running.suspect import Suspect
from engine.storage.checkpoints import fit, load_weights, save_weights
from engine.zoo.contents import load

VERSION = 1
"""Part of the key of a control: raised when the same measurement comes to another figure."""
IMAGES = 1_000
"""Test images behind the figures, a fixed stratified draw."""
CONTROLS = "controls"
"""The folder, inside the run's, of what the clean model came to."""
CLEAN = "clean"
"""The preset whose suspect of the zoo is the control."""


@dataclass(frozen=True)
class Test:
    """One measurement."""

    measure: Callable[[nn.Module, Material], Work]
    of_the_suspect: bool
    """Whether what a clean model comes to depends on the suspect, and not on its trigger alone."""


TESTS: dict[str, Test] = {
    "retuning": Test(retuning, of_the_suspect=False),
    "linear-path": Test(linear_path, of_the_suspect=True),
    "existence": Test(existence, of_the_suspect=True),
    "perturbation": Test(perturbation, of_the_suspect=False),
}
"""By name, in the order in which they are made."""


def unverified(session: Session, stage: str) -> list[str]:
    """The measurements that are wanted of a purified model and not recorded yet."""
    if not session.config.evaluation.verify:
        return []
    known = {(event.stage, event.test) for event in session.recorded if isinstance(event, Verified)}
    return [name for name in TESTS if (stage, name) not in known]


def verify(
    session: Session, runner: StageRunner, suspect: Suspect, stage: str, model: nn.Module
) -> Generator[Event, None, None]:
    """Measure what is still missing of one purified model, frozen."""
    missing = unverified(session, stage)
    if missing:
        verifier = _Verifier(session, runner, suspect)
        for number, name in enumerate(missing):
            yield Preparing(what=f"verifying {stage}: {name}", done=number, total=len(missing))
            with runner.passes.counting():
                event = yield from verifier.verified(stage, name, model)
            runner.measured += event.seconds
            yield replace(event, image_steps=round(runner.passes.take()))


class _Verifier:
    """Makes the measurements on one run's suspect."""

    def __init__(self, session: Session, runner: StageRunner, suspect: Suspect) -> None:
        self._session = session
        self._runner = runner
        self._material = material_of(session, runner, suspect)
        self._control, self._without = control_of(session)

    def verified(self, stage: str, name: str, model: nn.Module) -> Generator[Event, None, Verified]:
        """One measurement, with its control."""
        since = time.perf_counter()
        try:
            found = yield from TESTS[name].measure(model, self._material)
            control = None if self._control is None else (yield from self._controlled(name))
        except (Unfit, StageError) as error:
            return Verified(stage=stage, test=name, figures={}, unfit=str(error), seconds=time.perf_counter() - since)
        figures = dict(found.figures)
        if name == "existence":
            alike = float("nan") if control is None else control.figures["similarity"]
            figures["coefficient"] = coefficient(figures["similarity"], alike)
        return Verified(
            stage=stage,
            test=name,
            figures=figures,
            points={key: list(values) for key, values in found.points.items()},
            control={} if control is None else {key: control.figures[key] for key in found.figures},
            uncontrolled=self._without,
            seconds=time.perf_counter() - since,
        )

    def _controlled(self, name: str) -> Work:
        """What the clean model comes to: as it is kept, or measured now."""
        session, cache = self._session, self._session.conveniences.cache
        key = cache.key(self._shapers(name))
        kept = cache.get("control", key) if session.request.cache else None
        if kept is not None:
            return _read(load_weights(kept.path)[0])
        assert self._control is not None
        found = yield from TESTS[name].measure(self._control, self._material)
        file = session.folder.path / CONTROLS / f"{name}.safetensors"
        save_weights(file, _written(found), {"test": name}, within=session.folder.path)
        cache.offer("control", key, file)
        return found

    def _shapers(self, name: str) -> dict[str, Any]:
        """Everything that shapes what the clean model comes to."""
        session, triggered = self._session, self._material.test.triggered
        assert triggered is not None
        suspect = self._runner.finished[SUSPECT].sha256 if TESTS[name].of_the_suspect else ""
        return {
            "version": VERSION,
            "test": name,
            "control": zoo.card(control_name(session)).sha256,
            "suspect": suspect,
            "triggered": fingerprint(triggered),
            "wanted": fingerprint(self._material.wanted),
            "data": session.data.fingerprint,
            "clean": fingerprint(self._material.clean),
            "seed": self._material.seed,
            "device": session.device.torch.type,
            "precision": session.device.precision,
        }


def material_of(session: Session, runner: StageRunner, suspect: Suspect) -> Material:
    """What the measurements of a run work on."""
    attack, trigger = session.config.attack, runner.observer.trigger
    assert attack is not None and trigger is not None
    train, classes = session.train, session.data.classes
    test = runner.observer.test
    return Material(
        suspect=suspect.model,
        test=take(test, live_draw(test.labels, IMAGES)),
        train=Labeled(train.images, train.labels),
        eligible=attack.eligible(train.labels, classes).nonzero().flatten(),
        wanted=attack.wanted(train.labels, classes),
        trigger=trigger,
        clean=session.clean.images.to(train.labels.device),
        device=session.device,
        control=session.control,
        seed=session.config.seed,
    )


def control_name(session: Session) -> str:
    """What the zoo calls the clean model of a run's data set and network."""
    return zoo.name_of(CLEAN, session.config.data.name, 0, session.config.model.name)


def control_of(session: Session) -> tuple[nn.Module | None, str]:
    """The clean model, frozen; or None, and why there is none."""
    name, config = control_name(session), session.config
    card = zoo.cards().get(name)
    if card is None:
        return None, f"the zoo has no clean {config.model.name} for {config.data.name}"
    height, width = session.data.x_train.shape[-2:]
    if (card.data["classes"], card.data["height"], card.data["width"]) != (session.data.classes, height, width):
        return None, f"the zoo's {name} takes other images than these"
    model = session.build(0)
    try:
        fit(model, load(card).weights, name)
    except RequestError as error:
        return None, str(error)
    return freeze(model), ""


def _written(found: Found) -> dict[str, Tensor]:
    figures = {f"figure.{key}": torch.tensor(value, dtype=torch.float64) for key, value in found.figures.items()}
    points = {f"points.{key}": torch.tensor(value, dtype=torch.float64) for key, value in found.points.items()}
    return figures | points


def _read(tensors: dict[str, Tensor]) -> Found:
    def part(prefix: str) -> dict[str, Tensor]:
        return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}

    figures = {key: float(value) for key, value in part("figure.").items()}
    return Found(figures, {key: tuple(value.tolist()) for key, value in part("points.").items()})
