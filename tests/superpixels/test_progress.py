"""What the job shows while it runs: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

from sensorfusion import progress_bar
from sensorfusion.prepare import main
from tests.superpixels.pictures import write_scenes

PREPARE = "import sys; from sensorfusion.prepare import main; sys.exit(main(sys.argv[1:]))"
IMAGES, ROWS, COLUMNS = 5, 24, 90
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"  # the cursor
PIECE = re.compile(r"\x1b\[\??([0-9;]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("images"), IMAGES)


def arguments(images, out):
    return ["superpixels", str(images), str(out), "--workers", "1", "--set", "segments=12"]


def on_terminal(command: list[str]) -> tuple[int, str]:
    """Exit code of a command, and what its standard error wrote to a terminal of its own."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    colourless = {"TERM": "xterm", "COLUMNS": str(COLUMNS), "NO_COLOR": "1"}
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=theirs, env=os.environ | colourless
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # what Linux says when the other side is closed
            break
        if not piece:
            break
        written += piece
    os.close(ours)
    return process.wait(), written.decode()


def drawn(written: str) -> tuple[list[str], list[str]]:
    """The screen at the end, and every state of a line that stood on it."""
    screen, row, column, states = [""], 0, 0, []
    for match in PIECE.finditer(written):
        number, command, move, text = match.groups()
        if text:
            screen[row] = (
                screen[row][:column].ljust(column) + text + screen[row][column + len(text) :]
            )
            column += len(text)
            states.append(screen[row].rstrip())
        elif move == "\n":
            row += 1
            screen += [""] * (row == len(screen))
        elif move == "\r":
            column = 0
        elif command == "K":
            screen[row] = ""
        elif command == "A":
            row -= int(number or 1)
    return [line.rstrip() for line in screen if line.strip()], states


def test_a_terminal_shows_one_live_line_that_ends_complete(images, tmp_path) -> None:
    command = [sys.executable, "-c", PREPARE, *arguments(images, tmp_path / "out")]
    code, written = on_terminal(command)
    assert code == 0, written
    assert PIECE.sub("", written) == "", "nothing but text, ends of lines and known sequences"
    assert written.index(HIDE) < written.rindex(SHOW)
    screen, states = drawn(written)
    assert len(screen) == 1, screen
    assert re.fullmatch(r"superpixels \S+ +5/5 +5 made, 0 in trouble +[\d:-]+", screen[0])
    complete = re.compile(r"superpixels .*\S/\S.* [\d:-]+")
    lines = [state for state in states if complete.fullmatch(state)]
    assert all(len(line) <= COLUMNS for line in lines)
    counts = [int(found) for line in lines for found in re.findall(r" (\d)/5 ", line)]
    assert counts == sorted(counts)
    assert counts[-1] == IMAGES


def test_without_a_terminal_there_are_plain_lines(images, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(progress_bar, "_LINES", -1.0)  # a line for every image
    assert main(arguments(images, tmp_path / "out")) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= IMAGES
    for line in lines:
        assert re.fullmatch(r"\d/5: \d made, 0 in trouble", line), line
    assert lines[-1] == "5/5: 5 made, 0 in trouble"
