"""Warnings of libraries: caught in whatever thread, counted, told once with their file; never printed."""

from __future__ import annotations

import logging
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageFile

from engine import events, overheard
from engine.running.pipeline import _with_warnings
from tests.engine.data.sources import load, notes, refusal, shades
from tests.scripted_run import stage


def test_a_warning_is_told_once_with_how_often_it_came(capfd):
    with overheard.listening() as ear:
        for number in range(3):
            with ear.about(f"{number}.png"):
                warnings.warn(f"image {number} is odd", stacklevel=1)
        warnings.warn("another", RuntimeWarning, stacklevel=1)
        assert ear.untold() == ["0.png: image 0 is odd (the first of 3 such warnings)", "another"]
        warnings.warn("another", RuntimeWarning, stacklevel=1)
        assert ear.untold() == []
    assert capfd.readouterr().err == ""


def test_log_lines_of_libraries_are_heard_and_ours_are_not(capfd):
    with overheard.listening() as ear:
        logging.getLogger("PIL.TiffImagePlugin").error("more samples than\ncan be decoded")
        logging.getLogger("nadtui").warning("warning: of ours")
        logging.getLogger("PIL.Image").info("nothing")
    assert ear.untold() == ["PIL: more samples than can be decoded"]


def test_threads_that_work_for_it_are_heard_by_it():
    with overheard.listening() as ear:
        handed = overheard.ear()

        def work(number):
            with handed.about(number):
                warnings.warn("odd", stacklevel=1)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(40)))
    (line,) = ear.untold()
    assert line.endswith("odd (the first of 40 such warnings)")


def test_two_that_listen_at_once_do_not_mix_and_all_is_as_before_afterwards():
    before, filters = warnings.showwarning, list(warnings.filters)
    meet, heard = threading.Barrier(2), {}

    def listen(name):
        with overheard.listening() as ear:
            meet.wait()
            warnings.warn(name, stacklevel=1)
            meet.wait()
            heard[name] = ear.untold()

    threads = [threading.Thread(target=listen, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard == {"one": ["one"], "two": ["two"]}
    assert warnings.showwarning is before
    assert warnings.filters == filters


def test_a_thread_of_nobody_is_heard_by_who_listens():
    with overheard.listening() as ear:
        thread = threading.Thread(target=lambda: warnings.warn("from a library's own thread", stacklevel=1))
        thread.start()
        thread.join()
    assert ear.untold() == ["from a library's own thread"]


# --- of the decoder ---


def palette(path):
    image = Image.fromarray(np.arange(81, dtype=np.uint8).reshape(9, 9) % 4, "P")
    image.putpalette([10, 20, 30] * 4)
    image.save(path, transparency=b"\x00\x80\xff\x40")


def exif(path):
    Image.new("RGB", (9, 9)).save(path, "JPEG", exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x05\x01\x12\x00\x03")


def bomb(path):
    Image.new("RGB", (90, 90)).save(path)


@pytest.mark.parametrize(
    ("make", "told"),
    [(palette, "Palette images with Transparency"), (exif, "EXIF"), (bomb, "decompression bomb")],
)
def test_what_pillow_warns_of_becomes_a_note_with_the_file(tmp_path, monkeypatch, capfd, make, told):
    shades(tmp_path, count=3)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5000)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", False)
    for index in range(3):
        make(tmp_path / "b" / f"odd{index}.{'jpg' if make is exif else 'png'}")
    said = notes(load(tmp_path), warning=True)
    assert told in said
    assert str(tmp_path / "b" / "odd") in said
    assert "(the first of 3 such warnings)" in said
    assert said.count("\n") == 0
    assert capfd.readouterr().err == ""


def test_what_the_decoders_in_c_have_to_say_reaches_no_terminal(tmp_path, capfd):
    shades(tmp_path, count=3)
    for index in range(3):
        noise = np.random.default_rng(index).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        path = tmp_path / "b" / f"{index}.tif"
        Image.fromarray(noise).save(path, compression=("tiff_deflate", "tiff_lzw", "jpeg")[index])
        content = bytearray(path.read_bytes())
        content[300:400] = bytes(100)
        path.write_bytes(content)
    assert "cannot read" in refusal(tmp_path)
    assert capfd.readouterr().err == ""


def test_a_run_records_what_was_heard_before_the_stage_ends():
    def stages():
        for name in ("attack", "nad"):
            yield events.StageStarted(stage=name, epochs=1, steps=1)
            for _ in range(3):
                warnings.warn("lr_scheduler.step() before optimizer.step()", stacklevel=1)
            yield stage(name, [(90.0, 9.0)])[-1]

    with overheard.listening() as ear:
        told = list(_with_warnings(stages(), ear))
    assert [type(event) for event in told] == [
        events.StageStarted,
        events.Message,
        events.StageFinished,
        events.StageStarted,
        events.StageFinished,
    ]
    assert (told[1].level, told[1].text) == ("warning", "lr_scheduler.step() before optimizer.step() (3 times)")
