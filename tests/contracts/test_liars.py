"""Every liar is caught by the check whose promise it breaks, and by no other: no check passes or fails by accident."""

from __future__ import annotations

import dataclasses
import re

import pytest

from engine.running import defending
from engine.testing.checks import CHECKS, checks_for, judged
from engine.testing.contract import ContractBroken
from engine.testing.defense_checks import closed_doors
from engine.testing.settings_checks import loads_no_torch
from engine.testing.subject import REGISTRIES, Kind, Subject, smallest
from engine.testing.world import World

HERE = "tests.contracts.liars"
CAUGHT: dict[Kind, dict[str, dict[str, str]]] = {
    "defense": {
        "Honest": {},
        "Scribbler": {"inputs_untouched": "it changes the clean images"},
        "Trespasser": {
            "inputs_untouched": "it changes the suspect's wish for gradients, .* weights and .* buffers",
            "company": "a defense that comes after it makes other weights than alone",
        },
        "Waker": {"inputs_untouched": "it changes the suspect's mode"},
        "Gambler": {"process_untouched": "it changes torch's global generator"},
        "Sower": {"process_untouched": "it changes torch's global generator"},
        "Moody": {"same_seed": "the same seed gives other weights the second time, of moody"},
        "Deaf": {"same_seed": "another seed gives the same weights, of deaf", "erases": "ASR goes from"},
        "Forger": {"events": "it emits curve-point itself"},
        "Forgetful": {"resumed": "stopped and resumed, it ends with other weights, of forgetful"},
        "Idle": {
            "resumed": "stage idle has the same weights after one epoch and after its last",
            "same_seed": "another seed gives the same weights, of idle",
            "erases": "ASR goes from",
        },
        "Litterer": {"company": "a defense that comes after it makes other weights than alone"},
        "Peeper": {"closed_doors": "with other test images, and no attack known, it makes other weights, of peeper"},
        "Walker": {},
        "Greedy": {"plan": "a run of it fails in stage greedy: TypeError: this defense is not handed the poisoned set"},
        "Brief": {"plan": "stage brief takes 1 epochs, training.epochs says 2"},
        "Swapper": {"plan": "the model that it hands back is not the one of its stage swapper"},
        "Fluid": {"plan": "the model that it hands back is not frozen"},
        "Placebo": {"erases": "it does not erase a planted backdoor: ASR goes from"},
        "Wrecker": {"keeps_accuracy": "it spoils a model that has no backdoor: ACC goes from"},
        "Fragile": {"refusals": "a run of it on images of 8x8 fails in stage .*: IndexError"},
        "Careless": {"refusals": "it reads attention, and takes a tap whose map is 1x1 without a word"},
        "Lax": {"settings": "defense lax: an unknown field is taken without a word"},
        "Untitled": {"settings": "defense untitled: its name is another"},
    },
    "attack": {
        "Patched": {},
        "Amnesiac": {"recalled": "recalled, its trigger is another one"},
        "Mislabeler": {"poisons_as_declared": "2 labels are other than its label rule, all-to-one, says"},
        "Excessive": {"poisons_as_declared": "34 images are poisoned, a rate of 0.1 means 32"},
        "Spreading": {"poisons_as_declared": "images are changed that are neither poisoned nor covers"},
        "Wanting": {
            "poisons_as_declared": "`eligible` is not those images that are not there anyway",
            "refusals": "a poisoning rate of 1 is taken, target class and all",
        },
        "Inky": {"trigger": "the trigger writes into the images"},
        "Fickle": {"trigger": "the trigger gives other images the second time"},
        "Sociable": {"trigger": "what the trigger makes of an image hangs on the images beside it"},
        "Borrower": {"inputs_untouched": "it changes the training images"},
        "Noisy": {"process_untouched": "it changes numpy's global generator"},
        "Stuck": {"same_seed": "another seed poisons the same images"},
        "Changeable": {"same_seed": "the same seed gives other bits the second time, of its trigger"},
        "Boaster": {"events": "it emits evaluation itself"},
        "Invisible": {"planted": "it plants no backdoor: ASR"},
        "Unmarked": {"trigger": "it says marks = False, its trigger does"},
        "Harmful": {
            "poisons_as_declared": "labels are other than its label rule, all-to-one, says",
            "harmless": "its model is not accurate: ACC",
        },
        "Thawed": {"settings": "attack thawed: its settings can be changed once they are made"},
        "Anywhere": {"refusals": "a target that is no class is taken"},
        "Counting": {"resumed": "stopped and resumed, it ends with other weights"},
    },
    "model": {
        "honest": {},
        "strider": {"taps": r"tap features is declared as \(16, 8, 8\), its map is \(16, 16, 16\)"},
        "looker": {"attention": r"for images of 32x32 hardly any of NAD's loss comes from images \(0 %\)"},
        "lazy": {"gradients": "no gradient reaches spare.weight and spare.bias"},
        "headstrong": {"same_seed": "the same seed gives other weights the second time"},
        "hurried": {"process_untouched": "it changes torch's number of threads"},
        "restless": {"inputs_untouched": "a pass in eval mode changes its buffers"},
        "gregarious": {"each_image_alone": "an image's logits hang on the images beside it"},
        "secretive": {"weights_come_back": "loaded from ours.safetensors it gives other logits"},
        "two_faced": {"taps": "with its taps it gives other logits than without"},
        "inker": {"inputs_untouched": "a pass writes into the images"},
        "fixed": {"any_classes": r"for 2 classes it has logits of \(8, 4\)"},
        "picky": {"refusals": "a run on it with images of 8x8 fails in stage attack: ValueError"},
        "choosy": {"carries_a_run": "a run on it fails in stage attack: ValueError: too many"},
        "crooked": {"settings": "built, it ends in ValueError: no way"},
    },
    "data": {
        "honest": {},
        "impostor": {"fingerprinted": "its fingerprint is not that of its images and labels"},
        "shuffled": {"same_bits": "loaded again, it has other bits in x_train"},
        "uncounted": {"counts": "asked for 150 and 60 images, it gives 151 and 60"},
        "narrow": {"form": r"y_test is torch.int32 \(120,\)"},
        "rolling": {"process_untouched": "it changes Python's global generator"},
        "unsure": {"settings": "asked whether its images are there, it says 1"},
        "stumbling": {"refusals": "a single training image ends in IndexError"},
    },
}
"""By kind and liar the checks that catch it, each with what it says; none for the honest ones."""
MODULES: dict[Kind, str] = {"defense": "defenses", "attack": "attacks", "model": "networks", "data": "sources"}
LIARS = [(kind, liar) for kind, liars in CAUGHT.items() for liar in liars]


