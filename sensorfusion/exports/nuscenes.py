"""Scenes as nuScenes v1.0 stores them: tables, sweeps, images, boxes, lidarseg and a map.

    v1.0-mini/*.json             the tables
    samples/, sweeps/CHANNEL/    readings of keyframes, and those between them
    lidarseg/v1.0-mini/*.bin     a category for every point of the keyframes' clouds
    maps/*.png                   street and pavement from above, 0.1 m a pixel

Keyframes are 0.5 s apart; the LiDAR turns at 20 Hz, cameras take 12 images a second. Global
coordinates start at a corner of each scene's map.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from sensorfusion.datasets.simulated import EPOCH, SCENE_PITCH
from sensorfusion.exports import nuscenes_tables as tables
from sensorfusion.exports.objects import count_inside, thing_at, visible_share
from sensorfusion.exports.options import START, ExportOptions, require_frames, within
from sensorfusion.exports.parts import make_parts, scene_of, write
from sensorfusion.geometry.poses import Pose, invert, pose
from sensorfusion.geometry.rotation import quaternion_from_rotation
from sensorfusion.simulation.classes import BICYCLE, MOTORCYCLE, PEDESTRIAN, ROAD, SIDEWALK, TRUCK
from sensorfusion.simulation.ground import HALF_LENGTH, HALF_WIDTH
from sensorfusion.simulation.rig import FULL_SIZE, RIG, Views, photograph
from sensorfusion.simulation.scan import LIDAR_32, Scan, scan
from sensorfusion.simulation.scene import Scene
from sensorfusion.simulation.truth import GROUND_CLASSES, ground_made_of

KEYFRAME = 0.5  # seconds between keyframes
TURN = LIDAR_32.sweep
SHUTTER = 1.0 / 12.0  # seconds between images of one camera
CHANNELS = {name: "CAM_" + name.removeprefix("camera.").upper() for name in RIG}
INTENSITY = 255.0  # what 1 is written as
PIXELS = 10  # of the map, per metre
REACH = 166.0  # metres from the middle of a block that its map shows
ROWS = 512  # of the map that are worked out at once
VEHICLES_STAND = 0.2  # m/s below which what could move has stopped


def write_nuscenes(options: ExportOptions, folder: Path) -> None:
    """Write scenes into a folder; what an earlier job finished there is kept.

    Raises:
        ConfigError: for settings that cannot be. OSError: when a file cannot be written.
    """
    require_frames(options.frames, KEYFRAME)
    within("sweeps", options.sweeps, 0, round(KEYFRAME / TURN) - 1)
    within("camera_sweeps", options.camera_sweeps, 0, round(KEYFRAME / SHUTTER) - 1)
    size = options.image_size or (FULL_SIZE[1], FULL_SIZE[0])
    parts = [(number, step) for number in options.scenes for step in range(options.frames)]
    known = make_parts(make_keyframe, options, folder, parts)
    made = tables.fixed_tables((tables.LIDAR, *CHANNELS.values()))
    for n, number in enumerate(options.scenes):
        keyframes = known[n * options.frames : (n + 1) * options.frames]
        rows = tables.scene_tables(options.seed, number, _mounts(size), keyframes, size)
        for name, more in rows.items():
            made[name] = made.get(name, []) + more
    for name, table in made.items():
        write(folder / tables.VERSION / f"{name}.json", json.dumps(table, indent=0).encode())


def make_keyframe(options: ExportOptions, folder: Path, number: int, step: int) -> dict[str, Any]:
    """Write a keyframe and the sweeps before it; what the tables need to know of them."""
    scene = scene_of(options.seed, number)
    recorder = _Recorder(options, folder, scene)
    seconds = START + KEYFRAME * step
    if step == 0:
        write(
            folder / "maps" / f"{tables.map_token(options.seed, number)}.png",
            _encoded(street_map(scene), "PNG", compress_level=1),
        )
    else:
        for n in range(options.sweeps, 0, -1):
            recorder.turn(seconds - n * TURN)
        for n in range(options.camera_sweeps, 0, -1):
            recorder.images(round(seconds - n * SHUTTER, 6))
    measured = recorder.turn(seconds, keyframe=True)
    views = recorder.images(seconds, keyframe=True)
    recorder.label(measured, seconds)
    return {
        "timestamp": _microseconds(scene, seconds),
        "data": recorder.data,
        "boxes": _boxes(scene, seconds, measured, views),
    }


class _Recorder:
    """Writes readings of one scene, and remembers what was written.

    Args:
        data: of every reading the channel, timestamp, file name, ego pose, and whether it
            belongs to a keyframe.
    """

    def __init__(self, options: ExportOptions, folder: Path, scene: Scene) -> None:
        self.options, self.folder, self.scene = options, folder, scene
        self.size = options.image_size or (FULL_SIZE[1], FULL_SIZE[0])
        self.data: list[dict[str, Any]] = []

    def turn(self, seconds: float, *, keyframe: bool = False) -> Scan:
        """Write a turn of the LiDAR that ends at a time."""
        world = self.scene.at(seconds)
        measured = scan(self.scene, world, seconds, LIDAR_32, distorted=self.options.distorted)
        intensity = np.rint(measured.intensity_N * INTENSITY)
        cloud = np.column_stack([measured.points_N3, intensity, measured.ring_N])
        self._write(tables.LIDAR, seconds, keyframe, cloud.astype("<f4").tobytes())
        return measured

    def images(self, seconds: float, *, keyframe: bool = False) -> Views:
        """Write an image of every camera around a time of the LiDAR."""
        world = self.scene.at(seconds)
        views = photograph(self.scene, world, seconds, tuple(CHANNELS), self.size, truth=keyframe)
        for k, channel in enumerate(CHANNELS.values()):
            image = _encoded(views.picture.colour_KHW3[k], "JPEG", quality=self.options.quality)
            self._write(channel, float(views.seconds_K[k]), keyframe, image)
        return views

    def label(self, measured: Scan, seconds: float) -> None:
        """Write the categories of a keyframe's points."""
        scene, time = self.scene, _microseconds(self.scene, seconds)
        name = tables.data_token(scene.seed, scene.number, tables.LIDAR, time)
        index = np.array(tables.LIDARSEG_INDEX, dtype=np.uint8)
        write(self.folder / tables.lidarseg_file(name), index[measured.label_N].tobytes())

    def _write(self, channel: str, seconds: float, keyframe: bool, data: bytes) -> None:
        time = _microseconds(self.scene, seconds)
        log = tables.log_name(self.scene.seed, self.scene.number)
        suffix = "pcd.bin" if channel == tables.LIDAR else "jpg"
        kind = "samples" if keyframe else "sweeps"
        name = f"{kind}/{channel}/{log}__{channel}__{time}.{suffix}"
        write(self.folder / name, data)
        T_global_ego = T_global_block(self.scene) @ self.scene.ego_pose(seconds)
        self.data.append(
            {
                "channel": channel,
                "timestamp": time,
                "filename": name,
                "is_key_frame": keyframe,
                "ego_pose": _placed(T_global_ego),
            }
        )


