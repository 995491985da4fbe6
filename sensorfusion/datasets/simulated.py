"""The simulated world: drives through generated towns, seen by LiDAR, six cameras and more.

Needs no files. Every reading follows from (seed, scene, time) alone, and the truth about every
point and pixel is known: class, object, depth, motion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from sensorfusion.datasets.dataset import require_known
from sensorfusion.errors import ConfigError
from sensorfusion.geometry.clock import Clock, ClockKind
from sensorfusion.sample import Array, Frame, Reading, Sample
from sensorfusion.sensors.camera import SRGB, CameraImage
from sensorfusion.sensors.gnss import METRES, PositionFixes
from sensorfusion.sensors.imu import SI, ImuWindow
from sensorfusion.sensors.lidar import UNIT, PointCloud
from sensorfusion.simulation.classes import CLASSES
from sensorfusion.simulation.motion import fixes, inertial
from sensorfusion.simulation.rig import RIG, Views, photograph
from sensorfusion.simulation.scan import LIDAR_32, LidarPattern, scan
from sensorfusion.simulation.scene import Scene, make_scene
from sensorfusion.simulation.town import SECONDS
from sensorfusion.simulation.world import World

CAMERAS = tuple(RIG)
SENSORS: dict[str, type[Reading]] = {
    "lidar": PointCloud,
    **dict.fromkeys(CAMERAS, CameraImage),
    "imu": ImuWindow,
    "gnss": PositionFixes,
}
EPOCH = 1_600_000_000  # seconds since the Unix epoch at which scene 0 starts
SCENE_PITCH = 100  # seconds between the starts of scenes
MARGIN = 1.0  # seconds at both ends of a scene that only windows and neighbours reach into
IMU_RATE, GNSS_RATE = 100, 10


class SimulatedWorld:
    """Moments of drives through towns.

    A sample is one frame at a LiDAR's time, or several at offsets from it. Cameras open up to
    43 ms earlier, as on nuScenes, and have their own poses; IMU and GNSS windows end at the
    frame's time. Poses are in a world frame of its own for each scene, z up.

    Args:
        scenes: numbers of the scenes; apart from each other, they share nothing but the rules.
        seed: of everything.
        every: seconds between samples of a scene (nuScenes' keyframes: 0.5).
        offsets: times of a sample's frames relative to its own, ascending, at most a second.
        sensors: which of `SENSORS`.
        image_size: (H, W). pattern: of the LiDAR. distorted: points stay where the moving
            sensor measured them, instead of where one moment would show them.
        window: seconds of IMU and GNSS.
        shadows: whether things cast shadows (costs a fifth of the cameras' time).
        labels: readings carry the truth: `label`, `instance` and `flow` of points, `label`,
            `instance` and `depth` of pixels.

    Raises:
        ConfigError: on unknown sensors or settings that cannot be.
    """

    def __init__(
        self,
        scenes: Sequence[int] = tuple(range(8)),
        *,
        seed: int = 0,
        every: float = 0.5,
        offsets: Sequence[float] = (0.0,),
        sensors: Sequence[str] = tuple(SENSORS),
        image_size: tuple[int, int] = (224, 416),
        pattern: LidarPattern = LIDAR_32,
        distorted: bool = False,
        window: float = 0.5,
        shadows: bool = True,
        labels: bool = False,
    ) -> None:
        _check(scenes, seed, every, offsets, image_size, window)
        self.scenes, self.seed, self.every = tuple(scenes), seed, every
        self.offsets, self.image_size = tuple(offsets), image_size
        self.pattern, self.distorted, self.window = pattern, distorted, window
        self.shadows, self.labels = shadows, labels
        self._names = require_known(sensors, tuple(SENSORS), what="sensors", where="simulated")
        self._cameras = tuple(name for name in self._names if name in RIG)
        self._per_scene = int((SECONDS - 2 * MARGIN) / every + 1e-9) + 1

    @property
    def sensors(self) -> Mapping[str, type[Reading]]:
        """The type of reading of every sensor."""
        return {name: SENSORS[name] for name in self._names}

    @property
    def class_names(self) -> Mapping[str, Sequence[str]]:
        """The sixteen classes, for the labels of points and pixels."""
        labelled = [name for name in self._names if name == "lidar" or name in RIG]
        return {f"{name}.label": CLASSES for name in labelled} if self.labels else {}

    def __len__(self) -> int:
        return len(self.scenes) * self._per_scene

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        number, step = self.scenes[index // self._per_scene], index % self._per_scene
        scene = _scene(self.seed, number)
        seconds = MARGIN + step * self.every
        return Sample(
            id=f"scene{number:04d}_{round(seconds * 1000):05d}ms",
            frames=tuple(self._frame(scene, seconds + offset) for offset in self.offsets),
            keys={"scene": number, "step": step},
        )

    def _frame(self, scene: Scene, seconds: float) -> Frame:
        source = f"scene {scene.number} of seed {scene.seed} at {seconds:.3f} s"
        world = scene.at(seconds)
        readings: dict[str, Reading] = {}
        poses: dict[str, Array] = {}
        calibration: dict[str, dict[str, Array]] = {}
        if "lidar" in self._names:
            readings["lidar"] = self._cloud(scene, world, seconds, f"sensor 'lidar', {source}")
            poses["lidar"] = scene.T_world_block @ scene.ego_pose(seconds) @ self.pattern.pose
            calibration["lidar"] = {"T_ego_sensor": self.pattern.pose}
        for name, make in (("imu", self._imu), ("gnss", self._gnss)):
            if name in self._names:
                readings[name] = make(scene, seconds, f"sensor {name!r}, {source}")
                poses[name] = scene.T_world_block @ scene.ego_pose(seconds)
        if self._cameras:
            views = self._photograph(scene, world, seconds)
            for k, name in enumerate(self._cameras):
                readings[name] = self._image(scene, views, k, f"sensor {name!r}, {source}")
                poses[name] = scene.T_world_block @ views.T_block_camera_K44[k]
                calibration[name] = {
                    "intrinsics": views.intrinsics_K33[k],
                    "T_ego_sensor": RIG[name].pose,
                }
        return Frame(readings, poses, calibration)

    def _cloud(self, scene: Scene, world: World, seconds: float, source: str) -> PointCloud:
        measured = scan(scene, world, seconds, self.pattern, distorted=self.distorted)
        truth: dict[str, Array] = {}
        if self.labels:
            truth["label"] = measured.label_N
            truth["instance"] = measured.instance_N
            truth["flow"] = measured.flow_N3
        return PointCloud(
            clock=_clock(scene, np.array([seconds])),
            axes=self.pattern.axes,
            unit=UNIT,
            source=source,
            points=measured.points_N3,
            intensity=measured.intensity_N,
            time=measured.time_N,
            ring=measured.ring_N,
            intensity_scale=255.0,
            **truth,
        )

    def _photograph(self, scene: Scene, world: World, seconds: float) -> Views:
        return photograph(
            scene,
            world,
            seconds,
            self._cameras,
            self.image_size,
            shadows=self.shadows,
            truth=self.labels,
        )

    def _image(self, scene: Scene, views: Views, k: int, source: str) -> CameraImage:
        truth: dict[str, Array] = {}
        if self.labels:
            truth["label"] = views.label_KHW[k][None]
            truth["instance"] = views.instance_KHW[k][None]
            truth["depth"] = views.picture.depth_KHW[k][None]
        return CameraImage(
            clock=_clock(scene, views.seconds_K[k : k + 1]),
            axes="pixels: u right, v down",
            unit=SRGB,
            source=source,
            pixels=views.picture.colour_KHW3[k][None],
            **truth,
        )

    def _imu(self, scene: Scene, seconds: float, source: str) -> ImuWindow:
        times = _window(seconds, self.window, IMU_RATE)
        force, rate = inertial(scene, times)
        return ImuWindow(
            clock=_clock(scene, times),
            axes="FLU",
            unit=SI,
            source=source,
            acceleration=force.astype(np.float32),
            angular_rate=rate.astype(np.float32),
        )

    def _gnss(self, scene: Scene, seconds: float, source: str) -> PositionFixes:
        times = _window(seconds, self.window, GNSS_RATE)
        return PositionFixes(
            clock=_clock(scene, times),
            axes="world of the scene: x, y level, z up",
            unit=METRES,
            source=source,
            position=fixes(scene, times),
            deviation=1.5,
        )


@lru_cache(maxsize=4)
def _scene(seed: int, number: int) -> Scene:
    return make_scene(seed, number)


def _window(end: float, seconds: float, rate: int) -> npt.NDArray[np.float64]:
    count = max(1, round(seconds * rate))
    return np.asarray(end + (np.arange(count) + 1 - count) / rate)


def _clock(scene: Scene, seconds_T: npt.NDArray[np.float64]) -> Clock:
    start = EPOCH + SCENE_PITCH * scene.number
    nanoseconds = np.rint(seconds_T * 1e9).astype(np.int64) + start * 1_000_000_000
    return Clock(ClockKind.ABSOLUTE, nanoseconds)


def _check(
    scenes: Sequence[int],
    seed: int,
    every: float,
    offsets: Sequence[float],
    image_size: tuple[int, int],
    window: float,
) -> None:
    """Refuse what cannot be, before anything is computed."""
    problem = ""
    if not scenes or min(scenes) < 0 or len(set(scenes)) < len(scenes):
        problem = f"scenes = {tuple(scenes)}: give different numbers from 0"
    elif seed < 0:
        problem = f"seed = {seed}: give a number from 0"
    elif not 0.0 < every <= SECONDS:
        problem = f"every = {every}: give seconds above 0"
    elif not offsets or list(offsets) != sorted(set(offsets)) or max(map(abs, offsets)) > MARGIN:
        problem = f"offsets = {tuple(offsets)}: give ascending seconds within {MARGIN} of 0"
    elif min(image_size) < 8:
        problem = f"image_size = {image_size}: give (H, W) of at least 8"
    elif not 0.0 < window <= 5.0:
        problem = f"window = {window}: give seconds above 0, at most 5"
    if problem:
        what, _, remedy = problem.partition(": ")
        raise ConfigError(what, where="SimulatedWorld", remedy=remedy)
