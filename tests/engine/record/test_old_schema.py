"""What schema 1 wrote opens, lists and folds like today's records; nothing of it is written on."""

import json
import shutil
from pathlib import Path

import pytest

from engine.config.run import validate
from engine.errors import RequestError
from engine.events import SCHEMA, RunStarted
from engine.record import listing, old_schema
from engine.record.codec import decode, encode
from engine.record.folder import RunFolder
from engine.record.reading import read_events, read_settings, read_summary
from engine.record.summary import summarize
from engine.record.view import fold

RECORDS = Path(__file__).parents[2] / "records" / "schema1"
RUNS = sorted(folder.name for folder in RECORDS.iterdir())

SETTINGS = {
    "preset": "sig",
    "model": {"name": "wrn-16-1"},
    "attack": {"name": "sig"},
    "student": None,
    "teacher": {"file": None, "training": {"epochs": 4}, "objective": {"mixup": 0.5}},
    "distill": {"training": {"epochs": 9}, "objective": {"mixup": 1.0}, "beta": [500.0, 1000.0, 1000.0]},
    "defenses": {"fine-tuning": {"training": None, "objective": {"mixup": 0.0}}},
    "evaluation": {"every": 1},
}
LINE = {
    "kind": "run-started",
    "run": "r",
    "config": SETTINGS,
    "environment": {},
    "dataset": {"name": "signs"},
    "model": {"name": "wrn-16-1", "parameters": 3},
    "stages": ["attack", "teacher", "nad", "fine-tuning"],
    "schema": 1,
}


def test_the_first_event_gets_a_plan_todays_names_and_taps():
    event = decode(json.dumps(LINE))
    assert isinstance(event, RunStarted)
    assert [(each.name, each.role, each.defense, each.needs) for each in event.plan] == [
        ("attack", "suspect", "", ()),
        ("teacher", "reference", "nad", ("attack",)),
        ("nad", "purified", "nad", ("attack", "teacher")),
        ("fine-tuning", "purified", "fine-tuning", ("attack",)),
    ]
    assert event.model == {"name": "wrn-16-1", "parameters": 3, "taps": ["group1", "group2", "group3"]}
    assert (event.schema, event.attacked) == (1, True)
    assert decode(encode(event)) == event


def test_settings_move_to_the_defenses_that_they_belong_to():
    brought = old_schema.configuration(SETTINGS)
    assert brought == {
        "preset": "sig",
        "model": {"name": "wrn-16-1", "taps": None, "mean": None, "std": None},
        "attack": {"name": "sig"},
        "suspect": "trained",
        "defenses": {
            "nad": {"teacher": SETTINGS["teacher"], "distill": SETTINGS["distill"]},
            "fine-tuning": {"training": {"epochs": 9}, "objective": {"mixup": 0.0}},
        },
        "evaluation": {"every": 1},
    }
    assert list(brought["defenses"]) == ["nad", "fine-tuning"]
    assert old_schema.configuration(brought) is brought
    assert old_schema.configuration({**SETTINGS, "student": "a.safetensors"})["suspect"] == "a.safetensors"


@pytest.mark.parametrize(
    "damage", [{"stages": None}, {"stages": 3}, {"stages": {}}, {"config": []}, {"config": None, "stages": []}]
)
def test_a_first_event_that_makes_no_sense_is_no_event(damage):
    with pytest.raises(ValueError):
        decode(json.dumps({**LINE, **damage}))


@pytest.mark.parametrize("name", RUNS)
def test_a_record_folds_to_the_summary_that_was_written_of_it(name):
    view = fold(read_events(RECORDS / name).events)
    assert (view.schema, view.taps) == (1, ("group1", "group2", "group3"))
    assert view.suspect is not None and view.purified[0].defense == "nad"
    assert not {"student", "teacher", "distill"} & view.config.keys()
    written = read_summary(RECORDS / name)
    if written is not None:
        now = json.loads(json.dumps(summarize(view)))
        for summary in (now, *now["stages"]):  # what summaries did not hold then
            for new in (
                "poisoned",
                "target_class",
                "class_names",
                "absent",
                "unfit",
                "image_steps",
                "verdict",
                "needs",
            ):
                summary.pop(new, None)
        assert now.pop("suspect")["source"] == ("file" if name == "files" else "trained")  # not told then
        assert written == now
        assert written["schema"] == SCHEMA
        bare = json.loads((RECORDS / name / "summary.json").read_text())
        assert bare["config_sha256"] == written["config_sha256"]
        figures = [{key: each[key] for key in bare["stages"][0]} for each in written["stages"]]
        assert figures == bare["stages"]


@pytest.mark.parametrize("name", RUNS)
def test_a_list_shows_its_figures(name):
    head = listing.head(RECORDS / name)
    assert head.status == {"failed": "failed", "stopped": "stopped"}.get(name, "finished")
    figures = {each["stage"]: each for each in summarize(fold(read_events(RECORDS / name).events))["stages"]}
    assert (head.acc_before, head.asr_before) == (figures["attack"]["acc"], figures["attack"]["asr"])
    if head.status == "finished":
        assert (head.acc_after, head.asr_after) == (figures["nad"]["acc"], figures["nad"]["asr"])
    assert head.more == (1 if name == "badnets-fine-tuning" else 0)


@pytest.mark.parametrize("name", ["stopped", "failed"])
def test_going_on_with_one_is_refused_in_a_line_and_changes_nothing(name, tmp_path):
    folder = shutil.copytree(RECORDS / name, tmp_path / name)
    before = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    with pytest.raises(RequestError) as caught:
        RunFolder.open_for_resume(folder)
    assert "older nadtui (schema 1)" in str(caught.value) and "\n" not in str(caught.value)
    assert {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()} == before


@pytest.mark.parametrize("name", RUNS)
def test_its_settings_are_those_of_its_first_event(name):
    first = read_events(RECORDS / name).events[0]
    assert read_settings(RECORDS / name) == first.config


@pytest.mark.parametrize("name", RUNS)
def test_its_settings_are_a_configuration_of_today(name):
    settings = read_settings(RECORDS / name)
    known = validate(settings).to_dict()
    if name == "files":  # their paths are kept in full now
        assert known["suspect"] == str(Path(settings["suspect"]).absolute())
        known["suspect"] = settings["suspect"]
        known["defenses"]["nad"]["teacher"]["file"] = settings["defenses"]["nad"]["teacher"]["file"]
    assert within(settings, known) == settings


def within(settings: dict, known: dict) -> dict:
    """The fields of `known` that `settings` have: others came later, each with a default."""
    return {
        key: within(value, known[key]) if isinstance(value, dict) and isinstance(known[key], dict) else known[key]
        for key, value in settings.items()
    }


@pytest.mark.parametrize("damage", [{"stages": 5}, {"stages": [3]}, {"stages": None}])
def test_a_summary_that_makes_no_sense_stays_as_it_is(damage):
    values = {"schema": 1, **damage}
    assert old_schema.summary(values) is values
