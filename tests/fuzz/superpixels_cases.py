"""How each public function of superpixels is tried."""

from __future__ import annotations

import argparse
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sensorfusion.sensors.camera import Box
from sensorfusion.superpixels import (
    clusters,
    command,
    encoding,
    folder,
    listing,
    lookup,
    masks,
    methods,
    pictures,
    prepare,
    quality,
    regions,
    slic,
)
from tests.fuzz.cases import Arguments, Case
from tests.superpixels.pictures import scene

WITHOUT = {
    "clusters.assign_reference": "an oracle",
    "clusters.sharpen_reference": "an oracle",
    "regions.connected_reference": "an oracle",
    "command.add_arguments": "describes arguments; `command.run` is tried",
    "command.Bar": "shows progress",
    "command.finish": "prints a summary; `command.run` is tried",
    "folder.Entry": "a result",
    "listing.Item": "a result",
    "methods.Method": "a protocol",
    "methods.recipe_of": "takes a method alone",
    "pictures.damage_refused": "a context for others",
    "prepare.Outcome": "a result",
    "prepare.Summary": "a result",
}
RECIPE = methods.recipe_of(slic.Slic())
KEY = methods.key_of(RECIPE, [b"image"])


def png_of(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def in_folder(call: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a call a new folder first."""

    def run(**arguments: Any) -> Any:
        with tempfile.TemporaryDirectory() as name:
            return call(Path(name), **arguments)

    return run


def image(rng: np.random.Generator, height: int = 24, width: int = 30) -> np.ndarray:
    return scene(int(rng.integers(99)), height, width)


def table(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 5, (6, 8)).astype(np.int32)


def cluster_arguments(rng: np.random.Generator) -> Arguments:
    return {
        "lab_3HW": rng.uniform(0, 100, (3, 6, 8)).astype(np.float32),
        "centres_K5": rng.uniform(0, 6, (5, 5)).astype(np.float32),
        "labels_HW": table(rng),
        "weight": 0.5,
        "reach": 3.0,
    }


def as_assigned_by_reference(arguments: Arguments, found: tuple[np.ndarray, np.ndarray]) -> None:
    if arguments["lab_3HW"].dtype != np.float32:
        return  # the reference rounds elsewhere
    labels, centres = clusters.assign_reference(**arguments)
    np.testing.assert_array_equal(found[0], labels)
    np.testing.assert_allclose(found[1], centres, rtol=1e-4, atol=1e-4)


def sharp_arguments(rng: np.random.Generator) -> Arguments:
    return {
        "labels_hw": rng.integers(0, 5, (3, 4)).astype(np.int32),
        "lab_HW3": rng.uniform(0, 100, (9, 12, 3)).astype(np.float32),
        "centres_K5": rng.uniform(0, 6, (5, 5)).astype(np.float32),
        "weight": 0.5,
    }


def as_sharpened_by_reference(arguments: Arguments, found: np.ndarray) -> None:
    labels = arguments["labels_hw"].astype(np.int32)
    expected = clusters.sharpen_reference(**arguments | {"labels_hw": labels})
    assert found.shape == expected.shape
    centres, colours = arguments["centres_K5"], arguments["lab_HW3"]
    # In other dtypes the reference rounds elsewhere, and near ties may fall to the other side.
    if centres.dtype == colours.dtype == np.float32:
        np.testing.assert_array_equal(found, expected)


def as_connected_by_reference(arguments: Arguments, found: tuple[np.ndarray, int]) -> None:
    labels, count = regions.connected_reference(**arguments)
    np.testing.assert_array_equal(found[0], labels)
    assert found[1] == count


def came_back(arguments: Arguments, found: tuple[np.ndarray, str]) -> None:
    np.testing.assert_array_equal(found[0], arguments["labels_HW"])
    assert found[1] == arguments["note"]


def sized(arguments: Arguments, found: np.ndarray) -> None:
    assert found.shape == (arguments["height"], arguments["width"])
    assert set(np.unique(found)) <= {-1, *np.unique(arguments["labels_HW"])}


def is_labels(arguments: Arguments, found: np.ndarray) -> None:
    assert found.dtype == np.int32
    assert found.ndim == 2
    assert found.size == 0 or found.min() >= -1


def is_share(arguments: Arguments, found: float) -> None:
    assert 0 <= found <= 1 + 1e-9


def cropped(labels_HW: np.ndarray, box: tuple[int, ...], height: int, width: int) -> np.ndarray:
    return lookup.crop_resize_labels(labels_HW, Box(*box) if len(box) == 4 else box, height, width)


def box_arguments(rng: np.random.Generator) -> Arguments:
    return {"labels_HW": table(rng), "box": (-1, 1, 4, 9), "height": 5, "width": 7}


def masked(none: int, array: str, image: bytes, masks_of: bytes) -> np.ndarray:
    return masks.Masks(none=none, array=array).labels((image, masks_of), "a mask")


def npz_of(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def mask_arguments(rng: np.random.Generator, as_png: bool) -> Arguments:
    labels = table(rng).astype(np.uint8)
    data = png_of(labels) if as_png else npz_of(labels=labels, other=labels)
    return {"none": 0, "array": "labels", "image": png_of(image(rng, 6, 8)), "masks_of": data}


def slic_of(kind: type) -> Callable[..., np.ndarray]:
    return lambda pixels_HW3, **settings: kind(**settings).segment(pixels_HW3)


def slic_arguments(rng: np.random.Generator) -> Arguments:
    settings = {"segments": 6, "compactness": 6.0, "sigma": 1.0, "iterations": 2}
    return {"pixels_HW3": image(rng), **settings}


def folder_at(path: Path) -> folder.SuperpixelFolder:
    return folder.open_or_create(path, slic.Slic())


def saved(path: Path, image: str, labels_HW: np.ndarray) -> np.ndarray:
    made = folder_at(path)
    made.save(image, KEY, labels_HW)
    made.require([image])
    made.entry(image, KEY)
    return made.load(image)


def same_labels(arguments: Arguments, found: np.ndarray) -> None:
    np.testing.assert_array_equal(found, arguments["labels_HW"])


def stored(path: Path, png: bytes, header: bytes, manifest: bytes) -> dict[str, Any]:
    """A folder whose every file may be spoilt."""
    (path / folder.LABELS).mkdir()
    (path / folder.LABELS / "a.png.png").write_bytes(png)
    (path / folder.HEADER).write_bytes(header)
    (path / folder.MANIFEST).write_bytes(manifest)
    found = folder.SuperpixelFolder(path, slic.Slic())
    entries = found.manifest()
    found.write_manifest(entries)
    found.entry("a.png", KEY)
    found.load("a.png")
    return entries


def folder_arguments(rng: np.random.Generator) -> Arguments:
    line = {"image": "a.png", "key": KEY, "height": 6, "width": 8, "segments": 5}
    return {
        "png": encoding.encode(table(rng), f"{KEY} 5"),
        "header": json.dumps({"format": folder.FORMAT, **RECIPE}).encode(),
        "manifest": (json.dumps(line) + "\n").encode(),
    }


def items_at(path: Path, data: bytes) -> list[listing.Item]:
    (path / "a.png").write_bytes(data)
    return listing.list_items(str(path))


def prepared(path: Path, data: bytes, workers: int) -> prepare.Summary:
    items = items_at(path, data)
    method = slic.Slic(segments=4)
    summary = prepare.prepare(items, path / "out", method, workers=workers)
    again = prepare.check(items, path / "out", method, workers=workers)
    assert summary.complete
    assert again.problems.keys() == summary.problems.keys()
    return summary


def examined(path: Path, data: bytes) -> prepare.Outcome:
    return prepare.examine(folder_at(path), slic.Slic(), items_at(path, data)[0], make=True)


def is_outcome(arguments: Arguments, found: prepare.Outcome) -> None:
    assert (found.entry is None) == bool(found.problem)


def commanded(path: Path, images: str, method: str, settings: str, workers: int) -> int:
    (path / "images").mkdir()
    (path / "images" / "a.png").write_bytes(png_of(scene(0, 24, 30)))
    options = argparse.Namespace(
        images=f"{path}/{images}",
        out=f"{path}/out",
        method=method,
        settings=[settings],
        masks=None,
        root=None,
        workers=workers,
        check=False,
    )
    return command.run(options)


def listed(path: Path, source: str, root: str) -> list[listing.Item]:
    (path / "images").mkdir()
    (path / "images" / "a.png").write_bytes(b"")
    return listing.list_items(f"{path}/{source}", root=path / root)


def written(path: Path, name: str, data: bytes) -> bytes:
    folder.write_file(path / name, data)
    return folder.read_file(path / name)


def header_of(path: Path, header: bytes) -> dict[str, Any]:
    (path / folder.HEADER).write_bytes(header)
    return folder.read_header(path)


def quality_case(function: Callable[..., Any], other: str, **settings: Any) -> Case:
    def sound(rng: np.random.Generator) -> Arguments:
        beside = {
            "truth_HW": table(rng),
            "edges_HW": rng.uniform(size=(6, 8)) < 0.3,
            "values_HWC": rng.normal(size=(6, 8, 3)),
        }[other]
        return {"labels_HW": table(rng), other: beside, **settings}

    return Case(function, sound, is_share)


CASES = {
    "clusters.assign": Case(clusters.assign, cluster_arguments, as_assigned_by_reference),
    "clusters.sharpen": Case(clusters.sharpen, sharp_arguments, as_sharpened_by_reference),
    "command.run": Case(
        in_folder(commanded),
        lambda rng: {"images": "images", "method": "slic", "settings": "segments=4", "workers": 1},
        spare={("images", "''"): "the folder itself", ("method", "''"): "the default"},
    ),
    "encoding.encode": Case(
        lambda labels_HW, note: encoding.decode(encoding.encode(labels_HW, note), "a file"),
        lambda rng: {"labels_HW": table(rng), "note": "abc 5"},
        came_back,
        spare={("note", t): "a note like others" for t in ("''", "'nonsense'", repr("../\0"))},
    ),
    "encoding.decode": Case(
        lambda data: encoding.decode(data, "a file")[0],
        lambda rng: {"data": encoding.encode(table(rng), "abc 5")},
        is_labels,
    ),
    "encoding.read_note": Case(
        lambda data: encoding.read_note(data, "a file"),
        lambda rng: {"data": encoding.encode(table(rng), "abc 5")},
    ),
    "folder.SuperpixelFolder": Case(
        in_folder(saved),
        lambda rng: {"image": "front/a.png", "labels_HW": table(rng)},
        same_labels,
        spare={("image", "'nonsense'"): "a name like others"},
    ),
    "folder.SuperpixelFolder stored": Case(in_folder(stored), folder_arguments),
    "folder.open_or_create": Case(
        in_folder(lambda path, name: folder_at(path / name)),
        lambda rng: {"name": "out"},
        spare={("name", "''"): "the folder itself", ("name", "'nonsense'"): "a name like others"},
    ),
    "folder.read_file": Case(
        in_folder(written),
        lambda rng: {"name": "a", "data": b"abc"},
        spare={("name", "'nonsense'"): "a name like others"},
    ),
    "folder.read_header": Case(
        in_folder(header_of), lambda rng: {"header": folder_arguments(rng)["header"]}
    ),
    "folder.require_recipe": Case(
        lambda method: folder.require_recipe(Path("x"), RECIPE | {"method": method}, RECIPE),
        lambda rng: {"method": "slic"},
    ),
    "folder.write_file": Case(
        in_folder(written),
        lambda rng: {"name": "a", "data": b"abc"},
        spare={("name", "'nonsense'"): "a name like others"},
    ),
    "listing.list_items": Case(
        in_folder(listed),
        lambda rng: {"source": "images", "root": "images"},
        spare={("source", "''"): "the folder itself", ("root", "''"): "the folder itself"},
    ),
    "lookup.resize_labels": Case(
        lookup.resize_labels,
        lambda rng: {"labels_HW": table(rng), "height": 5, "width": 7},
        sized,
    ),
    "lookup.crop_resize_labels": Case(cropped, box_arguments, sized),
    "lookup.flip_labels": Case(
        lookup.flip_labels,
        lambda rng: {"labels_HW": table(rng)},
        lambda arguments, found: same_labels(arguments, found[:, ::-1]),
    ),
    "masks.Masks png": Case(
        masked,
        lambda rng: mask_arguments(rng, True),
        is_labels,
        spare={
            ("array", t): "not read for a PNG"
            for t in map(repr, ("", "nonsense", "../\0", "é" * 300))
        },
    ),
    "masks.Masks npz": Case(masked, lambda rng: mask_arguments(rng, False), is_labels),
    "methods.method_of": Case(
        lambda name, setting, value: methods.method_of(name, [f"{setting}={value}"]),
        lambda rng: {"name": "slic", "setting": "compactness", "value": "6.5"},
    ),
    "methods.key_of": Case(
        lambda data: methods.key_of(RECIPE, [data]), lambda rng: {"data": rng.bytes(9)}
    ),
    "methods.recipe_key": Case(
        lambda name: methods.recipe_key(RECIPE | {"method": name}),
        lambda rng: {"name": "slic"},
        spare={
            ("name", t): "a recipe like others"
            for t in map(repr, ("", "nonsense", "../\0", "é" * 300))
        },
    ),
    "methods.differences": Case(
        lambda value: methods.differences(RECIPE, RECIPE | {"version": value}),
        lambda rng: {"value": 1},
    ),
    "pictures.decode": Case(
        lambda data: pictures.decode(data, "an image"), lambda rng: {"data": png_of(image(rng))}
    ),
    "pictures.opened": Case(
        lambda data: pictures.opened(data, "an image").size,
        lambda rng: {"data": png_of(image(rng))},
    ),
    "pictures.size_of": Case(
        lambda data: pictures.size_of(data, "an image"), lambda rng: {"data": png_of(image(rng))}
    ),
    "prepare.prepare": Case(
        in_folder(prepared), lambda rng: {"data": png_of(image(rng)), "workers": 1}
    ),
    "prepare.check": Case(
        in_folder(prepared),
        lambda rng: {"data": png_of(image(rng)), "workers": 1},
    ),
    "prepare.examine": Case(
        in_folder(examined), lambda rng: {"data": png_of(image(rng))}, is_outcome
    ),
    "quality.borders": Case(quality.borders, lambda rng: {"labels_HW": table(rng)}),
    "quality.boundary_recall": quality_case(quality.boundary_recall, "edges_HW", tolerance=2.0),
    "quality.achievable_accuracy": quality_case(quality.achievable_accuracy, "truth_HW"),
    "quality.undersegmentation": Case(
        quality.undersegmentation, lambda rng: {"labels_HW": table(rng), "truth_HW": table(rng)}
    ),
    "quality.explained_variation": quality_case(quality.explained_variation, "values_HWC"),
    "regions.connected": Case(
        regions.connected,
        lambda rng: {"labels_HW": table(rng), "smallest": 2},
        as_connected_by_reference,
    ),
    "slic.Slic": Case(slic_of(slic.Slic), slic_arguments, is_labels),
    "slic.SlicReference": Case(slic_of(slic.SlicReference), slic_arguments, is_labels),
}
