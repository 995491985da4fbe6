"""The command line of `tools/prepare.py superpixels`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from sensorfusion.errors import ConfigError
from sensorfusion.jobs import processors
from sensorfusion.progress_bar import ProgressBar
from sensorfusion.signals import EXIT_STOPPED, StopRequest
from sensorfusion.superpixels.listing import Item, list_items
from sensorfusion.superpixels.methods import METHODS, Method, method_of
from sensorfusion.superpixels.prepare import Summary, check, prepare

EXIT_PROBLEMS = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    parser.description = (
        "Make, import or check superpixels. The same command continues where it was interrupted,"
        " and makes again what is damaged or outdated. Exit codes: 0 all there, 1 some images"
        " have none (they are listed) or one of our errors, 130 and 143 interrupted."
    )
    parser.add_argument(
        "images",
        help="folder, glob pattern, text file with a path per line, or a training's config: the"
        " images of its data set",
    )
    parser.add_argument("out", nargs="?", help="folder of superpixels; a config names it itself")
    parser.add_argument(
        "--method", choices=list(METHODS), help="default slic, or masks with --masks"
    )
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", dest="settings",
        help="settings of the method, e.g. segments=150 compactness=6",
    )  # fmt: skip
    parser.add_argument("--masks", help="folder of masks made elsewhere, named as the images")
    parser.add_argument("--root", help="images are named by their paths below it")
    parser.add_argument("--workers", type=int, default=processors(), help="default %(default)s")
    parser.add_argument(
        "--check", action="store_true", help="make nothing; list what is missing or damaged"
    )


def run(options: argparse.Namespace) -> int:
    """Run the command on images; returns its exit code.

    Raises:
        ConfigError: for wrong settings, or a training's config: `engine.superpixels` runs these.
    """
    if not options.out:
        raise ConfigError("no folder to write to", remedy="give it behind the images")
    root, masks = (Path(p) if p else None for p in (options.root, options.masks))
    items = list_items(options.images, root=root, masks=masks, without=Path(options.out))
    method = _method(options, items)
    bar = Bar(len(items))
    with StopRequest() as stop, bar:
        settings: dict[str, Any] = {
            "workers": min(options.workers, len(items)),
            "report": bar.show,
            "stopping": lambda: stop.requested,
        }
        if options.check:
            chosen = method if options.method or options.settings else None
            summary = check(items, Path(options.out), chosen, **settings)
        else:
            summary = prepare(items, Path(options.out), method, **settings)
    return finish(summary, len(items))


def finish(summary: Summary, images: int) -> int:
    """Say what became of all images; returns the exit code."""
    for name, problem in sorted(summary.problems.items()):
        print(f"{name}: {problem}", file=sys.stderr)
    print(_described(summary, images))
    if not summary.complete:
        print("stopped; the same command continues", file=sys.stderr)
        return EXIT_STOPPED
    return EXIT_PROBLEMS if summary.problems else 0


def _method(options: argparse.Namespace, items: list[Item]) -> Method:
    from_masks = len(items[0].files) > 1
    name = options.method or ("masks" if from_masks else "slic")
    if (name == "masks") != from_masks:
        raise ConfigError(
            f"method {name} {'without' if name == 'masks' else 'takes no'} masks",
            remedy="--masks names the folder of masks made elsewhere, for the method masks alone",
        )
    return method_of(name, options.settings)


def _described(summary: Summary, images: int) -> str:
    sound = len(summary.entries)
    text = f"{images} images: {sound} have superpixels ({summary.made} made now)"
    missing = len(summary.problems)
    return f"{text}, {missing} have none" if missing else text


class Bar(ProgressBar):
    """Progress of the job."""

    def __init__(self, total: int) -> None:
        super().__init__("superpixels")
        self.total = total

    def show(self, summary: Summary, done: int | None = None) -> None:
        """Show how far it is: by images, unless it is said what is done."""
        done = len(summary.entries) + len(summary.problems) if done is None else done
        self.advance(done, self.total, f"{summary.made} made, {len(summary.problems)} in trouble")
