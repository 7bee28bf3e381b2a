"""Which suspects the zoo is to hold, and the configuration that makes each. Free of torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engine.config.presets import resolve
from engine.config.run import RunConfig
from engine.errors import RequestError
from engine.zoo import DEFAULT_MODEL, name_of

PRESETS = (
    "clean",
    "badnets",
    "badnets-all2all",
    "pixel",
    "blend",
    "trojan",
    "sig",
    "cl",
    "refool",
    "wanet",
    "dynamic",
    "adaptive",
)
PAPERS = ("badnets", "trojan", "blend", "cl", "sig", "refool")
"""The six attacks of the NAD paper."""
SMALL_RESNET = "preact-resnet-18@0.25"
_PLAIN = {"augment": {"crop": 0, "flip": False, "cutout": 0}}


@dataclass(frozen=True)
class Wanted:
    """A suspect that the zoo is to hold."""

    preset: str
    dataset: str
    seed: int
    model: str = DEFAULT_MODEL
    augmented: bool = True
    """Whether the training images are augmented, as the preset has it."""

    @property
    def name(self) -> str:
        """Its name in the zoo."""
        return name_of(self.preset, self.dataset, self.seed, self.model, augmented=self.augmented)

    def config(self) -> RunConfig:
        """The run that trains it, without any defense; in fp32, as the field trains."""
        over = {
            "seed": self.seed,
            "precision": "fp32",
            "attack": {"seed": self.seed},
            "model": {"name": self.model},
            "training": {} if self.augmented else _PLAIN,
            "evaluation": {"every": 1_000, "samples": 0},
        }
        return resolve(self.preset, dataset=self.dataset, defenses=[], overrides=[over])


def wanted() -> Iterator[Wanted]:
    """All of them, those of `signs` first: they need nobody's images."""
    for preset in PRESETS:
        yield from (Wanted(preset, "signs", seed) for seed in (0, 1))
    for preset in ("badnets", "blend", "sig", "clean"):
        yield Wanted(preset, "signs", 0, SMALL_RESNET)
    for preset in PRESETS:
        yield Wanted(preset, "cifar10", 0)
    for preset in ("badnets", "blend", "sig"):
        yield Wanted(preset, "cifar10", 0, augmented=False)
    for preset in PAPERS:
        yield Wanted(preset, "cifar10", 1)


def named(names: tuple[str, ...], dataset: str | None = None) -> list[Wanted]:
    """Those of these names (none = all), of that data set (None = of any).

    Raises:
        RequestError: the zoo is to hold no suspect of that name.
    """
    known = {each.name: each for each in wanted()}
    for name in names:
        if name not in known:
            raise RequestError(f"the zoo is to hold no suspect {name!r}: {', '.join(known)}")
    chosen = [known[name] for name in names] or list(known.values())
    return [each for each in chosen if dataset in (None, each.dataset)]
