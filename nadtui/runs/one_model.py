"""What a run tells of one of its models, in lines and tables: wherever a model is looked at by itself."""

from __future__ import annotations

from engine.record.stage_view import StageView
from engine.record.summary import summarize
from engine.record.verdict import of_summary
from engine.record.view import RunView
from nadtui.runs import asleep, narrate, shadowed

VERIFIED = ("measured", "the model", "a clean model")


def told(view: RunView, stage: StageView) -> list[str]:
    """Its figures, its verdict, what it has over its references, what it isolated and chose; a line each."""
    verdict = of_summary(summarize(view)).get(stage.name)
    done = stage.finished
    metrics = stage.metrics
    return [
        *(["  ".join(narrate.figures(metrics))] if metrics is not None else []),
        *([verdict.line] if verdict is not None else []),
        *(narrate.change(stage.name, each) for each in (done.changes if done is not None else ())),
        *([f"shadow ASR {shadowed.figures(stage.shadows[-1].figures)}"] if stage.shadows else []),
        *([narrate.isolation(stage.isolated)] if stage.isolated else []),
        *map(narrate.choice, stage.chosen),
    ]


def verified(stage: StageView) -> list[tuple[str, str, str]]:
    """A row for each figure of its verification: the model's, and a clean model's beside it.

    A dash where there is none, n/a where there can be none: what compares a model with the suspect.
    """
    if not stage.verified:
        return []
    return [
        (
            each.title,
            each.said(event and event.figures),
            each.said(event and event.control) if each.controlled else "n/a",
        )
        for each in asleep.MEASURES
        for event in [stage.verified.get(each.test)]
    ]
