"""UTD-MHAD: 27 actions of 8 people with a wearable IMU, Kinect skeletons and depth video.

C. Chen, R. Jafari, N. Kehtarnavaz, "UTD-MHAD: a multimodal dataset for human action recognition
utilizing a depth camera and a wearable inertial sensor", ICIP 2015.

Files below the root: `Inertial/a1_s1_t1_inertial.mat`, `Skeleton/a1_s1_t1_skeleton.mat` and
`Depth_half/a1_s1_t1_depth.npz` (every second pixel and frame of the depth video). The streams of
a clip start and end together but run at rates that are not constant: they are aligned by
fraction of the clip. The IMU is on the right wrist in actions 1-21, on the right thigh in 22-27.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from sensorfusion.datasets.dataset import data_folder, require_known
from sensorfusion.datasets.matfile import MatFileError, read_matrix
from sensorfusion.errors import DataError
from sensorfusion.geometry.clock import Clock, ClockKind
from sensorfusion.sample import Array, Frame, Reading, Sample
from sensorfusion.sensors.camera import MILLIMETRES, CameraImage
from sensorfusion.sensors.imu import SI, STANDARD_GRAVITY, ImuWindow
from sensorfusion.sensors.skeleton import KINECT_V1, SkeletonWindow

ACTIONS = (
    *("swipe_left", "swipe_right", "wave", "clap", "throw", "arm_cross", "basketball_shoot"),
    *("draw_x", "draw_circle_CW", "draw_circle_CCW", "draw_triangle", "bowling", "boxing"),
    *("baseball_swing", "tennis_swing", "arm_curl", "tennis_serve", "push", "knock", "catch"),
    *("pickup_throw", "jog", "walk", "sit2stand", "stand2sit", "lunge", "squat"),
)

# Cross-subject protocol of CMC-CMKM: 323, 108 and 430 clips.
TRAIN_SUBJECTS = (1, 3, 5)
VALIDATION_SUBJECTS = (7,)
TEST_SUBJECTS = (2, 4, 6, 8)
# The protocol of the data set's authors trains on all odd subjects: 431 clips.
ODD_SUBJECTS = (1, 3, 5, 7)

# The depth video lags the skeleton: its frame k fits the joints of skeleton frame 2 k - 2 best
# (93 % of arm joints lie on the depth surface, 82 % at 2 k; measured on 32 clips).
DEPTH_LAG = 2
# The first Kinect's nominal focal length of 285.63 pixels at 320 x 240, every second pixel kept.
DEPTH_INTRINSICS = np.array([[142.815, 0.0, 79.75], [0.0, 142.815, 59.75], [0.0, 0.0, 1.0]])

SENSORS: dict[str, type[Reading]] = {
    "imu": ImuWindow,
    "skeleton": SkeletonWindow,
    "camera": CameraImage,
}
_FILES = {
    "imu": ("Inertial", "inertial.mat"),
    "skeleton": ("Skeleton", "skeleton.mat"),
    "camera": ("Depth_half", "depth.npz"),
}
# What numpy and zipfile raise on damaged archives.
_MALFORMED = (
    *(OSError, ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError, MemoryError),
    *(NotImplementedError, SyntaxError, struct.error, zlib.error, zipfile.BadZipFile),
)


class Clip(NamedTuple):
    """One performance of an action: numbers as in the file names, from 1."""

    action: int
    subject: int
    trial: int

    @property
    def name(self) -> str:
        """As in the file names."""
        return f"a{self.action}_s{self.subject}_t{self.trial}"


class UtdMhad:
    """UTD-MHAD clips as samples of one frame.

    A sample has the readings "imu" (m/s^2, rad/s), "skeleton" (m) and "camera" (depth in mm, with
    its intrinsics as calibration), the label "action" in 0..26 and the keys "subject" and "trial".

    Args:
        root: the folder with Inertial, Skeleton and Depth_half; None: see `data_folder`.
        subjects: which subjects' clips. actions: which actions (1..27); None: all.
        sensors: which sensors are read.
        missing: a clip that lacks a file of one of the sensors: "raise", or "drop" that sensor.

    Raises:
        DataError: when the folder is absent, holds no clip, or a clip lacks a file ("raise").
        ConfigError: on an unknown sensor.
    """

    def __init__(
        self,
        root: str | Path | None = None,
        *,
        subjects: Sequence[int] = TRAIN_SUBJECTS,
        actions: Sequence[int] | None = None,
        sensors: Sequence[str] = tuple(SENSORS),
        missing: Literal["raise", "drop"] = "raise",
    ) -> None:
        names = require_known(sensors, tuple(SENSORS), what="sensors", where="UtdMhad")
        self.root = data_folder("utd-mhad", root)
        self._held = {name: _clips(self.root, name) for name in names}
        every = sorted(set().union(*self._held.values()))
        self.clips = [
            clip
            for clip in every
            if clip.subject in subjects and (actions is None or clip.action in actions)
        ]
        if not self.clips:
            raise DataError(
                f"no clip of subjects {tuple(subjects)}, actions {actions or 'all'} among "
                f"{len(every)} clips",
                where=str(self.root),
                remedy="check the root, and that it holds " + ", ".join(_folders(names)),
            )
        if missing == "raise":
            self._require_partners()

    @property
    def sensors(self) -> Mapping[str, type[Reading]]:
        """The type of reading of every sensor that is read."""
        return {name: SENSORS[name] for name in self._held}

    @property
    def class_names(self) -> Mapping[str, Sequence[str]]:
        """The actions' names."""
        return {"action": ACTIONS}

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> Sample:
        clip = self.clips[index]
        readings: dict[str, Reading] = {}
        for name, held in self._held.items():
            if clip in held:
                readings[name] = _READERS[name](_path(self.root, name, clip))
        _require_same_length(readings)
        calibration = {"camera": {"intrinsics": DEPTH_INTRINSICS}} if "camera" in readings else {}
        return Sample(
            id=clip.name,
            frames=(Frame(readings, calibration=calibration),),
            labels={"action": clip.action - 1},
            keys={"subject": clip.subject, "trial": clip.trial},
        )

    def _require_partners(self) -> None:
        for name, held in self._held.items():
            for clip in self.clips:
                if clip not in held:
                    raise DataError(
                        f"clip {clip.name} has no file for sensor {name!r}",
                        where=str(_path(self.root, name, clip)),
                        remedy="restore the file, or give missing='drop' to read the clip "
                        "without this sensor",
                    )


