"""Refool's choice of reflections that work (Liu, Ma, Bailey, Lu, ECCV 2020, algorithm 1). Needs torch."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.attacks.base import Attack, AttackContext, PoisonedSet, Trigger, draw_from, generator
from engine.errors import RequestError
from engine.events import Event, Message
from engine.models.inference import predict
from engine.settings import ObjectiveSettings
from engine.training.objectives import CleanObjective

PROBES = 500
"""Training images, none of them poisoned, on which a round's model is asked what each reflection does."""


@dataclass(frozen=True)
class Selection:
    """Tries candidates in rounds: a model is poisoned with some, and each is scored by what it does to that model."""

    attack: Attack
    """Its poisoning rate and label rule are used in every round."""
    rounds: int
    tried: int
    """Candidates in a round, those of the largest weight."""
    epochs: int
    """Epochs of a round's model."""
    context: AttackContext
    pool: Tensor
    """The candidates, uint8 [C, 3, H, W]."""
    reflecting: Callable[[Tensor], Trigger]
    """The trigger of some reflections, uint8 [K, 3, H, W]."""

    def best(self, count: int) -> Generator[Event, None, Tensor]:
        """The `count` that did most in the last round, uint8 [count, 3, H, W]; fewer if fewer are tried."""
        weights, trials = torch.ones(len(self.pool)), torch.zeros(len(self.pool), dtype=torch.int64)
        for number in range(self.rounds):
            # Of equal weights what was tried least.
            order = trials.argsort(stable=True)
            tried = order[_largest(weights[order], self.tried)]
            trials[tried] += 1
            scores = yield from self._round(number, tried)
            # As the paper has it: what was not tried counts as the median of what was.
            weights = torch.full_like(weights, scores.median().item())
            weights[tried] = scores
        chosen = _largest(scores, count)
        least, mean, most = (100 * value for value in (scores.min(), scores[chosen].mean(), scores.max()))
        yield Message(
            text=f"refool: {len(chosen)} of {len(self.pool)} reflections chosen; in the last round one of them sent "
            f"{mean:.1f} % of the images asked to the wanted class on average, one of the {len(tried)} tried "
            f"{least:.1f} to {most:.1f} %"
        )
        return self.pool[tried[chosen]]

    def _round(self, number: int, tried: Tensor) -> Generator[Event, None, Tensor]:
        """What each of the tried candidates does to a model that was poisoned with them, float32 [K] in [0, 1]."""
        context, lab = self.context, self.context.lab
        settings = lab.surrogate_training(self.epochs)
        kind = f"reflections-{number + 1}"
        what = f"trying reflections, round {number + 1} of {self.rounds}"

        def make() -> Generator[Event, None, dict[str, Tensor]]:
            poisoned = self.attack.poison(context, self.reflecting(self.pool[tried]))
            probes = self._probes(poisoned)
            model = lab.fresh_model(context.seed)
            yield from lab.train(
                kind,
                what,
                model,
                poisoned.images,
                poisoned.labels,
                settings,
                seed=context.seed,
                objective=CleanObjective(ObjectiveSettings(mixup=settings.mixup)),
            )
            scores = yield from self._scores(model, probes, tried, kind, f"{what}: scoring")
            return {"scores": scores}

        shapers = {
            **lab.shapers_of_surrogate(context.seed, settings.epochs),
            "attack": self.attack.model_dump(mode="json", exclude={"seed", "reflections", "selection"}),
            "files": self.attack.digest(),
            "candidates": len(self.pool),
            "tried": tried.tolist(),
        }
        kept = yield from lab.product(kind, shapers, context, make)
        return kept["scores"]

    def _probes(self, poisoned: PoisonedSet) -> Tensor:
        """The places of the training images that are asked about, sorted, int64.

        Raises:
            RequestError: every image that could be asked about is poisoned.
        """
        free = self.attack.eligible(self.context.labels, self.context.classes)
        free[poisoned.indices] = False
        if not free.any():
            raise RequestError(
                f"attack.poisoning_rate = {self.attack.poisoning_rate}: no image is left to try reflections on"
            )
        return draw_from(free.nonzero().flatten(), PROBES, generator(self.context.seed, 7))

    def _scores(
        self, model: nn.Module, probes: Tensor, tried: Tensor, kind: str, what: str
    ) -> Generator[Event, None, Tensor]:
        """The share of the probes that each of the tried candidates sends to the wanted class, float32 [K]."""
        context, lab = self.context, self.context.lab
        wanted = self.attack.wanted(context.labels[probes], context.classes)
        scores = lab.kept(kind).get("scores", torch.zeros(len(tried)))
        told = lab.steps(kind, what, len(tried), lambda: {"scores": scores})
        while told.count < len(tried):
            one = int(tried[told.count])
            seen = self.reflecting(self.pool[one : one + 1])(context.images[probes])
            scores[told.count] = (predict(model, seen, lab.device) == wanted).float().mean()
            yield from told.done()
        return scores


def _largest(weights: Tensor, count: int) -> Tensor:
    """The places of the `count` largest weights; among equals the first ones."""
    return weights.sort(descending=True, stable=True).indices[:count]
