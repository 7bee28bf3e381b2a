"""The model families and how a name such as ``wrn-16-1`` or ``net.py:Net`` becomes a network.

A new family is one file (or folder) beside this one that offers a `Family`, and one line in ``FAMILIES``; an installed
package brings one as an entry point of the group ``nadtui.models``, named by the word its networks' names begin with.
Importing this package loads no torch: names are checked before any network is built.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from engine.errors import RequestError
from engine.models import foreign
from engine.models.families import Family
from engine.models.scale import USUAL, Size
from engine.models.taps import Tap
from engine.registry import Registry

if TYPE_CHECKING:
    from torch import nn


def _check(found: Any) -> None:
    if not isinstance(found, Family):
        raise TypeError("an engine.models.families.Family is wanted")


FAMILIES = Registry(
    "model family",
    "nadtui.models",
    {
        "wrn": "engine.models.wrn:FAMILY",
        "preact-resnet": "engine.models.preact_resnet:FAMILY",
        "resnet": "engine.models.resnet:FAMILY",
        "cifar-resnet": "engine.models.cifar_resnet:FAMILY",
        "vgg": "engine.models.vgg:FAMILY",
        "mobilenet": "engine.models.mobilenet:FAMILY",
        "densenet": "engine.models.densenet:FAMILY",
        "efficientnet": "engine.models.efficientnet:FAMILY",
        "convnext": "engine.models.convnext:FAMILY",
        "vit": "engine.models.vit:FAMILY",
        "torchvision": "engine.models.torchvision_networks:FAMILY",
        "timm": "engine.models.timm_networks:FAMILY",
    },
    _check,
)
"""Families by the word that their networks' names begin with."""


def check_name(name: str) -> None:
    """Raise RequestError, naming the allowed forms, unless ``name`` is the name of a network we can build.

    Of ``FILE.py:NAME`` the form alone is looked at: nothing is executed, and the file may lie on another machine.
    """
    if foreign.named(name) is None:
        _resolve(name)


def digest(name: str) -> str | None:
    """SHA-256 (hex) of the file that a network comes from, None where it is no ``FILE.py:NAME``.

    Raises:
        RequestError: the file cannot be read.
    """
    file = foreign.named(name)
    return None if file is None else file.digest()


def from_file(name: str) -> bool:
    """Whether that is a network of a person's own, ``FILE.py:NAME``."""
    return foreign.named(name) is not None


def identity(name: str) -> str:
    """What stands for a network in a key: its name, and the content of the file it comes from.

    Raises:
        RequestError: the file cannot be read.
    """
    content = digest(name)
    return name if content is None else f"{name.rpartition(':')[2]} of {content}"


def known_taps(name: str) -> tuple[Tap, ...] | None:
    """What is known of a network's taps before it is built, from input to output; None = nothing.

    Raises:
        RequestError: an unknown or impossible name.
    """
    if foreign.named(name) is not None:
        return None
    family, parameters = _resolve(name)
    return None if family.taps is None else family.taps(*parameters)


def tap_names(name: str) -> tuple[str, ...] | None:
    """The names of the network's own taps where they are known before it is built, else None (see `known_taps`)."""
    known = known_taps(name)
    return None if known is None else tuple(tap.name for tap in known)


def seen_taps(name: str, size: Size) -> tuple[Tap, ...]:
    """A network's own taps for images of that size, from input to output: it is built and shown an image.

    Raises:
        RequestError: an unknown or impossible name, or a network that takes no such images or has no maps of them.
    """
    import torch

    from engine.models.finding import with_taps
    from engine.models.foreign import check_logits
    from engine.models.inference import freeze

    images, classes = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0)), 10
    network = freeze(build(name, classes, 0, size=size))
    check_logits(network, images, classes)
    network = with_taps(network, images)
    _, maps = network.forward_with_taps(images)
    strides = (max(1, round(size[0] / found.shape[-2])) for found in maps)
    return tuple(map(Tap, network.tap_names, (found.shape[1] for found in maps), strides, network.tap_names))


