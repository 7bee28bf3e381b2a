"""Names of ours and of installed packages: nothing is imported unasked, and a stranger's mistake breaks nothing."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from contextlib import ExitStack

import pytest

from engine.registry import Registry
from tests.plugins import installed

GROUP = "nadtui.things"
OURS = {"join": "os.path:join", "path": "os.path"}


def registry(**settings) -> Registry:
    return Registry("thing", GROUP, OURS, **settings)


def test_what_is_ours_is_found_by_name():
    import os.path

    things = registry()
    assert things.names() == tuple(things) == ("join", "path")
    assert things.get("join") is os.path.join
    assert things.get("path") is os.path
    assert things.origin("join") == "built in"
    assert "join" in things and "json" not in things and len(things) == 2


def test_an_unknown_name_is_refused_with_the_nearest_and_all_known_ones():
    with pytest.raises(ValueError, match=r"^unknown thing 'jion', did you mean 'join'; known: join, path$"):
        registry().get("jion")
    with pytest.raises(ValueError, match=r"^unknown thing 'quite another'; known: join, path$"):
        registry().get("quite another")
    with pytest.raises(KeyError):
        registry().origin("jion")


def test_a_package_brings_a_thing_that_is_imported_when_it_is_named(tmp_path):
    source = {"nt_good": "value = 3", "nt_other": "raise SystemExit"}
    with installed(tmp_path, "nt-good", GROUP, {"mine": "nt_good:value", "a-module": "nt_other"}, source):
        things = registry()
        assert things.names() == ("join", "path", "a-module", "mine")
        assert "mine" in things
        assert things.origin("mine") == "nt-good 1.0"
        assert "nt_good" not in sys.modules
        assert things.get("mine") == 3
        assert "nt_other" not in sys.modules
        with pytest.raises(ValueError, match=r"did you mean 'mine'; known: join, path, a-module, mine$"):
            things.get("mne")
    assert registry().names() == ("join", "path"), "it is no longer installed"


BROKEN = {
    "import nowhere_to_be_found": "ModuleNotFoundError: No module named 'nowhere_to_be_found'",
    "raise RuntimeError('two\\nlines')": "RuntimeError: two lines",
    "raise SystemExit(3)": "SystemExit: 3",
    "def f(:": "SyntaxError",
    "other = 1": "has no attribute 'value'",
}


@pytest.mark.parametrize("source", BROKEN)
def test_a_broken_package_costs_a_line(tmp_path, caplog, source):
    number = list(BROKEN).index(source)
    package, module = f"nt-broken-{number}", f"nt_broken_{number}"
    with installed(tmp_path, package, GROUP, {"mine": f"{module}:value"}, {module: source}):
        things = registry()
        assert things.names() == ("join", "path", "mine")
        for _ in range(2):
            assert list(things.loaded()) == ["join", "path"]
        with pytest.raises(ValueError) as caught:
            things.get("mine")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert str(caught.value) in record.getMessage()
    assert str(caught.value).startswith(f"thing 'mine' of {package} 1.0: ")
    assert BROKEN[source] in str(caught.value)
    assert "\n" not in record.getMessage()


def test_what_a_package_brings_must_be_of_the_kind(tmp_path):
    def check(found: object) -> None:
        if not isinstance(found, str):
            raise TypeError("text is wanted")

    with installed(tmp_path, "nt-kind", GROUP, {"text": "nt_kind:text", "number": "nt_kind:number"}, KIND):
        things = registry(check=check)
        assert things.get("text") == "a"
        with pytest.raises(ValueError, match=r"^thing 'number' of nt-kind 1\.0: TypeError: text is wanted$"):
            things.get("number")


KIND = {"nt_kind": "text, number = 'a', 1"}


def test_no_package_takes_a_name_of_ours(tmp_path, caplog):
    import os.path

    with installed(tmp_path, "nt-greedy", GROUP, {"join": "nt_greedy:value", "mine": "nt_greedy:value"}, GREEDY):
        things = registry()
        assert things.names() == ("join", "path", "mine")
        assert things.get("join") is os.path.join
        assert things.origin("join") == "built in"
    (record,) = caplog.records
    assert record.getMessage() == "warning: thing 'join' of nt-greedy 1.0 is left out: the name is ours"


GREEDY = {"nt_greedy": "value = 3"}


def test_two_packages_with_one_name_are_both_left_out(tmp_path, caplog):
    with ExitStack() as stack:
        for package in ("nt-one", "nt-two"):
            entries = {"mine": "nt_one:value", package: "nt_one:value"}
            stack.enter_context(installed(tmp_path / package, package, GROUP, entries, {"nt_one": "value = 1"}))
        things = registry()
        assert things.names() == ("join", "path", "nt-one", "nt-two")
        assert "mine" not in things
        with pytest.raises(ValueError, match=r"more than one package brings it \(nt-one 1\.0, nt-two 1\.0\)"):
            things.get("mine")
    (record,) = caplog.records
    assert "thing 'mine' is left out" in record.getMessage()


def test_a_package_that_is_on_the_path_twice_is_one(tmp_path):
    with ExitStack() as stack:
        for version in ("2.0", "1.0"):
            source = {"nt_twice": f"value = {version}"}
            entries = {"mine": "nt_twice:value"}
            stack.enter_context(installed(tmp_path / version, "nt-twice", GROUP, entries, source, version))
        assert registry().origin("mine") == "nt-twice 1.0"
        assert registry().get("mine") == 1.0


def test_metadata_without_a_name_or_that_cannot_be_read(tmp_path, caplog):
    with installed(tmp_path / "a", "nt-bare", GROUP, {"mine": "nt_bare.x:value"}, version=None):
        assert registry().origin("mine") == "nt_bare"
    with installed(tmp_path / "b", "nt-damaged", GROUP, {}):
        (tmp_path / "b" / "nt_damaged-1.0.dist-info" / "entry_points.txt").write_text(f"[{GROUP}]\nno value here")
        assert registry().names() == ("join", "path")
    (record,) = caplog.records
    assert "the entry points of nt-damaged cannot be read" in record.getMessage()


def test_listing_imports_no_package_and_no_torch(tmp_path):
    source = {"nt_silent": "print('imported')"}
    code = (
        "import json, sys; from engine.registry import Registry; "
        f"things = Registry('thing', {GROUP!r}, {{}}); "
        "print(json.dumps([things.names(), things.origin('mine'), 'torch' in sys.modules]))"
    )
    with installed(tmp_path, "nt-silent", GROUP, {"mine": "nt_silent"}, source):
        environment = {"PYTHONPATH": f"{tmp_path}:."}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [["mine"], "nt-silent 1.0", False]