def read_inertial(path: Path) -> Array:
    """The file's array as it is: float64 [N, 6], acceleration in g, angular rate in deg/s."""
    return _read_mat(path, "d_iner", (None, 6))


def read_skeleton(path: Path) -> Array:
    """The file's array with time first: float64 [T, 20, 3], metres."""
    return _read_mat(path, "d_skel", (20, 3, None)).transpose(2, 0, 1)


def read_depth(path: Path) -> tuple[Array, int]:
    """The file's depth video, uint16 [ceil(T / 2), H, W] in millimetres, and T."""
    try:
        with np.load(path, allow_pickle=False) as file:
            depth, frames = file["depth"], int(file["frames"])
    except _MALFORMED as error:
        raise _unreadable(path, error) from error
    if depth.dtype != np.uint16 or depth.ndim != 3:
        raise DataError(
            f"'depth' is {depth.dtype} of shape {depth.shape}, expected uint16 [frames, H, W]",
            where=_place(path),
            remedy="restore the file from the data set",
        )
    if len(depth) != -(-frames // 2) or not len(depth):
        raise DataError(
            f"{len(depth)} depth frames for a clip of {frames}, expected every second one",
            where=_place(path),
            remedy="restore the file from the data set",
        )
    return depth, frames


def _read_mat(path: Path, variable: str, shape: tuple[int | None, ...]) -> Array:
    try:
        array = read_matrix(path, variable)
    except (OSError, MatFileError) as error:
        raise _unreadable(path, error) from error
    fits = array.ndim == len(shape) and all(
        n in (None, m) for n, m in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
        raise DataError(
            f"{variable!r} has shape {array.shape}, expected {wanted}",
            where=_place(path),
            remedy="restore the file from the data set; its channels or joints are not all there",
        )
    if min(array.shape) < 2:
        raise DataError(
            f"{variable!r} has shape {array.shape}: fewer than two time steps",
            where=_place(path),
            remedy="remove the clip",
        )
    return array


def _place(path: Path) -> str:
    """Sensor and file, for error messages."""
    sensor = next(name for name, (folder, _) in _FILES.items() if folder == path.parent.name)
    return f"sensor {sensor!r}, {path}"


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(
        f"the file cannot be read: {type(error).__name__}: {error}",
        where=_place(path),
        remedy="restore the file from the data set; it is truncated, or of another format",
    )


def _single(values: Array) -> Array:
    with np.errstate(over="ignore"):  # the reading refuses what became infinite
        return values.astype(np.float32)


def _read_imu(path: Path) -> ImuWindow:
    array = read_inertial(path)
    return ImuWindow(
        clock=Clock.fraction(len(array)),
        axes="inertial sensor x, y, z",
        unit=SI,
        source=_place(path),
        acceleration=_single(array[:, :3] * STANDARD_GRAVITY),
        angular_rate=_single(np.deg2rad(array[:, 3:])),
    )


def _read_joints(path: Path) -> SkeletonWindow:
    array = read_skeleton(path)
    return SkeletonWindow(
        clock=Clock.fraction(len(array)),
        axes="kinect camera: x right in the image, y up, z away",
        unit="m",
        source=_place(path),
        joints=_single(array),
        tree=KINECT_V1,
    )


def _read_camera(path: Path) -> CameraImage:
    depth, frames = read_depth(path)
    shown = np.clip(np.arange(0, frames, 2) - DEPTH_LAG, 0, None)
    return CameraImage(
        clock=Clock(ClockKind.FRACTION, shown / max(frames - 1, 1)),
        axes="pixels: u right, v down",
        unit=MILLIMETRES,
        source=_place(path),
        pixels=depth[..., None],
    )


_READERS = {"imu": _read_imu, "skeleton": _read_joints, "camera": _read_camera}


def _require_same_length(readings: Mapping[str, Reading]) -> None:
    """The depth video has every second of the skeleton's frames."""
    if not {"skeleton", "camera"} <= readings.keys():
        return
    skeleton, camera = readings["skeleton"], readings["camera"]
    if len(camera.clock) != -(-len(skeleton.clock) // 2):
        raise DataError(
            f"{len(skeleton.clock)} skeleton frames do not fit {len(camera.clock)} depth frames",
            where=f"{skeleton.source} and {camera.source}",
            remedy="restore both files from the data set, they are of different recordings",
        )


def _folders(sensors: Sequence[str]) -> list[str]:
    return [_FILES[name][0] for name in sensors]


def _path(root: Path, sensor: str, clip: Clip) -> Path:
    folder, ending = _FILES[sensor]
    return root / folder / f"{clip.name}_{ending}"


def _clips(root: Path, sensor: str) -> frozenset[Clip]:
    folder, ending = _FILES[sensor]
    pattern = re.compile(rf"a(\d+)_s(\d+)_t(\d+)_{re.escape(ending)}")
    if not (root / folder).is_dir():
        raise DataError(
            f"there is no folder {folder!r} for sensor {sensor!r}",
            where=str(root),
            remedy="check the root, or leave the sensor out",
        )
    matches = (pattern.fullmatch(path.name) for path in (root / folder).iterdir())
    clips = frozenset(Clip(*map(int, match.groups())) for match in matches if match)
    unknown = sorted(clip for clip in clips if not 1 <= clip.action <= len(ACTIONS))
    if unknown:
        raise DataError(
            f"clip {unknown[0].name} names action {unknown[0].action}, known are 1 to "
            f"{len(ACTIONS)}",
            where=str(_path(root, sensor, unknown[0])),
            remedy="move files of other data sets out of the folder",
        )
    return clips
