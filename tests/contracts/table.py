"""A row for each registered name: settings with which it is checked beside its quick ones, and what is known to fail.

Strict: a name of ours without a row fails, a row without a name too, and so does a listed failure that passes. What an
installed package brings is checked without a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.models import FAMILIES
from engine.testing.checks import Check, checks_for
from engine.testing.subject import REGISTRIES, Kind, titled

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """How one name is checked."""

    variants: tuple[Settings, ...] = ({},)
    """Settings, as nested tables; each is a subject of its own."""
    known: Mapping[str, str] = field(default_factory=dict)
    """By check, what is known to be broken: a part of the sentence that it says."""
    close: Mapping[str, str] = field(default_factory=dict)
    """By check, what is broken on some processors and holds on others, as it lies on the border."""


TABLE: Mapping[Kind, Mapping[str, Row]] = {
    "attack": {
        "badnets": Row(variants=({}, {"label_rule": "all-to-all", "poisoning_rate": 0.5})),
        "blend": Row(),
        "cl": Row(),
        "clean": Row(),
        "dynamic": Row(),
        "pixel": Row(),
        "refool": Row(),
        "sig": Row(),
        "trojan": Row(),
        "wanet": Row(),
    },
    "defense": {
        "nad": Row(
            variants=(
                {},
                {"distill": {"p": 1, "operator": "sum_p"}},
                {
                    "teacher": {"distance": {"weight": 0.03, "start": "random"}},
                    "distill": {"start": "teacher", "distance": {"weight": 0.03}},
                },
            )
        ),
        "fine-tuning": Row(),
        "fine-pruning": Row(),
        # Few channels of the tiny world's networks stand out; of larger ones, too, its source leaves whole attacks.
        "clp": Row(close={"erases": "it does not erase a planted backdoor"}),
        "anp": Row(),
        "rnp": Row(),
        "nft": Row(),
        "unit": Row(),
        "ban": Row(),
        "nad-features": Row(),
        "distillation": Row(),
        "d3": Row(),
        "fst": Row(),
        "ft-sam": Row(),
        "mcr": Row(),
        "i-bau": Row(),
        "argd": Row(),
        "sau": Row(),
        "ac": Row(),
        "ss": Row(),
        # Of a clean set it isolates clean images all the same, mostly of one class, and unlearns them.
        "abl": Row(known={"keeps_accuracy": "it spoils a model that has no backdoor"}),
    },
    "model": {
        "wrn": Row(),
        "preact-resnet": Row(),
        "resnet": Row(),
        "cifar-resnet": Row(),
        "vgg": Row(),
        "mobilenet": Row(),
        "densenet": Row(),
        "efficientnet": Row(),
        "convnext": Row(),
        "vit": Row(),
        "torchvision": Row(),
        "timm": Row(),
    },
    "data": {"signs": Row(), "cifar10": Row(), "gtsrb": Row()},
}


@dataclass(frozen=True)
class Case:
    """One check of one subject: a test."""

    kind: Kind
    name: str
    given: Settings
    check: Check
    known: str
    """What it is known to say; empty = it holds."""
    close: str = ""
    """What it says on some processors."""

    def __str__(self) -> str:
        return f"{titled(self.name, self.given)}-{self.check.__name__}"


def cases(kind: Kind) -> Iterator[Case]:
    """Every check of everything of that kind that is registered, as far as it can be imported."""
    for name in REGISTRIES[kind].loaded():
        row = TABLE[kind].get(name, Row())
        for called in [name] if kind != "model" else networks(name):
            for given in row.variants:
                for check in checks_for(kind, called):
                    told = (known.get(check.__name__, "") for known in (row.known, row.close))
                    yield Case(kind, called, given, check, *told)


def networks(*families: str) -> list[str]:
    """The smallest network of each family, of all by default; a package's family may not say which that is."""
    return [FAMILIES.get(word).smallest for word in families or FAMILIES.loaded() if FAMILIES.get(word).smallest]
