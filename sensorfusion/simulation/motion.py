"""What an inertial sensor and a satellite receiver on the ego vehicle measure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sensorfusion.geometry.rotation import rotation_vector
from sensorfusion.sensors.imu import STANDARD_GRAVITY
from sensorfusion.simulation.scene import Scene

Floats = npt.NDArray[np.float64]
STEP = 2e-3  # seconds, of the central differences


@dataclass(frozen=True)
class InertialNoise:
    """Errors of an inertial sensor of middling quality.

    Args:
        force, rate: deviation of each measurement (m/s^2, rad/s).
        force_bias, rate_bias: deviation of the biases, which are constant in a scene.
    """

    force: float = 0.03
    rate: float = 0.002
    force_bias: float = 0.05
    rate_bias: float = 0.002


MIDDLING = InertialNoise()
NO_NOISE = InertialNoise(0.0, 0.0, 0.0, 0.0)


def inertial(
    scene: Scene, times_T: Floats, noise: InertialNoise = MIDDLING
) -> tuple[Floats, Floats]:
    """Specific force [T, 3] and angular rate [T, 3] of a sensor at the rear axle, ego axes.

    Both are central differences of the ego vehicle's poses; at rest and level the force is
    (0, 0, g). The world's z axis is up.
    """
    before, now, after = (
        np.stack([scene.ego_pose(t + shift) for t in times_T]) for shift in (-STEP, 0.0, STEP)
    )
    acceleration = (before[:, :3, 3] - 2 * now[:, :3, 3] + after[:, :3, 3]) / STEP**2
    acceleration[:, 2] += STANDARD_GRAVITY
    force = np.einsum("tji,tj->ti", now[:, :3, :3], acceleration)
    turns = np.swapaxes(before[:, :3, :3], 1, 2) @ after[:, :3, :3]
    rate = np.stack([rotation_vector(turn) for turn in turns]) / (2 * STEP)
    constant = np.random.default_rng([scene.seed, scene.number, 3])
    force += constant.normal(0.0, 1.0, 3) * noise.force_bias
    rate += constant.normal(0.0, 1.0, 3) * noise.rate_bias
    for row, t in enumerate(times_T):
        own = np.random.default_rng([scene.seed, scene.number, 4, round((t + 100.0) * 1e6)])
        force[row] += own.normal(0.0, 1.0, 3) * noise.force
        rate[row] += own.normal(0.0, 1.0, 3) * noise.rate
    return force, rate


def fixes(scene: Scene, times_T: Floats, deviation: float = 1.2, drift: float = 0.8) -> Floats:
    """Positions [T, 3] of the rear axle in the world, as a satellite receiver gives them.

    Args:
        deviation: of every fix (m), twice that in height.
        drift: deviation (m) of the error that fixes of a scene share.
    """
    shared = np.random.default_rng([scene.seed, scene.number, 5]).normal(0.0, drift, 3)
    scale = np.array([1.0, 1.0, 2.0])
    positions = np.empty((len(times_T), 3))
    for row, t in enumerate(times_T):
        own = np.random.default_rng([scene.seed, scene.number, 6, round((t + 100.0) * 1e6)])
        error = scale * (own.normal(0.0, deviation, 3) + shared)
        positions[row] = (scene.T_world_block @ scene.ego_pose(t))[:3, 3] + error
    return positions
