"""The pipeline end to end, through the library's own door, on a tiny drawn data set."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from engine import events as ev
from engine.errors import RequestError
from engine.record.codec import encode
from engine.record.reading import read_events
from engine.storage.checkpoints import load_weights, save_weights
from tests.tiny import finished, run_all, runs_in, tiny_config


@pytest.fixture(autouse=True)
def _one_cache(module_cache, monkeypatch) -> None:
    """The artifact cache of this module's tests is one, so that they can share a backdoored model."""
    monkeypatch.setenv("NADTUI_CACHE", str(module_cache))


def figures(events: list[ev.Event]) -> dict[str, tuple]:
    """What two equal runs agree on."""
    return {name: (event.metrics, event.sha256) for name, event in finished(events).items()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory, module_cache) -> tuple[list[ev.Event], Path]:
    """One uninterrupted run, shared by the tests that only look at it."""
    out = tmp_path_factory.mktemp("runs")
    return run_all(tiny_config(), out), runs_in(out)[0]


def test_emits_the_documented_stream(whole):
    events, _ = whole
    recorded = [event for event in events if event.seq]
    assert [event.seq for event in recorded] == list(range(1, len(recorded) + 1))
    assert isinstance(recorded[0], ev.RunStarted)
    assert isinstance(recorded[-1], ev.RunFinished)
    starts = [event.stage for event in recorded if isinstance(event, ev.StageStarted)]
    assert starts == ["attack", "teacher", "nad"]
    for stage, epochs in (("attack", 3), ("teacher", 2), ("nad", 2)):
        points = [event for event in recorded if isinstance(event, ev.Evaluation) and event.stage == stage]
        assert [point.epoch for point in points] == list(range(1, epochs + 1))
        assert [point.final for point in points] == [False] * (epochs - 1) + [True]
    health = [event for event in recorded if isinstance(event, ev.AttentionHealth)]
    # At first the student is its teacher, from which no tap is apart.
    assert [(event.stage, event.epoch) for event in health] == [("nad", 2)]
    assert [(tap.tap, tap.height) for tap in health[0].taps] == [("group1", 16), ("group2", 8), ("group3", 4)]


def test_the_record_is_the_stream(whole):
    events, folder = whole
    log = read_events(folder)
    assert log.damaged == 0
    assert [encode(event) for event in log.events] == [encode(event) for event in events if event.seq]


def test_the_summary_keeps_the_contract(whole):
    events, folder = whole
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["schema"] == ev.SCHEMA
    assert summary["status"] == "finished"
    assert summary["dataset"] == {"name": "signs", "classes": 10, "train": 300, "test": 120, "clean": 60}
    assert [stage["stage"] for stage in summary["stages"]] == ["attack", "teacher", "nad"]
    for stage, event in zip(summary["stages"], finished(events).values(), strict=True):
        assert stage["acc"] == event.metrics.acc
        assert stage["images"] == 120
        assert stage["eligible"] == 108
        assert stage["acc_ci"][0] <= stage["acc"] <= stage["acc_ci"][1]
        weights, _ = load_weights(folder / stage["checkpoint"])
        assert all(torch.isfinite(value).all() for value in weights.values())
        assert not (folder / f"checkpoints/{stage['stage']}.state.safetensors").exists()
    assert len(summary["config_sha256"]) == 64


def test_evaluation_time_is_stated(whole):
    events, _ = whole
    for event in finished(events).values():
        assert 0 < event.evaluation_seconds < event.seconds


def test_the_seed_decides_everything(whole, tmp_path):
    events, _ = whole
    again = run_all(tiny_config(), tmp_path / "again", cache=False)
    assert figures(again) == figures(events)
    other = run_all(tiny_config("badnets", "seed=7"), tmp_path / "other", cache=False)
    assert {name: sha for name, (_, sha) in figures(other).items()}.keys() == figures(events).keys()
    assert all(figures(other)[name][1] != figures(events)[name][1] for name in figures(events))


def test_a_recorded_configuration_repeats_the_run(whole, tmp_path):
    from engine.config.presets import resolve

    events, folder = whole
    config = resolve(None, config_file=folder / "config.yaml")
    assert config == tiny_config()
    assert figures(run_all(config, tmp_path, cache=False)) == figures(events)


def test_a_held_attack_seed_repeats_defenses_on_one_backdoored_model(whole, tmp_path):
    events, _ = whole
    other = run_all(tiny_config("badnets", "seed=5", "attack.seed=0"), tmp_path)
    assert finished(other)["attack"].cached
    assert figures(other)["attack"] == figures(events)["attack"]
    assert figures(other)["teacher"][1] != figures(events)["teacher"][1]


def test_the_cache_is_refused_on_request_and_forgotten_when_the_attack_changes(whole, tmp_path):
    assert not finished(run_all(tiny_config(), tmp_path / "a", cache=False))["attack"].cached
    changed = run_all(tiny_config("badnets", "attack.size=4"), tmp_path / "b")
    assert not finished(changed)["attack"].cached


