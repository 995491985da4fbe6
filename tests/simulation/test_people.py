"""Bodies that act: bones, feet, limits and smoothness; and what they wear feels their motion."""

from __future__ import annotations

import numpy as np
import pytest

from sensorfusion.geometry.rotation import rotation_about, rotation_vector
from sensorfusion.sensors.imu import STANDARD_GRAVITY
from sensorfusion.sensors.skeleton import KINECT_V1
from sensorfusion.simulation.actions import CONTROLS, LIMITS, NAMES, within_limits
from sensorfusion.simulation.body import crowd, make_person, pose
from sensorfusion.simulation.gait import STANCE
from sensorfusion.simulation.kinematics import ANKLE_HEIGHT, BALL, HEEL, JOINT, SIDES, bones
from sensorfusion.simulation.worn import STRAPPED, Wear, sensor_path, worn

GRAVITY = np.array([0.0, 0.0, STANDARD_GRAVITY])


def person(action: str, seed: int = 0, **more):
    own, now = np.random.default_rng([seed, 0]), np.random.default_rng([seed, 1])
    return make_person(own, now, action, 0.4, **more)


def posed(one, seconds, **more):
    return pose(one.take(np.zeros(len(seconds), dtype=np.int64)), seconds, **more)


def times(one, step: float = 0.02):
    return np.arange(0.0, 0.8 + float(one.seconds_N[0]), step)


@pytest.mark.parametrize("action", NAMES)
def test_bones_keep_their_lengths_and_rotations_are_rotations(action):
    one = person(action)
    found = posed(one, times(one))
    ends = found.joints_NJ3 - found.joints_NJ3[:, list(KINECT_V1.parents)]
    turned = np.einsum("njab,jb->nja", found.rotation_NJ33, one.bones_NJ3[0])
    np.testing.assert_allclose(ends, turned, atol=1e-12)
    square = np.swapaxes(found.rotation_NJ33, 2, 3) @ found.rotation_NJ33
    np.testing.assert_allclose(square, np.broadcast_to(np.eye(3), square.shape), atol=1e-9)
    assert np.linalg.det(found.rotation_NJ33).min() > 0.99


def test_a_body_at_rest_stands_upright_with_its_left_on_its_left():
    one = person("stand")
    joints = posed(one, np.array([0.0])).joints_NJ3[0]
    height = 1.75 * float(one.size_N[0])
    assert joints[JOINT["head"], 2] == pytest.approx(0.94 * height, rel=0.04)
    for part in ("shoulder", "hip", "wrist", "knee", "foot"):
        assert joints[JOINT[f"left_{part}"], 1] > joints[JOINT[f"right_{part}"], 1]
    assert joints[JOINT["left_foot"], 0] > joints[JOINT["left_ankle"], 0]
    np.testing.assert_array_equal(np.abs(bones()), np.abs(bones()[list(KINECT_V1.mirrored)]))


@pytest.mark.parametrize("speed", [0.8, 1.3, 1.7])
def test_feet_stay_on_their_footprints_while_the_body_goes_on(speed):
    one = person("stand", pace=speed)
    seconds = np.arange(0.0, 4.0, 0.005)
    found = posed(one, seconds)
    gone = found.joints_NJ3[-1, JOINT["hip_centre"], 0] - found.joints_NJ3[0, 3, 0]
    assert gone == pytest.approx(speed * seconds[-1], abs=0.12)
    size = float(one.size_N[0])
    for side in SIDES:
        u = one.walk.stride(seconds, side) % 1.0
        ankle, turn = (
            array[:, JOINT[f"{side}_{part}"]]
            for array, part in ((found.joints_NJ3, "ankle"), (found.rotation_NJ33, "foot"))
        )
        ends = [ankle + turn @ (size * np.array([x, 0.0, -ANKLE_HEIGHT])) for x in (-HEEL, BALL)]
        lowest = np.minimum(*(end[:, 2] for end in ends))
        assert lowest.min() > -0.03  # nothing sinks into the ground
        standing = u < 0.8 * STANCE
        assert lowest[standing].max() < 0.03
        # What touches the ground stands still, to within a tenth of the speed of walking.
        slide = np.minimum(
            *(np.linalg.norm(np.gradient(end, 0.005, axis=0), axis=1) for end in ends)
        )
        assert np.median(slide[standing]) < 0.05 * speed
        assert slide[standing].max() < 0.25 * speed
    length = speed / float(one.walk.cadence_N[0])
    step = np.abs(found.joints_NJ3[:, JOINT["left_foot"], 0] - found.joints_NJ3[:, 19, 0]).max()
    assert step == pytest.approx(0.5 * length, rel=0.25)


