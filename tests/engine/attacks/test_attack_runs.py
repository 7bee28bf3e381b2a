"""Every attack end to end on a few drawn signs; what was optimized is kept, recalled, and never made twice."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from engine import events as ev
from engine.errors import RequestError
from engine.record.reading import read_events
from engine.running.job import Job
from engine.running.request import RunRequest
from engine.storage.checkpoints import load_weights
from tests.tiny import finished, outcome, run_all, runs_in, tiny_config

SMALL = {
    "trojan": ["attack.steps=4", "attack.surrogate_epochs=2"],
    "cl": ["attack.steps=2", "attack.surrogate_epochs=2"],
    "dynamic": ["attack.mask_steps=40", "attack.width=4"],
    "refool": [
        *("attack.reflections=1", "attack.selection.rounds=2", "attack.selection.candidates=4"),
        *("attack.selection.tried=2", "attack.selection.epochs=1"),
    ],
}
"""Just enough of each optimization to see that it happens."""
OPTIMIZING = ("optimizing", "perturbing", "learning where", "trying")
"""How what an attack optimizes begins, in what it tells of it."""
TINIER = ["training.epochs=2", "data.train_images=160", "data.test_images=60"]
PRODUCTS = {
    "trojan": {"surrogate", "patch"},
    "cl": {"surrogate", "perturbed"},
    "dynamic": {"masks", "learned"},
    "refool": {"reflections-1", "reflections-2"},
}
PRESETS = ["adaptive", "badnets-all2all", "cl", "clean", "dynamic", "pixel", "refool", "trojan", "wanet"]


@pytest.fixture(autouse=True)
def _one_cache(module_cache, monkeypatch) -> None:
    """The signs are drawn once for this module's tests."""
    monkeypatch.setenv("NADTUI_CACHE", str(module_cache))


def config(preset: str, *overrides: str):
    return tiny_config(preset, *TINIER, *SMALL.get(preset, []), *overrides)


def products(folder: Path) -> set[str]:
    return {file.name.removesuffix(".safetensors") for file in (folder / "attack").glob("*.safetensors")}