def test_fine_tuning_differs_from_nad_by_the_attention_loss_alone(tmp_path):
    """With attention weights too small to matter, NAD and its paired fine-tuning walk the same path."""
    begun_as_suspect = ("start=suspect", "distance.weight=0", "beta=[1e-12,0,0]")
    alike = ("training.lr=0.1", "objective.mixup=0", "objective.hinge=0.1", "objective.anchor.weight=0")
    settings = [f"defenses.nad.distill.{text}" for text in (*begun_as_suspect, *alike)]
    settings += [f"defenses.fine-tuning.{text}" for text in alike]
    config = tiny_config("badnets", *settings, defended_by=["nad", "fine-tuning"])
    done = finished(run_all(config, tmp_path))
    nad, _ = load_weights(runs_in(tmp_path)[0] / done["nad"].checkpoint)
    tuned, _ = load_weights(runs_in(tmp_path)[0] / done["fine-tuning"].checkpoint)
    for name, value in nad.items():
        torch.testing.assert_close(value, tuned[name], atol=1e-4, rtol=1e-3)


def test_given_checkpoints_are_measured_not_trained(whole, tmp_path):
    events, folder = whole
    student, _ = load_weights(folder / "checkpoints" / "attack.safetensors")
    torch.save({"state_dict": {f"module.{name}": value for name, value in student.items()}}, tmp_path / "s.pth")
    config = tiny_config(
        "badnets",
        f"suspect={tmp_path / 's.pth'}",
        f"defenses.nad.teacher={folder / 'checkpoints' / 'teacher.safetensors'}",
    )
    done = finished(run_all(config, tmp_path / "runs"))
    assert done["attack"].cached
    assert done["attack"].epochs == 0
    assert done["teacher"].cached
    before, after = figures(events), figures(list(done.values()))
    assert all(after[name] == before[name] for name in ("attack", "teacher"))


def test_a_loss_that_is_not_finite_fails_the_run_and_keeps_the_record(tmp_path):
    events = run_all(
        tiny_config("badnets", "training.lr=100", "training.weight_decay=1", "training.epochs=30"), tmp_path
    )
    assert isinstance(events[-1], ev.RunFailed)
    assert events[-1].stage == "attack"
    assert "no longer finite" in events[-1].message
    folder = runs_in(tmp_path)[0]
    assert not (folder / "summary.json").exists()
    assert isinstance(read_events(folder).events[-1], ev.RunFailed)


def test_attention_is_recorded_for_every_point(whole):
    events, _ = whole
    captured = [event for event in events if isinstance(event, ev.AttentionCaptured)]
    assert len(captured) == (3 + 2 + 2) * 2 * 3
    for event in captured:
        assert len(event.clean) == len(event.triggered) == event.height * event.width
        assert max(max(event.clean), max(event.triggered)) == 255
        assert math.isfinite(event.peak)
    samples = [event for event in events if isinstance(event, ev.SampleShown)]
    assert len(samples) == 2
    for sample in samples:
        changed = [
            place for place in range(16 * 16 * 3) if sample.clean[place] != sample.triggered[place]
        ]  # the grid, nowhere else
        rows = {place // (16 * 3) for place in changed}
        assert rows <= {13, 14, 15}
        assert sample.label != 0


BAD = {
    "attack.target=10": "0 to 9",
    "attack.size=40": "does not fit",
    "attack.poisoning_rate=1.0": "not of the target class",
    "defenses.nad.distill.beta=[1,2]": "3 weights",
    "defenses.nad.distill={start: suspect, beta: [0,0,0]}": "fine-tuning",
    "suspect=nowhere.pt": "nowhere.pt",
    "defenses.nad.teacher=nowhere.pt": "nowhere.pt",
    "student=nowhere.pt": "'student' is now 'suspect'",
    "teacher.file=nowhere.pt": "'teacher.file' is now 'defenses.nad.teacher.file'",
    "data.train_images=5": "train_images",
    "data.clean_fraction=0.0001": None,
}


@pytest.mark.parametrize("override", BAD)
def test_a_request_that_is_wrong_writes_nothing(override, tmp_path):
    if BAD[override] is None:
        # One clean image is a poor defense, but a sound request: at least one is always drawn.
        assert "nad" in finished(run_all(tiny_config("badnets", override), tmp_path))
        return
    with pytest.raises(RequestError) as caught:
        run_all(tiny_config("badnets", override), tmp_path / "runs")
    assert BAD[override] in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "runs").exists()


def test_a_checkpoint_that_does_not_fit_names_the_tensors(tmp_path):
    save_weights(tmp_path / "x.safetensors", {"conv1.weight": torch.zeros(4, 3, 3, 3)}, {})
    with pytest.raises(RequestError, match=r"conv1\.weight"):
        run_all(tiny_config("badnets", f"suspect={tmp_path / 'x.safetensors'}"), tmp_path / "runs")


@pytest.mark.parametrize(("every", "epochs"), [(None, [2, 4, 6, 8, 10, 12]), (5, [5, 10, 12])])
def test_a_long_stage_is_looked_at_ten_times_at_most_unless_told_otherwise(every, epochs, tmp_path):
    config = tiny_config(
        "badnets",
        "training.epochs=1",
        f"evaluation.every={'null' if every is None else every}",
        "defenses.nad.teacher.training.epochs=12",
        "defenses.nad.distill.training.epochs=1",
    )
    points = [event for event in run_all(config, tmp_path) if isinstance(event, ev.Evaluation)]
    assert [event.epoch for event in points if event.stage == "teacher"] == epochs
    assert [event.epoch for event in points if event.final and event.stage == "teacher"] == [12]
