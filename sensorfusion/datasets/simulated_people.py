"""Simulated people: clips of one person who does something, as a body camera and an IMU see it.

Needs no files. The sensors, units and names are those of UTD-MHAD. Everything follows from one
moving body: the skeleton is what a Kinect-like camera makes of its joints, the IMU's signal is
that of a sensor strapped to it, and the camera's clips show it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from sensorfusion.datasets.dataset import require_known
from sensorfusion.errors import ConfigError
from sensorfusion.geometry.clock import Clock, ClockKind
from sensorfusion.geometry.poses import pose
from sensorfusion.geometry.rotation import rotation_about
from sensorfusion.sample import Array, Frame, Reading, Sample
from sensorfusion.sensors.camera import MILLIMETRES, SRGB, CameraImage
from sensorfusion.sensors.imu import SI, ImuWindow
from sensorfusion.sensors.skeleton import SkeletonWindow
from sensorfusion.simulation.actions import NAMES as ACTIONS
from sensorfusion.simulation.body import People, make_person
from sensorfusion.simulation.kinect import measured
from sensorfusion.simulation.kinematics import JOINT, SIDES, Posed
from sensorfusion.simulation.people import SEGMENTS
from sensorfusion.simulation.rendering import Picture, render
from sensorfusion.simulation.stage import ORIGIN, Stage, facing_camera, in_camera, make_stage
from sensorfusion.simulation.worn import STRAPPED, Wear, worn

Floats = npt.NDArray[np.float64]
SENSORS: dict[str, type[Reading]] = {
    "imu": ImuWindow,
    "skeleton": SkeletonWindow,
    "camera": CameraImage,
    "colour": CameraImage,
}
SUBJECTS = tuple(range(1, 17))
IMU_RATE, VIDEO_RATE = 50, 30
FOCAL, FULL = 285.63, (320, 240)  # of the first Kinect, pixels


class SimulatedPeople:
    """Clips of twelve actions by people who differ in body, habits, place and direction.

    A sample has the readings "imu" (m/s^2, rad/s, 50 Hz), "skeleton" (m, 30 Hz) and, where asked
    for, "camera" (depth in mm, the background removed) and "colour" (sRGB), clips of `frames`
    frames of the same view; the label "action" and the keys "subject" and "trial". Clocks count
    seconds from the clip's start. Sample `index` depends on (seed, index) alone.

    Args:
        length: number of clips of all subjects; actions and subjects take turns.
        seed: of everything. subjects: whose clips are kept. sensors: which of `SENSORS`.
        worn_on: the joint in which the segment ends that the IMU is strapped to.
        image_size: (H, W) of the camera's clips; what is not 3:4 is cut, not squeezed.
        frames: of each clip.
        truth: labels also hold what recordings lack: "skeleton.joints" float32 [T, J, 3] without
            errors, "skeleton.hidden" bool [T, J], and colour images their depth and instance
            (1 is the person). Clips differ in length, so these do not collate.

    Raises:
        ConfigError: on unknown sensors, subjects or joints, or settings that cannot be.
    """

    def __init__(
        self,
        length: int = 512,
        *,
        seed: int = 0,
        subjects: Sequence[int] = SUBJECTS,
        sensors: Sequence[str] = ("imu", "skeleton"),
        worn_on: str = "right_wrist",
        image_size: tuple[int, int] = (60, 80),
        frames: int = 16,
        truth: bool = False,
    ) -> None:
        _check(length, seed, subjects, worn_on, image_size, frames)
        self.seed, self.worn_on, self.truth = seed, worn_on, truth
        self.image_size, self.frames = image_size, frames
        self._clips = [index for index in range(length) if _subject(index) in subjects]
        where = "SimulatedPeople"
        self._names = require_known(sensors, tuple(SENSORS), what="sensors", where=where)

    @property
    def sensors(self) -> Mapping[str, type[Reading]]:
        """The type of reading of every sensor."""
        return {name: SENSORS[name] for name in self._names}

    @property
    def class_names(self) -> Mapping[str, Sequence[str]]:
        """The actions' names."""
        return {"action": ACTIONS}

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        index = self._clips[index]
        clip = _Clip(self.seed, index, self.image_size, self.frames)
        seen = [name for name in self._names if name != "imu"]
        labels: dict[str, int | Array] = {"action": clip.action}
        if self.truth:
            labels["skeleton.joints"] = clip.joints.astype(np.float32)
            labels["skeleton.hidden"] = clip.hidden
        return Sample(
            id=f"{ACTIONS[clip.action]}_{index}",
            frames=(
                Frame(
                    {name: self._reading(clip, name) for name in self._names},
                    dict.fromkeys(seen, clip.camera_pose),
                    {name: {"intrinsics": clip.intrinsics} for name in seen if name != "skeleton"},
                ),
            ),
            labels=labels,
            keys={"subject": clip.subject, "trial": index // (len(ACTIONS) * len(SUBJECTS)) + 1},
        )

    def _reading(self, clip: _Clip, name: str) -> Reading:
        if name == "imu":
            return clip.imu(self.worn_on)
        if name == "skeleton":
            return clip.skeleton()
        return clip.depth() if name == "camera" else clip.colour(self.truth)


def _subject(index: int) -> int:
    return SUBJECTS[(index // len(ACTIONS)) % len(SUBJECTS)]


@dataclass(frozen=True, eq=False)
class _Clip:
    """One clip: who, what, from where; every sensor has a generator of its own."""

    seed: int
    index: int
    image_size: tuple[int, int]
    frames: int

    @property
    def action(self) -> int:
        return self.index % len(ACTIONS)

    @property
    def subject(self) -> int:
        return _subject(self.index)

    @property
    def source(self) -> str:
        return f"simulated clip {self.index} of seed {self.seed}"

    def generator(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, purpose, self.index])

    def own(self, purpose: int) -> np.random.Generator:
        """Of what belongs to the subject."""
        return np.random.default_rng([self.seed, purpose, self.subject])

    @cached_property
    def person(self) -> People:
        now = self.generator(1)
        begin = now.uniform(0.2, 2.0)
        return make_person(self.own(0), now, ACTIONS[self.action], begin)

    @cached_property
    def seconds(self) -> float:
        end = float(self.person.begin_N[0] + self.person.seconds_N[0])
        return end + self.generator(2).uniform(0.2, 1.6)

    @cached_property
    def stage(self) -> Stage:
        """Body and things; who walks is before the camera halfway."""
        generator = self.generator(3)
        walking = self.person.walk.speed_N[0] > 0.0
        heading = np.pi + (
            generator.uniform(-np.pi, np.pi) if walking else generator.normal(0.0, 1.0)
        )
        turn = rotation_about((0, 0, 1), heading)
        half = float(self.person.walk.place(np.array([0.0, self.seconds]))[0].mean())
        place = turn @ np.array([-half, 0.0, 0.0]) + np.array([*generator.normal(0, 0.15, 2), 0.0])
        return make_stage(generator, self.person, pose(turn, place))

    @cached_property
    def camera_pose(self) -> Floats:
        generator = self.generator(4)
        draw = generator.uniform
        return facing_camera(draw(2.5, 3.8), draw(0.7, 1.7), draw(0.8, 1.0), draw(-0.6, 0.6))

    @property
    def intrinsics(self) -> Floats:
        height, width = self.image_size
        focal = FOCAL * max(width / FULL[0], height / FULL[1])
        middle = (0.5 * width - 0.5, 0.5 * height - 0.5)
        return np.array([[focal, 0.0, middle[0]], [0.0, focal, middle[1]], [0.0, 0.0, 1.0]])

    @cached_property
    def times(self) -> Floats:
        """Of the skeleton."""
        return np.asarray(np.arange(round(self.seconds * VIDEO_RATE)) / VIDEO_RATE)

    @cached_property
    def posed(self) -> Posed:
        """The body at the skeleton's times, stage axes."""
        return self.stage.posed(self.times)

    @cached_property
    def joints(self) -> Floats:
        """In the skeleton's axes, without errors."""
        return in_camera(self.posed.joints_NJ3, self.camera_pose) * (1.0, -1.0, 1.0)

    @cached_property
    def hidden(self) -> npt.NDArray[np.bool_]:
        """Which joints [T, J] are behind something, or beside the picture."""
        x, y, z = np.moveaxis(self.joints, 2, 0)
        beside = np.abs(x) * 2.0 * FOCAL > FULL[0] * z
        beside |= np.abs(y) * 2.0 * FOCAL > FULL[1] * z
        return np.asarray(beside | self.stage.hidden(self.posed, self.camera_pose[:3, 3]))

    @cached_property
    def shown(self) -> Floats:
        """Times of the camera's frames."""
        rows = np.rint(np.linspace(0, len(self.times) - 1, self.frames)).astype(np.int64)
        return np.asarray(self.times[rows])

    @cached_property
    def film(self) -> tuple[list[Picture], npt.NDArray[np.bool_]]:
        """Pictures of the frames, and which pixels [T, H, W] show the person."""
        camera = self.camera_pose.copy()
        camera[:3, 3] += ORIGIN
        pictures, person = [], []
        for number, seconds in enumerate(self.shown):
            picture = render(
                self.stage.at(float(seconds)),
                camera[None],
                self.intrinsics[None],
                np.zeros(1),
                self.image_size,
                seeds_K=[(self.seed * 1009 + self.index) * 1009 + number],
            )
            shape = picture.shape_KHW[0]
            solid = (shape >= 0) & (shape < len(self.stage.shapes))
            owner = self.stage.shapes.object_P[np.where(solid, shape, 0)]
            pictures.append(picture)
            person.append(solid & (owner < len(SEGMENTS)))
        return pictures, np.stack(person)

    def imu(self, joint: str) -> ImuWindow:
        generator, own = self.generator(5), self.own(6)
        times = np.arange(round(self.seconds * IMU_RATE)) / IMU_RATE
        # Strapped on once by its owner, a little turned around the limb each time.
        strap = rotation_about(own.standard_normal(3), own.uniform(0.0, 0.5))
        slip = rotation_about((0, 0, 1), generator.normal(0.0, 0.3))
        lever = np.array([0.0, 0.03 * SIDES.get(joint.partition("_")[0], 0.0), 0.02])
        wear = Wear(joint, slip @ strap, lever)
        force, rate = worn(self.person, times, wear, STRAPPED, generator)
        return ImuWindow(
            clock=Clock(ClockKind.RELATIVE, times),
            axes="inertial sensor x, y, z",
            unit=SI,
            source=f"sensor 'imu', {self.source}",
            acceleration=force.astype(np.float32),
            angular_rate=rate.astype(np.float32),
        )

    def skeleton(self) -> SkeletonWindow:
        found = measured(self.joints, self.hidden, VIDEO_RATE, self.generator(7))
        return SkeletonWindow(
            clock=Clock(ClockKind.RELATIVE, self.times),
            axes="kinect camera: x right in the image, y up, z away",
            unit="m",
            source=f"sensor 'skeleton', {self.source}",
            joints=found.astype(np.float32),
        )

    def depth(self) -> CameraImage:
        """Millimetres, with an error that grows with the square of the distance."""
        pictures, person = self.film
        metres = np.concatenate([picture.depth_KHW for picture in pictures]).astype(np.float64)
        noise = self.generator(8).standard_normal(metres.shape)
        metres += 0.0016 * metres**2 * noise
        pixels = np.where(person, np.rint(1000.0 * metres), 0.0).astype(np.uint16)
        return CameraImage(
            clock=Clock(ClockKind.RELATIVE, self.shown),
            axes="pixels: u right, v down",
            unit=MILLIMETRES,
            source=f"sensor 'camera', {self.source}",
            pixels=pixels[..., None],
        )

    def colour(self, truth: bool) -> CameraImage:
        pictures, person = self.film
        more: dict[str, Array] = {}
        if truth:
            more["depth"] = np.concatenate([picture.depth_KHW for picture in pictures])
            more["instance"] = person.astype(np.int32)
        return CameraImage(
            clock=Clock(ClockKind.RELATIVE, self.shown),
            axes="pixels: u right, v down",
            unit=SRGB,
            source=f"sensor 'colour', {self.source}",
            pixels=np.concatenate([picture.colour_KHW3 for picture in pictures]),
            **more,
        )


def _check(
    length: int,
    seed: int,
    subjects: Sequence[int],
    worn_on: str,
    image_size: tuple[int, int],
    frames: int,
) -> None:
    """Refuse what cannot be, before anything is computed."""
    problem = ""
    if length < 1:
        problem = f"length = {length}: give at least 1"
    elif seed < 0:
        problem = f"seed = {seed}: give a number from 0"
    elif not subjects or set(subjects) - set(SUBJECTS):
        problem = f"subjects = {tuple(subjects)}: choose from {SUBJECTS}"
    elif worn_on not in JOINT:
        problem = f"worn_on = {worn_on!r}: the joints are {', '.join(JOINT)}"
    elif min(image_size) < 8:
        problem = f"image_size = {image_size}: give (H, W) of at least 8"
    elif frames < 1:
        problem = f"frames = {frames}: give at least 1"
    if problem:
        what, _, remedy = problem.partition(": ")
        raise ConfigError(what, where="SimulatedPeople", remedy=remedy)
