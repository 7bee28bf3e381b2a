"""A run in a background thread, for a front end that must stay alive. Free of torch until it starts."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator

from engine.control import Control, Stopped
from engine.events import Event
from engine.running.request import RunRequest


class Job:
    """One run and its thread. A single consumer reads `events`; further readers watch the record."""

    def __init__(self, request: RunRequest) -> None:
        self.request = request
        self.error: BaseException | None = None
        """Why the job ended before its record began: a RequestError, or our own mistake."""
        self._control = Control()
        self._queue: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="nadtui-job", daemon=True)

    def start(self) -> None:
        """Begin; torch loads in the job's thread."""
        self._thread.start()

    def pause(self) -> None:
        """Hold still at the next step."""
        self._control.pause()

    def resume(self) -> None:
        """Go on after a pause."""
        self._control.resume()

    def stop(self) -> None:
        """End at the next step; the run can be resumed."""
        self._control.stop()

    @property
    def paused(self) -> bool:
        """Whether the job was asked to hold still."""
        return self._control.paused

    def is_alive(self) -> bool:
        """Whether the thread is at work."""
        return self._thread.is_alive()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the thread's end."""
        self._thread.join(timeout)

    def events(self, timeout: float | None = None) -> Iterator[Event | None]:
        """The job's events as they come, to its end; None whenever `timeout` seconds brought none."""
        while True:
            try:
                event = self._queue.get(timeout=timeout)
            except queue.Empty:
                yield None
                continue
            if event is None:
                return
            yield event

    def _work(self) -> None:
        try:
            from engine.running.pipeline import run

            with contextlib.closing(run(self.request, self._control)) as events:
                for event in events:
                    self._queue.put(event)
        except Stopped:
            pass  # before the record began: there is nothing to resume and nothing to tell
        except BaseException as error:  # whatever it is, the consumer must hear of it
            self.error = error
        finally:
            self._queue.put(None)