def T_global_block(scene: Scene) -> Pose:  # noqa: N802
    """Where a scene's block lies in its own map, whose corner is the origin: float64 [4, 4]."""
    turned = scene.T_world_block.copy()
    turned[:2, 3] = REACH
    return turned


def street_map(scene: Scene) -> npt.NDArray[np.uint8]:
    """Street and pavement (255) from above; the first row is the one of the greatest y.

    The pixel (column, row) of an image of H rows shows the place (column, H - row) / `PIXELS`.
    """
    side = round(2 * REACH * PIXELS)
    image = np.zeros((side, side), dtype=np.uint8)
    T_block_global = invert(T_global_block(scene))
    street = np.isin(GROUND_CLASSES, (ROAD, SIDEWALK))
    (cos, sin, _, left), (_, _, _, low) = T_block_global[:2]  # which turns about z alone
    x_global = np.arange(side) / PIXELS
    for first in range(0, side, ROWS):
        rows = image[first : first + ROWS]
        y_global = (side - first - np.arange(len(rows))[:, None]) / PIXELS
        x, y = cos * x_global + sin * y_global + left, cos * y_global - sin * x_global + low
        inside = (np.abs(x) < HALF_LENGTH) & (np.abs(y) < HALF_WIDTH)
        made = ground_made_of(scene.standing, np.column_stack([x[inside], y[inside]]))
        rows[inside] = np.where(street[made], 255, 0)
    return image


def _boxes(scene: Scene, seconds: float, measured: Scan, views: Views) -> list[dict[str, Any]]:
    """Boxes of the things that the LiDAR touched."""
    T_block_lidar = scene.ego_pose(seconds) @ LIDAR_32.pose
    points = measured.points_N3.astype(np.float64)
    found = []
    for number in np.unique(measured.instance_N[measured.label_N <= TRUCK]) - 1:
        thing = thing_at(scene, int(number), seconds)
        centre, half = thing.box(scene)
        T_block_box = thing.T_block_thing @ pose(np.eye(3), centre)
        count = count_inside(points, invert(T_block_box) @ T_block_lidar, half)
        if not count:  # seen elsewhere than where it is at the end of the turn
            continue
        length, width, height = (2 * half).tolist()
        found.append(
            {
                "object": int(number),
                "class": int(scene.label_O[number]),
                **_placed(T_global_block(scene) @ T_block_box),
                "size": [width, length, height],
                "points": count,
                "visibility": tables.visibility_token(visible_share(scene, views, number)),
                "attributes": _attributes(scene, int(number), seconds),
            }
        )
    return found


def _attributes(scene: Scene, number: int, seconds: float) -> list[str]:
    label, moves = int(scene.label_O[number]), scene.tracks[number].moves
    if label in (BICYCLE, MOTORCYCLE):  # those that ride have riders
        return ["cycle.with_rider" if moves else "cycle.without_rider"]
    step = 0.05
    track = scene.tracks[number]
    before, after = (
        track.pose(scene.ground, scene.drive, seconds + d)[:3, 3] for d in (-step, step)
    )
    goes = float(np.linalg.norm(after - before)) / (2 * step) > VEHICLES_STAND
    if label == PEDESTRIAN:
        return ["pedestrian.moving" if goes else "pedestrian.standing"]
    if tables.CATEGORIES[tables.LIDARSEG_INDEX[label]].startswith("vehicle."):
        return ["vehicle.moving" if goes else "vehicle.stopped" if moves else "vehicle.parked"]
    return []


def _mounts(size: tuple[int, int]) -> dict[str, dict[str, Any]]:
    mounts = {tables.LIDAR: {**_placed(LIDAR_32.pose), "camera_intrinsic": []}}
    for name, channel in CHANNELS.items():
        intrinsics = RIG[name].intrinsics(size).tolist()
        mounts[channel] = {**_placed(RIG[name].pose), "camera_intrinsic": intrinsics}
    return mounts


def _placed(transform: Pose) -> dict[str, list[float]]:
    rotation = quaternion_from_rotation(transform[:3, :3])
    return {"translation": transform[:3, 3].tolist(), "rotation": rotation.tolist()}


def _microseconds(scene: Scene, seconds: float) -> int:
    return round(seconds * 1e6) + (EPOCH + SCENE_PITCH * scene.number) * 1_000_000


def _encoded(pixels: npt.NDArray[np.uint8], kind: str, **settings: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **settings)
    return file.getvalue()
