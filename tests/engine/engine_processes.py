"""Runs in forked processes, so that tests can kill them without importing everything again."""

import multiprocessing
import os
import socket
import sys
import time
import traceback
from pathlib import Path

import torch
import torch._dynamo
import torch.utils.tensorboard
from safetensors.torch import load_file, save_file

from sensorfusion.engine.distributed import joined
from sensorfusion.engine.runner import pretrain
from sensorfusion.errors import SensorFusionError

ERROR = 7  # exit code of a child that raised one of our errors; its text is in error_<rank>.txt
TIMEOUT = 60


def run(work_dir, config, ranks=1, **options):
    """Exit codes of the ranks of one run."""
    os.makedirs(work_dir, exist_ok=True)
    port = _free_port()
    context = multiprocessing.get_context("fork")
    children = [
        context.Process(target=_child, args=(work_dir, config, rank, ranks, port, options))
        for rank in range(ranks)
    ]
    for child in children:
        child.start()
    end = time.monotonic() + TIMEOUT
    while any(child.exitcode is None for child in children):  # join() would wait for grandchildren
        if time.monotonic() > end:
            for child in children:
                child.kill()
            raise TimeoutError("a run did not end")
        time.sleep(0.01)
    return [child.exitcode for child in children]


def error_text(work_dir, rank=0):
    return (Path(work_dir) / f"error_{rank}.txt").read_text()


def _child(work_dir, config, rank, ranks, port, options):
    log = open(os.path.join(work_dir, f"output_{rank}.txt"), "a")  # noqa: SIM115 (until it exits)
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    code = 1
    try:
        torch.set_num_threads(1)
        if ranks > 1:
            _set_environment(rank, ranks, port)
        code = pretrain(config, work_dir, launcher="pytorch" if ranks > 1 else "none", **options)
    except SensorFusionError as error:
        with open(os.path.join(work_dir, f"error_{rank}.txt"), "w") as stream:
            stream.write(f"{type(error).__name__}: {error}")
        code = ERROR
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        log.flush()
        os._exit(code)


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def on_ranks(function, ranks, folder, launched=True):
    """`function(rank) -> {name: tensor}` in gloo processes; what each rank returned.

    With `launched=False` the function joins the other ranks itself.
    """
    os.makedirs(folder, exist_ok=True)
    context = multiprocessing.get_context("fork")
    port = _free_port()
    children = [
        context.Process(target=_on_rank, args=(function, rank, ranks, port, folder, launched))
        for rank in range(ranks)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(TIMEOUT)
        if child.exitcode != 0:
            error = Path(folder) / "traceback.txt"
            raise RuntimeError(error.read_text() if error.exists() else "a rank hung")
    return [load_file(os.path.join(folder, f"{rank}.safetensors")) for rank in range(ranks)]


def _on_rank(function, rank, ranks, port, folder, launched):
    code = 1
    try:
        torch.set_num_threads(1)
        _set_environment(rank, ranks, port)
        with joined("pytorch" if launched else "none"):
            save_file(function(rank), os.path.join(folder, f"{rank}.safetensors"))
        code = 0
    except BaseException:
        with open(os.path.join(folder, "traceback.txt"), "a") as stream:
            stream.write(traceback.format_exc())
    finally:
        os._exit(code)


def _set_environment(rank, ranks, port):
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(ranks),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