def making(events: list[ev.Event]) -> set[str]:
    """What was trained or optimized before the attack stage."""
    done = {event.what for event in events if isinstance(event, ev.Preparing)}
    return {what for what in done if what.startswith(("training a clean", *OPTIMIZING))}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder of runs."""
    return tmp_path / "runs"


@pytest.fixture(scope="module")
def whole(tmp_path_factory, module_cache) -> dict[str, tuple[list[ev.Event], Path]]:
    """One uninterrupted run of each preset, nothing recalled from the cache."""
    runs = {}
    for preset in PRESETS:
        out = tmp_path_factory.mktemp(preset)
        runs[preset] = run_all(config(preset), out, cache=False), runs_in(out)[0]
    return runs


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_runs_end_to_end(preset, whole):
    events, folder = whole[preset]
    assert isinstance(events[-1], ev.RunFinished), events[-1]
    assert list(finished(events)) == ["attack", "teacher", "nad"]
    assert products(folder) == PRODUCTS.get(preset, set())
    assert (folder / "trigger.safetensors").is_file()
    assert bool(load_weights(folder / "trigger.safetensors")[0]) is (preset != "clean")
    summary = json.loads((folder / "summary.json").read_text())
    for stage in summary["stages"]:
        assert stage["images"] == 60
        assert math.isfinite(stage["acc"])
        assert math.isfinite(stage["base"])
        assert (stage["asr"] is None) is (stage["ra"] is None) is (preset == "clean")
        assert stage["eligible"] == (60 if preset == "badnets-all2all" else 54)
    assert not list((folder / "attack").glob("*.state.*"))


@pytest.mark.parametrize("preset", PRODUCTS)
def test_preparing_counts_in_the_attack_stages_seconds(preset, whole):
    events, folder = whole[preset]
    done = finished(events)["attack"]
    spent = sum(
        float(load_weights(folder / "attack" / f"{name}.safetensors")[1]["seconds"])
        for name in PRODUCTS[preset] - {"learned"}
    )
    assert spent > 0
    assert done.seconds > spent + done.evaluation_seconds


def test_the_cross_trigger_test_is_reported(whole):
    events, _ = whole["dynamic"]
    said = [event.text for event in events if isinstance(event, ev.Message)]
    assert len([text for text in said if "cross-trigger test" in text]) == 1


def test_the_learned_trigger_is_the_one_that_is_shown_and_kept(whole):
    events, folder = whole["dynamic"]
    kept, _ = load_weights(folder / "trigger.safetensors")
    learned, _ = load_weights(folder / "attack" / "learned.safetensors")
    assert all(torch.equal(kept[name], learned[name]) for name in learned)
    shown = [event for event in events if isinstance(event, ev.SampleShown)]
    assert [event.sample for event in shown] == [0, 1, 0, 1]
    assert shown[0].triggered != shown[2].triggered
    weights, _ = load_weights(folder / "checkpoints" / "attack.safetensors")
    assert not any(name.startswith(("classifier.", "learner.")) for name in weights)


class StopAt:
    """Runs a job and stops it at the first event of which `here` holds."""

    def __init__(self, here) -> None:
        self.here = here

    def __call__(self, job: Job) -> list[ev.Event]:
        job.start()
        events = []
        for event in job.events():
            events.append(event)
            if self.here(event):
                job.stop()
        assert job.error is None
        assert isinstance(events[-1], ev.RunStopped), events[-1]
        return events


def optimizing(event: ev.Event) -> bool:
    return isinstance(event, ev.Preparing) and event.what.startswith(OPTIMIZING)


def in_training(event: ev.Event) -> bool:
    return isinstance(event, ev.Evaluation) and event.stage == "attack"


def after_attack(event: ev.Event) -> bool:
    return isinstance(event, ev.StageStarted) and event.stage == "teacher"


@pytest.mark.parametrize("here", [optimizing, in_training, after_attack])
@pytest.mark.parametrize("preset", PRODUCTS)
def test_a_stopped_run_goes_on_bit_for_bit_and_makes_nothing_twice(preset, here, whole, out):
    StopAt(here)(Job(RunRequest(config=config(preset), out=out, cache=False)))
    folder = runs_in(out)[0]
    resumed = run_all(config(preset), out, resume=folder, cache=False)
    assert isinstance(resumed[-1], ev.RunFinished), resumed[-1]
    assert outcome(folder) == outcome(whole[preset][1])
    again = making(resumed)
    assert "training a clean model" not in again
    if here is not optimizing:
        assert not again
    theirs, mine = (load_weights(path / "trigger.safetensors")[0] for path in (whole[preset][1], folder))
    assert all(torch.equal(theirs[name], mine[name]) for name in theirs)


def test_a_surrogate_goes_on_after_its_last_saved_epoch(whole, out):
    def second_epoch(event: ev.Event) -> bool:
        # 160 images by 64: three steps an epoch.
        return isinstance(event, ev.Preparing) and event.what == "training a clean model" and event.done > 3

    wanted = config("trojan", "attack.surrogate_epochs=10")
    StopAt(second_epoch)(Job(RunRequest(config=wanted, out=out, cache=False)))
    folder = runs_in(out)[0]
    assert products(folder) == {"surrogate.state"}
    resumed = run_all(wanted, out, resume=folder, cache=False)
    steps = [event.done for event in resumed if isinstance(event, ev.Preparing) and event.total == 30]
    assert steps[-1] == 30
    assert min(steps) > 3, "the first epoch is not trained again"
    unbroken = run_all(wanted, out / "unbroken", cache=False)
    assert finished(unbroken)["attack"].sha256 == finished(resumed)["attack"].sha256


@pytest.mark.parametrize("preset", PRODUCTS)
def test_what_was_optimized_is_recalled_from_the_cache(preset, whole, out):
    events = run_all(config(preset), out)
    assert not making(events)
    done = finished(events)["attack"]
    assert done.cached
    assert done.seconds == pytest.approx(done.evaluation_seconds), "nothing was made in this run"
    assert products(runs_in(out)[0]) == PRODUCTS[preset], "the run folder is whole all the same"
    assert [each[:5] for each in outcome(runs_in(out)[0])] == [each[:5] for each in outcome(whole[preset][1])]


def test_a_surrogate_serves_other_attacks_and_a_patch_only_its_own_settings(whole, out):
    other = run_all(config("trojan", "attack.neurons=3"), out / "neurons")
    assert making(other) == {"optimizing the patch"}
    rate = run_all(config("trojan", "attack.poisoning_rate=0.2"), out / "rate")
    assert making(rate) == set()
    assert not finished(rate)["attack"].cached
    seed = run_all(config("trojan", "attack.seed=3"), out / "seed")
    assert making(seed) == {"training a clean model", "optimizing the patch"}


def test_a_dynamic_attack_takes_no_strangers_model(whole, out):
    model = whole["dynamic"][1] / "checkpoints" / "attack.safetensors"
    with pytest.raises(RequestError, match="learned with its model"):
        run_all(config("dynamic", f"suspect={model}"), out)
    assert not out.exists()


def test_the_record_of_an_attack_that_is_none_reads_back(whole):
    _, folder = whole["clean"]
    done = finished(read_events(folder).events)["attack"].metrics
    assert math.isnan(done.asr)
    assert math.isnan(done.ra)
    assert done.base >= 0


BAD = {
    "refool": ("attack.reflection_folder=nowhere", "attack.reflection_folder"),
    "trojan": ("attack.size=33", "does not fit"),
    "cl": ("attack.size=17", "do not fit"),
    "pixel": ("attack.pixels=[[32,0]]", "outside images of 16x16"),
    "wanet": ("attack.poisoning_rate=0.8", "noise images"),
    "badnets-all2all": ("attack.target=1", "no target class"),
    "adaptive": ("attack.poisoning_rate=0.99", "not of the target class"),
    "clean": ("attack.poisoning_rate=0.1", "poisoning_rate"),
}


@pytest.mark.parametrize("preset", BAD)
def test_a_request_that_is_wrong_is_one_line_and_writes_nothing(preset, out):
    override, said = BAD[preset]
    with pytest.raises(RequestError, match=said) as caught:
        run_all(config(preset, override), out)
    assert "\n" not in str(caught.value)
    assert not out.exists()
