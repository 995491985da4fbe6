"""The driver: contenders x splits x seeds x protocols, computing only what is missing."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

import sensorfusion
from sensorfusion.errors import ConfigError
from sensorfusion.evaluation.contenders import Contender, Source
from sensorfusion.evaluation.embed import Embeddings
from sensorfusion.evaluation.leave_one_out import Split
from sensorfusion.evaluation.protocols import Score, Settings
from sensorfusion.evaluation.protocols import protocol as known_protocol
from sensorfusion.evaluation.report import Entry, Measured, Report, entry_key

Method = Callable[[Split, int], Contender]  # the contender for a split and a seed


def evaluate(
    methods: Sequence[Method],
    splits: Sequence[Split],
    source: Source,
    report: Report,
    *,
    protocols: Sequence[str],
    seeds: Sequence[int] = (0,),
    settings: Settings | None = None,
    command: str = "",
    allow_seen: bool = False,
    log: Callable[[str], object] = print,
) -> int:
    """Evaluate everything that the report does not hold yet; returns how many entries were added.

    Args:
        methods: give the contender for a split and a seed: a leave-one-out fold needs weights
            whose pretraining left the same subject out.
        allow_seen: permit test subjects that the pretraining saw (without labels); results
            keep the pretraining subjects either way.

    Raises:
        ConfigError: an unknown protocol, no split or seed, or test subjects that were seen.
    """
    settings = settings or Settings()
    for name in protocols:
        known_protocol(name)
    if not (methods and splits and seeds and protocols):
        raise ConfigError("nothing to evaluate: give methods, splits, seeds and protocols")
    added = 0
    for contender, split, seed in _jobs(methods, splits, seeds):
        _require_unseen(contender, split, allow_seen)
        for name in protocols:
            key = entry_key(
                contender.config_hash,
                contender.checkpoint_hash,
                name,
                split.name,
                seed,
                settings.record(),
            )
            title = f"{contender.name}: {name}, split {split.name}, seed {seed}"
            if not contender.takes(name):
                continue
            if key in report:
                log(f"have  {title}")
                continue
            entry = _entry(contender, split, name, settings, source, seed, command)
            report.add(entry)
            added += 1
            log(f"added {title}: {_brief(entry)}")
    return added


def versions() -> dict[str, str]:
    """Versions of what computes the numbers."""
    return {
        "sensorfusion": sensorfusion.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def _jobs(
    methods: Sequence[Method], splits: Sequence[Split], seeds: Sequence[int]
) -> Iterator[tuple[Contender, Split, int]]:
    for method in methods:
        last: Contender | None = None
        for seed in seeds:
            for split in splits:
                contender = method(split, seed)
                # The same weights keep their features in memory from fold to fold.
                if last is not None and contender.checkpoint_hash == last.checkpoint_hash:
                    contender = last
                last = contender
                yield contender, split, seed


def _entry(
    contender: Contender,
    split: Split,
    name: str,
    settings: Settings,
    source: Source,
    seed: int,
    command: str,
) -> Entry:
    scored = list(contender.scores(name, split, settings, source, seed))
    everyone = source.data((*split.train, *split.validation, *split.test))
    subjects = [everyone[i].keys[settings.key] for i in range(len(everyone))]
    return Entry(
        method=contender.name,
        floor=contender.floor,
        protocol=name,
        split=split.record(),
        counts={
            part: sum(subject in members for subject in subjects)
            for part, members in (
                ("train", split.train),
                ("validation", split.validation),
                ("test", split.test),
            )
        },
        seed=seed,
        settings=settings.record(),
        config_hash=contender.config_hash,
        checkpoint_hash=contender.checkpoint_hash,
        seen=None if contender.seen is None else list(contender.seen),
        versions=versions(),
        command=command,
        scores=[_measured(score, test, settings) for score, test in scored],
        recipe_hash=contender.recipe_hash,
        class_names=tuple(getattr(everyone, "class_names", {}).get(settings.label, ())),
    )


def _measured(score: Score, test: Embeddings, settings: Settings) -> Measured:
    held = test.select(score.rows)
    clips = {
        "id": list(held.ids),
        "subject": held.key(settings.key).tolist(),
        "value": score.values.tolist(),
    }
    if score.predictions is not None:
        clips["label"] = held.label(settings.label).tolist()
        clips["prediction"] = score.predictions.tolist()
    return Measured(protocol=score.protocol, metrics=dict(score.metrics), clips=clips)


def _require_unseen(contender: Contender, split: Split, allowed: bool) -> None:
    seen = sorted(set(contender.seen or ()) & set(split.test))
    if seen and not allowed:
        raise ConfigError(
            f"{contender.name!r} was pretrained on the test subjects {seen}",
            where=f"split {split.name}",
            remedy="give a run that left them out, e.g. a path with {held_out} for leave-one-out, "
            "or allow it with --allow-seen, which the results record",
        )


def _brief(entry: Entry) -> str:
    first = [(score.protocol, *next(iter(score.metrics.items()))) for score in entry.scores]
    return ", ".join(f"{protocol} {name} {value:.4f}" for protocol, name, value in first)