@pytest.mark.parametrize("action", NAMES)
def test_knees_and_elbows_bend_only_the_way_they_can(action):
    for seed in range(3):
        one = person(action, seed)
        found = posed(one, times(one))
        for side in SIDES:
            for first, second in (("knee", "ankle"), ("wrist", "elbow")):
                upper, lower = (
                    found.rotation_NJ33[:, JOINT[f"{side}_{part}"]] for part in (first, second)
                )
                bend = np.swapaxes(upper, 1, 2) @ lower
                angle = np.arctan2(bend[:, 0, 2], bend[:, 0, 0])  # about the hinge, y
                assert angle.min() > -0.01
                assert angle.max() < 2.75
                np.testing.assert_allclose(bend[:, 1, 1], 1.0, atol=1e-9)


def test_controls_stay_within_their_limits():
    table = np.linspace(-9, 9, 181)[:, None] * np.ones(len(CONTROLS))
    inside = within_limits(table)
    for number, name in enumerate(CONTROLS):
        low, high = LIMITS[name.partition("_")[2] or name]
        assert inside[:, number].min() >= low - 1e-9
        assert inside[:, number].max() <= high + 1e-9
        assert (np.diff(inside[:, number]) >= 0).all()


@pytest.mark.parametrize("action", NAMES)
def test_acceleration_is_continuous(action):
    """Halving the step halves the change of the second difference from step to step."""
    one = person(action, 2)
    jumps = []
    for step in (2e-3, 5e-4):
        path = posed(one, times(one, step)).joints_NJ3
        second = np.diff(path, 2, axis=0) / step**2
        jumps.append(np.abs(np.diff(second, axis=0)).max())
    assert jumps[1] < 0.5 * jumps[0] + 0.02


def test_a_jump_falls_freely_and_a_picker_reaches_the_ground():
    one = person("jump")
    seconds = times(one, 0.005)
    found = posed(one, seconds).joints_NJ3
    feet = found[:, [JOINT["left_foot"], JOINT["right_foot"]], 2]
    assert feet.min(axis=1).max() > 0.12 * float(one.size_N[0])
    hips = np.gradient(np.gradient(found[:, JOINT["hip_centre"], 2], 0.005), 0.005)
    high = feet.min(axis=1) > 0.8 * feet.min(axis=1).max()
    assert hips[high].mean() == pytest.approx(-STANDARD_GRAVITY, rel=0.35)
    one = person("pick_up")
    hand = "left" if one.hand_N[0] > 0 else "right"
    assert posed(one, times(one)).joints_NJ3[:, JOINT[f"{hand}_hand"], 2].min() < 0.3


def test_a_turn_turns_and_sitting_sits():
    one = person("turn")
    found = posed(one, np.array([0.0, float(one.walk.until_N[0]) + 0.5]))
    ahead = found.rotation_NJ33[:, JOINT["hip_centre"], :, 0]
    angle = np.arctan2(np.cross(ahead[0], ahead[1])[2], ahead[0] @ ahead[1])
    turned = float(one.walk.angle_N[0])
    assert np.cos(angle - turned) > 0.99
    feet = found.rotation_NJ33[1, JOINT["left_foot"], :, 0]
    assert feet[:2] @ ahead[1, :2] > 0.8  # the feet have come along
    one = person("sit_down")
    heights = posed(one, np.array([0.0, 0.4 + float(one.seconds_N[0])])).joints_NJ3[:, 3, 2]
    assert 0.45 < heights[1] / heights[0] < 0.65


