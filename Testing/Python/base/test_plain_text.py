"""What a name may hold, and how it is shown."""

from __future__ import annotations

import pytest

from TomoRayLib.base.plain_text import plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("case 7 (AP).png", "case 7 (AP).png"),
        ("Wirbelsäule ± 2 脊柱", "Wirbelsäule ± 2 脊柱"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("a\nb\rc\td\0", r"a\nb\rc\td\x00"),
        ("invoice\u202egnp.exe", r"invoice\u202egnp.exe"),
        ("\u2066x\u2069\u200f", r"\u2066x\u2069\u200f"),
        ("x\u2028y", r"x\u2028y"),
        ("\udcff.nii.gz", r"\udcff.nii.gz"),
    ],
)
def test_what_would_steer_a_terminal_is_written_out(text: str, shown: str) -> None:
    assert plain(text) == shown
    assert plain(shown) == shown


def test_lines_stay_if_they_are_asked_for() -> None:
    assert plain("a\nb\x1b[0m", newline=True) == "a\nb\\x1b[0m"
