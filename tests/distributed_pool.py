"""A pool of two gloo processes, started once per session, for tests of distributed behaviour."""

from __future__ import annotations

import os
import tempfile
import traceback
from collections.abc import Callable, Sequence
from datetime import timedelta
from multiprocessing.connection import Connection
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

RANKS = 2
SECONDS = 60  # what a collective may take before it counts as a deadlock

_pool: Pool | None = None


def run_on_two_ranks(
    function: Callable[..., Any], per_rank_args: Sequence[Sequence[Any]]
) -> list[Any]:
    """`function(*per_rank_args[rank])` on each of two ranks: what the two returned.

    The processes live until the session ends, so a call costs milliseconds. The function has to
    be importable (defined at the top of a module). An error on a rank is raised here with its
    trace; the pool is then restarted by the next call, since the ranks may be out of step.
    """
    global _pool
    if _pool is None:
        _pool = Pool()
    try:
        return _pool.run(function, per_rank_args)
    except Exception:
        shutdown()
        raise


def shutdown() -> None:
    """End the pool's processes."""
    global _pool
    if _pool is not None:
        _pool.close()
    _pool = None


class Pool:
    def __init__(self) -> None:
        context = mp.get_context("spawn")
        self.folder = tempfile.TemporaryDirectory()
        rendezvous = os.path.join(self.folder.name, "rendezvous")
        self.pipes: list[Connection] = []
        self.processes = []
        for rank in range(RANKS):
            mine, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(rank, rendezvous, theirs), daemon=True)
            process.start()
            theirs.close()
            self.pipes.append(mine)
            self.processes.append(process)

    def run(self, function: Callable[..., Any], per_rank_args: Sequence[Sequence[Any]]) -> Any:
        if len(per_rank_args) != RANKS:
            raise ValueError(f"{len(per_rank_args)} lists of arguments for {RANKS} ranks")
        for pipe, arguments in zip(self.pipes, per_rank_args, strict=True):
            pipe.send((function, tuple(arguments)))
        answers = []
        for rank, pipe in enumerate(self.pipes):
            if not pipe.poll(SECONDS + 30):
                raise TimeoutError(f"rank {rank} gave no answer: the ranks wait for each other")
            answers.append(pipe.recv())
        failures = [f"rank {r}:\n{text}" for r, (ok, text) in enumerate(answers) if not ok]
        if failures:
            raise RuntimeError("\n".join(failures))
        return [value for _, value in answers]

    def close(self) -> None:
        for process in self.processes:
            process.terminate()
            process.join(10)
        self.folder.cleanup()


def _serve(rank: int, rendezvous: str, pipe: Connection) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{rendezvous}",
        rank=rank,
        world_size=RANKS,
        timeout=timedelta(seconds=SECONDS),
    )
    while True:
        try:
            function, arguments = pipe.recv()
        except EOFError:
            return
        try:
            torch.manual_seed(0)
            pipe.send((True, _by_value(function(*arguments))))
        except Exception:
            pipe.send((False, traceback.format_exc()))


def _by_value(result: Any) -> Any:
    # Tensors travel as arrays: shared memory would outlive neither process nor test safely.
    if isinstance(result, torch.Tensor):
        return result.detach().clone().numpy()
    if isinstance(result, dict):
        return {key: _by_value(value) for key, value in result.items()}
    if isinstance(result, (list, tuple)):
        return type(result)(_by_value(value) for value in result)
    return result
