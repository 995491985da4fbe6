"""The doctor, on this machine and on faked broken ones."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from sensorfusion import datasets, doctor
from sensorfusion.doctor import Finding

TOOL = Path(__file__).resolve().parents[1] / "tools" / "doctor.py"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`install(name, version, requires, files)`: a faked distribution, seen before real ones."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def make(
        name: str,
        version: str = "1.0",
        requires: tuple[str, ...] = (),
        files: dict[str, str] | None = None,
    ) -> None:
        info = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {requirement}" for requirement in requires]
        (info / "METADATA").write_text("\n".join(lines) + "\n")
        (info / "RECORD").write_text("".join(f"{file},,\n" for file in files or {}))
        for file, text in (files or {}).items():
            (tmp_path / file).parent.mkdir(exist_ok=True)
            (tmp_path / file).write_text(text)

    return make


def by_name(findings: Iterator[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


def test_this_machine() -> None:
    command = [sys.executable, str(TOOL), "--json"]
    environment = {"PYTHONPATH": str(TOOL.parents[1]), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    findings = [Finding(**entry) for entry in json.loads(done.stdout)]
    found = {finding.name: finding for finding in findings}
    assert found["torch"].value == torch.__version__
    assert found["mmengine"].status == "ok"
    assert found["torch"].section == "Required packages"
    assert {"rasterio", "rerun-sdk"} <= set(found)
    assert all(finding.remedy for finding in findings if finding.status == "trouble")
    assert done.returncode == any(finding.status == "trouble" for finding in findings)


def test_required_packages_are_tried_one_by_one(install: Callable[..., None]) -> None:
    wanted = ("ends", "raises", "works>=1", "noisy", "old>=2", "absent", 'skipped; extra == "x"')
    install("sensorfusion", "9", requires=wanted)
    install("ends", files={"ends.py": "import os; os._exit(3)"})
    install("raises", files={"raises.py": "raise ImportError('two\\nlines')"})
    install("works", files={"works.py": ""})
    install("noisy", files={"noisy.py": "print('hello')"})
    install("old", files={"old.py": ""})
    found = by_name(doctor.required())
    statuses = {name: finding.status for name, finding in found.items() if name != "OpenCV"}
    assert statuses == {
        "ends": "trouble",
        "raises": "trouble",
        "works": "ok",
        "noisy": "ok",
        "old": "trouble",
        "absent": "trouble",
    }
    assert found["ends"].value == "1.0: importing it ends the process with 3"
    assert found["raises"].value == "1.0: ImportError: two lines"
    assert found["old"].value == "1.0, needed >=2"


def test_missing_system_library_names_both_ways_out(install: Callable[..., None]) -> None:
    text = "raise ImportError('libGL.so.1: cannot open shared object file')"
    install("sensorfusion", "9")
    install("opencv-python", files={"cv2/__init__.py": text})
    opencv = by_name(doctor.required())["OpenCV"]
    assert opencv.status == "trouble"
    assert "libgl1" in opencv.remedy
    assert "./requirements/opencv-python" in opencv.remedy


def test_optional_part_names_its_extra(install: Callable[..., None]) -> None:
    install("sensorfusion", "9", requires=('no-such-part; extra == "geo"', 'lint; extra == "test"'))
    found = by_name(doctor.optional())
    assert list(found) == ["no-such-part"]
    assert found["no-such-part"].status == "note"
    assert "'.[geo]'" in found["no-such-part"].remedy


def test_two_opencvs_clash(install: Callable[..., None]) -> None:
    install("sensorfusion", "9")
    install("opencv-python", files={"cv2/__init__.py": ""})
    install("opencv-contrib-python", files={"cv2/__init__.py": ""})
    clash = by_name(doctor.clashes())["OpenCV"]
    assert clash.status == "trouble"
    assert {"opencv-python", "opencv-contrib-python"} <= set(clash.value.split())


def test_requirements_of_requirements_are_followed(install: Callable[..., None]) -> None:
    install("sensorfusion", "9", requires=("first",))
    install("first", requires=("second<2", 'never; python_version < "3"'))
    install("second", "1.5", requires=("third>=4",))
    install("third", "3.0")
    found = by_name(doctor.clashes())
    assert found["third"].value == "second needs third>=4, found 3.0"
    assert not {"second", "never"} & set(found)


def test_sparse_backends_in_use_and_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("SENSORFUSION_SPARSE_BACKEND", raising=False)
    found = by_name(doctor.sparse())
    assert found["backend in use"].value == "cpu on cpu"
    assert found["torch backend"].value == "available"
    assert "NVIDIA" in found["spconv backend"].value
    assert "no triton backend" in found["triton backend"].value
    monkeypatch.setenv("SENSORFUSION_SPARSE_BACKEND", "spconv")
    forced = by_name(doctor.sparse())["backend in use"]
    assert forced.status == "trouble"
    assert "NVIDIA" in forced.remedy
    monkeypatch.setenv("SENSORFUSION_SPARSE_BACKEND", "minkowski")
    assert "known: cpu, spconv" in by_name(doctor.sparse())["backend in use"].remedy


def test_broken_torchvision(install: Callable[..., None]) -> None:
    install("sensorfusion", "9")
    text = "raise RuntimeError('operator torchvision::nms does not exist')"
    install("torchvision", files={"torchvision/__init__.py": text})
    assert "nms does not exist" in by_name(doctor.clashes())["torchvision"].value


def test_data_sets_with_and_without_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readers, root = tmp_path / "readers", tmp_path / "root"
    for folder in (readers, root / "toy-set" / "clips", root / "unread"):
        folder.mkdir(parents=True)
    (readers / "toy_set.py").touch()
    monkeypatch.setattr(datasets, "__path__", [str(readers)])
    monkeypatch.setenv("SENSORFUSION_DATA", str(root))
    found = by_name(doctor.data())
    assert found["toy-set"].value == "1 entries"
    assert found["others"].value.startswith("1 folder")


def test_a_wrong_data_root_is_trouble_only_when_it_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENSORFUSION_DATA", str(tmp_path / "absent"))
    assert [finding.status for finding in doctor.data()] == ["trouble"]
    monkeypatch.delenv("SENSORFUSION_DATA")
    monkeypatch.setattr(doctor, "REPOSITORY", tmp_path / "clone")
    assert [finding.status for finding in doctor.data()] == ["note"]


@pytest.mark.parametrize(
    ("built_for", "driver", "status"),
    [(None, False, "ok"), (None, True, "note"), ("13.0", True, "trouble"), ("13.0", False, "ok")],
)
def test_no_usable_gpu(built_for: str | None, driver: bool, status: str) -> None:
    assert doctor._without_gpu("Devices", built_for, driver).status == status


def test_report_is_aligned_and_counts() -> None:
    findings = [
        Finding("A", "x", "1"),
        Finding("A", "longer", "2", "note", "do this"),
        Finding("B", "y", "3", "trouble", "do that"),
    ]
    lines = doctor.report(findings).splitlines()
    assert lines[0] == "A"
    assert lines[-1] == "1 in trouble (marked !)"
    assert {line.index(value) for value in "123" for line in lines if line.endswith(value)} == {11}
    assert doctor.report(findings[:2]).endswith("No trouble found.")
