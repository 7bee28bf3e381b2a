"""Downloads by torchvision: its progress forwarded, its failures put into one line, one at a time."""

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from engine.data.base import Progress
from engine.errors import AbsentError


@contextmanager
def downloading(name: str, remedy: str, folder: Path, progress: Progress) -> Iterator[None]:
    """Let torchvision download the data set ``name`` into ``folder`` in the body of the ``with`` statement.

    A second process waits until the first one is done. ``remedy`` says what else the person can do.

    Raises:
        RequestError: no network, a failed download, or a folder that cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{name}.lock"), _progress_of_torchvision(name, progress):
            yield
    except (OSError, RuntimeError, RecursionError, http.client.HTTPException) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise AbsentError(
            f"{name} is not in {folder} and could not be downloaded ({reason}); {remedy} there, or set "
            "NADTUI_DATA to a folder that holds it"
        ) from error


@contextmanager
def _progress_of_torchvision(name: str, progress: Progress) -> Iterator[None]:
    """Forward the bar that torchvision would write to stderr, in the midst of whatever is shown there."""
    from torchvision.datasets import utils

    class Bar:
        def __init__(self, total: int | None = None, **_: Any) -> None:
            self.done, self.total = 0, total or 0

        def update(self, count: int) -> None:
            self.done += count
            progress(f"downloading {name}", self.done, self.total)

        def __enter__(self) -> "Bar":
            return self

        def __exit__(self, *_: object) -> None:
            return None

    # torchvision has no hook for it; this name is where its downloads look the bar up.
    original, utils.tqdm = utils.tqdm, Bar
    try:
        yield
    finally:
        utils.tqdm = original
