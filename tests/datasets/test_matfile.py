from __future__ import annotations

import zlib

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from sensorfusion.datasets.matfile import MatFileError, read_matrix


@pytest.mark.parametrize("dtype", ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
@pytest.mark.parametrize("compressed", [False, True])
def test_what_scipy_wrote_is_read(tmp_path, dtype, compressed):
    draws = np.random.default_rng(0)
    content = {
        "first": draws.integers(0, 100, (3, 4)).astype(dtype),
        "d_skel": (100 * draws.random((5, 3, 7))).astype(dtype),
        "a_much_longer_name_than_four": draws.random((2, 2)).astype(dtype),
        "empty": np.zeros((0, 6), dtype),
        "one": np.ones((1, 1), dtype),
    }
    path = tmp_path / "x.mat"
    savemat(path, content, do_compression=compressed)
    for name, values in content.items():
        read = read_matrix(path, name)
        assert read.dtype == np.float64
        np.testing.assert_array_equal(read, values.astype(np.float64))
    with pytest.raises(MatFileError, match=r"no variable 'other', only \['first'"):
        read_matrix(path, "other")


@pytest.mark.parametrize(
    "value", ["text", {"a": 1}, np.ones((2, 2)) * 1j, np.array([[1, "x"]], object)]
)
def test_what_is_no_number_is_refused(tmp_path, value):
    savemat(tmp_path / "x.mat", {"x": value})
    with pytest.raises(MatFileError, match="real numbers"):
        read_matrix(tmp_path / "x.mat", "x")


def test_a_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("sensorfusion.datasets.matfile.LARGEST", 1 << 16)
    savemat(tmp_path / "x.mat", {"x": np.zeros((300, 300))}, do_compression=True)
    with pytest.raises(MatFileError, match="too large"):
        read_matrix(tmp_path / "x.mat", "x")


@pytest.mark.parametrize("compressed", [False, True])
def test_damage_gives_our_error_or_an_array(tmp_path, compressed):
    """On these bytes scipy's reader raises a dozen kinds of errors, or ends the process."""
    path, draws = tmp_path / "x.mat", np.random.default_rng(0)
    savemat(path, {"x": draws.normal(size=(30, 6))}, do_compression=compressed)
    sound = path.read_bytes()
    refused = 0
    for _ in range(400):
        damaged = bytearray(sound)
        for place in draws.integers(120, 230, draws.integers(1, 5)):
            damaged[place] = draws.integers(256)
        path.write_bytes(damaged[: draws.integers(len(sound) // 2, 2 * len(sound))])
        try:
            read_matrix(path, "x")
        except MatFileError:
            refused += 1
    assert refused > 250


def test_empty_compressed_data(tmp_path):
    path = tmp_path / "x.mat"
    savemat(path, {"x": np.ones((2, 2))})
    packed = zlib.compress(b"")
    tag = np.array([15, len(packed)], "<u4").tobytes()
    path.write_bytes(path.read_bytes()[:128] + tag + packed)
    with pytest.raises(MatFileError, match="without content"):
        read_matrix(path, "x")


def test_recordings_as_scipy_reads_them(data_root):
    root = data_root / "utd-mhad"
    for folder, name in (("Inertial", "d_iner"), ("Skeleton", "d_skel")):
        for path in sorted((root / folder).glob("*.mat"))[::60]:
            np.testing.assert_array_equal(read_matrix(path, name), loadmat(path)[name])
