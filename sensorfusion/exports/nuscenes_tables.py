"""The tables of nuScenes v1.0: rows that name each other by tokens.

Layout: the schema that comes with nuscenes-devkit. Tokens are hashes of what a row is, so the same
export has the same tokens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sensorfusion.datasets.simulated import EPOCH, SCENE_PITCH
from sensorfusion.simulation.classes import CLASSES

Row = dict[str, Any]
Tables = dict[str, list[Row]]

VERSION = "v1.0-mini"
LIDAR = "LIDAR_TOP"
# Scenes 0 to 9 take the names of the ten of v1.0-mini, of which 1 and 6 are for validation, so
# that programs which know no other splits find them.
MINI = (61, 103, 553, 655, 757, 796, 916, 1077, 1094, 1100)
CATEGORIES = (  # by index, as in nuScenes-lidarseg
    "noise",
    "animal",
    "human.pedestrian.adult",
    "human.pedestrian.child",
    "human.pedestrian.construction_worker",
    "human.pedestrian.personal_mobility",
    "human.pedestrian.police_officer",
    "human.pedestrian.stroller",
    "human.pedestrian.wheelchair",
    "movable_object.barrier",
    "movable_object.debris",
    "movable_object.pushable_pullable",
    "movable_object.trafficcone",
    "static_object.bicycle_rack",
    "vehicle.bicycle",
    "vehicle.bus.bendy",
    "vehicle.bus.rigid",
    "vehicle.car",
    "vehicle.construction",
    "vehicle.emergency.ambulance",
    "vehicle.emergency.police",
    "vehicle.motorcycle",
    "vehicle.trailer",
    "vehicle.truck",
    "flat.driveable_surface",
    "flat.other",
    "flat.sidewalk",
    "flat.terrain",
    "static.manmade",
    "static.other",
    "static.vegetation",
    "vehicle.ego",
)
CATEGORY_OF = {
    "barrier": "movable_object.barrier",
    "bicycle": "vehicle.bicycle",
    "bus": "vehicle.bus.rigid",
    "car": "vehicle.car",
    "construction_vehicle": "vehicle.construction",
    "motorcycle": "vehicle.motorcycle",
    "pedestrian": "human.pedestrian.adult",
    "traffic_cone": "movable_object.trafficcone",
    "trailer": "vehicle.trailer",
    "truck": "vehicle.truck",
    "driveable_surface": "flat.driveable_surface",
    "other_flat": "flat.other",
    "sidewalk": "flat.sidewalk",
    "terrain": "flat.terrain",
    "manmade": "static.manmade",
    "vegetation": "static.vegetation",
}
LIDARSEG_INDEX = tuple(CATEGORIES.index(CATEGORY_OF[name]) for name in CLASSES)
ATTRIBUTES = (
    "vehicle.moving",
    "vehicle.stopped",
    "vehicle.parked",
    "cycle.with_rider",
    "cycle.without_rider",
    "pedestrian.sitting_lying_down",
    "pedestrian.standing",
    "pedestrian.moving",
)
VISIBILITY = {"1": (0, 40), "2": (40, 60), "3": (60, 80), "4": (80, 100)}


def token(*parts: object) -> str:
    """32 hexadecimal digits that follow from what they stand for."""
    text = "/".join(str(part) for part in parts)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def scene_name(number: int) -> str:
    """The name of a scene."""
    return f"scene-{MINI[number]:04d}" if number < len(MINI) else f"simulated-{number:04d}"


def log_name(seed: int, number: int) -> str:
    """The name of a scene's recording; the names of all its files begin with it."""
    start = datetime.fromtimestamp(EPOCH + SCENE_PITCH * number, UTC)
    return f"sim{seed}-{start:%Y-%m-%d-%H-%M-%S}+0000"


def visibility_token(share: float) -> str:
    """The bin of visibility that a share, 0 to 1, belongs to."""
    return next(name for name, (_, high) in VISIBILITY.items() if 100 * share <= high)


def fixed_tables(channels: Sequence[str]) -> Tables:
    """What is the same for all recordings."""
    described: Tables = {
        "category": [
            {"token": token("category", name), "name": name, "description": "", "index": index}
            for index, name in enumerate(CATEGORIES)
        ],
        "attribute": [
            {"token": token("attribute", name), "name": name, "description": ""}
            for name in ATTRIBUTES
        ],
        "visibility": [
            {
                "token": name,
                "level": f"v{low}-{high}",
                "description": f"{low} to {high} % of the object are visible in the images",
            }
            for name, (low, high) in VISIBILITY.items()
        ],
        "sensor": [
            {
                "token": token("sensor", channel),
                "channel": channel,
                "modality": "lidar" if channel == LIDAR else "camera",
            }
            for channel in channels
        ],
    }
    return described


def scene_tables(
    seed: int,
    number: int,
    mounts: Mapping[str, Row],
    keyframes: Sequence[Mapping[str, Any]],
    size: tuple[int, int],
) -> Tables:
    """The rows of one scene.

    Args:
        mounts: translation, rotation and intrinsics of every channel.
        keyframes: in order, what `nuscenes.make_keyframe` returned. size: (H, W) of images.
    """
    samples = [_sample_token(seed, number, step) for step in range(len(keyframes))]
    made = {
        **_recording_tables(seed, number, samples),
        "calibrated_sensor": [
            {
                "token": _calibrated_token(seed, number, channel),
                "sensor_token": token("sensor", channel),
                **mount,
            }
            for channel, mount in mounts.items()
        ],
        "sample": [
            {
                "token": name,
                "timestamp": known["timestamp"],
                "scene_token": token("scene", seed, number),
            }
            for name, known in zip(samples, keyframes, strict=True)
        ],
    }
    _link(made["sample"])
    made |= _data_tables(seed, number, keyframes, size)
    return made | _annotation_tables(seed, number, keyframes)


