"""The plan of a run: its stages in their order, each with its role, whose it is, and what it stands on. Free of torch.

It is computed from the configuration before anything is written, travels in the run's first event, and is what the
store resumes, the screens mark and the exports list: nobody else knows what a run consists of.
"""

from __future__ import annotations

import re

from engine.config.run import RunConfig
from engine.defenses.base import Defense
from engine.errors import RequestError
from engine.events import PlannedStage

SUSPECT = "attack"
"""The stage at whose end there is a suspect: trained by the attack, or taken from where it was."""
_STAGE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def make_plan(config: RunConfig) -> tuple[PlannedStage, ...]:
    """The stages that this configuration asks for.

    Raises:
        RequestError: two defenses both have a stage of one name, or one declares stages that make no sense.
    """
    plan = [PlannedStage(name=SUSPECT, role="suspect")]
    for name, defense in config.defenses.items():
        check_plan_of(defense)
        for stage in defense.stages():
            other = next((known for known in plan if known.name == stage.name), None)
            if other is not None:
                owner = f"defense {other.defense}" if other.defense else "the suspect"
                raise RequestError(f"defense {name}: its stage {stage.name!r} is called as one of {owner}")
            needs = (SUSPECT, *(_last(config, other) for other in defense.stands_on), *stage.needs)
            plan.append(PlannedStage(name=stage.name, role=stage.role, defense=name, needs=needs))
    return tuple(plan)


def _last(config: RunConfig, defense: str) -> str:
    """The stage of a defense's purified model."""
    return config.defenses[defense].stages()[-1].name


def seed_of(stage: PlannedStage, config: RunConfig) -> int:
    """The seed of all that a stage's training draws. It comes from the stage's role: purified models of all defenses
    are trained on the same batches, so that they can be compared in pairs."""
    if stage.role == "suspect":
        return config.attack_seed
    return 2 * config.seed + (1 if stage.role == "reference" else 2)


def epochs_fields(config: RunConfig) -> dict[str, str]:
    """By stage the field that says how many epochs it takes, of the stages that say so in a field of that kind."""
    fields = {SUSPECT: "training.epochs"}
    for name, defense in config.defenses.items():
        for stage in defense.stages():
            field = defense.epochs_field(stage.name)
            if field is not None:
                fields[stage.name] = f"defenses.{name}.{field}"
    return fields


def check_plan_of(defense: Defense) -> None:
    """Refuse a defense whose stages do not make sense, an error of its author.

    Raises:
        RequestError: no stage, none that is purified at the end, a name that is none or is there twice, the suspect's
            role, or a need that is no stage before.
    """
    stages = defense.stages()
    names = [stage.name for stage in stages]
    where = f"defense {defense.name}"
    if not stages or stages[-1].role != "purified":
        raise RequestError(f"{where}: its last stage has to be of role 'purified'")
    for number, stage in enumerate(stages):
        if not _STAGE_NAME.fullmatch(stage.name):
            raise RequestError(f"{where}: its stage {stage.name!r} has to be named in a-z, 0-9, - and _")
        if stage.role == "suspect":
            raise RequestError(f"{where}: its stage {stage.name!r} has the suspect's role, which no defense makes")
        if names.index(stage.name) != number:
            raise RequestError(f"{where}: two of its stages are named {stage.name!r}")
        missing = [need for need in stage.needs if need not in names[:number]]
        if missing:
            raise RequestError(f"{where}: stage {stage.name!r} needs {missing[0]!r}, which is no stage before it")
