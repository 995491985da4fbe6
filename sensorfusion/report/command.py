"""The command line of `tools/report.py`: a page about a run."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from sensorfusion.ending import exit_code

PAGE = "report.html"


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    made = argparse.ArgumentParser(
        description="Write a page about a finished run: results, curves, and its encoders on a "
        "scene. It needs no network; what the run has no data for is left out."
    )
    made.add_argument("run", help="the work folder of tools/pretrain.py")
    made.add_argument("--out", help=f"the file; default RUN/{PAGE}")
    made.add_argument("--sample", type=int, default=0, help="number of the test sample to draw")
    made.add_argument("--no-scene", action="store_true", help="without samples: opens no data")
    made.add_argument("--data-root", help="folder of data sets, in place of $SENSORFUSION_DATA")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    options = parser().parse_args(arguments)
    if options.data_root is not None:
        os.environ["SENSORFUSION_DATA"] = options.data_root

    def run() -> int:
        from sensorfusion.evaluation.report import write
        from sensorfusion.evaluation.run_folder import RunFolder
        from sensorfusion.report.page import html_of, page_of

        path = Path(options.out or Path(options.run) / PAGE)
        opened = RunFolder.open(options.run)
        write(path, html_of(page_of(opened, sample=options.sample, scene=not options.no_scene)))
        print(f"{path} ({path.stat().st_size / 2**20:.1f} MiB)")
        return 0

    return exit_code(run)
