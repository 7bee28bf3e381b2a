"""The networks and losses of the input-aware dynamic attack (Nguyen & Tran, NeurIPS 2020). Needs torch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.attacks.base import Lab, to_uint8
from engine.attacks.joint import Joint
from engine.events import Event
from engine.models.inference import freeze
from engine.training.loop import Batch
from engine.training.steps import Interruptible

EPSILON = 1e-7
"""Keeps the diversity loss finite where two outputs are equal."""


class Encoder(nn.Module):
    """A small encoder-decoder, images [N, 3, H, W] in [0, 1] to [N, out, H, W] in (-1, 1)."""

    def __init__(self, out: int, width: int) -> None:
        super().__init__()
        planes = ((3, width, 1), (width, 2 * width, 2), (2 * width, 4 * width, 2), (4 * width, 4 * width, 1))
        self.down = nn.Sequential(*(_block(before, after, stride) for before, after, stride in planes))
        self.middle = _block(4 * width, 2 * width, 1)
        self.up = _block(2 * width, width, 1)
        self.last = nn.Sequential(nn.Conv2d(width, out, 3, padding=1), nn.BatchNorm2d(out), nn.Tanh())

    def forward(self, images: Tensor) -> Tensor:
        """The output, as large as the images."""
        height, width = images.shape[-2:]
        half = [(height + 1) // 2, (width + 1) // 2]
        raised = F.interpolate(self.middle(self.down(images)), size=half)
        return self.last(F.interpolate(self.up(raised), size=[height, width]))


def _block(before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )


class Generators(nn.Module):
    """What makes an image's own trigger: where (a mask) and what (a pattern)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mask_net = Encoder(1, width)
        self.pattern_net = Encoder(3, width)

    def mask(self, images: Tensor) -> Tensor:
        """Where the trigger covers the image: [N, 1, H, W], nearly 0 or 1 (the authors' steep threshold)."""
        return torch.tanh(20 * self.mask_net(images).float() - 10) / 2 + 0.5

    def pattern(self, images: Tensor) -> Tensor:
        """What covers it: [N, 3, H, W] in (0, 1)."""
        return (self.pattern_net(images).float() + 1) / 2


@dataclass(frozen=True)
class DynamicTrigger:
    """Covers every image by a pattern of its own, in places of its own."""

    generators: Generators
    """Frozen and in eval mode."""

    def __call__(self, images: Tensor) -> Tensor:
        """The images, each with its own trigger, uint8 [N, 3, H, W]."""
        return self.with_trigger_of(images, images)

    @torch.no_grad()
    def with_trigger_of(self, images: Tensor, others: Tensor) -> Tensor:
        """The images, each with the trigger of the image in its place in `others`."""
        if len(images) == 0:
            return images.clone()
        source = others.float() / 255
        mask, pattern = self.generators.mask(source), self.generators.pattern(source)
        return to_uint8(images.float() + (255 * pattern - images.float()) * mask)

    def tensors(self) -> dict[str, Tensor]:
        """The weights of both networks."""
        return dict(self.generators.state_dict())


def diversity(first: Tensor, second: Tensor, made_first: Tensor, made_second: Tensor) -> Tensor:
    """How alike what was made is, for how unlike its images are: mean of ||x - x'|| / ||g(x) - g(x')||, a scalar."""

    def distance(one: Tensor, other: Tensor) -> Tensor:
        # A root's slope is infinite at 0.
        return ((one.float() - other.float()) ** 2).flatten(1).mean(dim=1).add(EPSILON**2).sqrt()

    return (distance(first, second) / (distance(made_first, made_second) + EPSILON)).mean()


def train_masks(
    generators: Generators,
    images: Tensor,
    *,
    steps: int,
    batch_size: int,
    density: float,
    weight: float,
    lr: float,
    draw: torch.Generator,
    lab: Lab,
) -> Generator[Event, None, None]:
    """Teach the mask network to cover a share `density` of each image, elsewhere on every image."""
    net = generators.mask_net.train()
    optimizer = torch.optim.Adam(net.parameters(), lr=lr, betas=(0.5, 0.9))
    work = Interruptible(dict(net.named_parameters()), optimizer, draw, dict(net.named_buffers()))
    work.restore(lab.kept("masks"))
    told = lab.steps("masks", "learning where triggers go", steps, work.state)
    while told.count < steps:
        places = torch.randint(len(images), (2 * batch_size,), generator=draw).to(images.device)
        batch = images[places].float() / 255
        masks = generators.mask(batch)
        size = F.relu(masks - density).mean()
        one, other = batch.chunk(2)
        loss = weight * size + diversity(one, other, *masks.chunk(2))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        yield from told.done()
    net.eval()


class DynamicJoint(Joint):
    """The classifier and the pattern network, trained on clean, triggered and cross-triggered images."""

    def __init__(
        self,
        classifier: nn.Module,
        generators: Generators,
        *,
        wanted: Callable[[Tensor], Tensor],
        rate: float,
        cross_rate: float,
        weight: float,
        pace: float,
    ) -> None:
        super().__init__(classifier, generators)
        self._wanted = wanted
        self._rate = rate
        self._cross_rate = cross_rate
        self._weight = weight
        for parameter in generators.mask_net.parameters():
            parameter.requires_grad_(False)
        for parameter in generators.pattern_net.parameters():
            # The loop has one learning rate: a smaller gradient is a smaller one.
            parameter.register_hook(lambda gradient: pace * gradient)

    def trigger(self) -> DynamicTrigger:
        """The trigger as the networks make it now."""
        return DynamicTrigger(freeze(_copied(self.learner)))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """`ce` over all images of the batch, and `diversity` of the patterns (equation 8 of the paper)."""
        self.learner.mask_net.eval()
        images, labels = batch.images, batch.labels
        wanted = self._wanted(labels)
        count = len(labels)
        # The batch is in a drawn order already.
        order = torch.argsort((wanted == labels).int(), stable=True)
        moved = min(round(self._rate * count), int((wanted != labels).sum()))
        crossed = min(round(self._cross_rate * count), count - moved)
        bad, cross, rest = order[:moved], order[moved : moved + crossed], order[moved + crossed :]
        others = torch.randperm(count, generator=batch.generator)[:crossed].to(labels.device)
        sources = images[torch.cat([bad, others])]
        if len(sources) == 0:
            return {"ce": F.cross_entropy(self.classifier(images).float(), labels)}
        with torch.no_grad():
            masks = self.learner.mask(sources)
        patterns = self.learner.pattern(sources)
        under = images[torch.cat([bad, cross])]
        triggered = under + (patterns - under) * masks
        inputs = torch.cat([triggered, images[rest]]).contiguous(memory_format=torch.channels_last)
        targets = torch.cat([wanted[bad], labels[cross], labels[rest]])
        parts = {"ce": F.cross_entropy(self.classifier(inputs).float(), targets)}
        pairs = min(moved, crossed)
        if pairs:
            one, other = slice(0, pairs), slice(moved, moved + pairs)
            alike = diversity(sources[one], sources[other], patterns[one], patterns[other])
            parts["diversity"] = self._weight * alike
        return parts


def _copied(generators: Generators) -> Generators:
    """A copy without the hooks on gradients."""
    twin = Generators(generators.mask_net.down[0][0].out_channels).to(next(generators.parameters()).device)
    twin.load_state_dict(copy.deepcopy(generators.state_dict()))
    return twin
