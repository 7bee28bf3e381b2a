"""The summary of a run: strict JSON, whose first model is the suspect and whose last a purified one."""

import dataclasses
import json
import math
from collections.abc import Sequence
from typing import Any

from engine.events import SCHEMA, Chosen, PlannedStage, Role, RunFailed
from engine.figures import Cost
from engine.record.summary import summarize
from engine.record.view import fold
from tests.scripted_run import CONFIG, RUN, START, metrics, run_started, stage, timed, whole_run

SUSPECT: tuple[tuple[str, Role, str], ...] = (("attack", "suspect", ""),)


def test_the_summary_is_strict_json_with_the_designs_fields():
    view = fold(whole_run())
    summary = json.loads(json.dumps(summarize(view), allow_nan=False))
    first = summary["stages"][0]
    assert (summary["run"], summary["status"], summary["device"]) == (RUN, "finished", "cpu")
    assert summary["dataset"] == {"name": "signs", "classes": 2, "train": 10_000, "test": 2_000, "clean": 500}
    assert summary["started"] == "2023-11-14T22:13:22+00:00"
    assert (first["stage"], first["acc"], first["asr_ci"], first["epochs"]) == ("attack", 97.0, [99.0, 101.0], 3)
    assert first["checkpoint"] == "checkpoints/attack.safetensors"


def test_the_summary_of_an_attack_that_is_none_has_nulls():
    nothing = dataclasses.replace(metrics(90.0, 0.0), asr=math.nan, asr_ci=(math.nan, math.nan))
    event = dataclasses.replace(stage("attack", [(90.0, 0.0)])[-1], metrics=nothing)
    summary = json.loads(json.dumps(summarize(fold(timed([run_started(), event]))), allow_nan=False))
    assert summary["stages"][0]["asr"] is None and summary["stages"][0]["asr_ci"] == [None, None]


def test_the_summary_of_a_failed_run_has_what_there_was_and_why():
    script = [*whole_run()[:10], RunFailed(time=START + 20, stage="attack", message="loss is not finite")]
    summary = summarize(fold(script))
    assert (summary["status"], summary["failure"]) == ("failed", "loss is not finite")
    assert [(s["stage"], s["state"], s["acc"]) for s in summary["stages"]] == [("attack", "running", 60.0)]


def test_the_summary_names_the_configuration_by_the_digest_that_the_run_was_given():
    assert summarize(fold(timed([run_started(config_sha256="ab" * 32)])))["config_sha256"] == "ab" * 32


def of(*plan: tuple[str, Role, str], done: Sequence[str] | None = None, **changes: object) -> dict[str, Any]:
    """The summary of a run with this plan, of which these stages (else all) have figures; strict JSON."""
    planned = tuple(PlannedStage(name=name, role=role, defense=defense) for name, role, defense in plan)
    names = [each.name for each in planned] if done is None else done
    events = [run_started(plan=planned, **changes), *(event for name in names for event in stage(name, [(90.0, 9.0)]))]
    return json.loads(json.dumps(summarize(fold(timed(events))), allow_nan=False))


def test_several_purified_models_stand_in_the_order_of_the_plan():
    summary = of(*SUSPECT, ("teacher", "reference", "nad"), ("nad", "purified", "nad"), ("fp", "purified", "fp"))
    listed = [(each["stage"], each["role"], each["defense"]) for each in summary["stages"]]
    assert listed == [
        ("attack", "suspect", ""),
        ("teacher", "reference", "nad"),
        ("nad", "purified", "nad"),
        ("fp", "purified", "fp"),
    ]
    assert summary["schema"] == SCHEMA


def test_the_suspect_stands_first_and_the_last_purified_model_last_whatever_else_was_measured():
    plan = (("probe", "measurement", ""), *SUSPECT, ("fp", "purified", "fp"), ("again", "measurement", "fp"))
    assert [each["stage"] for each in of(*plan)["stages"]] == ["attack", "probe", "again", "fp"]
    unplanned = of(*SUSPECT, ("fp", "purified", "fp"), done=("attack", "fp", "nobody"))["stages"]
    assert [(each["stage"], each["role"]) for each in unplanned] == [
        ("attack", "suspect"),
        ("nobody", None),
        ("fp", "purified"),
    ]
    assert [each["stage"] for each in of(*plan, done=("attack", "probe"))["stages"]] == ["attack", "probe"]


def test_a_suspect_without_an_attack_has_no_figures_of_a_trigger():
    nothing = (math.nan, math.nan)
    blind = dataclasses.replace(
        metrics(90.0, 0.0), asr=math.nan, ra=math.nan, base=math.nan, asr_ci=nothing, ra_ci=nothing, base_ci=nothing
    )
    finished = dataclasses.replace(stage("attack", [(90.0, 0.0)])[-1], metrics=blind)
    started = run_started(attacked=False, config={**CONFIG, "attack": None})
    summary = json.loads(json.dumps(summarize(fold(timed([started, finished]))), allow_nan=False))
    assert (summary["attacked"], summary["attack"]) == (False, {})
    assert [summary["stages"][0][name] for name in ("acc", "asr", "ra", "base")] == [90.0, None, None, None]


def test_what_a_defense_chose_stands_with_its_stage():
    chosen = Chosen(stage="attack", what="epoch", choice="2", scores={"1": math.nan, "2": 96.5})
    events = [run_started(), *stage("attack", [(90.0, 9.0)]), chosen, *stage("teacher", [(90.0, 9.0)])]
    first, second = json.loads(json.dumps(summarize(fold(timed(events))), allow_nan=False))["stages"]
    assert first["chosen"] == [{"what": "epoch", "choice": "2", "scores": {"1": None, "2": 96.5}}]
    assert second["chosen"] == []


def test_under_a_budget_the_choices_cost_stands_with_it():
    cost = Cost(lost=2.5, lost_ci=(0.5, 4.5), images=40, budget=3)
    chosen = Chosen(stage="attack", what="reach", choice="1", scores={"1": 0.5}, cost=cost)
    events = [run_started(), *stage("attack", [(90.0, 9.0)]), chosen]
    (first,) = json.loads(json.dumps(summarize(fold(timed(events))), allow_nan=False))["stages"]
    told = {"lost": 2.5, "lost_ci": [0.5, 4.5], "images": 40, "budget": 3, "within": True, "sure": False}
    assert first["chosen"][0]["cost"] == told
