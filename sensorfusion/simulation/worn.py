"""What an inertial sensor that a person wears measures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sensorfusion.sensors.imu import STANDARD_GRAVITY
from sensorfusion.simulation.body import People, pose
from sensorfusion.simulation.kinematics import JOINT
from sensorfusion.simulation.motion import NO_NOISE, InertialNoise

Floats = npt.NDArray[np.float64]
STEP = 5e-4  # seconds, of the central differences
STRAPPED = InertialNoise(force=0.12, rate=0.02, force_bias=0.15, rate_bias=0.02)


@dataclass(frozen=True, eq=False)
class Wear:
    """Where a sensor is on a body.

    Args:
        joint: it sits on the segment that ends in this joint: "right_wrist" on the forearm,
            "right_knee" on the thigh.
        mount_33: rotation from the sensor's axes to the segment's.
        lever_3: from the joint to the sensor, in the segment's axes (m).
    """

    joint: str
    mount_33: Floats
    lever_3: Floats


def sensor_path(person: People, seconds_T: Floats, wear: Wear) -> tuple[Floats, Floats]:
    """Where the sensor is [T, 3] and how it is turned [T, 3, 3], in the person's axes, z up."""
    posed = pose(person.take(np.zeros(len(seconds_T), dtype=np.int64)), seconds_T)
    joint = JOINT[wear.joint]
    segment = posed.rotation_NJ33[:, joint]
    return posed.joints_NJ3[:, joint] + segment @ wear.lever_3, segment @ wear.mount_33


def worn(
    person: People,
    seconds_T: Floats,
    wear: Wear,
    noise: InertialNoise = NO_NOISE,
    generator: np.random.Generator | None = None,
) -> tuple[Floats, Floats]:
    """Specific force (m/s^2) and angular rate (rad/s) [T, 3] in the sensor's axes.

    Both are central differences of the sensor's path; at rest the force is g, upwards. Without a
    generator there is no noise.
    """
    count = len(seconds_T)
    times = np.concatenate([seconds_T - STEP, seconds_T, seconds_T + STEP])
    place, turn = sensor_path(person, times, wear)
    before, now, after = place.reshape(3, count, 3)
    acceleration = (before - 2.0 * now + after) / STEP**2
    acceleration[:, 2] += STANDARD_GRAVITY
    start, middle, end = turn.reshape(3, count, 3, 3)
    force = np.einsum("tji,tj->ti", middle, acceleration)
    rate = _rotation_vectors(np.swapaxes(start, 1, 2) @ end) / (2.0 * STEP)
    if generator is not None:
        biases = generator.standard_normal((2, 3))
        spread = generator.standard_normal((2, count, 3))
        force += noise.force_bias * biases[0] + noise.force * spread[0]
        rate += noise.rate_bias * biases[1] + noise.rate * spread[1]
    return force, rate


def _rotation_vectors(turn_T33: Floats) -> Floats:
    """Axis times angle [T, 3] of small rotations."""
    sine = np.stack(
        [
            turn_T33[:, 2, 1] - turn_T33[:, 1, 2],
            turn_T33[:, 0, 2] - turn_T33[:, 2, 0],
            turn_T33[:, 1, 0] - turn_T33[:, 0, 1],
        ],
        axis=1,
    )
    sine /= 2.0
    size = np.sqrt((sine**2).sum(axis=1, keepdims=True))
    return np.asarray(sine * np.where(size > 1e-9, np.arcsin(size) / np.maximum(size, 1e-9), 1.0))
