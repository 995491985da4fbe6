"""Segments of camera images, made once by `tools/prepare.py superpixels` and looked up."""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sensorfusion.errors import ConfigError, DataError, PreparationError
from sensorfusion.sample import Array, Sample
from sensorfusion.sensors.camera import SRGB, CameraImage
from sensorfusion.sensors.transform import Preparation
from sensorfusion.superpixels.folder import SuperpixelFolder, read_file
from sensorfusion.superpixels.masks import Masks
from sensorfusion.superpixels.methods import Method, key_of, recipe_of
from sensorfusion.superpixels.slic import Slic

LISTED = 10  # images that an error names


@dataclass(frozen=True)
class Picture:
    """One image as a folder of superpixels knows it.

    Args:
        name: what its entry is called. content: the bytes whose hash is part of the entry's key.
        pixels_HW3: uint8, where they are what the segments are made from; None: the file is.
    """

    name: str
    content: bytes
    pixels_HW3: Array | None = None


@dataclass(frozen=True, kw_only=True)
class PreparedSuperpixels(Preparation[CameraImage]):
    """Superpixels of colour images from a folder, as `segments`.

    An image is known by the `source` of its reading: a file below `images`, or without `images`
    whatever the data set says of it. Entries are of the very image, method and settings, or
    refused; a training that lacks any stops before its first step.

    Args:
        folder: what `tools/prepare.py superpixels` made: of IMAGES, or of the config that has this
            transform, for a data set whose images are no files.
        images: the root of the image files; None: images are no files.
        method: what the segments were made with; `Masks()` for those made elsewhere.

    Raises:
        ConfigError: for masks of images that are no files.
    """

    kind = CameraImage
    sensors: tuple[str, ...] = ("camera",)
    folder: str
    images: str | None = None
    method: Method = field(default_factory=Slic)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.images is None and isinstance(self.method, Masks):
            raise ConfigError(
                "masks are those of image files",
                where="PreparedSuperpixels",
                remedy="give `images`, the root of the files",
            )

    def prepare(self, reading: CameraImage) -> CameraImage:
        try:
            folder = self.opened()
            labels = [
                folder.load(picture.name, reading.size, self.key(folder, picture))
                for picture in self.pictures(reading)
            ]
        except DataError as error:
            raise self.unprepared({reading.source: error.what}) from error
        return reading.replace(segments=np.stack(labels))

    def opened(self) -> SuperpixelFolder:
        """The folder.

        Raises:
            PreparationError: when there is none.
            ConfigError: when it was made with another method or other settings.
        """
        try:
            return SuperpixelFolder(self.folder, self.method)
        except DataError as error:
            raise PreparationError(
                f"no folder of superpixels: {error.what}", where=self.folder, remedy=self.command
            ) from error

    def key(self, folder: SuperpixelFolder, picture: Picture) -> str | None:
        """The key that the entry of an image must have; None: masks are not there to tell."""
        masked = isinstance(self.method, Masks)
        return None if masked else key_of(folder.recipe, [picture.content])

    def pictures(self, reading: CameraImage) -> Iterator[Picture]:
        """The images of a reading, in order.

        Raises:
            DataError: when its source names none, or its file cannot be read.
        """
        if reading.unit != SRGB or not reading.source:
            raise DataError(
                f"superpixels are of colour images with a source, found unit {reading.unit!r}",
                where=reading.source or "a reading without a source",
            )
        if self.images is not None:
            yield self._file(reading, self.images)
            return
        name = re.sub(r"[^\w.-]+", "_", reading.source)
        for moment, pixels_HW3 in enumerate(reading.pixels):
            size = "x".join(map(str, pixels_HW3.shape))
            content = size.encode() + b"\n" + np.ascontiguousarray(pixels_HW3).tobytes()
            numbered = name if len(reading.pixels) == 1 else f"{name}.{moment}"
            yield Picture(numbered, content, pixels_HW3)

    def _file(self, reading: CameraImage, images: str) -> Picture:
        path, root = Path(os.path.abspath(reading.source)), Path(os.path.abspath(images))
        if len(reading.pixels) > 1 or not path.is_relative_to(root):
            raise DataError(
                f"not one image below {images}: {len(reading.pixels)} of {reading.source!r}",
                where="PreparedSuperpixels.images",
                remedy="give the root of the files, or none where images are no files",
            )
        return Picture(path.relative_to(root).as_posix(), read_file(path))

    def faults(self, sample: Sample) -> dict[str, str]:
        """What is wrong with the entries of a sample's images, by name; of a sound one nothing.

        Raises:
            PreparationError, ConfigError: see `opened`.
            DataError: see `pictures`.
        """
        folder, found = self.opened(), {}
        for reading in self.readings(sample):
            for picture in self.pictures(reading):
                try:
                    folder.load(picture.name, reading.size, self.key(folder, picture))
                except DataError as error:
                    found[picture.name] = error.what
        return found

    def readings(self, sample: Sample) -> list[CameraImage]:
        """The readings of its sensors."""
        names = ((frame, s) for frame in sample.frames for s in self.sensors if s in frame.readings)
        return [self.reading(frame, sensor) for frame, sensor in names]

    def unprepared(self, faults: Mapping[str, str]) -> PreparationError:
        """The error that lists what is wrong and says what mends it."""
        lines = [f"    {name}: {faults[name]}" for name in sorted(faults)[:LISTED]]
        lines += [f"    and {len(faults) - LISTED} more"] * (len(faults) > LISTED)
        return PreparationError(
            "\n".join([f"superpixels of {len(faults)} images are missing or damaged", *lines]),
            where=self.folder,
            remedy=self.command,
        )

    @property
    def command(self) -> str:
        """What makes again all that is missing, damaged or outdated."""
        if self.images is None:
            return "python tools/prepare.py superpixels CONFIG, with this run's config"
        default = recipe_of(type(self.method)())["settings"]
        settings = dataclasses.asdict(self.method)  # type: ignore[call-overload]
        changed = [f"{k}={v}" for k, v in settings.items() if v != default[k]]
        words = [self.images, self.folder, "--method", self.method.name]
        words += ["--set", *changed] if changed else []
        words += ["--masks", "MASKS"] if isinstance(self.method, Masks) else []
        return f"python tools/prepare.py superpixels {shlex.join(words)}"
