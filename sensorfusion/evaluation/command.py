"""The command line of `tools/evaluate.py`."""

from __future__ import annotations

import argparse
import functools
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from sensorfusion.ending import EXIT_ERROR
from sensorfusion.errors import ConfigError, SensorFusionError
from sensorfusion.evaluation.contenders import Contender, floors
from sensorfusion.evaluation.evaluate import Method, evaluate
from sensorfusion.evaluation.leave_one_out import Split, parse_splits
from sensorfusion.evaluation.protocols import PROTOCOLS, Settings
from sensorfusion.evaluation.records import settings_of
from sensorfusion.evaluation.report import Report
from sensorfusion.evaluation.run_folder import RunFolder

FLOORS = ("random", "raw", "supervised")


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    made = argparse.ArgumentParser(
        description="Evaluate runs of tools/pretrain.py and the floors beside them. What --out "
        "already holds is skipped; results.json and results.md there are written anew."
    )
    made.add_argument(
        "runs",
        nargs="*",
        metavar="[NAME=]RUN",
        help="a run's folder; {held_out} and {seed} in it stand for the test subjects of the "
        "split (1 or 2,4,6,8) and the seed",
    )
    made.add_argument("--protocol", nargs="+", default=["fusion"], choices=list(PROTOCOLS))
    made.add_argument(
        "--split",
        default="loso:1,3,5,7",
        help="loso:SUBJECTS, TRAIN/TEST or TRAIN/VALIDATION/TEST; default %(default)s",
    )
    made.add_argument("--seeds", nargs="+", type=int, default=[0])
    made.add_argument("--out", required=True, help="folder of results")
    made.add_argument("--floors", nargs="*", choices=FLOORS, default=list(FLOORS))
    made.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", dest="options",
        help="protocol settings, e.g. fusion.epochs=50 copies=4",
    )  # fmt: skip
    made.add_argument("--merge", nargs="+", default=[], help="take over results of these folders")
    made.add_argument(
        "--confusion", action="store_true", help="write confusion matrices to --out/confusion"
    )
    made.add_argument("--data-root", help="folder of data sets, in place of $SENSORFUSION_DATA")
    made.add_argument(
        "--touch-test", action="store_true", help="permit reserved subjects: the one final test"
    )
    made.add_argument(
        "--allow-seen", action="store_true", help="permit test subjects seen in pretraining"
    )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(given)
    _opened.cache_clear()
    if options.data_root is not None:
        os.environ["SENSORFUSION_DATA"] = options.data_root
    try:
        report = Report(options.out)
        report.merge(options.merge)
        if options.runs:
            _evaluate(options, report, shlex.join(["tools/evaluate.py", *given]))
        elif not options.merge:
            raise ConfigError("no run given", remedy="give a run's folder, or --merge")
        print(report.render())
        if options.confusion:
            report.draw_confusions()
    except SensorFusionError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return EXIT_ERROR
    return 0


def _evaluate(options: argparse.Namespace, report: Report, command: str) -> None:
    splits = parse_splits(options.split, touch_test=options.touch_test)
    for text in options.runs:
        first = _open(text, splits[0], options.seeds[0])[1]
        section = (first.config.get("evaluation") or {}).get("settings") or {}
        settings = settings_of(section, options.options)
        methods = [_run_method(text), *_floor_methods(text, settings, options.floors)]
        evaluate(
            methods,
            splits,
            first.source(),
            report,
            protocols=options.protocol,
            seeds=options.seeds,
            settings=settings,
            command=command,
            allow_seen=options.allow_seen,
            log=lambda line: print(line, flush=True),
        )


def _open(text: str, split: Split, seed: int) -> tuple[str, RunFolder]:
    name, equals, path = text.rpartition("=")
    filled = path.replace("{held_out}", ",".join(map(str, split.test)))
    filled = filled.replace("{seed}", str(seed))
    return name if equals else Path(path).name, _opened(filled)


@functools.cache
def _opened(path: str) -> RunFolder:
    return RunFolder.open(path)  # once per command: hashing reads every weight


def _run_method(text: str) -> Method:
    def method(split: Split, seed: int) -> Contender:
        name, run = _open(text, split, seed)
        return run.contender(name)

    return method


def _floor_methods(text: str, settings: Settings, chosen: Sequence[str]) -> list[Method]:
    def floor(place: int) -> Method:
        def method(split: Split, seed: int) -> Contender:
            _, run = _open(text, split, seed)
            return floors(run.fresh, run.floor_hash, settings.supervised, seed)[place]

        return method

    return [floor(FLOORS.index(name)) for name in chosen]
