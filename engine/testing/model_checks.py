"""What every network promises. Needs torch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from engine import models
from engine.data.base import fingerprint
from engine.defenses.nad.objective import NadObjective
from engine.defenses.nad.settings import DistillSettings
from engine.device import choose
from engine.errors import RequestError
from engine.models.finding import with_taps
from engine.models.hooked import Hooked
from engine.models.inference import as_input, freeze, settled
from engine.storage.checkpoints import fit, load_foreign, load_weights, save_weights
from engine.testing import digests, squares
from engine.testing.bystander import Bystander
from engine.testing.contract import ContractBroken, differing, granted, listed, one_line, require
from engine.testing.subject import Subject
from engine.training.loop import Batch, batch_of, cross_entropy, own_draws

SIZES = ((32, 32), (48, 32))
"""Height and width of the images with which the taps are looked at."""
SIDES = (32, 64)
"""Side of the images with which the taps' part in NAD's loss is looked at."""
SHARE = 0.01
"""What that is at least."""
IMAGES = 8
CLOSE = 1e-4
"""How far the logits of an image may lie apart, as a share of the largest: sums come out in another order elsewhere."""


def built(
    subject: Subject, seed: int = 0, classes: int = squares.CLASSES, size: tuple[int, int] = SIZES[0]
) -> nn.Module:
    """The network with its own taps, or where it has none with those that are found; NotTried if it cannot be built."""
    return granted(lambda: _built(subject, seed, classes, size), "settings")


def _built(
    subject: Subject, seed: int = 0, classes: int = squares.CLASSES, size: tuple[int, int] = SIZES[0]
) -> nn.Module:
    network = _tried(lambda: models.build(subject.name, classes, seed, typed=True, size=size), "built, it")
    return _tried(lambda: with_taps(network, _images(size)), "looked for taps, it")


def _tried(make: Callable[[], Any], what: str) -> Any:
    try:
        return make()
    except Exception as error:
        raise ContractBroken(f"{what} ends in {one_line(error)}") from error


def _images(size: tuple[int, int] = SIZES[0], count: int = IMAGES) -> Tensor:
    """Float [N, 3, H, W] in [0, 1], always the same."""
    draw = torch.Generator().manual_seed(5)
    return as_input(torch.randint(0, 256, (count, 3, *size), generator=draw, dtype=torch.uint8))


def _weights(network: nn.Module) -> str:
    return digests.of_tensors(network.state_dict())


# --- the checks ---


def settings(subject: Subject) -> None:
    """It can be built, and a name that is almost its own is refused in one line that says which are allowed."""
    _built(subject)
    if models.digest(subject.name) is not None:
        return  # a file's name is what its person says
    try:
        models.check_name(f"{subject.name}-no-such")
    except RequestError as error:
        require("\n" not in str(error) and "allowed" in str(error), f"a wrong name is refused, but not so: {error}")
        return
    raise ContractBroken("a name that is none is taken without a word")


def same_seed(subject: Subject) -> None:
    """The same seed gives the same weights, another seed others."""
    one, two, other = (_weights(built(subject, seed)) for seed in (0, 0, 1))
    require(one == two, "the same seed gives other weights the second time")
    require(one != other, "another seed gives the same weights")


def process_untouched(subject: Subject) -> None:
    """Global generators, the number of threads and torch's switches are as before when it was built and used."""
    before = digests.of_process()
    network = built(subject)
    with own_draws(
        0, 0, 0, choose("cpu", "fp32")
    ):  # as in training: where it drops out at random, a step's seed decides
        cross_entropy(network, batch_of(_images(), torch.arange(IMAGES) % squares.CLASSES))["ce"].backward()
    changed = differing(before, digests.of_process())
    require(not changed, f"it changes {changed}")


def inputs_untouched(subject: Subject) -> None:
    """A pass changes neither the images nor, in eval mode, anything of the network."""
    network, images = freeze(built(subject)), _images()
    kept, before = images.clone(), digests.of_model(network)
    network.forward_with_taps(images)
    require(torch.equal(images, kept), "a pass writes into the images")
    changed = differing(before, digests.of_model(network))
    require(not changed, f"a pass in eval mode changes its {changed}")


