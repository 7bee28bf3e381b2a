"""From a network's names of tensors to those that a file has for them, whatever stands before or between them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

Shape = tuple[int, ...]

WRAPPING = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module")
"""Names that a wrapper puts anywhere among a module's names: DataParallel, torch.compile, FSDP, Fabric."""
LEADING = (*WRAPPING, "model", "net", "network", "backbone", "encoder", "classifier", "student", "base_model")
LEADING += ("base_encoder", "feature_extractor", "wrapped_model", "ema_model", "averaged_model", "_model", "cnn")
"""Names of attributes that people keep their network under."""
BESIDE = ("criterion", "loss", "loss_fn", "loss_function", "metric", "metrics", "train_metrics", "val_metrics", "ema")
"""Names of attributes that stand beside a network and are no part of it."""
_BOOKKEEPING = re.compile(
    r"(^|[._])(ops|params|flops|macs|tracked|averaged|steps?|epochs?|updates?|iters?|iterations?|counters?|counts?|"
    r"version|decay|calls|seen|initiali[sz]ed|extra_state)$"
)


@dataclass(frozen=True)
class Naming:
    """How a file's names stand to a network's."""

    names: dict[str, str]
    """The network's name -> the file's, of the tensors that both have."""
    prefix: str | None
    """What stands before every one of them; None = it differs from name to name."""
    outside: tuple[str, ...]
    """Names in the file, of other modules beside the network."""
    inside: tuple[str, ...] = ()
    """Names in the file, of the network itself as it seems, which has no such tensor."""
    bookkeeping: tuple[str, ...] = ()
    """Names in the file, of counters."""
    also: tuple[str, ...] = field(default=())
    """Other prefixes under which every tensor is there too."""


def needed(names: Iterable[str]) -> list[str]:
    """A network's tensors without which it is not itself: batch counts are missing in old files."""
    return [name for name in names if not name.endswith("num_batches_tracked")]


def match(wanted: Mapping[str, Shape], found: Mapping[str, Shape]) -> Naming:
    """The naming under which most of the wanted tensors are found, those of the right shape counted first.

    One prefix before all names is looked for first, whatever it is; then what wrappers put before and between them.
    """
    prefixes = _prefixes(wanted, found)
    scored = sorted(
        ((_score(wanted, found, {name: prefix + name for name in wanted}), prefix) for prefix in prefixes),
        key=lambda each: (*(-count for count in each[0]), _strangeness(each[1]), len(each[1])),
    )
    whole = [prefix for (fitting, _), prefix in scored if fitting >= len(needed(wanted))]
    if whole:
        return _naming(wanted, found, {name: whole[0] + name for name in wanted}, whole[0], tuple(whole[1:]))
    own = common_prefix(wanted)
    if own and (inner := _without(own, wanted, found)) is not None:
        return inner
    stripped = {ours: theirs for theirs, ours in _stripped(wanted, found)}
    if not scored or _score(wanted, found, stripped) > scored[0][0]:
        return _naming(wanted, found, stripped, None)
    best = scored[0][1]
    return _naming(wanted, found, {name: best + name for name in wanted}, best)


def _without(own: str, wanted: Mapping[str, Shape], found: Mapping[str, Shape]) -> Naming | None:
    """The naming where the network has something before every name that the file has not; None if that does not fit."""
    bare = {name.removeprefix(own): shape for name, shape in wanted.items()}
    naming = match(bare, found)
    if any(found.get(naming.names.get(name, "")) != bare[name] for name in needed(bare)):
        return None
    return replace(naming, names={own + ours: theirs for ours, theirs in naming.names.items()}, prefix=None)


def _prefixes(wanted: Mapping[str, Shape], found: Mapping[str, Shape]) -> set[str]:
    """What stands before the wanted names that are rarest: `conv1.weight` is also the end of other names."""
    prefixes = {""}
    for name in sorted(needed(wanted), key=lambda each: (-each.count("."), -len(each)))[:1] + needed(wanted)[-1:]:
        ending = f".{name}"
        prefixes |= {theirs[: -len(name)] for theirs in found if theirs.endswith(ending)}
    return prefixes


def _strangeness(prefix: str) -> bool:
    """Whether something other than the names of wrappers is in it."""
    return not all(word in LEADING for word in prefix.split(".")[:-1])


def _score(wanted: Mapping[str, Shape], found: Mapping[str, Shape], names: Mapping[str, str]) -> tuple[int, int]:
    """How many of the needed tensors are there in their shape; how many are there at all."""
    there = [name for name in needed(wanted) if names.get(name) in found]
    return sum(found[names[name]] == wanted[name] for name in there), len(there)


def _stripped(wanted: Mapping[str, Shape], found: Mapping[str, Shape]) -> Iterator[tuple[str, str]]:
    """Each of the file's names with the network's that is left when wrappers' words are taken off; each once."""
    taken: set[str] = set()
    for theirs in found:
        ours = next((name for name in _bare(theirs) if name in wanted and name not in taken), None)
        if ours is not None:
            taken.add(ours)
            yield theirs, ours


def _bare(name: str) -> Iterator[str]:
    """The name, then with one leading word after the other taken off, those in between first."""
    words = [word for word in name.split(".") if word not in WRAPPING]
    yield name
    while words:
        yield ".".join(words)
        if words[0] not in LEADING:
            return
        words = words[1:]


def _naming(
    wanted: Mapping[str, Shape],
    found: Mapping[str, Shape],
    names: Mapping[str, str],
    prefix: str | None,
    also: tuple[str, ...] = (),
) -> Naming:
    used = {ours: theirs for ours, theirs in names.items() if theirs in found}
    taken = set(used.values())
    outside, inside, counters = [], [], []
    for theirs in found:
        if theirs in taken:
            continue
        if is_bookkeeping(theirs, found[theirs]):
            counters.append(theirs)
            continue
        other = (
            (prefix and not theirs.startswith(prefix))
            or (bool(also) and theirs.startswith(also))
            or theirs.split(".")[0] in BESIDE
        )
        (outside if other else inside).append(theirs)
    return Naming(used, prefix, tuple(outside), tuple(inside), tuple(counters), also)


def is_bookkeeping(name: str, shape: Shape) -> bool:
    """Whether a tensor is a counter that profilers and averagers leave behind, and no part of a network."""
    single = all(size == 1 for size in shape)
    return (single or shape == (0,)) and _BOOKKEEPING.search(name) is not None


def common_prefix(names: Iterable[str], words: Collection[str] = LEADING) -> str:
    """What stands before every one of the names, of such words alone."""
    names = list(names)
    prefix = ""
    while names:
        others = {name[len(prefix) :].partition(".")[0] for name in names}
        word = others.pop()
        if others or word not in words or any(name == prefix + word for name in names):
            break
        prefix = f"{prefix}{word}."
    return prefix
