"""``FILE.py:NAME``: a network that a person brings as a function or class in a file. Free of torch until it is built.

A file's code is executed only when its name was typed for this very run: never because a preset, a recipe or a record
holds it.
"""

from __future__ import annotations

import hashlib
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from engine.errors import AbsentError, RequestError
from engine.places import expanded

if TYPE_CHECKING:
    from torch import Tensor, nn

FORM = "FILE.py:NAME, a function or class of yours that makes a network"
_BY_KEYWORD = ("classes", "num_classes")


@dataclass(frozen=True)
class NetworkFile:
    """A file, and the name in it of what makes the network; nothing says that there is such a file."""

    name: str
    """As it was given: FILE.py:NAME."""
    path: Path
    maker: str

    def read(self) -> bytes:
        """The file's content.

        Raises:
            RequestError: there is no such file, or it cannot be read.
        """
        try:
            return self.path.read_bytes()
        except OSError as error:
            why = f"{self.path} cannot be read ({error.strerror or error})"
            raise _wrong(self.name, why, AbsentError) from None

    def digest(self) -> str:
        """SHA-256 of the content, in hex; what the file imports does not count. Raises as `read` does."""
        return hashlib.sha256(self.read()).hexdigest()

    def construct(self, classes: int, *, typed: bool) -> nn.Module:
        """Execute the file and make its network, in training mode.

        What makes it is called with the number of classes, by keyword where it has a parameter `classes` or
        `num_classes`, else as its first one; without, where it takes none.

        Raises:
            RequestError: one line that says what is wrong: the name was not typed, no such file, nothing of that name
                in it, an exception with its place, or something that is no network.
        """
        if not typed:
            why = f"a network's file is executed only when it is typed: --model {self.name}"
            raise _wrong(self.name, why, AbsentError)
        from torch import nn

        content = self.read()
        with _told(self.name, self.path.absolute().parent), _importing_beside(self.path):
            module = _executed(content, self.path)
            if not hasattr(module, self.maker):
                raise _wrong(self.name, f"there is no {self.maker} in the file")
            make = getattr(module, self.maker)
            if not callable(make) or isinstance(make, nn.Module):
                kind = type(make).__name__
                raise _wrong(self.name, f"{self.maker} is of type {kind}: a function or class is wanted")
            network = _called(make, classes)
        if not isinstance(network, nn.Module):
            raise _wrong(self.name, f"{self.maker} gives a {type(network).__name__}, not a torch.nn.Module")
        return network.train()


def named(name: str) -> NetworkFile | None:
    """The file that a model's name names, None where it is of another form; nothing is looked for or executed."""
    file, colon, maker = name.rpartition(":")
    if not (colon and maker.isidentifier() and re.search(r"[^/\\]\.py$", file)):
        return None
    path = Path(file)
    with suppress(RequestError):  # the home of nobody: the file is then not found
        path = expanded(file)
    return NetworkFile(name, path, maker)


def check_logits(network: nn.Module, images: Tensor, classes: int) -> None:
    """Try a network on real images, in eval mode: does it take them, and give a logit for each class?

    Args:
        images: float [N, 3, H, W] in [0, 1], on the network's device.

    Raises:
        RequestError: it raises, or gives something else; one line.
    """
    import torch

    from engine.models.inference import in_eval_mode

    name = str(getattr(network, "name", type(network).__name__))
    file = named(name)
    size = "x".join(map(str, images.shape[-2:]))
    folder = None if file is None else file.path.absolute().parent
    with torch.no_grad(), in_eval_mode(network), _told(name, folder, size):
        logits = network(images)
    shape = tuple(logits.shape) if isinstance(logits, torch.Tensor) else ()
    if shape == (len(images), classes):
        return
    if shape[:1] == (len(images),) and len(shape) == 2:
        raise _wrong(name, f"it gives {shape[1]} logits for an image, the data set has {classes} classes")
    given = "x".join(map(str, shape)) or f"a {type(logits).__name__}"
    raise _wrong(name, f"it gives {given} for {len(images)} images, not {len(images)}x{classes} logits")


def _wrong(name: str, why: str, kind: type[RequestError] = RequestError) -> RequestError:
    return kind(f"model.name = {name!r}: {why}")


def _called(make: Callable[..., Any], classes: int) -> Any:
    try:
        parameters = inspect.signature(make).parameters.values()
    except ValueError:  # of some built-in callables it is not known
        return make(classes)
    by_name = {each.name for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)}
    for keyword in _BY_KEYWORD:
        if keyword in by_name:
            return make(**{keyword: classes})
    takes = any(each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD) for each in parameters)
    return make(classes) if takes else make()


def _executed(content: bytes, path: Path) -> ModuleType:
    """The file as a module, under a name that nobody imports."""
    module = ModuleType(f"_nadtui_network_{hashlib.sha256(content).hexdigest()[:16]}")
    module.__file__ = str(path)
    # Dataclasses and type hints look their module up by its name.
    sys.modules[module.__name__] = module
    # Not by the import system, which would keep compiled code and serve it for a file that was just edited.
    exec(compile(content, str(path), "exec"), module.__dict__)
    return module


@contextmanager
def _importing_beside(path: Path) -> Iterator[None]:
    """The file may import what lies beside it; another network's file then finds its own neighbors, not these."""
    folder = path.absolute().parent
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        with suppress(ValueError):
            sys.path.remove(str(folder))
        packages = {file.parent.name for file in folder.glob("*/__init__.py")}
        beside = {file.stem for file in folder.glob("*.py")} | packages
        for name in set(sys.modules) - before:
            if name.partition(".")[0] in beside - before:
                del sys.modules[name]


@contextmanager
def _told(name: str, folder: Path | None, size: str = "") -> Iterator[None]:
    """Whatever a network's code raises, in one line; of a network's file with the place in its `folder`.

    `size`: of the images that it is tried on: many networks are made for large ones, or for one size alone.
    """
    try:
        yield
    except RequestError:
        raise
    except (Exception, SystemExit) as error:
        said = error.msg if isinstance(error, SyntaxError) else error
        place = "" if folder is None else _place(error, folder)
        why = " ".join(f"{type(error).__name__}: {said}{place and f' ({place})'}".split())
        raise _wrong(name, f"it cannot take images of {size} ({why})" if size else why) from error


def _place(error: BaseException, folder: Path) -> str:
    """File and line, the last ones that are in `folder`; empty where none are."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    frames = [frame for frame in frames if Path(frame.filename).absolute().parent == folder]
    return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else ""