def taps(subject: Subject) -> None:
    """A logit for each class with and without taps, and maps of the channels and strides that it declares."""
    declared = models.known_taps(subject.name)
    for height, width in SIZES:
        network = freeze(built(subject, size=(height, width)))
        images = _images((height, width))
        logits, maps = network.forward_with_taps(images)
        require(tuple(logits.shape) == (IMAGES, squares.CLASSES), f"its logits are {tuple(logits.shape)}")
        again = network(_images((height, width)))
        require(torch.equal(again, logits), "with its taps it gives other logits than without")
        require(len(maps) == len(network.tap_names), f"{len(network.tap_names)} taps are named, {len(maps)} maps given")
        for name, seen in zip(network.tap_names, maps, strict=True):
            require(
                seen.ndim == 4 and len(seen) == IMAGES, f"tap {name} gives {tuple(seen.shape)}, no map [N, C, H, W]"
            )
        if declared is None:
            continue
        told = listed([tap.name for tap in declared])
        require(tuple(tap.name for tap in declared) == network.tap_names, f"it declares the taps {told}, it has others")
        for tap, seen in zip(declared, maps, strict=True):
            said = (tap.channels, height // tap.stride, width // tap.stride)
            real = tuple(seen.shape[1:])
            fresh = _images((height, width))
            require(said == real, f"tap {tap.name} is declared as {said}, its map is {real} for {height}x{width}")
            hooked = Hooked(network, {tap.name: tap.module}).forward_with_taps(fresh)[1][0] if tap.module else seen
            require(torch.equal(hooked, seen), f"tap {tap.name} is not what its module {tap.module} gives")


def attention(subject: Subject) -> None:
    """Every tap takes part in NAD's loss as it is by default, at 32 and at 64 pixels: 1 % of it at least, none is dead.

    The teacher is the network with other weights.
    """
    granted(lambda: inputs_untouched(subject), "inputs_untouched")
    for side in SIDES:
        batch = _squares(side)
        student, teacher = (settled(built(subject, seed, size=(side, side)), batch.images) for seed in (0, 1))
        objective = NadObjective(DistillSettings(), student, freeze(teacher), student.tap_names)
        report = objective.health(student, batch)
        idle = [f"{tap.tap} ({100 * tap.share:.2g} %)" for tap in report if tap.dead or tap.share < SHARE]
        require(not idle, f"for images of {side}x{side} hardly any of NAD's loss comes from {listed(idle)}")


def _squares(side: int) -> Batch:
    images, labels = squares.drawn(IMAGES, side, squares.CLASSES, seed=1)
    drawn = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    return batch_of(as_input(drawn), torch.from_numpy(labels))


def each_image_alone(subject: Subject) -> None:
    """In eval mode an image's logits do not hang on the images beside it, nor on what came before."""
    network = freeze(built(subject))
    network.train()(_images())
    network.eval()
    together = network(_images())
    require(torch.equal(network(_images()), together), "in eval mode the same images have other logits the second time")
    alone = torch.cat([network(image[None]) for image in _images()])
    far = float((together - alone).abs().max() / together.abs().max().clamp(min=1e-6))
    require(far < CLOSE, "in eval mode an image's logits hang on the images beside it")


def weights_come_back(subject: Subject) -> None:
    """Saved, by ourselves or as strangers do it (`module.` before every name), it comes back with the same logits."""
    network = built(subject)
    network.train()(_images())
    network.eval()
    wanted = network(_images())
    state = network.state_dict()
    ours, theirs = subject.world.folder / "ours.safetensors", subject.world.folder / "theirs.pth"
    save_weights(ours, state, {})
    torch.save({"state_dict": {f"module.{name}": value for name, value in state.items()}}, theirs)
    for file, weights in ((ours, load_weights(ours)[0]), (theirs, load_foreign(theirs))):
        other = built(subject, seed=1)
        _tried(lambda other=other, weights=weights, file=file: fit(other, weights, file), "loaded from a file, it")
        require(torch.equal(other.eval()(_images()), wanted), f"loaded from {file.name} it gives other logits")
    require(
        fingerprint(*state.values()) == fingerprint(*copy.deepcopy(network).state_dict().values()), "a copy differs"
    )
    twin = copy.deepcopy(network).eval()
    require(torch.equal(twin(_images()), wanted), "a copy of it gives other logits")


def gradients(subject: Subject) -> None:
    """Every parameter gets a gradient that is finite."""
    network = built(subject).train()
    labels = torch.arange(IMAGES) % squares.CLASSES
    cross_entropy(network, batch_of(_images(), labels))["ce"].backward()
    none = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    require(not none, f"no gradient reaches {listed(none[:3])}")
    wild = [name for name, parameter in network.named_parameters() if not parameter.grad.isfinite().all()]
    require(not wild, f"the gradient of {listed(wild[:3])} is not finite")


def any_classes(subject: Subject) -> None:
    """It has as many logits as there are classes, whichever number that is."""
    for classes in (2, 43):
        network = freeze(built(subject, classes=classes))
        shape = tuple(network(_images()).shape)
        require(shape == (IMAGES, classes), f"for {classes} classes it has logits of {shape}")


def carries_a_run(subject: Subject) -> None:
    """An attack and a defense run on it to their end."""
    built(subject)
    short = {"model": {"name": subject.name}, "training": {"epochs": 1}}
    config = subject.world.config(short, defenses={"bystander": Bystander()})
    subject.world.whole(config, "a run on it")


def refusals(subject: Subject) -> None:
    """Images of 8x8 are borne or refused at once in one line, a tap that it does not have is refused."""
    built(subject)
    world = subject.world
    defenses = {"bystander": Bystander()}
    small = {"model": {"name": subject.name}, "data": {"name": world.squares(side=8)}, "training": {"epochs": 1}}
    world.bears(world.config(small, defenses=defenses), "a run on it with images of 8x8")
    wrong = world.config({"model": {"name": subject.name, "taps": ["no.such.module"]}}, defenses=defenses)
    said = world.refusal(wrong, "a tap that it does not have")
    require(
        "no.such.module" in said, f"a tap that it does not have is {'refused by another name' if said else 'taken'}"
    )
