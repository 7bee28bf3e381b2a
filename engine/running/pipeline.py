"""The pipeline: a plan carried out, the suspect first, then its defenses; one stream of events, recorded as it comes.

`run` is a generator: whoever iterates it does the work. Nothing is written before the request has proved sound
(`engine.running.prepare`), and each recorded event is on disk before it is yielded.
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Generator, Iterable, Iterator
from typing import Any

import torch

from engine import zoo
from engine.config.run import RunConfig
from engine.control import Control, Stopped
from engine.data.base import fingerprint
from engine.device import environment, peak_memory
from engine.errors import RecordError, RequestError, StageError
from engine.events import (
    Event,
    Message,
    RunFailed,
    RunFinished,
    RunResumed,
    RunStarted,
    RunStopped,
    StageFinished,
)
from engine.overheard import Ear, listening
from engine.record.reading import read_events
from engine.record.summary import summarize
from engine.record.view import fold
from engine.running.conveniences import wait_for
from engine.running.defending import defend
from engine.running.mailbox import heard
from engine.running.observer import Observer
from engine.running.prepare import Preparation
from engine.running.processor_queue import check_threads
from engine.running.request import RunRequest
from engine.running.session import Session
from engine.running.shadowing import shadow
from engine.running.stages import StageRunner, saved_place
from engine.running.suspect import make_suspect


def run(request: RunRequest, control: Control | None = None) -> Generator[Event, None, None]:
    """Run, or resume, one configuration; yields every event, those of the record once they are recorded.

    Raises:
        RequestError: the request is wrong; nothing was written.
        RecordError: the record cannot be written any more; what is there of it is sound.
    """
    control = control or Control()
    with listening() as ear:
        with contextlib.closing(Preparation(request)) as preparation:
            session = yield from preparation.session(control)
        with session.folder, heard(session.folder.path, control):
            runner, opening = _begun(session)
            yield opening
            yield from _recorded(session, runner, ear)


def _begun(session: Session) -> tuple[StageRunner, Event]:
    """What runs the stages, and the record's first event, or the first of those that are added to it.

    Raises:
        RequestError: it cannot be recorded; a new run's folder is gone again.
    """
    try:
        runner = StageRunner(session, Observer(session))
        return runner, session.folder.append(_opening(session))
    except BaseException as error:
        session.folder.discard()
        if isinstance(error, RecordError):
            raise RequestError(str(error)) from error
        raise


def _recorded(session: Session, runner: StageRunner, ear: Ear) -> Generator[Event, None, None]:
    """Record and yield the run's events; an error inside a stage becomes the record's last event."""
    try:
        for event in _with_warnings(_run(session, runner), ear):
            yield session.folder.append(event)
    except RecordError:
        raise
    except Stopped:
        yield session.folder.append(RunStopped(stage=runner.stage, epoch=runner.epoch, step=runner.step))
    except (StageError, RequestError) as error:
        yield session.folder.append(RunFailed(stage=runner.stage, message=str(error)))
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
        failed = RunFailed(stage=runner.stage, message=message, traceback=traceback.format_exc())
        yield session.folder.append(failed)


def _with_warnings(events: Iterable[Event], ear: Ear) -> Iterator[Event]:
    """The events, and before each that ends something what libraries warned of until then."""
    for event in events:
        if isinstance(event, StageFinished | RunFinished):
            yield from (Message(level="warning", text=line) for line in ear.untold())
        yield event


def _run(session: Session, runner: StageRunner) -> Generator[Event, None, None]:
    torch.set_num_threads(check_threads(session.config.threads))
    if not session.resumed:
        for note in session.remarks:
            yield Message(level="warning" if note.warning else "info", text=note.text)
    extras = session.conveniences
    if extras.warning:
        yield Message(level="warning", text=extras.warning)
    with extras.claim(session.config.threads, session.folder.id, str(session.device)) as claim:
        yield from wait_for(claim, session.control)
        suspect = yield from make_suspect(session, runner)
        yield from shadow(session, runner, suspect)
        yield from defend(session, runner, suspect)
    seconds = sum(event.seconds for event in runner.finished.values()) + runner.measured
    yield RunFinished(seconds=seconds, peak_memory=peak_memory(session.device))
    session.folder.write_summary(summarize(fold(read_events(session.folder.path).events)))


def _of_the_zoo(config: RunConfig) -> dict[str, Any]:
    """What the record says of the zoo's suspect, where the run takes one."""
    if config.zoo_name is None:
        return {}
    return zoo.card(config.zoo_name).model_dump(mode="json", include={"name", "made", "precision", "sha256"})


def _opening(session: Session) -> Event:
    if session.resumed:
        stage = next((each.name for each in session.plan if each.name not in session.finished), session.plan[-1].name)
        done = session.finished.get(stage)
        epoch, step = (done.epochs, 0) if done else saved_place(session.folder.state(stage))
        changed = dict(session.request.changed)
        place = {"stage": stage, "epoch": epoch, "step": step}
        return RunResumed(**place, environment=environment(session.device), changed=changed)
    config, loaded, model = session.config, session.data, session.model
    operator, p = session.attention
    before = session.network.preprocessing
    return RunStarted(
        run=session.folder.id,
        config=config.to_dict(),
        config_sha256=config.sha256(),
        environment=environment(session.device),
        dataset={
            "name": loaded.name,
            "classes": loaded.classes,
            "class_names": list(loaded.class_names),
            "train": len(loaded.x_train),
            "test": len(loaded.x_test),
            "clean": len(session.clean),
            "clean_fingerprint": fingerprint(session.clean.images, session.clean.labels),
            "fingerprint": loaded.fingerprint,
            "poisoned": session.poisoned,
            "size": list(session.network.size),
        },
        model={
            "name": config.model.name,
            "parameters": sum(p.numel() for p in model.parameters()),
            "taps": list(model.tap_names),
            "mean": before and list(before.mean),
            "std": before and list(before.std),
        },
        attention={"operator": operator, "p": p},
        inputs=session.inputs,
        zoo=_of_the_zoo(config),
        attacked=config.attack is not None,
        origin={} if session.given is None else session.given.origin,
        plan=session.plan,
        unfit=dict(session.unfit),
    )
