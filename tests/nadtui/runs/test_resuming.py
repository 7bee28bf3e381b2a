"""What may be other when a run is resumed, and a network of a person's own, which is executed only when it is typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import events as ev
from engine import run
from engine.config.presets import resolve
from engine.control import Control
from engine.errors import RequestError
from engine.running.request import RunRequest
from nadtui.runs.request import RunOptions, build_request
from tests.tiny import finished, outcome, run_all, runs_in, tiny_config

NETWORK = """
from pathlib import Path
from torch import nn

Path(__file__).with_name("executed").touch()


class Small(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
        self.second = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, padding=1), nn.Dropout(0.5), nn.ReLU())
        self.head = nn.Linear(8, classes)

    def forward(self, images):
        return self.head(self.second(self.first(images)).mean((2, 3)))
"""


@pytest.fixture
def network(tmp_path: Path) -> str:
    file = tmp_path / "own" / "net.py"
    file.parent.mkdir()
    file.write_text(NETWORK)
    return f"{file}:Small"


def stopped(request: RunRequest, stage: str = "teacher") -> Path:
    """The folder of a run that was stopped in the middle of a stage."""
    control = Control()
    for event in run(request, control):
        if isinstance(event, ev.Evaluation) and event.stage == stage:
            control.stop()
    assert isinstance(event, ev.RunStopped), event
    return runs_in(request.out)[0]


def test_threads_device_and_live_evaluation_may_change_on_resuming(tmp_path):
    whole = tmp_path / "whole"
    run_all(tiny_config(), whole, cache=False)
    folder = stopped(RunRequest(tiny_config(), tmp_path / "cut", cache=False))
    options = RunOptions(
        resume=str(folder), threads=1, device="cpu", settings=["evaluation.every=2", "evaluation.images=30"]
    )
    request = build_request(options)
    assert request.changed == {"threads": 1, "device": "cpu", "evaluation.every": 2, "evaluation.images": 30}
    events = list(run(request))
    assert isinstance(events[-1], ev.RunFinished)
    (resumed,) = [event for event in events if isinstance(event, ev.RunResumed)]
    assert resumed.changed == request.changed
    assert outcome(folder) == outcome(runs_in(whole)[0]), "what is measured on the way makes no other model"


@pytest.mark.parametrize("setting", ["training.lr=1", "seed=3", "data.clean_fraction=0.1", "evaluation.samples=1"])
def test_nothing_that_makes_another_run_may_change(tmp_path, setting):
    folder = stopped(RunRequest(tiny_config(), tmp_path))
    with pytest.raises(RequestError, match="a resumed run goes on as it was; allowed: evaluation"):
        build_request(RunOptions(resume=str(folder), settings=[setting]))


def test_a_network_of_ones_own_runs_and_resumes_where_it_is_typed(tmp_path, network):
    config = tiny_config("badnets", f"model.name={network}", defended_by=["nad", "fine-tuning"])
    whole = run_all(config, tmp_path / "whole", cache=False, typed_model=True)
    assert isinstance(whole[-1], ev.RunFinished), whole[-1]
    (started,) = [event for event in whole if isinstance(event, ev.RunStarted)]
    assert started.model["taps"] == ["first", "second"]
    folder = stopped(RunRequest(config, tmp_path / "cut", cache=False, typed_model=True), "nad")
    request = build_request(RunOptions(resume=str(folder), model=network))
    assert isinstance(list(run(request))[-1], ev.RunFinished)
    assert outcome(folder) == outcome(runs_in(tmp_path / "whole")[0]), "dropout draws what it would have drawn"


def test_it_is_not_executed_because_a_record_a_configuration_or_a_preset_names_it(tmp_path, network, monkeypatch):
    executed = Path(network.rpartition(":")[0]).with_name("executed")
    config = tiny_config("badnets", f"model.name={network}")
    folder = stopped(RunRequest(config, tmp_path / "runs", typed_model=True))
    executed.unlink()
    file = tmp_path / "theirs.yaml"
    file.write_text(config.to_yaml())
    presets = tmp_path / "presets"
    presets.mkdir()
    (presets / "theirs.yaml").write_text(f"attack: {{name: badnets}}\nmodel: {{name: '{network}'}}")
    monkeypatch.setenv("NADTUI_PRESETS", str(presets))
    for options in (
        RunOptions(resume=str(folder)),
        RunOptions(config=file, out=tmp_path / "a"),
        RunOptions(preset="theirs", out=tmp_path / "a"),
    ):
        with pytest.raises(RequestError, match=r"executed only when it is typed: --model .*net\.py:Small"):
            list(run(build_request(options)))
    assert not executed.exists()
    assert not (tmp_path / "a").exists()


def test_the_cache_knows_a_network_by_the_content_of_its_file(tmp_path, network):
    config = tiny_config("badnets", f"model.name={network}", defended_by=["fine-tuning"])
    for out, cached in (("a", False), ("b", True)):
        assert finished(run_all(config, tmp_path / out, typed_model=True))["attack"].cached is cached
    file = Path(network.rpartition(":")[0])
    file.write_text(NETWORK.replace("nn.Dropout(0.5)", "nn.Dropout(0.25)"))
    assert not finished(run_all(config, tmp_path / "c", typed_model=True))["attack"].cached


def test_a_network_without_maps_can_be_fine_tuned_but_not_distilled(tmp_path):
    file = tmp_path / "flat.py"
    file.write_text(
        "from torch import nn\n\ndef flat(classes):\n    return nn.Sequential(nn.Flatten(), nn.Linear(768, classes))\n"
    )
    name = f"{file}:flat"
    config = tiny_config("badnets", f"model.name={name}", defended_by=["fine-tuning"])
    done = run_all(config, tmp_path / "a", typed_model=True)
    assert isinstance(done[-1], ev.RunFinished), done[-1]
    beside = tiny_config("badnets", f"model.name={name}", defended_by=["nad", "fine-tuning"])
    (started,) = (each for each in run_all(beside, tmp_path / "c", typed_model=True) if isinstance(each, ev.RunStarted))
    assert started.unfit == {"nad": "the network has no map to tap"}
    with pytest.raises(RequestError, match="nothing to tap"):
        run_all(tiny_config("badnets", f"model.name={name}"), tmp_path / "b", typed_model=True)


def test_a_complete_configuration_of_todays_reads_back_equal(tmp_path):
    config = tiny_config("badnets", defended_by=["fine-tuning", "nad"])
    (tmp_path / "c.yaml").write_text(config.to_yaml())
    assert resolve(None, config_file=tmp_path / "c.yaml") == config
    assert list(resolve(None, config_file=tmp_path / "c.yaml").defenses) == ["fine-tuning", "nad"]
