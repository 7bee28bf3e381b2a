"""What processes of this machine hold."""

from __future__ import annotations

import os
from pathlib import Path


def own_memory() -> int:
    """Bytes that this process holds."""
    return process_memory(os.getpid())


def process_memory(pid: int) -> int:
    """Resident bytes of a process of this machine; 0 where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
