"""Which of a run's purified models stands for it where there is room for one. Free of torch."""

from __future__ import annotations

from collections.abc import Sequence

from engine.events import PlannedStage


def foremost(plan: Sequence[PlannedStage]) -> str | None:
    """The stage of the first purified model on which no other defense stands; None where nothing is purified."""
    leaned_on = {(need, stage.defense) for stage in plan for need in stage.needs}
    purified = [stage for stage in plan if stage.role == "purified"]
    alone = [one for one in purified if not any(need == one.name and by != one.defense for need, by in leaned_on)]
    return next((stage.name for stage in alone or purified), None)
