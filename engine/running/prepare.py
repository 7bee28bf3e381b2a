"""Everything that can turn out wrong about a request, tried before anything is written."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from torch import Tensor, nn

from engine import data, zoo
from engine.config.run import RunConfig
from engine.control import Control
from engine.data.base import DataRequest, ImageData, Note
from engine.data.clean import CleanImages, set_apart
from engine.device import choose
from engine.errors import RequestError
from engine.events import Event, Preparing
from engine.models.inference import as_input
from engine.record.folder import RunFolder
from engine.record.reading import read_events
from engine.running import conveniences, inputs, mailbox, scarce
from engine.running.defending import check_held
from engine.running.fitting import bearable
from engine.running.given import read_given
from engine.running.network import Network
from engine.running.plan import make_plan
from engine.running.processor_queue import check_threads
from engine.running.request import RunRequest
from engine.running.session import Session

PROBE = 64
"""Clean images on which networks and defenses are tried before anything is trained."""


class Preparation:
    """Makes the session of a request, or refuses it."""

    def __init__(self, request: RunRequest) -> None:
        self.request = request
        self._folder: RunFolder | None = None

    def close(self) -> None:
        """Let go of a folder that was opened for a request that then proved wrong."""
        if self._folder is not None:
            self._folder.close()

    def session(self, control: Control) -> Generator[Event, None, Session]:
        """Load the data, check every part of the configuration against it, and open the run folder.

        Raises:
            RequestError: the request is wrong; nothing was written.
        """
        request, config = self.request, self.request.config
        recorded = self._taken_up()
        started = inputs.begun(recorded)
        make_plan(config)
        device = choose(config.device, config.precision)
        files = inputs.check_files(started, config)
        loaded = yield from load_data(config.data, control)
        inputs.check_data(started, loaded, config)
        config, said = aimed(config, loaded)
        loaded, clean = yield from _with_clean_images(config, loaded, control)
        inputs.check_clean(started, clean)
        network = Network.of(config, loaded, typed=request.typed_model)
        given = read_given(config, network)
        network = network if given is None else given.network
        model = network.fresh(seed=0)
        probe = as_input(clean.images[:PROBE])
        config, unfit = bearable(config, model, probe)
        count = _check(config, loaded, clean, model, probe)
        said += scarce.warnings(config, loaded, clean, count)
        extras = conveniences.found(request.store)
        folder = self._open(config)
        self._folder = None
        return Session(
            replace(request, config=config),
            make_plan(config),
            control,
            device,
            loaded,
            clean,
            network,
            model,
            extras,
            files,
            folder,
            recorded,
            given=given,
            poisoned=count,
            unfit=unfit,
            remarks=[
                *loaded.notes,
                *(Note(f"{name}: n/a, {why}", warning=True) for name, why in unfit.items()),
                *(Note(line) for line in scarce.aim(config, loaded, count)),
                *(Note(line, warning=True) for line in said),
            ],
        )

    def _open(self, config: RunConfig) -> RunFolder:
        return self._folder or RunFolder.create(
            self.request.out,
            preset=config.preset,
            dataset=config.data.name,
            seed=config.seed,
            config_yaml=config.to_yaml(),
            name=self.request.name,
        )

    def _taken_up(self) -> list[Event]:
        """What the record of a run to be resumed holds; nothing for a new one.

        Raises:
            RequestError: it cannot be resumed, or the weights of a stage are not those that it ended with.
        """
        if self.request.resume is None:
            return []
        self._folder = RunFolder.open_for_resume(self.request.resume)
        mailbox.take(self._folder.path)  # meant for the process before; what comes while the data loads, for us
        recorded = read_events(self._folder.path).events
        inputs.check_stages(recorded, self._folder)
        return recorded


class _Sound(Exception):  # noqa: N818  (no error: the request is right)
    """All was tried that can be without a folder."""


class _Judge(Preparation):
    def _open(self, config: RunConfig) -> RunFolder:
        raise _Sound


def judge(request: RunRequest) -> None:
    """Try a new run's request as far as that goes without training; nothing is written.

    Raises:
        RequestError: it is wrong.
    """
    with contextlib.suppress(_Sound):
        for _ in _Judge(request).session(Control()):
            pass


def aimed(config: RunConfig, loaded: ImageData) -> tuple[RunConfig, list[str]]:
    """The configuration with the attack's target by its id, and what is to be said of how that was read.

    Raises:
        RequestError: no class has that id or name.
    """
    if config.attack is None:
        return config, []
    attack, said = config.attack.aimed(loaded.class_names)
    return config.model_copy(update={"attack": attack}), [said] if said else []


def _with_clean_images(
    config: RunConfig, loaded: ImageData, control: Control
) -> Generator[Event, None, tuple[ImageData, CleanImages]]:
    source = config.data.clean_source
    other = None if source is None else (yield from load_data(source, control))
    return set_apart(loaded, config.data, config.seed, other)


def load_data(settings: DataRequest, control: Control) -> Generator[Event, None, ImageData]:
    """Load a data set in a thread of its own, so that its progress can be told while it loads."""
    reports: queue.SimpleQueue[Preparing] = queue.SimpleQueue()

    def progress(what: str, done: int, total: int) -> None:
        control.check()
        reports.put(Preparing(what=what, done=done, total=total))

    with ThreadPoolExecutor(1, thread_name_prefix="nadtui-data") as loader:
        loading = loader.submit(data.load, settings, progress)
        while not (loading.done() and reports.empty()):
            with contextlib.suppress(queue.Empty):
                yield reports.get(timeout=0.05)
        return loading.result()


def _check(config: RunConfig, loaded: ImageData, clean: CleanImages, model: nn.Module, probe: Tensor) -> int | None:
    """Refuse what the data set, the network or the given files cannot bear; the number of poisoned images."""
    check_threads(config.threads)
    if config.attack is not None:
        config.attack.check(loaded.classes, *loaded.x_train.shape[-2:])
        scarce.check_eligible(config.attack, loaded)
    count = scarce.poisoned(config, loaded)
    check_held(config, len(clean))
    for defense in config.defenses.values():
        defense.check(model, probe)
    _check_needs(config, loaded)
    return count


def _check_needs(config: RunConfig, loaded: ImageData) -> None:
    """Refuse what cannot be had of a suspect that was not trained here."""
    file, attack = config.suspect_file, config.attack
    if config.zoo_name is not None:
        _check_zoo(config, config.zoo_name, loaded)
    wanting = next((name for name, each in config.defenses.items() if "poisoned set" in each.needs), None)
    if wanting is not None and (file is not None or attack is None or attack.learns):
        why = f"{attack.name}'s suspect learns on no poisoned set" if attack and attack.learns else "it is not at hand"
        raise RequestError(f"defense {wanting} needs the poisoned set the suspect was trained on: {why}")


def _check_zoo(config: RunConfig, name: str, loaded: ImageData) -> None:
    """Refuse images that a suspect of the zoo cannot take, and defenses that want more of it than it came with."""
    made, (height, width) = zoo.card(name).data, loaded.x_train.shape[-2:]
    if (made["classes"], made["height"], made["width"]) != (loaded.classes, height, width):
        raise RequestError(
            f"suspect = {config.suspect!r}: {name} knows {made['classes']} classes in images of {made['width']}x"
            f"{made['height']} pixels, not {loaded.classes} in {width}x{height}"
        )
    wanting = next((each for each, defense in config.defenses.items() if "poisoned set" in defense.needs), None)
    if wanting is not None and config.attack is not None and not config.attack.remakes:
        raise RequestError(
            f"defense {wanting} needs the poisoned set the suspect was trained on, which {name} comes without: "
            "--suspect trained makes it"
        )
