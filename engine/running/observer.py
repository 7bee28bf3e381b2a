"""What is looked at in a run: the test images, with the trigger on them, and what is measured and recorded of a model.

No defense is handed any of this: an `Observer` stands with whoever runs the stages.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import nn

from engine.attacks.base import Trigger
from engine.attacks.joint import Joint
from engine.attention.capture import Capture
from engine.evaluation.metrics import Answers, TestImages, ask, live_draw, measure, metrics_of, prepare, take
from engine.evaluation.proxies.making import Proxies
from engine.events import Evaluation, Event, SampleShown, Shadowed
from engine.figures import Metrics
from engine.running.session import Session
from engine.storage.checkpoints import save_weights

TRIGGER = "trigger.safetensors"
"""What defines the trigger, in the run folder."""


@dataclass(frozen=True)
class Seen:
    """What a model did on test images."""

    metrics: Metrics
    answers: Answers


class Observer:
    """Measures models on the test images of a session; nothing is picked by looking at its figures."""

    test: TestImages
    live: TestImages
    """The draw of `test` behind the live curves."""
    capture: Capture

    def __init__(self, session: Session) -> None:
        self._session = session
        self.trigger: Trigger | None = None
        """The one on the test images; None = there is none."""
        self.proxies: Proxies | None = None
        """Made-up triggers with which every model is tried too; None = there are none (yet)."""
        device = session.device.torch
        self._images, self._labels = session.data.x_test.to(device), session.data.y_test.to(device)
        self._live = live_draw(self._labels, session.config.evaluation.images)

    def show(self, trigger: Trigger | None) -> None:
        """Put a trigger on the test images, for all that follows, and keep it in the run folder."""
        session = self._session
        config, attack, classes = session.config, session.config.attack, session.data.classes
        self.trigger = trigger
        if attack is None or trigger is None:
            self.test = prepare(self._images, self._labels, classes)
        else:
            wanted = attack.eligible(self._labels, classes), attack.wanted(self._labels, classes)
            self.test = prepare(self._images, self._labels, classes, *wanted, trigger, marks=attack.marks)
            # Again on a resume: the run may have been killed before they were recorded.
            folder = session.folder.path
            save_weights(folder / TRIGGER, trigger.tensors(), {"attack": attack.name}, within=folder)
        self.live = take(self.test, self._live)
        operator, p = session.attention
        shown = self.test.samples(config.evaluation.samples)
        self.capture = Capture(*shown, operator=operator, p=p, device=session.device)

    def samples(self) -> Iterator[SampleShown]:
        """The images behind the recorded maps."""
        return self.capture.samples()

    def observe(
        self, stage: str, model: nn.Module, epoch: int, step: int, watched: Stopwatch, *, final: bool
    ) -> Generator[Event, None, Seen]:
        """A point of the curves, and the attention maps that go with it."""
        with watched, self._stoppable(model):
            if isinstance(model, Joint):
                self.show(model.trigger())
            test = self.test if final else self.live
            answers = ask(model, test, self._session.device)
            metrics = metrics_of(answers, test)
            maps, samples = self.capture.look(stage, epoch, model)
            shadow = self.proxies.success(model, self._session.device) if self.proxies is not None else None
        yield Evaluation(stage=stage, epoch=epoch, step=step, metrics=metrics, final=final)
        yield from maps
        yield from samples
        if shadow is not None:
            yield Shadowed(stage=stage, epoch=epoch, figures=shadow)
        return Seen(metrics, answers)

    def measure(self, model: nn.Module) -> Metrics:
        """The model's figures on all test images."""
        with self._stoppable(model):
            return measure(model, self.test, self._session.device)

    @contextmanager
    def _stoppable(self, model: nn.Module) -> Iterator[None]:
        """While it lasts, a stop is honored before each batch: to look at all test images takes seconds."""
        hook = model.register_forward_pre_hook(lambda *_: self._session.control.check())
        try:
            yield
        finally:
            hook.remove()


class Stopwatch:
    """Adds up the seconds spent inside it."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.epoch = 0
        """The epoch after which was last looked."""
        self._since = 0.0

    def __enter__(self) -> None:
        self._since = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        self.seconds += time.perf_counter() - self._since
