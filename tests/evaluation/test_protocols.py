"""Protocols on features whose sensors know different things."""

from __future__ import annotations

import torch

from sensorfusion.evaluation.probe import FUSION
from sensorfusion.evaluation.protocols import Parts, Settings, single_sensor
from tests.evaluation.synthetic import embeddings, separable

QUICK = {"epochs": 30, "learning_rate": 1e-2}
SETTINGS = Settings(
    fusion=FUSION.replace(**QUICK), single=FUSION.replace(**QUICK, sensor_dropout=0.3)
)


def test_of_three_sensors_each_may_be_missing() -> None:
    """Only the camera knows the class; the other two are noise."""

    def data(seed):
        known = separable(seed=seed, sensors=("camera",))
        draw = torch.Generator().manual_seed(100 + seed)
        noise = {name: torch.randn(120, 6, generator=draw) for name in ("imu", "skeleton")}
        return embeddings({**noise, **known.features}, known.label("action"))

    scores = single_sensor(Parts((data(0),), data(1)), SETTINGS, 0)
    accuracy = {score.protocol: score.metrics["accuracy"] for score in scores}
    assert list(accuracy) == [
        *(f"only {name}" for name in ("imu", "skeleton", "camera")),
        *(f"without {name}" for name in ("imu", "skeleton", "camera")),
        *(f"alone {name}" for name in ("imu", "skeleton", "camera")),
    ]
    informed = {"only camera", "without imu", "without skeleton", "alone camera"}
    assert {name for name, value in accuracy.items() if value > 0.8} == informed
    assert accuracy["without camera"] < 0.5
