"""What the workbench tells its screens."""

from __future__ import annotations

from textual.message import Message

from nadtui.runs.hosting import Host


class HostChanged(Message):
    """A run has told something new; sent to the screen in front, however many events there were."""

    bubble = False

    def __init__(self, host: Host) -> None:
        self.host = host
        super().__init__()
