"""The shadow ASR: what made-up triggers, frozen on the suspect, do to every model of a run. Nobody's trigger is needed.

They are made once, of the suspect and the clean subset, and lie in the run folder; from then on the observer tries
every model that it looks at with them.
"""

from __future__ import annotations

import time
from collections.abc import Generator

from engine.errors import RequestError
from engine.evaluation.proxies import making
from engine.evaluation.proxies.making import Proxies
from engine.evaluation.verification.material import Unfit
from engine.events import Event, Message, ProxiesMade, Shadowed
from engine.running.plan import SUSPECT
from engine.running.session import Session
from engine.running.stages import StageRunner
from engine.running.suspect import Suspect
from engine.storage.checkpoints import load_weights, save_weights

FILE = "proxies.safetensors"
"""In the run folder."""


def shadow(session: Session, runner: StageRunner, suspect: Suspect) -> Generator[Event, None, None]:
    """Have the observer try every model from here on; tell, once, what the triggers are and do to the suspect."""
    if not session.config.evaluation.shadow:
        return
    since = time.perf_counter()
    proxies = _kept(session)
    if proxies is None:
        clean, there = session.clean, session.device.torch
        try:
            with runner.passes.counting():
                proxies = yield from making.make(
                    suspect.model,
                    clean.images.to(there),
                    clean.labels.to(there),
                    session.device,
                    session.control,
                    session.config.seed,
                )
        except (Unfit, RequestError) as error:
            runner.passes.take()  # of no stage
            said = Message(level="warning", text=f"no shadow ASR: {error}")
            if not session.told(said):
                yield said
            return
        save_weights(session.folder.path / FILE, proxies.tensors(), {}, within=session.folder.path)
    image_steps = runner.passes.take()
    runner.observer.proxies = proxies
    if not any(isinstance(event, ProxiesMade) for event in session.recorded):
        yield _made(proxies, image_steps, time.perf_counter() - since, runner)
    if not any(isinstance(event, Shadowed) for event in session.recorded):
        figures = proxies.success(suspect.model, session.device)
        yield Shadowed(stage=SUSPECT, epoch=runner.finished[SUSPECT].epochs, figures=figures)


def _made(proxies: Proxies, image_steps: float, seconds: float, runner: StageRunner) -> ProxiesMade:
    runner.measured += seconds
    target, outliers = int(proxies.target), tuple(round(value, 3) for value in proxies.outliers.tolist())
    return ProxiesMade(
        target=target,
        outliers=outliers,
        stands_out=proxies.stands_out,
        cells=proxies.cells,
        image_steps=round(image_steps),
        seconds=seconds,
    )


def _kept(session: Session) -> Proxies | None:
    try:
        tensors, _ = load_weights(session.folder.path / FILE)
    except (OSError, RequestError):
        return None
    return Proxies.of(tensors, session.device.torch)
