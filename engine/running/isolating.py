"""What a defense isolated of the poisoned set: kept, and counted against what only the run knows."""

from __future__ import annotations

from collections.abc import Generator

import torch
from torch import Tensor

from engine.attacks.base import PoisonedSet
from engine.defenses.base import Isolate
from engine.errors import StageError
from engine.events import Event, Isolated
from engine.running.session import Session
from engine.storage.checkpoints import load_weights, save_weights

ISOLATED = "isolated"
"""The folder, inside the run's, of the places that defenses isolated, a file a stage."""


def isolated(session: Session, ask: Isolate, poisoned: PoisonedSet) -> Generator[Event, None, Tensor]:
    """The places, sorted; those that were isolated before the run was resumed stay so, and are told of once.

    Raises:
        StageError: a place is none of the poisoned set's, or is there twice.
    """
    file = session.folder.path / ISOLATED / f"{ask.stage}.safetensors"
    told = any(isinstance(event, Isolated) and event.stage == ask.stage for event in session.recorded)
    if told and file.is_file():
        return load_weights(file)[0]["places"].to(ask.places.device)
    places, count = ask.places.long().sort().values, len(poisoned.labels)
    if len(places) and (int(places[0]) < 0 or int(places[-1]) >= count or bool((places.diff() == 0).any())):
        raise StageError(f"stage {ask.stage}: what it isolates has to be places from 0 to {count - 1}, each once")
    save_weights(file, {"places": places.cpu()}, {"stage": ask.stage}, within=session.folder.path)
    found = torch.isin(places.cpu(), poisoned.indices.cpu())
    yield Isolated(
        stage=ask.stage,
        images=count,
        isolated=len(places),
        poisoned=len(poisoned.indices),
        found=int(found.sum()),
    )
    return places
