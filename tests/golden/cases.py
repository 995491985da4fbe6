"""Golden sets of one topic, wherever they lie under the root."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import GOLDEN


def folders_of(topic: str) -> list[Path]:
    """Folders whose manifest is of this topic; the usual place when there is none."""
    manifests = sorted(GOLDEN.rglob("manifest.json"))
    found = [p.parent for p in manifests if json.loads(p.read_text()).get("topic") == topic]
    return found or [GOLDEN / topic]


def read_manifest(folder: Path, request: pytest.FixtureRequest) -> dict:
    request.getfixturevalue("golden_root")
    return json.loads((folder / "manifest.json").read_text())


def recording(pattern: str, request: pytest.FixtureRequest) -> Path:
    """The one recording whose path ends so; skips, or fails under --require-data, without it."""
    root = request.getfixturevalue("data_root")
    found = sorted(root.rglob(pattern))
    if found:
        return found[0]
    reason = f"no recording {pattern} under {root}; set SENSORFUSION_DATA to the folder of the set"
    if request.config.getoption("--require-data"):
        pytest.fail(reason)
    pytest.skip(reason)
