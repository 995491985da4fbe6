from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import signal
import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorfusion.geometry import recycled as module
from sensorfusion.geometry.recycled import LARGEST, SMALLEST, recycled

COUNT = SMALLEST  # of bytes, the fewest that serve again
KEEPERS = {
    "itself": lambda array: array,
    "a slice": lambda array: array[100:200],
    "a view of a view": lambda array: array[10:].reshape(-1, 2)[5:].T,
    "another dtype": lambda array: array.view(np.int64)[3:],
    "a memoryview": memoryview,
    "a part of a memoryview": lambda array: memoryview(array)[7:9],
    "from a buffer": lambda array: np.frombuffer(array, np.int16)[5:],
    "from the memory of a view": lambda array: np.ndarray((9,), np.uint8, array[50:], 3),
    "its interface": lambda array: np.asarray(Interface(array)),
    "a tensor": torch.from_numpy,
    "a part of a tensor": lambda array: torch.from_numpy(array)[30:].view(-1, 2).t(),
    "an array of a tensor": lambda array: torch.from_numpy(array)[1:].numpy()[2:],
    "DLPack": lambda array: torch.from_dlpack(array),
    "a buffer for pickling": pickle.PickleBuffer,
    "read out of band": lambda array: read_out_of_band(array),
    "an iterator": lambda array: np.nditer(array),
    "flat": lambda array: array.flat,
    "a record": lambda array: array.view([("a", np.uint8, 64)])[2],
}


class Interface:
    def __init__(self, array: np.ndarray) -> None:
        self.array, self.__array_interface__ = array, array.__array_interface__


def read_out_of_band(array: np.ndarray) -> np.ndarray:
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(array, protocol=5, buffer_callback=buffers.append)
    return pickle.loads(data, buffers=buffers)


@pytest.fixture(autouse=True)
def _fresh_pool(monkeypatch):
    monkeypatch.setattr(module, "_pool", module._Pool())


