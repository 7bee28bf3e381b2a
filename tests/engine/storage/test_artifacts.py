"""The artifact cache: whole entries or none, whoever writes, breaks or removes them meanwhile."""

import errno
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

import engine
from engine.errors import RequestError
from engine.storage import paths
from engine.storage.artifacts import ArtifactCache

KEY = ArtifactCache.key({"attack": "sig", "seed": 0})


@pytest.fixture
def cache(tmp_path):
    return ArtifactCache(tmp_path / "artifacts")


@pytest.fixture
def weights(tmp_path):
    file = tmp_path / "weights.safetensors"
    file.write_bytes(bytes(range(256)) * 40)
    return file


def files(folder):
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def test_what_is_put_is_got_with_what_belongs_beside_it(cache, weights):
    assert cache.get("attack", KEY) is None
    put = cache.put("attack", KEY, weights, {"history": ['{"kind":"step"}'], "asr": math.nan})
    got = cache.get("attack", KEY)
    assert put == got
    assert got.path.read_bytes() == weights.read_bytes()
    assert got.path.suffix == ".safetensors"
    assert got.extra == {"history": ['{"kind":"step"}'], "asr": None}
    assert cache.get("teacher", KEY) is None
    assert cache.get("attack", ArtifactCache.key({"attack": "sig", "seed": 1})) is None


def test_the_default_place_is_in_the_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NADTUI_CACHE", str(tmp_path / "here"))
    assert ArtifactCache().root == tmp_path / "here" / "artifacts"


def test_a_key_depends_on_every_value_and_on_no_order():
    parts = {"seed": 0, "training": {"lr": 0.1, "epochs": 8}, "beta": (1, 2)}
    key = ArtifactCache.key(parts)
    assert key == ArtifactCache.key({"beta": [1, 2], "training": {"epochs": 8, "lr": 0.1}, "seed": 0})
    assert len(key) == 64
    changed = [
        {**parts, "seed": 1},
        {**parts, "seed": "0"},
        {**parts, "seed": None},
        {**parts, "training": {"lr": 0.1}},
        {**parts, "beta": [2, 1]},
        {"seed": 0},
    ]
    assert len({key, *map(ArtifactCache.key, changed)}) == 7
    for wrong in ({"lr": math.nan}, {"lr": math.inf}):
        with pytest.raises(ValueError, match="JSON"):
            ArtifactCache.key(wrong)
    with pytest.raises(TypeError):
        ArtifactCache.key({"path": Path("x")})


def test_the_key_is_the_same_in_every_process_and_version():
    """SHA-256 of '{"a":[1,2.5,null],"b":"\\u00e4"}', computed with sha256sum."""
    assert ArtifactCache.key({"b": "ä", "a": (1, 2.5, None)}) == (
        "f4b054685b56a681cf5ab0af8281efd257ad0f412a7762712cf88d4c87b4b703"
    )


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder, content: content.write_bytes(content.read_bytes()[:-1]),
        lambda folder, content: content.write_bytes(content.read_bytes() + b"x"),
        lambda folder, content: content.write_bytes(b"X" + content.read_bytes()[1:]),
        lambda folder, content: content.write_bytes(b""),
        lambda folder, content: content.unlink(),
        lambda folder, content: (folder / "manifest.json").unlink(),
        lambda folder, content: (folder / "manifest.json").write_text(""),
        lambda folder, content: (folder / "manifest.json").write_text("[]"),
        lambda folder, content: (folder / "manifest.json").write_text('{"schema":1}'),
        lambda folder, content: (folder / "manifest.json").write_bytes(b"\xff"),
    ],
)
def test_a_damaged_entry_is_none_is_removed_and_can_be_put_again(cache, weights, damage):
    content = cache.put("attack", KEY, weights).path
    damage(content.parent, content)
    assert cache.get("attack", KEY) is None
    assert files(cache.root) == []
    assert cache.put("attack", KEY, weights, {"again": True}).extra == {"again": True}
    damage(content.parent, content)
    assert cache.put("attack", KEY, weights, {"at once": True}).extra == {"at once": True}


