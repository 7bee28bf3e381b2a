"""The command in a real terminal: a bare pseudo-terminal, and tmux where it is installed."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shlex
import shutil
import struct
import subprocess
import sys
import termios
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

PATIENCE_S = 120.0
"""Seconds for which something on the screen is waited for: many times what an idle machine takes."""
COMMAND = (sys.executable, "-m", "nadtui")
TMUX = shutil.which("tmux")
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def _plain() -> dict[str, str]:
    """This process's environment without a size that would outrank the terminal's own."""
    return {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}


class PtyTerminal:
    """The `nadtui` command in a pseudo-terminal; what it shows is known as the bytes it wrote."""

    def __init__(self, *arguments: str, environment: Mapping[str, str], size: tuple[int, int] = (80, 24)) -> None:
        self._parent, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.began = time.perf_counter()
        self._process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=child,
            stdout=child,
            stderr=child,
            env={**_plain(), "TERM": "xterm-256color", "COLORTERM": "truecolor", **environment},
            start_new_session=True,
        )
        os.close(child)

    def press(self, *keys: str) -> None:
        """Type; keys are letters, or Enter, End, Escape, C-s."""
        named = {"Enter": "\r", "End": "\x1b[F", "Escape": "\x1b", "C-s": "\x13"}
        for key in keys:
            os.write(self._parent, named.get(key, key).encode())

    def until(self, *wanted: str, seconds: float = PATIENCE_S) -> str:
        """Read until all of these were written, and return what was."""
        end, seen = time.monotonic() + seconds, b""
        while not all(each in (text := _CONTROL.sub("", seen.decode(errors="replace"))) for each in wanted):
            read = self._read(end)
            if not read:
                raise AssertionError(f"{wanted} never came; the last output was {text[-2000:]!r}")
            seen += read
        return text

    def _read(self, end: float) -> bytes:
        """What was written; nothing once the command has ended, or the time is up."""
        while not select.select([self._parent], [], [], 0.2)[0]:
            if self._process.poll() is not None or time.monotonic() > end:
                return b""
        try:
            return os.read(self._parent, 65_536)
        except OSError:  # Linux's way of saying that the other side is closed
            return b""

    def drain(self, seconds: float) -> None:
        """Read and forget for that long."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            if select.select([self._parent], [], [], left)[0]:
                os.read(self._parent, 65_536)

    def interface_seconds(self) -> float:
        """Processor time of the command's first thread, which is the interface's (Linux only)."""
        pid = self._process.pid
        fields = Path(f"/proc/{pid}/task/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def hang_up(self) -> int:
        """Take the terminal away; the command's exit code, once it has ended by itself."""
        os.close(self._parent)
        self._parent = -1
        return self._process.wait(PATIENCE_S)

    def signal(self, number: int) -> int:
        """Send the command a signal, and read what it says until it has ended; its exit code."""
        self._process.send_signal(number)
        return self.ended()

    def ended(self, seconds: float = PATIENCE_S) -> int:
        """Read what the command says until it has ended; its exit code."""
        end = time.monotonic() + seconds
        while self._process.poll() is None:
            assert time.monotonic() < end, "it does not end"
            self._read(time.monotonic() + 0.2)
        return self._process.returncode

    def close(self) -> None:
        """End the command at once."""
        self._process.kill()
        self._process.wait()
        if self._parent >= 0:
            os.close(self._parent)


class TmuxTerminal:
    """The `nadtui` command in a tmux of its own; what it shows is known as the screen's text."""

    def __init__(self, *arguments: str, environment: Mapping[str, str], size: tuple[int, int] = (80, 24)) -> None:
        self._socket = f"nadtui-test-{uuid.uuid4().hex[:8]}"
        given = [f"{name}={value}" for name, value in environment.items()]
        command = shlex.join(["env", "-u", "COLUMNS", "-u", "LINES", *given, *COMMAND, *arguments])
        width, height = map(str, size)
        # What the command has said last stays on the screen after its end.
        kept = (";", "set-option", "-g", "remain-on-exit", "on")
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", width, "-y", height, command, *kept)

    def _tmux(self, *arguments: str) -> str:
        assert TMUX is not None
        command = [TMUX, "-L", self._socket, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
        return done.stdout

    def press(self, *keys: str) -> None:
        """Type; keys as tmux names them."""
        for key in keys:
            self._tmux("send-keys", key)

    def until(self, *wanted: str, seconds: float = PATIENCE_S) -> str:
        """Wait until the screen shows all of these, and return the screen."""
        end = time.monotonic() + seconds
        while not all(each in (shown := self._tmux("capture-pane", "-p")) for each in wanted):
            if time.monotonic() > end:
                raise AssertionError(f"{wanted} never came; the screen:\n{shown}")
            time.sleep(0.2)
        return shown

    def close(self) -> None:
        """End the command and its tmux."""
        self._tmux("kill-server")


Terminal = TmuxTerminal if TMUX else PtyTerminal
"""The most real one there is here."""
