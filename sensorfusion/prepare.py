"""The command line of `tools/prepare.py`: what is made once, before a training, per subcommand."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from sensorfusion.ending import exit_code
from sensorfusion.exports import command as simulate
from sensorfusion.superpixels import command as superpixels

# Each module has `add_arguments(parser)` and `run(options) -> exit code`.
COMMANDS = {
    "superpixels": (superpixels, "segments of camera images"),
    "simulate": (simulate, "the simulated world in the formats of real data sets"),
}


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    made = argparse.ArgumentParser(
        description="Prepare what a training needs, once. SUBCOMMAND --help says more."
    )
    subcommands = made.add_subparsers(required=True, metavar="SUBCOMMAND", dest="subcommand")
    for name, (module, text) in COMMANDS.items():
        module.add_arguments(subcommands.add_parser(name, help=text))
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    options = parser().parse_args(arguments)
    return exit_code(lambda: COMMANDS[options.subcommand][0].run(options))
