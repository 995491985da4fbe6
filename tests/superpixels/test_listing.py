"""Which images are meant, and what they are called."""

from pathlib import Path

import pytest

from sensorfusion.errors import ConfigError, DataError
from sensorfusion.superpixels.listing import list_items


@pytest.fixture
def images(tmp_path):
    for name in (
        "b.JPG",
        "a.png",
        "front/a.png",
        "front/deep/c.jpeg",
        "notes.md",
        "out/labels/a.png",
    ):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "images"


def names(*args, **kwargs):
    return [item.name for item in list_items(*args, **kwargs)]


def test_a_folder_without_what_is_written_to(images):
    found = list_items(str(images), without=images / "out")
    assert [item.name for item in found] == ["a.png", "b.JPG", "front/a.png", "front/deep/c.jpeg"]
    assert found[2].files == (images / "front/a.png",)


def test_a_pattern_and_a_root(images, monkeypatch):
    assert names(f"{images}/front/*.png") == ["a.png"]
    assert names(f"{images}/f*/**/*.??e*") == ["front/deep/c.jpeg"]
    assert names(f"{images}/front/*.png", root=images.parent) == ["images/front/a.png"]
    monkeypatch.chdir(images)
    assert names("front/*.png", root=Path(".")) == ["front/a.png"]
    assert names("a.png") == ["a.png"]
    with pytest.raises(DataError, match=r"(?s)not below.*--root"):
        names("front/*.png", root=images / "other")


def test_a_list_and_its_masks(images):
    path = images / "list.txt"
    path.write_text(f"front/a.png\n\n  {images}/b.JPG\n")
    assert names(str(path)) == ["b.JPG", "front/a.png"]
    path.write_text("front/a.png\t../masks/x.npz\nb.JPG\t../masks/y.png\n")
    assert [item.files[1] for item in list_items(str(path))] == [
        images.parent / "masks/y.png",
        images.parent / "masks/x.npz",
    ]
    path.write_text("front/a.png\t../masks/x.npz\nb.JPG\n")
    with pytest.raises(ConfigError, match="some lines name masks"):
        list_items(str(path))


def test_masks_have_the_names_of_images(images, tmp_path):
    masks = tmp_path / "masks"
    (masks / "front").mkdir(parents=True)
    (masks / "front/a.npz").touch()
    found = list_items(f"{images}/front/*.png", root=images, masks=masks)
    assert found[0].files == (images / "front/a.png", masks / "front/a.npz")
    (masks / "front/a.png").touch()
    with pytest.raises(DataError, match=r"(?s)2 files of masks for front/a.png.*keep one"):
        list_items(f"{images}/front/*.png", root=images, masks=masks)


def test_no_image(images, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.txt").touch()
    for source in ("empty", "empty.txt", "*.tif", "missing"):
        with pytest.raises(DataError, match=r"(?s)no image.*what to do"):
            list_items(str(tmp_path / source))
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(DataError, match="no list of images"):
        list_items(str(tmp_path / "binary.txt"))
