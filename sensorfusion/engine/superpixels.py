"""Superpixels of the images that a config's data set has, in the folders that it names."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from sensorfusion.datasets.dataset import Dataset, Uncached, uncached
from sensorfusion.engine.config import build
from sensorfusion.engine.recipe import read_recipe
from sensorfusion.errors import ConfigError, DataError
from sensorfusion.files import alone_in
from sensorfusion.jobs import call_all
from sensorfusion.sensors.camera_prepared import Picture, PreparedSuperpixels
from sensorfusion.sensors.transform import Transform, Transforms, apply_all, flat
from sensorfusion.signals import StopRequest
from sensorfusion.superpixels.command import Bar, finish
from sensorfusion.superpixels.folder import SuperpixelFolder, open_or_create
from sensorfusion.superpixels.masks import Masks
from sensorfusion.superpixels.prepare import Outcome, Summary
from sensorfusion.superpixels.slic import Slic


@dataclass(frozen=True)
class Source:
    """Where images come from: a data set, transforms before the look-up, and the look-up."""

    dataset: Dataset
    before: tuple[Transform, ...]
    step: PreparedSuperpixels


def sources(config: Mapping[str, Any], where: str = "") -> list[Source]:
    """What a filled config's training looks up, in the order in which it can be made.

    Raises:
        ConfigError: when that is nothing, or masks, which are made elsewhere.
    """
    data = config["data"]
    dataset = build(uncached(data["train"]), "data.train")
    found = _sources(dataset, build(list(data["transforms"]), "data.transforms"))
    if not found:
        raise ConfigError(
            "a config that looks up no superpixels",
            where=where,
            remedy="give its data the transform sensors.camera_prepared.PreparedSuperpixels",
        )
    masked = [source.step.command for source in found if isinstance(source.step.method, Masks)]
    if masked:
        raise ConfigError(
            "masks are made elsewhere, and the config does not say where they are",
            where=where,
            remedy=masked[0],
        )
    return found


def _sources(dataset: Dataset, transforms: Transforms) -> list[Source]:
    steps = list(flat(transforms))
    looked_up = [(i, step) for i, step in enumerate(steps) if isinstance(step, PreparedSuperpixels)]
    inner = _sources(dataset.dataset, dataset.transforms) if isinstance(dataset, Uncached) else []
    return [*inner, *(Source(dataset, tuple(steps[:i]), step) for i, step in looked_up)]


def prepare_source(
    source: Source,
    *,
    make: bool = True,
    workers: int = 1,
    report: Callable[[Summary, int], None] = lambda *_: None,
    stopping: Callable[[], bool] = lambda: False,
) -> Summary:
    """Make the superpixels of all images that have none, or list these.

    Args:
        make: False: only look. workers: processes; the files are the same for any number.
        report: called after every sample, with how many are done.
        stopping: asked between samples; True ends the job early.

    Raises:
        ConfigError: when the folder has other settings, is in use, or cannot be written.
        PreparationError: when there is no folder to look at.
    """
    step, path = source.step, Path(source.step.folder)
    if not make:
        return _examined(source, step.opened(), False, workers, report, stopping)
    folder = open_or_create(path, step.method)
    with alone_in(path, "prepares superpixels"):
        summary = _examined(source, folder, True, workers, report, stopping)
        kept = {k: v for k, v in folder.manifest().items() if k not in summary.problems}
        folder.write_manifest({**kept, **summary.entries})
    return summary


def _examined(
    source: Source,
    folder: SuperpixelFolder,
    make: bool,
    workers: int,
    report: Callable[[Summary, int], None],
    stopping: Callable[[], bool],
) -> Summary:
    size, summary, done = len(source.dataset), Summary(), 0
    calls = ((source, folder, index, make) for index in range(size))
    where = str(folder.path)
    for outcomes in call_all(
        examine_sample, calls, workers=min(workers, size), stopping=stopping, where=where
    ):
        for outcome in outcomes:
            summary.add(outcome)
        done += 1
        report(summary, done)
    summary.complete = done == size
    return summary


def examine_sample(
    source: Source, folder: SuperpixelFolder, index: int, make: bool
) -> list[Outcome]:
    """Keep or make the superpixels of a sample's images, or say what is wrong with each."""
    step, outcomes = source.step, []
    try:
        unused = np.random.default_rng(0)  # what is random before is refused when it is trained
        sample = apply_all(source.before, source.dataset[index], unused)
        for reading in step.readings(sample):
            outcomes += [_examine(step, folder, p, make) for p in step.pictures(reading)]
    except DataError as error:
        outcomes.append(Outcome(f"sample {index}", problem=str(error)))
    return outcomes


def _examine(
    step: PreparedSuperpixels, folder: SuperpixelFolder, picture: Picture, make: bool
) -> Outcome:
    key = cast(str, step.key(folder, picture))
    try:
        return Outcome(picture.name, folder.entry(picture.name, key))
    except DataError as error:
        if not make:
            return Outcome(picture.name, problem=str(error))
    if picture.pixels_HW3 is None:
        labels_HW = step.method.labels((picture.content,), picture.name)
    else:
        labels_HW = cast(Slic, step.method).segment(picture.pixels_HW3)
    return Outcome(picture.name, folder.save(picture.name, key, labels_HW), made=True)


def run(options: argparse.Namespace) -> int:
    """`tools/prepare.py superpixels CONFIG.py`: what a training looks up; returns the exit code.

    Raises:
        ConfigError: for settings beside the config, which has them all.
    """
    if any((options.out, options.method, options.settings, options.masks, options.root)):
        raise ConfigError(
            "settings beside a config, which has them all",
            where=options.images,
            remedy="give the config alone, and change its transform PreparedSuperpixels",
        )
    codes = []
    with StopRequest() as stop:
        for source in sources(read_recipe(options.images), options.images):
            bar = Bar(len(source.dataset))
            with bar:
                summary = prepare_source(
                    source,
                    make=not options.check,
                    workers=options.workers,
                    report=bar.show,
                    stopping=lambda: stop.requested,
                )
            codes.append(finish(summary, len(summary.entries) + len(summary.problems)))
    return max(codes)
