"""Which measurements of segmentation are compared, and how they are written down."""

from __future__ import annotations

import pytest

from sensorfusion.evaluation.segmentation_results import (
    PRETRAINED,
    RANDOM,
    Budget,
    Measurement,
    by_budget,
    gains_of,
    read,
    table,
    write,
)
from sensorfusion.report.results import results


def measurement(start: str, miou: float, **changes) -> Measurement:
    settings = {
        "start": start,
        "protocol": "finetune",
        "fraction": 0.01,
        "seed": 0,
        "miou": miou,
        "iou": {"car": miou, "bus": None},
        "scans": 1,
        "settings": {"steps": 100},
        "config_hash": "c",
        "checkpoint_hash": "new" if start == PRETRAINED else "",
        "versions": {},
        "command": "tools/segment.py",
    }
    return Measurement(**(settings | changes))


MEASURED = [
    measurement(PRETRAINED, 1.0, checkpoint_hash="old"),
    measurement(PRETRAINED, 2.0, checkpoint_hash="old", seed=1),
    measurement(RANDOM, 20.0),
    measurement(RANDOM, 21.0, seed=1),
    measurement(RANDOM, 23.0, settings={"steps": 200}),
    measurement(PRETRAINED, 26.0),
    measurement(PRETRAINED, 24.0, settings={"steps": 200}),
    measurement(PRETRAINED, 30.0, protocol="linear", fraction=1.0, settings={"points": 4096}),
    measurement(PRETRAINED, 5.0, changes=("finetune.learning_rate=0.0",)),
]


def test_budgets_are_apart_and_old_weights_left_out() -> None:
    found = by_budget(MEASURED)
    hundred, twice = Budget("finetune", 0.01, 100), Budget("finetune", 0.01, 200)
    changed = hundred._replace(changes=("finetune.learning_rate=0.0",))
    assert list(found) == [hundred, twice, Budget("linear", 1.0, None), changed]
    assert {seed: m.miou for seed, m in found[hundred][PRETRAINED].items()} == {0: 26.0}
    assert {seed: m.miou for seed, m in found[hundred][RANDOM].items()} == {0: 20.0, 1: 21.0}
    assert gains_of(found[hundred]) == {0: 6.0}
    assert gains_of(found[twice]) == {0: 1.0}


def test_only_floors() -> None:
    floors = [m for m in MEASURED if m.start == RANDOM]
    assert [gains_of(starts) for starts in by_budget(floors).values()] == [{}, {}]
    assert "*random*" in table(floors)
    assert by_budget([]) == {}


def test_the_table() -> None:
    lines = table(MEASURED).splitlines()
    assert "| fine-tuning, 1 % of the labels, 100 steps | pretrained | 26.0 | 1 | 1 |" in lines
    assert "| fine-tuning, 1 % of the labels, 100 steps | *random* | 20.5 ± 0.7 | 2 | 1 |" in lines
    assert "- fine-tuning, 1 % of the labels, 200 steps: +1.0" in lines
    assert "| linear probe, 100 % of the labels | pretrained | 30.0 | 1 | 1 |" in lines
    changed = "fine-tuning, 1 % of the labels, 100 steps (finetune.learning_rate=0.0)"
    assert f"| {changed} | pretrained | 5.0 | 1 | 1 |" in lines
    assert "| bus | - | - | - | - | - | - |" in lines


def test_a_page_shows_the_configs_own_settings(tmp_path) -> None:
    assert results(tmp_path / "segmentation.json") is None
    write(tmp_path / "segmentation.json", MEASURED[-1:])
    assert results(tmp_path / "segmentation.json") is None
    write(tmp_path / "segmentation.json", MEASURED)
    assert read(tmp_path / "segmentation.json") == MEASURED
    tasks = results(tmp_path / "segmentation.json")["tasks"]
    assert len(tasks) == 3
    starts = {start["start"]: start for start in tasks[0]["starts"]}
    assert tasks[0]["title"] == "fine-tuning, 1 % of the labels, 100 steps"
    assert starts[PRETRAINED] == {
        "start": PRETRAINED,
        "scans": 1,
        "mean": 26.0,
        "deviation": None,
        "seeds": 1,
    }
    assert starts[RANDOM]["mean"] == pytest.approx(20.5)
    assert tasks[0]["gains"] == [{"seed": 0, "gain": 6.0}]