def build(
    name: str,
    classes: int,
    seed: int | None = None,
    taps: Sequence[str] | None = None,
    typed: bool = False,
    size: Size = USUAL,
) -> nn.Module:
    """Build the network ``name`` on the CPU, in training mode; it is a ``TappedModel``.

    Args:
        name: a network's name, for instance ``wrn-16-1``.
        classes: the number of logits, 1 or more.
        seed: decides the initial weights; the global generators of torch (the CPU's), numpy and Python are left as
            they were found. None draws the weights from the global generator.
        taps: which maps are looked at, in this order: names of the network's own taps, or dotted names of its modules;
            None = the network's own taps: none, where they are not known before it is built (``finding.find_taps``
            finds some).
        typed: whether a person typed the name for this very run, without which no file is executed.
        size: height and width of the images, in pixels: many networks begin in another way on large ones.

    Raises:
        RequestError: an unknown or impossible name, a file that makes no network, or a tap that it does not have.
    """
    file = foreign.named(name)
    if file is not None:
        with _seeded(seed):
            network = file.construct(classes, typed=typed)
        return _tapped(network, taps or (), {}, name)
    family, parameters = _resolve(name)
    with _seeded(seed):
        network = family.construct(parameters, classes, size)
    if not hasattr(network, "tap_names"):
        return _tapped(network, taps or (), {}, name)
    if taps is None or tuple(taps) == network.tap_names:
        return network
    own = family.taps(*parameters) if family.taps is not None else ()
    return _tapped(network, taps, {tap.name: tap.module for tap in own if tap.module}, name)


def _tapped(network: nn.Module, taps: Sequence[str], modules: Mapping[str, str], name: str) -> nn.Module:
    """The network with those taps; `modules` are those of taps that go by another name."""
    from engine.models.hooked import Hooked

    twice = [tap for tap, times in Counter(taps).items() if times > 1]
    if twice:
        raise RequestError(f"tap '{twice[0]}' is named more than once")
    return Hooked(network, {tap: modules.get(tap, tap) for tap in taps}, name)


@contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    """Draw what is drawn within by `seed`, wherever a stranger's code draws it; None leaves everything as it is."""
    import numpy as np
    import torch

    if seed is None:
        yield
        return
    python, legacy = random.getstate(), np.random.get_state()
    # The CPU's generator alone is set aside and seeded: torch.manual_seed would reseed every GPU as well.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(legacy)


def _resolve(name: str) -> tuple[Family, tuple[Any, ...]]:
    word = family_of(name)
    if word is None:
        raise RequestError(f"unknown model {name!r}{_hint(name)}; allowed: {'; '.join(_forms())}")
    try:
        family = FAMILIES.get(word)
    except ValueError as error:
        raise RequestError(str(error)) from error
    parameters = family.parameters(name)
    if parameters is None:
        raise RequestError(f"unknown model {name!r}; allowed: {family.form}")
    return family, parameters


def family_of(name: str) -> str | None:
    """The word of a family that the name begins with, the longest; one of ours goes before a package's; None = none."""
    words = [name, *(name[: end.start()] for end in reversed(list(re.finditer(r"[-:@]", name))))]
    return next((word for word in words if word in FAMILIES.ours), None) or next(
        (word for word in words if word in FAMILIES), None
    )


def _hint(name: str) -> str:
    """The family that a name begins with but for capitals and hyphens, as in `ResNet18`."""
    near = [word for word in FAMILIES.ours if _plain(name).startswith(_plain(word))]
    return f", did you mean {FAMILIES.get(max(near, key=len)).form}" if near else ""


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))


def _forms() -> Iterator[str]:
    for word in FAMILIES:
        yield FAMILIES.get(word).form if word in FAMILIES.ours else f"{word}-... ({FAMILIES.origin(word)})"
    yield foreign.FORM
