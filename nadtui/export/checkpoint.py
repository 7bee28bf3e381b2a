"""A stage's model as a checkpoint, in the shape in which the suspect came, so that its owner's code loads it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import RequestError
from nadtui import formatting
from nadtui.runs.digest import Report

if TYPE_CHECKING:
    from torch import Tensor

NAME = "checkpoint"
ENDINGS = (".pth", ".pt", ".ckpt", ".bin", ".tar", ".safetensors")
"""By which a file is known to be meant for one."""


def render(report: Report, stage: str | None, file: Path) -> tuple[bytes, list[str]]:
    """The file's content, and what there is to say of it, a line each.

    Args:
        report: a run, of which that stage is finished.
        stage: None = the last purified model, else the suspect.
        file: where it goes; its ending alone matters: `.safetensors` is written as such.

    Raises:
        RequestError: no such stage, or its weights are not there.
    """
    from engine.record.layout import checkpoint_file
    from engine.storage.checkpoints import load_weights, weights_as_bytes
    from engine.storage.state_dicts.normalization import OURS
    from engine.storage.state_dicts.origin import in_shape, wrapped

    name = _stage(report, stage)
    weights, _ = load_weights(checkpoint_file(report.folder, name))
    origin = report.view.origin
    try:
        shaped = in_shape(origin, weights) if origin else {key: weights[key] for key in weights if key not in OURS}
        notes = _notes(name, origin)
        around = wrapped(origin, shaped) if origin else {"state_dict": shaped, **_beside(weights)}
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise RequestError(
            f"{report.view.run}: its record does not tell the shape in which the suspect came"
        ) from error
    notes += cautions(shaped, weights)
    if file.suffix.lower() == ".safetensors":
        if origin.get("path"):
            notes.append(f"safetensors hold no mappings: what stood under {'.'.join(origin['path'])} stands alone")
        return weights_as_bytes(shaped, {}), notes
    return _saved(around), notes


def _stage(report: Report, asked: str | None) -> str:
    done = [stage.name for stage in report.view.stages.values() if stage.finished is not None]
    if asked is not None:
        if asked not in done:
            raise RequestError(
                f"--stage {asked}: not a finished stage of this run; there are: {', '.join(done) or 'none'}"
            )
        return asked
    purified = [stage.name for stage in report.view.purified if stage.finished is not None]
    if not done:
        raise RequestError(f"{report.view.run}: no stage is finished, so there is no model to export")
    return purified[-1] if purified else done[0]


def _notes(stage: str, origin: dict[str, Any]) -> list[str]:
    if not origin:
        return [f"stage {stage}: a plain state dict under 'state_dict'"]
    where = ".".join(origin.get("path", ())) or "the file itself"
    notes = [f"stage {stage}: in the shape of {origin.get('file', 'the suspect')} ({where})"]
    if origin.get("module"):
        notes.append("the suspect was a whole model, saved as an object: this is its state dict")
    dropped = list(origin.get("left_out", ()))
    if dropped:
        more = f" and {len(dropped) - 6} more" if len(dropped) > 6 else ""
        notes.append(f"dropped, as not the network's: {', '.join(map(formatting.clean, dropped[:6]))}{more}")
    kept = [key for level in origin.get("beside", ()) for key in level]
    if kept:
        notes.append(f"kept as it was beside the weights: {', '.join(map(formatting.clean, kept[:6]))}")
    return notes


def cautions(shaped: dict[str, Any], weights: dict[str, Tensor]) -> list[str]:
    """Where an owner's code, or its figures, may be other than the record says."""
    import torch

    from engine.models.bounded import is_bound

    notes = []
    if bounds := [name for name in shaped if is_bound(name)]:
        notes.append(
            f"bounds beside the network's own tensors, {formatting.clean(bounds[0])} the first of {len(bounds)}: what "
            "a norm gives is cut off there (torch.minimum), or the model is another; nadtui takes them in again"
        )
    kept = max(each.element_size() for each in weights.values() if each.is_floating_point())
    types = {each.dtype for each in shaped.values() if isinstance(each, torch.Tensor) and each.is_floating_point()}
    if coarse := sorted(str(each).removeprefix("torch.") for each in types if each.itemsize < kept):
        notes.append(f"rounded to {', '.join(coarse)}, as the suspect was: figures may differ from the record's")
    return notes


def _beside(weights: dict[str, Tensor]) -> dict[str, list[float]]:
    """The preprocessing of a suspect that was trained here, as plain numbers beside the weights."""
    from engine.storage.state_dicts.normalization import OURS

    names = zip(("mean", "std"), OURS, strict=True)
    return {name: weights[ours].flatten().tolist() for name, ours in names if ours in weights}


def _saved(content: dict[str, Any]) -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()
