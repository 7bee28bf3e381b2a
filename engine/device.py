"""Where a run computes, and in which precision: decided once, from the configuration and the machine."""

from __future__ import annotations

import contextlib
import os
import platform
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from engine.errors import AbsentError, RequestError


@dataclass(frozen=True)
class Device:
    """A torch device and the precision of its matrix work."""

    torch: torch.device
    precision: str
    """bf16 (autocast) or fp32."""

    def autocast(self) -> AbstractContextManager[Any]:
        """The context in which networks run forward."""
        if self.precision == "bf16":
            return torch.autocast(self.torch.type, dtype=torch.bfloat16)
        return contextlib.nullcontext()

    def __str__(self) -> str:
        return str(self.torch)


def choose(device: str = "auto", precision: str = "auto") -> Device:
    """The device of that name, or the best there is (cuda, mps, cpu).

    Raises:
        RequestError: this machine has no such device, or it cannot do that precision.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        device = next(name for name, there in available.items() if there)
    if device not in available:
        raise RequestError(f"device = {device}: allowed: auto, {', '.join(available)}")
    if not available[device]:
        there = ", ".join(name for name, has in available.items() if has)
        raise AbsentError(f"device = {device}: this machine has {there}")
    fast = _fast_bf16(device)
    if precision == "auto":
        precision = "bf16" if fast else "fp32"
    if precision == "bf16" and device == "mps":
        raise AbsentError("precision = bf16: on mps only fp32 is supported")
    if device == "cuda":
        # torch rounds the inputs of fp32 convolutions to 10 bits there unless it is told not to.
        torch.backends.cudnn.allow_tf32 = precision != "fp32"
    return Device(torch.device(device), precision)


def _fast_bf16(device: str) -> bool:
    """Whether bf16 is faster than fp32 there: emulated, it is slower."""
    if device == "cuda":
        return torch.cuda.get_device_capability() >= (8, 0)
    if device == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False


def environment(device: Device) -> dict[str, Any]:
    """What a figure's reader must know of the machine: versions, processor, threads, device."""
    return {
        "nadtui": _own_version(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        # Its version only: importing torchvision takes longer than drawing the signs.
        "torchvision": version("torchvision"),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": str(device),
        "gpu": torch.cuda.get_device_name() if device.torch.type == "cuda" else None,
        "precision": device.precision,
    }


def _own_version() -> str | None:
    with contextlib.suppress(PackageNotFoundError):  # a source tree, not installed
        return version("nadtui")
    return None


def _processor() -> str:
    # platform.processor() is empty on Linux.
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def peak_memory(device: Device) -> int:
    """Peak bytes this process has held: of the GPU on cuda, else of resident memory; 0 where it is not known."""
    if device.torch.type == "cuda":
        return torch.cuda.max_memory_allocated()
    try:
        import resource
    except ImportError:  # Windows has no such module
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024
