"""The answers of a finished stage's model, one by one, in the run folder: what pairs are counted from."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from engine.errors import RequestError
from engine.evaluation.metrics import Answers, TestImages
from engine.record.layout import answers_file
from engine.storage.checkpoints import load_weights, save_weights


def keep_answers(run: Path, stage: str, answers: Answers, test: TestImages) -> None:
    """Write them beside what was right and what was wanted; classes as int32."""
    tensors = {"clean": answers.clean, "labels": test.labels, "eligible": test.eligible, "wanted": test.wanted}
    if answers.triggered is not None:
        tensors["triggered"] = answers.triggered
    small = {name: tensor.to("cpu", torch.int32) for name, tensor in tensors.items()}
    save_weights(answers_file(run, stage), small, {"stage": stage}, within=run)


def recalled_answers(run: Path, stage: str, test: TestImages) -> Answers | None:
    """Those of an earlier stage; None where none were kept, or for other images than these."""
    try:
        kept, _ = load_weights(answers_file(run, stage))
    except (OSError, RequestError):
        return None

    def read(name: str) -> Tensor | None:
        return kept[name].to(test.labels.device, torch.int64) if name in kept else None

    labels, clean = read("labels"), read("clean")
    if clean is None or labels is None or not torch.equal(labels, test.labels):
        return None
    return Answers(clean, read("triggered"))
