from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from sensorfusion.errors import ConfigError
from sensorfusion.geometry.clock import Clock, ClockKind
from sensorfusion.sensors.resampling import (
    CropResample,
    Resample,
    WarpTime,
    fourier_resample,
    linear_resample,
    nearest_resample,
    resample_clock,
)
from tests.sensors.windows import depth, imu, sample, skeleton


def test_linear_and_nearest_keep_both_ends_and_lie_on_lines():
    ramp = np.linspace(0.0, 9.0, 10)[:, None]
    np.testing.assert_allclose(linear_resample(ramp, 19)[:, 0], np.linspace(0, 9, 19))
    assert nearest_resample(ramp, 4)[:, 0].tolist() == [0, 3, 6, 9]
    np.testing.assert_array_equal(linear_resample(np.ones((1, 2)), 3), np.ones((3, 2)))


def test_fourier_is_scipys():
    draws = np.random.default_rng(0)
    for rows, steps in [
        (37, 50),
        (50, 37),
        (36, 50),
        (50, 36),
        (50, 50),
        (51, 51),
        (2, 9),
        (9, 2),
        (1, 5),
        (100, 50),
    ]:
        values = draws.normal(size=(rows, 2, 3))
        np.testing.assert_allclose(
            fourier_resample(values, steps), signal.resample(values, steps, axis=0), atol=1e-12
        )


def test_fourier_restores_a_periodic_signal_and_linear_does_not_ring():
    period = np.arange(40) / 40
    out = fourier_resample(np.sin(2 * np.pi * 3 * period)[:, None], 50)[:, 0]
    np.testing.assert_allclose(out, np.sin(2 * np.pi * 3 * np.arange(50) / 50), atol=1e-12)
    step = np.repeat([0.0, 1.0], 20)[:, None]
    assert fourier_resample(step, 50).max() > 1.05
    assert linear_resample(step, 50).max() <= 1.0


@pytest.mark.parametrize("method", ["fourier", "linear", "nearest"])
@pytest.mark.parametrize("steps", [7, 20, 31])
def test_the_clock_says_where_the_rows_come_from(method, steps):
    """A signal that is its own time stays its own time (Fourier: away from the ends)."""
    if method == "fourier":
        times = resample_clock(Clock.fraction(20), steps, method).times_T
        np.testing.assert_allclose(times, np.minimum(np.arange(steps) * 20 / steps, 19) / 19)
        return
    times = Clock.fraction(20).times_T
    function = {"linear": linear_resample, "nearest": nearest_resample}[method]
    clock = resample_clock(Clock.fraction(20), steps, method)
    assert clock.kind is ClockKind.FRACTION
    np.testing.assert_allclose(function(times[:, None], steps)[:, 0], clock.times_T)


def test_nanoseconds_stay_exact():
    start = 1_700_000_000_000_000_001
    clock = Clock(ClockKind.ABSOLUTE, start + np.arange(5, dtype=np.int64) * 1000)
    out = resample_clock(clock, 9, "linear")
    assert out.times_T.tolist() == [start + 500 * k for k in range(9)]


def test_every_array_and_kind_of_reading_is_resampled():
    out = Resample(sensors=("imu", "skeleton"), steps=50)(
        sample(imu=imu(33), skeleton=skeleton(12)), np.random.default_rng(0)
    )
    readings = out.frames[0].readings
    assert readings["imu"].acceleration.shape == readings["imu"].angular_rate.shape == (50, 3)
    assert readings["skeleton"].joints.shape == (50, 20, 3)
    assert {r.clock.kind for r in readings.values()} == {ClockKind.FRACTION}


def test_depth_is_not_averaged():
    with pytest.raises(ConfigError, match="nearest"):
        Resample(sensors=("camera",), steps=3, method="linear").prepare(depth())
    out = Resample(sensors=("camera",), steps=3, method="nearest").prepare(depth())
    np.testing.assert_array_equal(out.pixels, depth().pixels[[0, 2, 4]])


def test_crops_stay_inside_and_within_their_shares():
    crop, rng = CropResample(sensors=("imu",), shortest=0.5, longest=0.8), np.random.default_rng(1)
    drawn = np.array([crop.draw(imu(20), rng) for _ in range(300)])
    assert (drawn.min(axis=0) == [0, 10]).all()
    assert drawn[:, 1].max() == 16
    assert drawn.sum(axis=1).max() == 20
    out = crop.apply(imu(20), (5, 10))
    assert out.clock.times_T[0] == pytest.approx(5 / 19)


def test_warped_time_keeps_its_ends_and_runs_forward():
    warp, rng = WarpTime(sensors=("imu",), sigma=0.5), np.random.default_rng(1)
    window = imu(40)
    positions = warp.draw(window, rng)
    assert (np.diff(positions) > 0).all()
    assert np.abs(positions - np.arange(40)).max() > 0.5
    out = warp.apply(window, positions)
    np.testing.assert_allclose(out.channels[[0, -1]], window.channels[[0, -1]], atol=1e-5)
    assert warp.apply(depth(), warp.draw(depth(), rng)).pixels.dtype == np.uint16