@pytest.fixture
def told(shared_world: World, tmp_path, monkeypatch: pytest.MonkeyPatch):
    """Registers a liar, and what the checks of its kind say of it, by check."""

    def asked(kind: Kind, liar: str) -> dict[str, str]:
        # All lying networks have one name, by which a suspect of another would be found in the cache.
        world = World(tmp_path) if kind == "model" else shared_world
        subject = registered(world, monkeypatch, kind, liar)
        verdicts = [judged(check, subject) for check in checks_for(kind, subject.name)]
        return {verdict.check: verdict.said for verdict in verdicts if verdict.state == "broken"}

    return asked


def registered(world: World, patch: pytest.MonkeyPatch, kind: Kind, liar: str) -> Subject:
    name = "small" if kind == "model" else liar.lower()
    patch.setitem(REGISTRIES[kind].ours, name, f"{HERE}.{MODULES[kind]}:{liar}")
    return Subject(kind, smallest(name) if kind == "model" else name, world, {})


@pytest.mark.parametrize(("kind", "liar"), LIARS)
def test_a_liar_is_caught_by_its_check_alone(told, kind, liar):
    said = told(kind, liar)
    wanted = CAUGHT[kind][liar]
    assert set(said) == set(wanted), said
    for check, sentence in wanted.items():
        assert re.search(sentence, said[check]), said[check]
        assert "\n" not in said[check]


def test_every_check_catches_somebody():
    for kind, liars in CAUGHT.items():
        caught = {check for sentences in liars.values() for check in sentences}
        missing = {check.__name__ for check in CHECKS[kind]} - caught
        # A source whose images are as they should be has nothing left to fail a run with.
        assert missing == ({"carries_a_run"} if kind == "data" else set()), kind


def test_who_walks_to_the_test_set_is_caught_where_there_is_a_door(tmp_path, monkeypatch):
    """Were there a way from the port to the session, it would be seen: the walk is not blind."""
    honest = defending.port_of

    def open_port(session, defense, suspect, purified=None):
        port = honest(session, defense, suspect, purified)
        port.suspect.register_buffer("seen", session.data.x_test[:1].clone(), persistent=False)
        return dataclasses.replace(port, taps=Way(port.taps, session))

    monkeypatch.setattr(defending, "port_of", open_port)
    said = judged(closed_doors, registered(World(tmp_path), monkeypatch, "defense", "Walker")).said
    assert said.startswith("its port leads to ") and said.endswith(" and test images"), said
    assert "ImageData" in said and "Session" in said


class Way(tuple):
    """A tuple with something behind it."""

    def __new__(cls, taps, session):
        made = super().__new__(cls, taps)
        made.behind = session
        return made


@pytest.mark.parametrize("kind", ["attack", "defense", "model"])
def test_who_loads_torch_before_its_time_is_caught(world, monkeypatch, kind):
    """All liars do, by the file in which they stand."""
    subject = registered(world, monkeypatch, kind, {"attack": "Patched", "defense": "Honest", "model": "honest"}[kind])
    name = "small" if kind == "model" else subject.name
    with pytest.raises(ContractBroken, match=f"{kind} {name}: before it is used it loads torch"):
        loads_no_torch(kind, [name])