def test_an_entry_under_another_ones_name_is_none(cache, weights):
    content = cache.put("attack", KEY, weights).path
    other = ArtifactCache.key({"attack": "blend"})
    content.parent.rename(content.parent.with_name(other))
    assert cache.get("attack", other) is None


def test_a_file_in_an_entrys_place_is_replaced(cache, weights):
    (cache.root / "attack").mkdir(parents=True)
    (cache.root / "attack" / KEY).write_text("not a folder")
    assert cache.put("attack", KEY, weights).path.read_bytes() == weights.read_bytes()


def test_the_first_of_two_stays(cache, weights, tmp_path):
    cache.put("attack", KEY, weights, {"by": "first"})
    assert cache.put("attack", KEY, weights, {"by": "second"}).extra == {"by": "first"}


def test_a_full_disk_is_told_and_leaves_nothing(cache, weights, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(paths.os, "fsync", full)
    with pytest.raises(RequestError, match="No space left on device"):
        cache.put("attack", KEY, weights)
    assert files(cache.root) == []
    assert cache.get("attack", KEY) is None


def test_a_cache_that_cannot_be_made_is_told(weights):
    cache = ArtifactCache(weights / "artifacts")
    assert cache.get("attack", KEY) is None
    with pytest.raises(RequestError, match="Not a directory"):
        cache.put("attack", KEY, weights)


def test_a_source_that_is_gone_is_told(cache, tmp_path):
    with pytest.raises(RequestError, match=r"gone.*No such file"):
        cache.put("attack", KEY, tmp_path / "gone")
    assert files(cache.root) == []


def test_names_are_checked_before_they_become_paths(cache, weights):
    for name in ("", "..", "../x", "a/b", "A", "a.b", "a\n"):
        with pytest.raises(ValueError, match="cannot name"):
            cache.get(name, KEY)
        with pytest.raises(ValueError, match="cannot name"):
            cache.put("attack", name, weights)


def test_leftovers_of_killed_processes_go_after_a_day(cache, weights):
    for name in (".new-1-killed", ".old-1-killed", ".new-1-working"):
        (cache.root / "attack" / name).mkdir(parents=True)
        if name.endswith("killed"):
            os.utime(cache.root / "attack" / name, (0, 0))
    cache.put("attack", KEY, weights)
    assert sorted(entry.name for entry in (cache.root / "attack").iterdir()) == sorted([".new-1-working", KEY])


def test_processes_that_put_the_same_keys_while_others_read_never_meet_half_an_entry(cache, weights):
    keys = [f"key-{number}" for number in range(12)]
    script = (
        "import sys; from pathlib import Path; from engine.storage.artifacts import ArtifactCache\n"
        "for key in sys.argv[3:]:\n"
        "    kept = ArtifactCache(Path(sys.argv[1])).put('attack', key, Path(sys.argv[2]), {'key': key})\n"
        "    assert kept.extra == {'key': key}\n"
    )
    arguments = [sys.executable, "-c", script, str(cache.root), str(weights), *keys]
    writers = [subprocess.Popen(arguments, cwd=Path(engine.__file__).parents[1]) for _ in range(3)]
    partial = []
    while any(writer.poll() is None for writer in writers):
        for key in keys:
            entry = cache.root / "attack" / key
            if entry.exists() and files(entry) != ["content.safetensors", "manifest.json"]:
                partial.append(files(entry))
            artifact = cache.get("attack", key)
            if artifact and artifact.path.read_bytes() != weights.read_bytes():
                partial.append(artifact.path)
    assert [writer.returncode for writer in writers] == [0] * 3
    assert partial == []
    assert sorted(entry.name for entry in (cache.root / "attack").iterdir()) == sorted(keys)
