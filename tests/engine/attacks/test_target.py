"""The attacker's class by name and by id, and which of two readings was taken."""

from __future__ import annotations

import pytest

from engine.attacks.badnets import BadNets
from engine.attacks.target import class_id
from engine.config.presets import resolve
from engine.errors import RequestError

WORDS = ("stop", "yield", "ahead only")
FROM_ONE = tuple(map(str, range(1, 13)))
PADDED = ("00000", "00002", "00014")


@pytest.mark.parametrize(
    ("target", "names", "label"),
    [
        (1, WORDS, 1),
        ("stop", WORDS, 0),
        ("ahead only", WORDS, 2),
        (10, tuple(map(str, range(12))), 10),
        ("10", tuple(map(str, range(12))), 10),
        ("00014", PADDED, 2),
        ("14", PADDED, 2),
        ("12", FROM_ONE, 11),
    ],
)
def test_a_class_by_what_can_mean_but_one(target, names, label):
    assert class_id(target, names) == (label, "")


@pytest.mark.parametrize(
    ("target", "names", "label", "told"),
    [
        (10, FROM_ONE, 10, "read as an id, class '11' (id 10); not class '10' (id 9)"),
        ("10", FROM_ONE, 9, "read as a name, class '10' (id 9); not class '11' (id 10)"),
        (12, FROM_ONE, 11, "no class has the id 12; taken is class '12' (id 11)"),
        ("1", WORDS, 1, "no class has the name '1'; taken is class 'yield' (id 1)"),
        (2, PADDED, 2, "read as an id, class '00014' (id 2); not class '00002' (id 1)"),
        ("2", PADDED, 1, "read as a name, class '00002' (id 1); not class '00014' (id 2)"),
    ],
)
def test_of_two_readings_the_one_that_was_taken_is_told(target, names, label, told):
    found, said = class_id(target, names)
    assert found == label
    assert said == f"attack.target = {target}: {told}"


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (3, "attack.target = 3: the data set has classes 0 to 2, called stop, yield, ahead only"),
        ("halt", "attack.target = halt: the data set has classes 0 to 2, called"),
        ("Stop", "did you mean 'stop'?"),
        ("ahead-only", "did you mean 'ahead only'?"),
        ("9" * 5000, "the data set has classes 0 to 2"),
        ("²", "the data set has classes 0 to 2"),
    ],
)
def test_what_is_no_class(target, told):
    with pytest.raises(RequestError) as caught:
        class_id(target, WORDS)
    assert told in str(caught.value)


def test_an_attack_aims_by_id_from_then_on():
    attack, said = BadNets(target="yield").aimed(WORDS)
    assert (attack.target, said) == (1, "")
    same = BadNets(target=1)
    assert same.aimed(WORDS)[0] is same
    assert attack == same


@pytest.mark.parametrize(
    ("text", "target"), [("stop", "stop"), ("'10'", "10"), ("10", 10), ("00014", "00014"), ("010", "010"), ("0", 0)]
)
def test_an_option_keeps_the_name_of_a_folder(text, target):
    from engine.config.layers import parse_override

    config = resolve("badnets", overrides=[parse_override(f"attack.target={text}")])
    assert config.attack.target == target
    assert type(config.attack.target) is type(target)


@pytest.mark.parametrize("value", [-1, True, None, 1.5, "", [1]])
def test_what_can_be_no_target_is_refused(value):
    with pytest.raises(RequestError, match=r"attack\.target"):
        resolve("badnets", overrides=[{"attack": {"target": value}}])