def _recording_tables(seed: int, number: int, samples: Sequence[str]) -> Tables:
    """The rows of the log, its map and its only scene."""
    log = token("log", seed, number)
    start = datetime.fromtimestamp(EPOCH + SCENE_PITCH * number, UTC)
    return {
        "log": [
            {
                "token": log,
                "logfile": log_name(seed, number),
                "vehicle": "simulated",
                "date_captured": f"{start:%Y-%m-%d}",
                "location": f"simulated-{seed}-{number}",
            }
        ],
        "map": [
            {
                "token": map_token(seed, number),
                "log_tokens": [log],
                "category": "semantic_prior",
                "filename": f"maps/{map_token(seed, number)}.png",
            }
        ],
        "scene": [
            {
                "token": token("scene", seed, number),
                "name": scene_name(number),
                "description": f"Simulated town, scene {number} of seed {seed}",
                "log_token": log,
                "nbr_samples": len(samples),
                "first_sample_token": samples[0],
                "last_sample_token": samples[-1],
            }
        ],
    }


def map_token(seed: int, number: int) -> str:
    """The token of a scene's map, which is its file's name too."""
    return token("map", seed, number)


def data_token(seed: int, number: int, channel: str, timestamp: int) -> str:
    """The token of a reading, of its ego pose and of its lidarseg row."""
    return token("sample_data", seed, number, channel, timestamp)


def _data_tables(
    seed: int, number: int, keyframes: Sequence[Mapping[str, Any]], size: tuple[int, int]
) -> Tables:
    poses: list[Row] = []
    chains: dict[str, list[Row]] = {}
    segmented: list[Row] = []
    for step, known in enumerate(keyframes):
        for reading in known["data"]:
            channel, time = reading["channel"], reading["timestamp"]
            name = data_token(seed, number, channel, time)
            poses.append({"token": name, **reading["ego_pose"], "timestamp": time})
            height, width = (0, 0) if channel == LIDAR else size
            row = {
                "token": name,
                "sample_token": _sample_token(seed, number, step),
                "ego_pose_token": name,
                "calibrated_sensor_token": _calibrated_token(seed, number, channel),
                "filename": reading["filename"],
                "fileformat": "pcd" if channel == LIDAR else "jpg",
                "width": width,
                "height": height,
                "timestamp": time,
                "is_key_frame": reading["is_key_frame"],
            }
            chains.setdefault(channel, []).append(row)
            if channel == LIDAR and row["is_key_frame"]:
                segmented.append(
                    {"token": name, "sample_data_token": name, "filename": lidarseg_file(name)}
                )
    for chain in chains.values():
        _link(chain)
    rows = [row for chain in chains.values() for row in chain]
    return {"ego_pose": poses, "sample_data": rows, "lidarseg": segmented}


def lidarseg_file(name: str) -> str:
    """Where the labels of a keyframe's points are."""
    return f"lidarseg/{VERSION}/{name}_lidarseg.bin"


def _annotation_tables(seed: int, number: int, keyframes: Sequence[Mapping[str, Any]]) -> Tables:
    chains: dict[int, list[Row]] = {}
    category: dict[int, str] = {}
    for step, known in enumerate(keyframes):
        for box in known["boxes"]:
            thing = box["object"]
            category[thing] = CATEGORY_OF[CLASSES[box["class"]]]
            row = {
                "token": token("sample_annotation", seed, number, step, thing),
                "sample_token": _sample_token(seed, number, step),
                "instance_token": token("instance", seed, number, thing),
                "visibility_token": box["visibility"],
                "attribute_tokens": [token("attribute", name) for name in box["attributes"]],
                "translation": box["translation"],
                "size": box["size"],
                "rotation": box["rotation"],
                "num_lidar_pts": box["points"],
                "num_radar_pts": 0,
            }
            chains.setdefault(thing, []).append(row)
    for chain in chains.values():
        _link(chain)
    instances = [
        {
            "token": token("instance", seed, number, thing),
            "category_token": token("category", category[thing]),
            "nbr_annotations": len(chain),
            "first_annotation_token": chain[0]["token"],
            "last_annotation_token": chain[-1]["token"],
        }
        for thing, chain in chains.items()
    ]
    rows = [row for chain in chains.values() for row in chain]
    return {"instance": instances, "sample_annotation": rows}


def _sample_token(seed: int, number: int, step: int) -> str:
    return token("sample", seed, number, step)


def _calibrated_token(seed: int, number: int, channel: str) -> str:
    return token("calibrated_sensor", seed, number, channel)


def _link(rows: Sequence[Row]) -> None:
    """Say in every row which one is before and which one after it."""
    tokens = ["", *(row["token"] for row in rows), ""]
    for n, row in enumerate(rows):
        row["prev"], row["next"] = tokens[n], tokens[n + 2]
