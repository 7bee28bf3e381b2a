"""The run screen under a pilot: jobs that play a script, and how the screen is opened."""

from __future__ import annotations

from engine.events import RunStopped
from engine.running.request import RunRequest
from nadtui.workbench.screens.run import RunScreen
from tests import looks, scripted_run
from tests.staged_job import StagedJob

NOW = scripted_run.START + 600
SIZES = ((80, 24), (120, 36), (200, 60))


class Jobs:
    """The jobs that the workbench started, in order."""

    def __init__(self, script: list, error: BaseException | None = None) -> None:
        self.script, self.error = script, error
        self.made: list[StagedJob] = []
        self.requests: list[RunRequest] = []

    def __call__(self, request: RunRequest) -> StagedJob:
        job = StagedJob(self.script, error=self.error)
        job.on_stop = [RunStopped(stage="nad", epoch=1, seq=999, time=scripted_run.START + 99)]
        self.made.append(job)
        self.requests.append(request)
        return job


async def opened(pilot, wanted: str = "✓ finished") -> RunScreen:
    await looks.settle(pilot, wanted)
    screen = pilot.app.screen
    assert isinstance(screen, RunScreen)
    return screen


async def started(pilot, jobs: Jobs, events: int = 60) -> RunScreen:
    jobs.made[-1].let(events)
    return await opened(pilot, "▶ running")
