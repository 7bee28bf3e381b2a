"""A Dask scheduler and workers on this machine, each a process of its own, and a connection that can be cut."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.tiny_sweep import until


class Wire:
    """A local port whose connections go on to another, until they are cut."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._up = True
        self._open: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End every connection, and accept none."""
        self._up = False
        while self._open:
            with contextlib.suppress(OSError):
                self._open.pop().shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Accept connections again."""
        self._up = True

    def _accept(self) -> None:
        while True:
            near, _ = self._listening.accept()
            if not self._up:
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self._to))
            self._open += [near, far]
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=_pass_on, args=(source, target), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while content := source.recv(65_536):
            target.sendall(content)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextmanager
def dask(scratch: Path, workers: int) -> Iterator[tuple[int, list[subprocess.Popen[bytes]]]]:
    """A scheduler's port, and its workers' processes; all of them end with the block."""
    port_file = scratch / "scheduler.json"
    begun = [_started(scratch, "scheduler", "--port", "0", "--scheduler-file", str(port_file))]
    try:
        until(lambda: port_file.is_file() and port_file.read_text().endswith("}"))
        of = ["--scheduler-file", str(port_file), "--nthreads", "1", "--no-nanny", "--memory-limit", "0"]
        begun += [_started(scratch, "worker", *of, "--local-directory", str(scratch / f"w{n}")) for n in range(workers)]
        address = str(json.loads(port_file.read_text())["address"])
        yield int(address.rpartition(":")[2]), begun[1:]
    finally:
        for process in begun:
            process.kill()
            process.wait()


def _started(scratch: Path, what: str, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", f"distributed.cli.dask_{what}", "--host", "127.0.0.1", "--no-dashboard", *options]
    with (scratch / f"{what}.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"})
