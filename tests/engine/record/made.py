"""Run folders and what goes into them, for the tests of the record."""

import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
import yaml

import engine
from engine.errors import RequestError
from engine.events import Evaluation, RunStarted, StageFinished, Step
from engine.figures import Metrics
from engine.record.folder import RunFolder
from tests.scripted_run import PLAN

REPOSITORY = Path(engine.__file__).parents[1]
NOW = datetime(2026, 3, 4, 5, 6, 7)
CONFIG = yaml.safe_dump({"preset": "sig", "seed": 3, "data": {"name": "signs"}})


def create(root, **changes):
    request = {"preset": "sig", "dataset": "signs", "seed": 3, "config_yaml": CONFIG, "now": NOW}
    return RunFolder.create(root, **(request | changes))


def started(run="r", **changes):
    tables = {"config": {}, "environment": {}, "dataset": {"name": "signs"}, "model": {}, "plan": PLAN}
    return RunStarted(run=run, config_sha256="", **(tables | changes))


def step(number=1, stage="attack"):
    return Step(
        stage=stage, epoch=1, step=number, loss=0.5, parts={"cross-entropy": 0.5}, lr=0.1, images_per_second=1650.0
    )


def evaluation(stage, epoch, acc, asr):
    return Evaluation(stage=stage, epoch=epoch, step=9 * epoch, metrics=finished(stage, acc, asr).metrics)


def finished(stage, acc, asr):
    metrics = Metrics(
        images=100,
        eligible=90,
        acc=acc,
        asr=asr,
        ra=1.0,
        base=0.4,
        acc_ci=(acc - 1, acc + 1),
        asr_ci=(0.0, 100.0),
        ra_ci=(0.0, 2.0),
        base_ci=(0.0, 1.0),
    )
    return StageFinished(
        stage=stage,
        metrics=metrics,
        checkpoint=f"checkpoints/{stage}.safetensors",
        sha256="0" * 64,
        epochs=1,
        seconds=2.0,
        evaluation_seconds=0.5,
        images_per_second=1000.0,
    )


def summary(name="r", started_at="2026-03-04T05:06:07+00:00", **changes):
    figures = [("attack", 97.1, 99.8), ("teacher", 95.0, 20.0), ("nad", 94.5, 1.5), ("fine-tuning", 90.0, 50.0)]
    roles = ("suspect", "reference", "purified", "purified")
    stages = [
        {"stage": stage, "role": role, "acc": acc, "asr": asr}
        for (stage, acc, asr), role in zip(figures, roles, strict=True)
    ]
    values = {"schema": 2, "run": name, "status": "finished", "preset": "sig", "seed": 3, "started": started_at}
    return values | {"dataset": {"name": "signs"}, "stages": stages} | changes


def refusal(call, *arguments, **keywords):
    """The message of the RequestError that the call must raise: always one line."""
    with pytest.raises(RequestError) as caught:
        call(*arguments, **keywords)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def python(script, *arguments):
    """A process of its own that runs this script, its standard output a pipe."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
