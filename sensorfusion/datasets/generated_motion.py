"""Generated motion: bodies that act, with an IMU on the right wrist and an optional depth camera.

Needs no files. It stands in where no recordings are found, and in tests: the sensors, units and
names are those of UTD-MHAD, the IMU's signal follows from the motion of the wrist that the
skeleton shows, and the depth camera sees the same body. It is no model of people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sensorfusion.datasets.dataset import require_known
from sensorfusion.datasets.utd_mhad import DEPTH_INTRINSICS
from sensorfusion.errors import ConfigError
from sensorfusion.geometry.clock import Clock, ClockKind
from sensorfusion.geometry.rotation import rotation_about
from sensorfusion.sample import Frame, Reading, Sample
from sensorfusion.sensors.camera import MILLIMETRES, CameraImage
from sensorfusion.sensors.imu import SI, STANDARD_GRAVITY, ImuWindow
from sensorfusion.sensors.skeleton import KINECT_V1, SkeletonWindow

Floats = npt.NDArray[np.float64]

SENSORS: dict[str, type[Reading]] = {
    "imu": ImuWindow,
    "skeleton": SkeletonWindow,
    "camera": CameraImage,
}


@dataclass(frozen=True)
class Action:
    """How the right arm and the body move in one action.

    Angles in degrees are `offset + amplitude * wave(cycles * 2 pi * time)`, where the wave starts
    and ends at rest.

    Args:
        raise_side: the shoulder's angle away from the body, to the side: (offset, amplitude).
        raise_front: the shoulder's angle to the front: (offset, amplitude).
        bend: the elbow's angle: (offset, amplitude).
        cycles: repetitions within the clip.
        dip: how far the hips go down at the middle, in metres.
        other_arm: whether the left arm mirrors the right one.
    """

    raise_side: tuple[float, float] = (0.0, 0.0)
    raise_front: tuple[float, float] = (0.0, 0.0)
    bend: tuple[float, float] = (0.0, 0.0)
    cycles: float = 1.0
    dip: float = 0.0
    other_arm: bool = False


ACTIONS: dict[str, Action] = {
    "wave": Action(raise_side=(110, 0), bend=(50, 35), cycles=3),
    "raise_front": Action(raise_front=(0, 95), cycles=1),
    "raise_side": Action(raise_side=(0, 95), cycles=1),
    "curl": Action(raise_front=(10, 0), bend=(0, 120), cycles=2),
    "punch": Action(raise_front=(45, 45), bend=(100, -95), cycles=3),
    "jumping_jack": Action(raise_side=(0, 150), cycles=3, dip=0.08, other_arm=True),
    "squat": Action(raise_front=(0, 70), cycles=1, dip=0.35, other_arm=True),
    "shake": Action(raise_front=(60, 12), bend=(60, 20), cycles=6),
}
SUBJECTS = tuple(range(1, 9))


class GeneratedMotion:
    """Clips of eight actions by bodies that differ in size, place, speed and style.

    Sample `index` depends on (seed, index) alone. Samples have the sensors, units, label and keys
    of `UtdMhad`; "subject" names one of eight bodies.

    Args:
        length: number of clips of all subjects; actions and subjects take turns.
        seed: of everything random.
        subjects: whose clips are kept.
        sensors: which of "imu", "skeleton" and "camera".

    Raises:
        ConfigError: on an unknown subject or sensor.
    """

    def __init__(
        self,
        length: int = 256,
        *,
        seed: int = 0,
        subjects: Sequence[int] = SUBJECTS,
        sensors: Sequence[str] = ("imu", "skeleton"),
    ) -> None:
        unknown = sorted(set(subjects) - set(SUBJECTS))
        if unknown:
            raise ConfigError(
                f"unknown subjects {unknown}", where="generated", remedy=f"choose from {SUBJECTS}"
            )
        self.seed = seed
        self._clips = [index for index in range(length) if _subject(index) in subjects]
        self._names = require_known(sensors, tuple(SENSORS), what="sensors", where="generated")

    @property
    def sensors(self) -> Mapping[str, type[Reading]]:
        """The type of reading of every sensor."""
        return {name: SENSORS[name] for name in self._names}

    @property
    def class_names(self) -> Mapping[str, Sequence[str]]:
        """The actions' names."""
        return {"action": tuple(ACTIONS)}

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        index = self._clips[index]
        label, subject = index % len(ACTIONS), _subject(index)
        name = list(ACTIONS)[label]
        clip = _Clip(self.seed, index, subject - 1, ACTIONS[name])
        source = f"generated clip {index} of seed {self.seed}"
        readings = {sensor: _READERS[sensor](clip, source) for sensor in self._names}
        calibration = {"camera": {"intrinsics": DEPTH_INTRINSICS}} if "camera" in readings else {}
        return Sample(
            id=f"{name}_{index}",
            frames=(Frame(readings, calibration=calibration),),
            labels={"action": label},
            keys={"subject": subject, "trial": index // (len(ACTIONS) * len(SUBJECTS)) + 1},
        )


def _subject(index: int) -> int:
    return SUBJECTS[(index // len(ACTIONS)) % len(SUBJECTS)]


class _Clip:
    """The motion of one clip as functions of time, and the bodies' differences."""

    def __init__(self, seed: int, index: int, subject: int, action: Action) -> None:
        body = np.random.default_rng([seed, 0, subject])
        self.size = body.uniform(0.85, 1.15)
        self.mount = rotation_about(body.standard_normal(3), body.uniform(0.0, 0.3))
        own = np.random.default_rng([seed, 1, index])
        self.seed, self.index = seed, index
        self.action = action
        self.seconds = own.uniform(2.0, 4.0)
        self.reach = own.uniform(0.8, 1.2)
        self.late = own.uniform(-0.08, 0.08)
        self.place = np.array([own.normal(0.0, 0.1), -0.2, own.uniform(2.6, 3.0)])
        self.heading = rotation_about([0, 1, 0], own.normal(0.0, 0.15))

    def noise(self, sensor: str) -> np.random.Generator:
        """A generator of the sensor's own, so that no sensor changes what another measures."""
        return np.random.default_rng([self.seed, 2 + list(SENSORS).index(sensor), self.index])

    def joints(self, seconds_T: Floats) -> Floats:
        """Joint positions in the camera's axes, float64 [T, 20, 3], metres."""
        side, front, bend, dip = self.angles(seconds_T)
        body = np.repeat(_STANDING[None], len(seconds_T), axis=0)
        _place_arm(body, "right", 1.0, side, front, bend)
        if self.action.other_arm:
            _place_arm(body, "left", -1.0, side, front, bend)
        _bend_knees(body, dip)
        return np.asarray((self.size * body) @ self.heading.T + self.place)

    def angles(self, seconds_T: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Side, front and bend angles in radians, and dip in metres, [T] each."""
        time = np.clip(seconds_T / self.seconds + self.late, 0.0, 1.0)
        wave = self.reach * (1.0 - np.cos(2.0 * np.pi * self.action.cycles * time)) / 2.0
        rest = np.clip(6.0 * np.minimum(time, 1.0 - time), 0.0, 1.0)
        # From hanging arms and back to them, with continuous acceleration.
        calm = rest**3 * (10.0 - 15.0 * rest + 6.0 * rest**2)
        angles = [
            np.deg2rad(offset + amplitude * wave) * calm
            for offset, amplitude in (
                self.action.raise_side,
                self.action.raise_front,
                self.action.bend,
            )
        ]
        return angles[0], angles[1], angles[2], self.action.dip * wave * calm


def _standing() -> Floats:
    """A standing body, hip centre at the origin: x to its right, y up, z to its back."""
    places = {
        **{"head": (0, 0.72), "shoulder_centre": (0, 0.48), "spine": (0, 0.07)},
        **{"hip_centre": (0, 0.0), "shoulder": (0.18, 0.38), "elbow": (0.18, 0.12)},
        **{"wrist": (0.18, -0.12), "hand": (0.18, -0.19), "hip": (0.09, -0.08)},
        **{"knee": (0.1, -0.5), "ankle": (0.1, -0.86), "foot": (0.1, -0.92)},
    }
    standing = np.zeros((len(KINECT_V1), 3))
    for joint, name in enumerate(KINECT_V1.names):
        side, _, part = name.partition("_")
        sign = {"left": -1.0, "right": 1.0}.get(side)
        x, y = places[part] if sign else places[name]
        standing[joint] = (x * (sign or 1.0), y, -0.07 if part == "foot" else 0.0)
    return standing


_STANDING = _standing()
_UPPER_ARM, _FOREARM, _HAND = 0.26, 0.24, 0.07  # metres


def _place_arm(
    body_TJ3: Floats, arm: str, sign: float, side: Floats, front: Floats, bend: Floats
) -> None:
    """Set elbow, wrist and hand from the shoulder's and the elbow's angles."""
    upper = _direction(sign, side, front)
    fore = _direction(sign, side, front + bend)
    at = {part: KINECT_V1.index(f"{arm}_{part}") for part in ("shoulder", "elbow", "wrist", "hand")}
    body_TJ3[:, at["elbow"]] = body_TJ3[:, at["shoulder"]] + _UPPER_ARM * upper
    body_TJ3[:, at["wrist"]] = body_TJ3[:, at["elbow"]] + _FOREARM * fore
    body_TJ3[:, at["hand"]] = body_TJ3[:, at["wrist"]] + _HAND * fore


def _direction(sign: float, side: Floats, front: Floats) -> Floats:
    """Where an arm points, [T, 3]: down, raised by `front` to the front, by `side` to the side."""
    down, forward = -np.cos(front), -np.sin(front)
    return np.stack([-sign * np.sin(side) * down, np.cos(side) * down, forward], axis=1)


def _bend_knees(body_TJ3: Floats, dip: Floats) -> None:
    """Lower everything above the knees; the knees go forward by half of it."""
    for name in ("left_knee", "right_knee"):
        knee = KINECT_V1.index(name)
        body_TJ3[:, knee, 1] -= dip / 2.0
        body_TJ3[:, knee, 2] -= dip / 2.0
    low = {
        KINECT_V1.index(f"{s}_{p}") for s in ("left", "right") for p in ("knee", "ankle", "foot")
    }
    upper = [joint for joint in range(len(KINECT_V1)) if joint not in low]
    body_TJ3[:, upper, 1] -= dip[:, None]


def _imu(clip: _Clip, source: str) -> ImuWindow:
    """What an IMU on the right wrist measures at 50 Hz: specific force and angular rate."""
    step = 1.0 / 50.0
    times = np.arange(round(clip.seconds / step)) * step
    # The sensor's frame in time, one step before, at and after every sample.
    at = np.stack([times - step, times, times + step])
    wrist, frames = _wrist(clip, at.ravel())
    wrist, frames = wrist.reshape(3, -1, 3), frames.reshape(3, -1, 3, 3)
    acceleration = (wrist[0] - 2.0 * wrist[1] + wrist[2]) / step**2
    force = acceleration + np.array([0.0, STANDARD_GRAVITY, 0.0])
    turn = np.einsum("tji,tjk->tik", frames[0], frames[2])  # from before to after, sensor axes
    rate = np.stack(
        [
            turn[:, 2, 1] - turn[:, 1, 2],
            turn[:, 0, 2] - turn[:, 2, 0],
            turn[:, 1, 0] - turn[:, 0, 1],
        ],
        axis=1,
    ) / (4.0 * step)
    force = np.einsum("tji,tj->ti", frames[1], force) @ clip.mount
    noise = clip.noise("imu")
    force += noise.normal(0.0, 0.1, force.shape)
    rate = rate @ clip.mount + noise.normal(0.0, 0.02, rate.shape)
    return ImuWindow(
        clock=Clock.fraction(len(times)),
        axes="inertial sensor x, y, z",
        unit=SI,
        source=f"sensor 'imu', {source}",
        acceleration=force.astype(np.float32),
        angular_rate=rate.astype(np.float32),
    )


def _wrist(clip: _Clip, seconds_T: Floats) -> tuple[Floats, Floats]:
    """Position [T, 3] of the right wrist, and axes [T, 3, 3] (columns) of a sensor on it."""
    joints = clip.joints(seconds_T)
    wrist, hand = (joints[:, KINECT_V1.index(f"right_{part}")] for part in ("wrist", "hand"))
    along = _unit(hand - wrist)
    # Perpendicular to the forearm, near the body's left-right axis, which arms seldom point to.
    side, front, _, _ = clip.angles(seconds_T)
    across = np.stack([np.cos(side), np.sin(side), np.zeros_like(front)], axis=1) @ clip.heading.T
    across = _unit(across - along * np.sum(across * along, axis=1, keepdims=True))
    return wrist, np.stack([along, across, np.cross(along, across)], axis=2)


def _unit(vectors_T3: Floats) -> Floats:
    return np.asarray(vectors_T3 / np.linalg.norm(vectors_T3, axis=1, keepdims=True))


def _video_times(clip: _Clip) -> Floats:
    return np.arange(0.0, clip.seconds, 1.0 / 30.0)


def _skeleton(clip: _Clip, source: str) -> SkeletonWindow:
    times = _video_times(clip)
    joints, noise = clip.joints(times), clip.noise("skeleton")
    return SkeletonWindow(
        clock=Clock.fraction(len(times)),
        axes="kinect camera: x right in the image, y up, z away",
        unit="m",
        source=f"sensor 'skeleton', {source}",
        joints=(joints + noise.normal(0.0, 0.005, joints.shape)).astype(np.float32),
    )


def _camera(clip: _Clip, source: str) -> CameraImage:
    """A depth video at 15 Hz of the body as capsules around its bones, in millimetres."""
    times = _video_times(clip)
    shown = np.arange(0, len(times), 2)
    depth = _render(clip.joints(times[shown]), radius=0.07 * clip.size)
    millimetres = np.where(depth < np.inf, 1000.0 * depth, 0.0)
    noise = clip.noise("camera").normal(0.0, 5.0, depth.shape)
    pixels = np.where(millimetres > 0, np.rint(millimetres + noise), 0).astype(np.uint16)
    return CameraImage(
        clock=Clock(ClockKind.FRACTION, shown / (len(times) - 1)),
        axes="pixels: u right, v down",
        unit=MILLIMETRES,
        source=f"sensor 'camera', {source}",
        pixels=pixels[..., None],
    )


def _render(joints_TJ3: Floats, radius: float, height: int = 120, width: int = 160) -> Floats:
    """Depth [T, H, W] of balls strung along the bones; infinite where there is no body."""
    weights = np.linspace(0.0, 1.0, 7)[:, None]
    balls_TN3 = np.concatenate(
        [joints_TJ3[:, [j]] * weights + joints_TJ3[:, [p]] * (1 - weights) for j, p in _BONES],
        axis=1,
    )
    focal, u0, v0 = DEPTH_INTRINSICS[0, 0], DEPTH_INTRINSICS[0, 2], DEPTH_INTRINSICS[1, 2]
    x, y, z = np.moveaxis(balls_TN3, 2, 0)[..., None]
    reach = int(np.ceil(radius * focal / z.min()))
    dv, du = (d.ravel() for d in np.mgrid[-reach : reach + 1, -reach : reach + 1])
    u = np.rint(u0 + focal * x / z).astype(np.int64) + du
    v = np.rint(v0 - focal * y / z).astype(np.int64) + dv
    off_axis = (du**2 + dv**2) * (z / focal) ** 2
    front = z - np.sqrt(np.clip(radius**2 - off_axis, 0.0, None))
    hit = (off_axis <= radius**2) & (u >= 0) & (u < width) & (v >= 0) & (v < height)
    frame = np.broadcast_to(np.arange(len(joints_TJ3))[:, None, None], hit.shape)
    depth = np.full((len(joints_TJ3), height, width), np.inf)
    np.minimum.at(depth, (frame[hit], v[hit], u[hit]), front[hit])
    return depth


_BONES = KINECT_V1.bones
_READERS = {"imu": _imu, "skeleton": _skeleton, "camera": _camera}
