from __future__ import annotations

import numpy as np
import pytest

from sensorfusion.errors import ClockError, ConfigError, DataError, UnitError
from sensorfusion.geometry.clock import Clock
from sensorfusion.sensors.imu import GravityDegrees, StandardiseImu
from sensorfusion.sensors.imu_augment import (
    JitterImu,
    PermuteSegments,
    RotateImu,
    ScaleImu,
    ShuffleChannels,
    cmkm_imu_augmentations,
)
from sensorfusion.sensors.transform import apply_all
from tests.sensors.windows import imu, sample, skeleton


def generator():
    return np.random.default_rng(3)


def test_si_becomes_g_and_degrees():
    window = imu().replace(
        acceleration=np.full((20, 3), 9.80665, np.float32),
        angular_rate=np.full((20, 3), np.pi, np.float32),
    )
    converted = GravityDegrees().prepare(window)
    np.testing.assert_allclose(converted.acceleration, 1.0, rtol=1e-6)
    np.testing.assert_allclose(converted.angular_rate, 180.0, rtol=1e-6)
    assert converted.unit == "g, deg/s"
    with pytest.raises(UnitError, match=r"imu\.mat"):
        GravityDegrees().prepare(converted)


def test_fitted_statistics_standardise_the_windows_they_were_fitted_on():
    windows = [
        imu(30, seed=s).replace(acceleration=5 + 2 * imu(30, s).acceleration) for s in (1, 2)
    ]
    fitted = StandardiseImu.fit(windows)
    rows = np.concatenate([fitted.prepare(w).channels for w in windows])
    np.testing.assert_allclose(rows.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(rows.std(axis=0), 1.0, atol=1e-5)
    assert fitted.mean[0] == pytest.approx(5.0, abs=1.0)
    with pytest.raises(UnitError, match="standard deviations"):
        fitted.prepare(fitted.prepare(windows[0]))


def test_a_channel_that_does_not_vary_does_not_become_infinite():
    flat = imu().replace(acceleration=np.ones((20, 3), np.float32))
    assert np.isfinite(StandardiseImu.fit([flat]).prepare(flat).channels).all()


def test_permutation_moves_segments_of_time_and_keeps_channels_together():
    window = imu(20)
    moved = PermuteSegments().apply(window, np.array([1, 0]))
    np.testing.assert_array_equal(moved.channels, np.roll(window.channels, 10, axis=0))


def test_permutation_of_the_release_moves_channels():
    window = imu(20)
    moved = PermuteSegments(released_axes=True).apply(window, np.array([1, 0]))
    np.testing.assert_array_equal(moved.acceleration, window.angular_rate)


def test_channel_shuffle_keeps_time():
    window = imu(20)
    order = np.array([5, 0, 1, 2, 3, 4])
    shuffled = ShuffleChannels().apply(window, order)
    np.testing.assert_array_equal(shuffled.channels, window.channels[:, order])
    assert len(ShuffleChannels().draw(window, generator())) == 6
    assert len(ShuffleChannels(released_axes=True).draw(window, generator())) == 20


def test_scale_is_one_factor_per_channel_unless_elementwise():
    window = imu(50)
    ratio = ScaleImu(sigma=0.3).apply(window, ScaleImu(sigma=0.3).draw(window, generator()))
    factors = ratio.channels / window.channels
    np.testing.assert_allclose(factors, np.broadcast_to(factors[:1], factors.shape), rtol=1e-4)
    assert np.ptp(factors[0]) > 0.05
    elementwise = ScaleImu(sigma=0.3, elementwise=True).draw(window, generator())
    assert elementwise.shape == (50, 6)
    assert elementwise.mean() == pytest.approx(1.0, abs=0.1)


def test_jitter_has_its_own_deviation_for_acceleration_and_rate():
    noise = JitterImu(sigma=(0.1, 10.0)).draw(imu(2000), generator())
    assert noise[:, :3].std() == pytest.approx(0.1, rel=0.1)
    assert noise[:, 3:].std() == pytest.approx(10.0, rel=0.1)


def test_rotation_turns_both_vectors_alike_and_keeps_lengths_and_angles():
    window = imu(30)
    augmentation = RotateImu(degrees=40)
    turned = augmentation.apply(window, augmentation.draw(window, generator()))

    def products(w):
        return (
            np.linalg.norm(w.acceleration, axis=1),
            np.linalg.norm(w.angular_rate, axis=1),
            np.sum(w.acceleration * w.angular_rate, axis=1),
        )

    assert np.abs(turned.channels - window.channels).max() > 0.1
    np.testing.assert_allclose(products(turned), products(window), rtol=1e-4, atol=1e-5)


def test_published_augmentations_run_and_are_reproducible():
    for released in (False, True):
        chain = cmkm_imu_augmentations(released_axes=released)
        first, again = (
            apply_all(chain, sample(imu=imu()), np.random.default_rng(5)) for _ in range(2)
        )
        other = apply_all(chain, sample(imu=imu()), np.random.default_rng(6))
        values = [s.frames[0].readings["imu"].channels for s in (first, again, other)]
        np.testing.assert_array_equal(values[0], values[1])
        assert not np.array_equal(values[0], values[2])


def test_wrong_shape_dtype_value_and_clock_are_named():
    window = imu()
    with pytest.raises(DataError, match=r"angular_rate of imu\.mat"):
        window.replace(angular_rate=window.angular_rate[:, :2])
    with pytest.raises(DataError, match="float64"):
        window.replace(acceleration=window.acceleration.astype(np.float64))
    broken = window.acceleration.copy()
    broken[7] = np.nan
    with pytest.raises(DataError, match="row 7"):
        window.replace(acceleration=broken)
    with pytest.raises(ClockError, match="19 times for 20 rows"):
        window.replace(clock=Clock.fraction(19))


def test_a_transform_for_another_type_of_sensor_is_refused():
    with pytest.raises(ConfigError, match=r"ImuWindow.*'body' is a SkeletonWindow"):
        RotateImu(sensors=("body",))(sample(body=skeleton()), generator())