def test_people_differ_and_each_is_always_the_same():
    table = crowd([person("wave", seed) for seed in range(4)])
    found = pose(table, np.full(4, 1.5))
    again = pose(table.take(np.array([2, 0])), np.full(2, 1.5))
    np.testing.assert_array_equal(found.joints_NJ3[[2, 0]], again.joints_NJ3)
    np.testing.assert_array_equal(
        found.joints_NJ3[1], posed(person("wave", 1), np.array([1.5])).joints_NJ3[0]
    )
    assert len(np.unique(table.size_N)) == 4


WEAR = Wear("right_wrist", rotation_about((1, 2, 3), 0.7), np.array([0.01, -0.03, 0.02]))


@pytest.mark.parametrize("action", ["wave", "walk", "jump", "sit_down"])
@pytest.mark.parametrize("joint", ["right_wrist", "right_knee"])
def test_the_worn_sensor_feels_the_second_derivative_and_gravity(action, joint):
    """Against a fourth-order difference with another step: within 0.05 m/s^2 and 0.005 rad/s."""
    one, wear = person(action), Wear(joint, WEAR.mount_33, WEAR.lever_3)
    seconds = np.arange(0.3, 0.5 + float(one.seconds_N[0]), 0.05)
    force, rate = worn(one, seconds, wear)
    step = 1e-3
    around = [sensor_path(one, seconds + k * step, wear) for k in (-2, -1, 0, 1, 2)]
    weights = np.array([-1.0, 16.0, -30.0, 16.0, -1.0]) / (12.0 * step**2)
    acceleration = sum(w * place for w, (place, _) in zip(weights, around, strict=True))
    turn = around[2][1]
    expected = np.einsum("tji,tj->ti", turn, acceleration + GRAVITY)
    np.testing.assert_allclose(force, expected, atol=0.05)
    slopes = np.array([1.0, -8.0, 0.0, 8.0, -1.0]) / (12.0 * step)
    change = sum(w * turned for w, (_, turned) in zip(slopes, around, strict=True))
    spin = np.swapaxes(turn, 1, 2) @ change  # R^T dR/dt: the cross product with the rate
    np.testing.assert_allclose(
        rate, np.stack([spin[:, 2, 1], spin[:, 0, 2], spin[:, 1, 0]], axis=1), atol=0.005
    )
    assert np.ptp(force, axis=0).max() > 0.1


def test_the_worn_sensor_integrates_back_to_its_path():
    """Strapdown integration over a second of waving."""
    one, step = person("wave"), 2e-3
    seconds = 0.9 + (np.arange(500) + 0.5) * step
    force, rate = worn(one, seconds, WEAR)
    around = np.array([0.9 - 1e-4, 0.9, 0.9 + 1e-4])
    place, turn = sensor_path(one, around, WEAR)
    rotation, here, velocity = turn[1], place[1].copy(), (place[2] - place[0]) / 2e-4
    for f, w in zip(force, rate, strict=True):
        half = rotation_about(w, float(np.linalg.norm(w)) * step / 2)
        acceleration = rotation @ half @ f - GRAVITY
        here += velocity * step + acceleration * step**2 / 2
        velocity = velocity + acceleration * step
        rotation = rotation @ half @ half
    final, turned = sensor_path(one, np.array([1.9]), WEAR)
    assert np.linalg.norm(here - final[0]) < 5e-3
    assert np.linalg.norm(rotation_vector(rotation.T @ turned[0])) < 1e-3


def test_a_resting_sensor_measures_gravity_and_noise_has_its_size():
    one = person("stand")
    seconds = np.arange(100) * 0.01
    force, rate = worn(one, seconds, WEAR)
    assert np.linalg.norm(force, axis=1).mean() == pytest.approx(STANDARD_GRAVITY, abs=0.1)
    noisy, _ = worn(one, seconds, WEAR, generator=np.random.default_rng(0))
    np.testing.assert_array_equal(noisy, force)  # no noise is the default
    noisy, turned = worn(one, seconds, WEAR, STRAPPED, np.random.default_rng(0))
    assert 0.09 < (noisy - force).std(axis=0).mean() < 0.15
    assert 0.015 < (turned - rate).std(axis=0).mean() < 0.025
