"""A kernel gives the same numbers on threads, alone, after a fork and from several threads."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numba
import numpy as np
import pytest

from sensorfusion.compiled import compiled, inlined, one_thread
from tests.children import value_in_child


@inlined
def square(value):
    return value * value


@compiled()
def square_all(values_N, squares_N):
    """Square every value."""
    for row in numba.prange(values_N.shape[0]):
        squares_N[row] = square(values_N[row])


def squares(count: int = 10_000) -> np.ndarray:
    values_N = np.arange(count, dtype=np.float64)
    squares_N = np.empty_like(values_N)
    square_all(values_N, squares_N)
    return squares_N


def test_both_forms_and_the_python_function_agree() -> None:
    values_N = np.linspace(-3, 3, 1001)
    results = []
    for form in (square_all.python, square_all.serial, square_all.parallel, square_all):
        results.append(np.empty_like(values_N))
        form(values_N, results[-1])
    assert all(np.array_equal(result, values_N**2) for result in results)
    assert square_all.__doc__ == "Square every value."


def test_one_thread_uses_the_form_of_one_thread(monkeypatch) -> None:
    """With two threads set, the other form serves before and after."""
    used: list[str] = []
    before = numba.get_num_threads()
    numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))
    outside = "parallel" if numba.get_num_threads() > 1 else "serial"
    for form in ("serial", "parallel"):
        monkeypatch.setattr(square_all, form, lambda *_, form=form: used.append(form))
    try:
        squares()
        with one_thread():
            squares()
        squares()
    finally:
        numba.set_num_threads(before)
    assert used == [outside, "serial", outside]


def sum_of_squares() -> float:
    return float(squares().sum())


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_worker_may_call_a_kernel_that_its_parent_has_called(start: str) -> None:
    expected = sum_of_squares()
    assert value_in_child(start, sum_of_squares) == expected


THREADS = """
import sys, threading
sys.path[:0] = [{root!r}]
from tests.test_compiled import squares
expected = squares()
wrong = []
def work():
    for _ in range(100):
        if (squares() != expected).any():
            wrong.append(1)
threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
sys.exit(len(wrong))
"""


def test_threads_may_call_kernels_at_the_same_time_whatever_the_pool() -> None:
    script = THREADS.format(root=str(Path(__file__).parents[1]))
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "NUMBA_THREADING_LAYER": "workqueue"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


def test_a_kernel_lets_other_python_threads_run() -> None:
    ticks = []
    stop = threading.Event()

    def tick() -> None:
        while not stop.is_set():
            ticks.append(1)
            stop.wait(0.0005)

    squares()
    thread = threading.Thread(target=tick)
    thread.start()
    before = len(ticks)
    values_N = np.ones(30_000_000)
    square_all(values_N, values_N)
    stop.set()
    thread.join()
    assert len(ticks) - before > 2


TORCH = """
import sys, torch
sys.path[:0] = [{root!r}]
torch.set_num_threads(1)
from tests.test_compiled import squares
squares()
squares()
sys.exit(torch.get_num_threads())
"""


def test_starting_the_pool_leaves_the_threads_of_torch_as_they_are() -> None:
    script = TORCH.format(root=str(Path(__file__).parents[1]))
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "NUMBA_NUM_THREADS": "2"}
    )
    assert done.returncode == 1


KERNEL = """
import numpy as np
from sensorfusion.compiled import compiled
from helper import SCALE, half

@compiled()
def fill(out):
    for i in range(len(out)):
        out[i] = SCALE * half(3.0)

if __name__ == "__main__":
    out = np.zeros(1)
    fill(out)
    print(out[0], sum(fill.serial.stats.cache_hits.values()))
"""
HELPER = """
from sensorfusion.compiled import inlined
SCALE = {scale}

@inlined
def half(value):
    return value {operation} 2
"""


def run_kernel(folder: Path, **helper: object) -> list[float]:
    """What the kernel gives, and how often it came from the disk."""
    file, text = folder / "helper.py", HELPER.format(**helper)
    if not file.exists() or file.read_text() != text:
        file.write_text(text)
    command = [sys.executable, str(folder / "kernel.py")]
    root = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root, "NUMBA_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


def test_a_cached_kernel_follows_changes_of_helpers_and_constants_of_other_modules(
    tmp_path: Path,
) -> None:
    (tmp_path / "kernel.py").write_text(KERNEL)
    assert run_kernel(tmp_path, scale=1.0, operation="/") == [1.5, 0]
    assert run_kernel(tmp_path, scale=2.0, operation="/") == [3.0, 0]
    assert run_kernel(tmp_path, scale=2.0, operation="*") == [12.0, 0]
    assert run_kernel(tmp_path, scale=2.0, operation="*") == [12.0, 1]
