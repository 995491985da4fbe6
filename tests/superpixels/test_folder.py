"""The folder: keys, and that nothing missing, damaged or foreign is ever read."""

import dataclasses
import json

import numpy as np
import pytest

from sensorfusion.errors import ConfigError, DataError
from sensorfusion.superpixels.folder import HEADER, SuperpixelFolder, open_or_create
from sensorfusion.superpixels.masks import Masks
from sensorfusion.superpixels.methods import METHODS, key_of, method_of, recipe_of
from sensorfusion.superpixels.slic import Slic, SlicReference

LABELS = np.arange(24, dtype=np.int32).reshape(4, 6) // 5 - 1
OTHER = {
    int: lambda v: v + 1,
    float: lambda v: v + 0.5,
    bool: lambda v: not v,
    str: lambda v: v + "x",
}


@pytest.fixture
def folder(tmp_path):
    made = open_or_create(tmp_path / "made", Slic())
    made.save("front/a.jpg", key_of(made.recipe, [b"image"]), LABELS)
    return made


@pytest.mark.parametrize("kind", METHODS.values())
def test_every_setting_the_version_and_every_file_change_the_key(kind, monkeypatch):
    default = kind()
    keys = {key_of(recipe_of(default), [b"image", b"mask"])}
    for field in dataclasses.fields(default):
        value = getattr(default, field.name)
        changed = dataclasses.replace(default, **{field.name: OTHER[type(value)](value)})
        keys.add(key_of(recipe_of(changed), [b"image", b"mask"]))
    keys |= {key_of(recipe_of(default), files) for files in ([b"imagf", b"mask"], [b"image", b"m"])}
    keys.add(key_of(recipe_of(default), [b"imagem", b"ask"]))
    monkeypatch.setattr(kind, "version", kind.version + 1)
    keys.add(key_of(recipe_of(default), [b"image", b"mask"]))
    assert len(keys) == 5 + len(dataclasses.fields(default))
    assert key_of(recipe_of(kind()), []) == key_of(recipe_of(kind()), [])


def test_methods_have_different_keys():
    assert len({key_of(recipe_of(kind()), []) for kind in (Slic, SlicReference, Masks)}) == 3


def test_round_trip(folder):
    found = SuperpixelFolder(folder.path, Slic())
    np.testing.assert_array_equal(found.load("front/a.jpg", (4, 6)), LABELS)
    key = key_of(found.recipe, [b"image"])
    entry = found.entry("front/a.jpg", key)
    assert (entry.height, entry.width, entry.segments) == (4, 6, 4)
    found.write_manifest({"front/a.jpg": entry})
    assert found.manifest() == {"front/a.jpg": entry}
    found.require(["front/a.jpg"])


def test_what_is_missing_is_named(folder):
    with pytest.raises(DataError, match=r"(?s)no such file.*b\.jpg\.png.*prepare.py superpixels"):
        folder.load("front/b.jpg")
    with pytest.raises(DataError, match=r"(?s)2 images have no superpixels: b, c.*prepare.py"):
        folder.require(["front/a.jpg", "b", "c"])
    with pytest.raises(DataError, match=r"(?s)no such file.*superpixels\.json"):
        SuperpixelFolder(folder.path / "labels")


def test_damage_other_sizes_and_other_settings_are_refused(folder, tmp_path):
    with pytest.raises(DataError, match=r"\(4, 6\) for an image of \(8, 12\)"):
        folder.load("front/a.jpg", (8, 12))
    other = open_or_create(tmp_path / "other", Slic(segments=9))
    other.save("a.jpg", key_of(other.recipe, [b"image"]), LABELS)
    file = folder.file("front/a.jpg")
    file.write_bytes(other.file("a.jpg").read_bytes())  # a file of another folder, copied here
    with pytest.raises(DataError, match=r"(?s)other settings.*a\.jpg\.png.*again"):
        folder.load("front/a.jpg")
    with pytest.raises(DataError, match="other settings"):
        folder.entry("front/a.jpg", key_of(folder.recipe, [b"image"]))
    file.write_bytes(other.file("a.jpg").read_bytes()[:-1])
    with pytest.raises(DataError, match="damaged"):
        folder.load("front/a.jpg")


def test_a_changed_image_is_noticed(folder):
    with pytest.raises(DataError, match="image has changed"):
        folder.entry("front/a.jpg", key_of(folder.recipe, [b"another image"]))


def test_the_difference_of_settings_is_shown(folder):
    for method, text in (
        (
            Slic(sigma=1.0, segments=9),
            "segments: 150 there, 9 wanted; sigma: 3.0 there, 1.0 wanted",
        ),
        (Masks(), "method: 'slic' there, 'masks' wanted"),
    ):
        with pytest.raises(ConfigError, match=text):
            SuperpixelFolder(folder.path, method)
        with pytest.raises(ConfigError, match=text):
            open_or_create(folder.path, method)


@pytest.mark.parametrize("name", ["../a", "/etc/a", "a/../../b", "", "a\\..\\b", "a\0"])
def test_no_name_leaves_the_folder(folder, name):
    with pytest.raises(DataError, match="no path below a root"):
        folder.load(name)
    with pytest.raises(DataError, match="no path below a root"):
        folder.save(name, "key", LABELS)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', "{", "null", "\udcff"])
def test_headers_that_are_none(folder, text):
    (folder.path / HEADER).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match="not the header of superpixels"):
        SuperpixelFolder(folder.path)


def test_lines_of_the_manifest_that_are_cut_or_foreign_are_left_out(folder):
    entry = folder.entry("front/a.jpg", key_of(folder.recipe, [b"image"]))
    folder.write_manifest({entry.image: entry})
    path = folder.path / "manifest.jsonl"
    line = path.read_text()
    path.write_text(line + "7\n" + json.dumps({"image": "b"}) + "\n" + line[:-20])
    assert folder.manifest() == {entry.image: entry}


def test_settings_from_text():
    assert method_of("slic", ["segments=30", "sigma=1"]) == Slic(segments=30, sigma=1.0)
    assert method_of("masks", ["keep_ids=true", "array=m"]) == Masks(keep_ids=True, array="m")
    for name, setting, text in (
        ("slic", "colour=1", r"(?s)no setting 'colour'.*segments=150"),
        ("slic", "segments=many", "segments='many' is no int"),
        ("masks", "keep_ids=yes", "keep_ids='yes' is no bool"),
        ("slic", "segments=0", "segments = 0"),
        ("seeds", "x=1", "no method 'seeds'"),
    ):
        with pytest.raises(ConfigError, match=text):
            method_of(name, [setting])
