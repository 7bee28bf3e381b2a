"""The command in a real terminal: a bare pseudo-terminal, and tmux where it is installed."""

from __future__ import annotations

import fcntl
import os
import pty
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

COMMAND = (sys.executable, "-m", "nadtui")
TMUX = shutil.which("tmux")


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

    def until(self, wanted: str, seconds: float = 300.0) -> str:
        """Read until that text was written, and return what was."""
        began, seen = time.perf_counter(), b""
        while wanted.encode() not in seen:
            if time.perf_counter() - began > seconds or not (read := self._read()):
                raise AssertionError(f"{wanted!r} never came; the last output was {seen[-2000:]!r}")
            seen += read
        return seen.decode(errors="replace")

    def _read(self) -> bytes:
        """What was written; nothing once the command has ended."""
        while not select.select([self._parent], [], [], 0.5)[0]:
            if self._process.poll() is not None:
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

    def close(self) -> None:
        """End the command at once."""
        self._process.kill()
        self._process.wait()
        os.close(self._parent)


class TmuxTerminal:
    """The `nadtui` command in a tmux of its own; what it shows is known as the screen's text."""

    def __init__(self, *arguments: str, environment: Mapping[str, str], size: tuple[int, int] = (80, 24)) -> None:
        self._socket = f"nadtui-test-{uuid.uuid4().hex[:8]}"
        given = [f"{name}={value}" for name, value in environment.items()]
        command = shlex.join(["env", "-u", "COLUMNS", "-u", "LINES", *given, *COMMAND, *arguments])
        width, height = map(str, size)
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", width, "-y", height, command)

    def _tmux(self, *arguments: str) -> str:
        assert TMUX is not None
        done = subprocess.run([TMUX, "-L", self._socket, *arguments], capture_output=True, text=True, check=False)
        return done.stdout

    def press(self, *keys: str) -> None:
        """Type; keys as tmux names them."""
        for key in keys:
            self._tmux("send-keys", key)

    def until(self, wanted: str, seconds: float = 300.0) -> str:
        """Wait until the screen shows that text, and return the screen."""
        end = time.monotonic() + seconds
        while wanted not in (shown := self._tmux("capture-pane", "-p")):
            if time.monotonic() > end:
                raise AssertionError(f"{wanted!r} never came; the screen:\n{shown}")
            time.sleep(0.2)
        return shown

    def close(self) -> None:
        """End the command and its tmux."""
        self._tmux("kill-server")


TERMINALS = [PtyTerminal, *([TmuxTerminal] if TMUX else [])]
