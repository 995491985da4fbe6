"""Where tests find recordings and golden values, and what their absence means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from tests import distributed_pool

REPOSITORY = Path(__file__).resolve().parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-data",
        action="store_true",
        help="fail, instead of skipping, tests whose recordings or golden values are absent",
    )


def pytest_sessionfinish() -> None:
    distributed_pool.shutdown()


def shared_folder(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or REPOSITORY.parent / "shared" / default).resolve()


GOLDEN = shared_folder("SENSORFUSION_GOLDEN", "golden")
DATA = shared_folder("SENSORFUSION_DATA", "data")


def _require(path: Path, variable: str, request: pytest.FixtureRequest) -> Path:
    if path.is_dir():
        return path
    reason = f"{path} is not there; set {variable} to the folder that holds it"
    if request.config.getoption("--require-data"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def golden_root(request: pytest.FixtureRequest) -> Path:
    """The folder of golden values."""
    return _require(GOLDEN, "SENSORFUSION_GOLDEN", request)


@pytest.fixture(scope="session")
def data_root(request: pytest.FixtureRequest) -> Path:
    """The folder of real recordings."""
    return _require(DATA, "SENSORFUSION_DATA", request)


# Tests compare small arrays: more threads only wait for each other.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
