"""Foreign text as a terminal shows it, and as a shell takes it."""

from __future__ import annotations

import os
import subprocess

import pytest

from nadtui.formatting import clean, command, quoted

NAMES = [
    b"plain",
    b"with blanks  and a tab\t",
    b'it\'s "quoted" `x` $HOME \\ !',
    b"-n",
    b"~/x",
    b"two\nlines",
    "größe".encode(),
    b"\xff\xfe latin \xe9t\xe9 'it' \\",
    b"\xffA0",
    b"",
]


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_a_shell_reads_back_what_was_quoted(name):
    word = os.fsdecode(name)
    shown = clean(quoted(word))
    assert shown == quoted(word), "what is shown is what was meant"
    done = subprocess.run(["bash", "-c", f"printf %s {shown}"], capture_output=True, check=True)
    assert done.stdout == name.replace(b"-n", b"-n")


def test_a_command_is_made_of_words():
    assert command(["nadtui", "show", "a b", "--out", "c"]) == "nadtui show 'a b' --out c"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (os.fsdecode(b"a\xffb"), r"a\xffb"),
        (repr(os.fsdecode(b"a\xffb")), r"'a\xffb'"),
        (os.fsdecode(b"\x80\xc3("), r"\x80\xc3("),
        ("größe", "größe"),
        ("\ud800", r"\ud800"),
        ("a\x1b[2Jb\nc", r"a\x1b[2Jb\nc"),
    ],
)
def test_what_is_no_letter_is_shown_escaped(text, shown):
    assert clean(text) == shown


@pytest.mark.parametrize("text", ["\ud800", "\x1b]0;x\x07", "\u202e"])
def test_whatever_a_record_holds_can_be_quoted(text):
    assert quoted(text).isprintable()