def address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def test_memory_serves_again_when_its_array_is_gone():
    array = recycled((COUNT,), np.uint8)
    first = address(array)
    assert first % 64 == 0
    assert array.flags.writeable
    assert array.flags.c_contiguous
    other = recycled((COUNT // 8,), np.float64)
    assert not np.shares_memory(array, other)
    del array
    again = recycled((COUNT // 16, 2), np.float64)
    assert address(again) == first
    assert (again.shape, again.dtype) == ((COUNT // 16, 2), np.float64)


@pytest.mark.parametrize("keep", KEEPERS.values(), ids=KEEPERS)
def test_memory_that_is_viewed_does_not_serve_again(keep):
    array = recycled((COUNT,), np.uint8)
    first = address(array)
    array[:] = 7
    kept = keep(array)
    del array
    others = [recycled((COUNT,), np.uint8) for _ in range(20)]
    for other in others:
        other[:] = 9
    assert first not in map(address, others)
    if not isinstance(kept, pickle.PickleBuffer | np.nditer | np.flatiter):
        assert (np.asarray(kept).reshape(-1).view(np.uint8) == 7).all()
    del kept, others, other
    gc.collect()
    assert first in [address(array) for array in [recycled((COUNT,), np.uint8) for _ in range(21)]]


def test_a_gradient_keeps_what_was_saved_for_it():
    factor = recycled((COUNT,), np.float32)
    factor[:] = 3
    leaf = torch.ones(COUNT, requires_grad=True)
    product = leaf * torch.from_numpy(factor)
    del factor
    for _ in range(4):
        recycled((COUNT,), np.float32)[:] = 9
    product.sum().backward()
    assert (leaf.grad == 3).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("adsvt"), st.integers(0, 2**20)), max_size=80))
def test_contents_never_change_under_a_live_array(steps):
    module._pool = module._Pool()
    live: list[tuple[object, int]] = []
    for value, (step, number) in enumerate(steps):
        if step == "a":
            array = recycled((number % (4 * SMALLEST),), np.uint8)
            array[:] = value
            live.append((array, value))
            del array
        elif live:
            kept, value = live.pop(number % len(live))
            if step == "s" and isinstance(kept, np.ndarray):
                live.append((kept[number % (len(kept) + 1) :], value))
            elif step == "v":
                live.append((memoryview(kept) if isinstance(kept, np.ndarray) else kept, value))
            elif step == "t":
                live.append((torch.from_numpy(np.asarray(kept)), value))
            del kept
        for kept, value in live:
            assert (np.asarray(kept) == value).all()


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((0,), np.float32), ((3, 0), np.int64), ((), np.float64), ((SMALLEST - 1,), np.uint8),
     ((LARGEST + 1,), np.uint8), ((SMALLEST,), object)],
)  # fmt: skip
def test_small_huge_and_object_arrays_are_ordinary(shape, dtype):
    array = recycled(shape, dtype)
    assert (array.shape, array.dtype) == (shape, dtype)
    assert array.flags.owndata
    assert not module._pool.blocks


def test_impossible_shapes_are_refused_as_by_numpy():
    for shape in ((-1,), (-1000, -1000), (2**62, 2**62)):
        with pytest.raises(ValueError, match=r"dimension|too big"):
            recycled(shape, np.uint8)
    assert address(recycled((COUNT,), np.uint8)) % 64 == 0


def test_what_is_kept_is_bounded_however_much_is_asked_for(monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 10 * SMALLEST)
    rng = np.random.default_rng(0)
    live = []
    for value in range(200):
        array = recycled((int(rng.integers(SMALLEST, 9 * SMALLEST)),), np.uint8)
        array[:] = value
        live.append((array, value))
        live = live[-30:]
        assert sum(block.size for block in module._pool.blocks) <= 10 * SMALLEST
    assert all((array == value).all() for array, value in live)


def test_many_live_arrays_do_not_lengthen_the_search():
    live = [recycled((COUNT,), np.uint8) for _ in range(5 * module.MOST_BLOCKS)]
    assert len(module._pool.blocks) == module.MOST_BLOCKS
    assert len({address(array) for array in live}) == len(live)


def test_sizes_that_vary_a_little_share_memory():
    sizes = np.random.default_rng(0).integers(100_000, 105_000, 300)
    places = {address(recycled((int(size),), np.float32)) for size in sizes}
    assert len(places) <= 2


def test_a_small_array_does_not_hold_much_memory():
    recycled((8 * COUNT,), np.uint8)
    assert recycled((COUNT,), np.uint8).base.nbytes < 1.3 * COUNT


def test_threads_do_not_get_each_others_memory():
    wrong, start = [], threading.Barrier(6)

    def work(own: int) -> None:
        rng, kept = np.random.default_rng(own), []
        start.wait()
        for _ in range(400):
            array = recycled((int(rng.integers(SMALLEST, 2 * SMALLEST)),), np.uint8)
            array[:] = own
            kept = [*kept[-3:], array[rng.integers(0, 99) :]]
            wrong.extend(own for view in kept if (view != own).any())

    threads = [threading.Thread(target=work, args=(own,)) for own in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_an_array_is_made_while_another_is_being_made():
    """As a finaliser or a handler of signals does that runs inside."""
    with module._pool.lock:
        array = recycled((COUNT,), np.uint8)
    assert array.flags.owndata


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no timers")
def test_an_interrupted_request_lends_nothing_twice():
    live: list[np.ndarray] = []

    def interrupt(*_: object) -> None:
        live.append(recycled((COUNT,), np.uint8))

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 1e-4, 1e-4)
    try:
        for _ in range(2000):
            live = [*live[-20:], recycled((COUNT,), np.uint8)]
            assert len({address(array) for array in live}) == len(live)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def in_child(kept: np.ndarray, pipe) -> None:
    fine = (kept == 1).all() and not module._pool.blocks
    arrays = [recycled((COUNT,), np.uint8) for _ in range(3)]
    for array in arrays:
        array[:] = 2
    fine &= all(not np.shares_memory(kept, array) for array in arrays) and (kept == 1).all()
    first = address(arrays.pop(0))
    pipe.send(bool(fine) and address(recycled((COUNT,), np.uint8)) == first)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_a_forked_process_starts_with_nothing_even_inside_a_request():
    kept = recycled((COUNT,), np.uint8)
    kept[:] = 1
    recycled((COUNT,), np.uint8)  # unused, and left behind
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    with module._pool.lock:
        child = context.Process(target=in_child, args=(kept, sender))
        child.start()
    assert receiver.poll(60)
    assert receiver.recv()
    child.join()
    assert (kept == 1).all()


def test_pickles_hold_only_the_array():
    array = recycled((COUNT // 4 + 5,), np.float32)
    array[:] = np.arange(len(array))
    data = pickle.dumps(array)
    assert len(data) < array.nbytes + 500
    found = pickle.loads(data)
    np.testing.assert_array_equal(found, array)
