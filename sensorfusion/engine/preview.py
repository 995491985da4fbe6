"""`preview`: what the model will see first, before hours are spent on it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sensorfusion.datasets.dataset import uncached
from sensorfusion.engine.runner import training_data
from sensorfusion.report.preview import write_preview
from sensorfusion.sample import Sample

SAMPLES = 2  # more are not drawn


def preview(config: Mapping[str, Any], path: str | Path) -> int:
    """Write the first samples of a run, after all transforms; trains nothing.

    Args:
        config: as `read_recipe` returns it. path: a file for `write_preview`.

    Returns:
        Exit code 0.

    Raises:
        ConfigError, DataError: when the data cannot be read or drawn.
    """
    for line in write_preview(first_samples(config), Path(path)):
        print(line)
    return 0


def first_samples(config: Mapping[str, Any]) -> list[Sample]:
    """The samples with which the first batch begins, without reading any other."""
    lazy = {**config["data"], "train": uncached(config["data"]["train"])}
    loaded, plan, _ = training_data({**config, "data": lazy})
    samples = []
    for key in plan.batch(0)[:SAMPLES]:
        item = loaded[key]
        if item.sample is None:
            raise item.failures[-1].error
        samples.append(item.sample)
    return samples
