"""The command line of `tools/prepare.py`: what is made once, before a training, per subcommand."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from sensorfusion.ending import exit_code
from sensorfusion.exports import command as simulate
from sensorfusion.superpixels import command as superpixels

Command = Callable[[argparse.Namespace], int]

# Each module has `add_arguments(parser)` and `run(options) -> exit code`.
COMMANDS = {
    "simulate": (simulate, "the simulated world in the formats of known data sets"),
    "superpixels": (superpixels, "segments of camera images"),
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


def main(arguments: Sequence[str] | None = None, *, of_config: Command | None = None) -> int:
    """Run the command; returns its exit code.

    Args:
        of_config: runs `superpixels` on a training's config, which only the engine can read.
    """
    options = parser().parse_args(arguments)
    run: Command = COMMANDS[options.subcommand][0].run
    if of_config is not None and getattr(options, "images", "").endswith(".py"):
        run = of_config
    return exit_code(lambda: run(options))
