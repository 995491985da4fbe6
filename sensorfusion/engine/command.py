"""The command line of `tools/pretrain.py`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from sensorfusion.ending import exit_code
from sensorfusion.engine.recipe import read_recipe

PREVIEW = "preview.png"


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    made = argparse.ArgumentParser(
        description="Pretrain encoders by a config. The same command continues a run that was"
        " interrupted; a finished run says so. Exit codes: 0 finished, 143 or 130 stopped by"
        " SIGTERM or Ctrl-C after writing a checkpoint, 1 one of our errors."
    )
    made.add_argument("config", help="a config file, e.g. configs/utd_mhad/cmc.py")
    made.add_argument("--work-dir", help="all output; default work_dirs/<config below configs/>")
    made.add_argument("--data-root", help="folder of data sets, in place of $SENSORFUSION_DATA")
    made.add_argument("--launcher", choices=("none", "pytorch", "slurm"), default="none")
    made.add_argument(
        "--cfg-options",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        action="extend",
        help="change the config, e.g. train.epochs=20 loader.workers=2",
    )
    made.add_argument(
        "--allow-change",
        default=[],
        metavar="KEY",
        action="append",
        help="let a run continue although this key of its config has changed",
    )
    made.add_argument(
        "--preview",
        nargs="?",
        const=PREVIEW,
        metavar="FILE",
        help="write the first batch as the model will see it, and end: a picture (.png; default"
        f" <work dir>/{PREVIEW}), coloured points (.ply), or a scene for rerun (.rrd)",
    )
    return made


def default_work_dir(config: str | Path) -> Path:
    """`work_dirs/` and the config's path below its folder `configs`, else its own name alone."""
    parts = Path(config).resolve().with_suffix("").parts
    above = [place for place, part in enumerate(parts[:-1]) if part == "configs"]
    return Path("work_dirs", *parts[above[-1] + 1 :]) if above else Path("work_dirs", parts[-1])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    options = parser().parse_args(arguments)
    if options.data_root is not None:
        os.environ["SENSORFUSION_DATA"] = options.data_root
    work_dir = options.work_dir or default_work_dir(options.config)

    def run() -> int:
        recipe = read_recipe(options.config, options.cfg_options)
        if options.preview is not None:
            from sensorfusion.engine.preview import preview

            default = Path(work_dir) / PREVIEW
            return preview(recipe, default if options.preview == PREVIEW else options.preview)
        from sensorfusion.engine.runner import pretrain

        return pretrain(
            recipe,
            work_dir,
            launcher=options.launcher,
            allow_change=options.allow_change,
        )

    return exit_code(run, "the same command continues from the last checkpoint, if there is one")
