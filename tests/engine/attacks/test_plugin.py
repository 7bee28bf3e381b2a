"""An attack that an installed package brings stands beside ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine import attacks
from engine.config.run import validate
from engine.errors import RequestError
from engine.events import outcome
from tests.plugins import installed

SOURCE = """
from typing import ClassVar, Literal

from engine.attacks.base import Attack


class Stripes(Attack):
    summary: ClassVar[str] = "white rows"
    name: Literal["stripes"] = "stripes"
    rows: int = 2

    def build(self, context):
        yield from ()
        return White(self.rows)


class White:
    def __init__(self, rows):
        self.rows = rows

    def __call__(self, images):
        images = images.clone()
        images[..., : self.rows, :] = 255
        return images

    def tensors(self):
        return {}


def not_an_attack():
    pass
"""


@pytest.fixture(scope="module", autouse=True)
def _stripes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    entries = {"stripes": "nt_stripes:Stripes", "odd": "nt_stripes:not_an_attack"}
    with installed(tmp_path_factory.mktemp("site"), "nt-stripes", "nadtui.attacks", entries, {"nt_stripes": SOURCE}):
        yield


def test_it_is_listed_and_validated_like_ours():
    assert list(attacks.ATTACKS)[-2:] == ["odd", "stripes"]
    assert attacks.ATTACKS.origin("stripes") == "nt-stripes 1.0"
    config = validate({"attack": {"name": "stripes", "rows": 3}})
    assert (config.attack.name, config.attack.rows, config.attack.poisoning_rate) == ("stripes", 3, 0.1)
    assert validate(config.to_dict()) == config
    with pytest.raises(RequestError, match=r"unknown field 'attack\.row'"):
        validate({"attack": {"name": "stripes", "row": 3}})


def test_it_poisons_by_the_protocol_of_all_attacks():
    import torch

    attack = attacks.settings_class("stripes")(poisoning_rate=0.5)
    images, labels = torch.zeros(10, 3, 8, 8, dtype=torch.uint8), torch.tensor([0] * 5 + [1] * 5)
    from engine.attacks.base import AttackContext

    context = AttackContext(images, labels, 2, seed=0)
    poisoned = attack.poison(context, outcome(attack.build(context)))
    assert poisoned.indices.tolist() == [5, 6, 7, 8, 9]
    assert (poisoned.images[5:, :, :2] == 255).all() and (poisoned.images[5:, :, 2:] == 0).all()


def test_what_is_no_attack_is_refused_in_a_line():
    with pytest.raises(
        RequestError, match=r"attack 'odd' of nt-stripes 1\.0: TypeError: a subclass of engine"
    ) as caught:
        validate({"attack": {"name": "odd"}})
    assert "\n" not in str(caught.value)
