"""What ranks tell each other: gradients by sum, batch statistics by mean, small messages.

Every objective returns the loss of the whole distributed batch on every rank, and the sum over
ranks of the gradients is its gradient; so gradients are summed here, not averaged as
`DistributedDataParallel` does.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.modules.batchnorm import _BatchNorm

from sensorfusion.errors import ConfigError

BUCKET = 1 << 23  # elements that are reduced together


@contextmanager
def joined(launcher: str) -> Iterator[None]:
    """Work together with the other processes that a launcher started.

    Args:
        launcher: "none", "pytorch" (torchrun) or "slurm".

    Raises:
        ConfigError: when the launcher's environment variables are missing.
    """
    if launcher == "none" or dist.is_initialized():
        yield
        return
    if launcher == "slurm":
        _slurm_environment()
    try:
        local = int(os.environ["LOCAL_RANK"])
        _ = os.environ["RANK"], os.environ["WORLD_SIZE"], os.environ["MASTER_ADDR"]
    except KeyError as missing:
        raise ConfigError(
            f"launcher {launcher!r}, but {missing} is not set",
            remedy="start the command with torchrun (or srun), or use --launcher none",
        ) from None
    if torch.cuda.is_available():
        torch.cuda.set_device(local)
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    yield
    dist.destroy_process_group()  # not after an error: the others may be gone


def rank() -> int:
    """The number of this process."""
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    """How many processes take part."""
    return dist.get_world_size() if dist.is_initialized() else 1


def gather(values: Tensor) -> Tensor:
    """The tensors [...] of all ranks, of equal shapes, as [world, ...] on the CPU."""
    if world() == 1:
        return values.detach().cpu()[None].clone()
    sent = values.detach().to(_device()).contiguous()
    received = [torch.empty_like(sent) for _ in range(world())]
    dist.all_gather(received, sent)
    return torch.stack(received).cpu()


def gather_texts(texts: Sequence[str]) -> list[list[str]]:
    """The texts of every rank, each a list of any length."""
    content = "\0".join(texts).encode()
    lengths = gather(torch.tensor([len(content), len(texts)]))
    padded = torch.zeros(int(lengths[:, 0].max()), dtype=torch.uint8)
    padded[: len(content)] = torch.frombuffer(bytearray(content or b"\0"), dtype=torch.uint8)[
        : len(content)
    ]
    rows = gather(padded)
    return [
        bytes(row[:size].tolist()).decode().split("\0") if count else []
        for row, (size, count) in zip(rows, lengths.tolist(), strict=True)
    ]


def broadcast_state(model: nn.Module) -> None:
    """Give every rank the parameters and buffers of rank 0."""
    if world() > 1:
        for tensor in model.state_dict().values():
            dist.broadcast(tensor, 0)


@torch.no_grad()
def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Sum gradients over ranks, in place.

    A parameter without gradient on this rank counts as zero where another rank has one (a sensor
    may be absent here); one without gradient everywhere keeps none.
    """
    if world() == 1:
        return
    trained = [p for p in parameters if p.requires_grad]
    present = torch.tensor([p.grad is not None for p in trained], dtype=torch.uint8)
    anywhere = gather(present).any(dim=0).tolist()
    gradients: list[Tensor] = []
    for parameter, needed in zip(trained, anywhere, strict=True):
        if needed and parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        if needed and parameter.grad is not None:
            gradients.append(parameter.grad)
    for bucket in _buckets(gradients):
        flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
        dist.all_reduce(flat)
        done = 0
        for gradient in bucket:
            gradient.copy_(flat[done : done + gradient.numel()].view_as(gradient))
            done += gradient.numel()


@torch.no_grad()
def average_batch_statistics(model: nn.Module) -> None:
    """Make the running statistics of batch norms the mean over ranks; counters the largest.

    Each rank normalises by the statistics of its own part of the batch (`SyncBatchNorm` exists on
    CUDA only), so the running ones are those of an average part. Frozen ones, in evaluation mode,
    stay as they are to the last bit.
    """
    if world() == 1:
        return
    for module in model.modules():
        if isinstance(module, _BatchNorm) and module.training and module.running_mean is not None:
            for statistic in (module.running_mean, module.running_var):
                if statistic is not None:
                    dist.all_reduce(statistic)
                    statistic /= world()
            if module.num_batches_tracked is not None:
                dist.all_reduce(module.num_batches_tracked, dist.ReduceOp.MAX)


def require_equal(tensors: dict[str, Tensor]) -> None:
    """Check that all ranks hold the same tensors, for a checkpoint holds those of one rank.

    Raises:
        ConfigError: naming the first that differs.
    """
    if world() == 1:
        return
    digests = [_digest(tensor) for tensor in tensors.values()]
    different = (gather(torch.tensor(digests)).diff(dim=0) != 0).any(dim=0).tolist()
    names = [name for name, differs in zip(tensors, different, strict=True) if differs]
    if names:
        raise ConfigError(
            f"{names[0]} differs between ranks ({len(names)} tensors do)",
            remedy="state that a term or encoder keeps must be computed from the whole"
            " distributed batch",
        )


def _digest(tensor: Tensor) -> int:
    content = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return int.from_bytes(hashlib.sha256(content).digest()[:7], "little")


def _buckets(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    """Consecutive tensors of one dtype, together of at most `BUCKET` elements."""
    buckets: list[list[Tensor]] = []
    filled = 0
    for tensor in tensors:
        fits = buckets and buckets[-1][0].dtype == tensor.dtype
        if not fits or filled + tensor.numel() > BUCKET:
            buckets.append([])
            filled = 0
        buckets[-1].append(tensor)
        filled += tensor.numel()
    return buckets


def _device() -> torch.device:
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")


def _slurm_environment() -> None:
    """Translate slurm's variables to torchrun's."""
    names = {"RANK": "SLURM_PROCID", "WORLD_SIZE": "SLURM_NTASKS", "LOCAL_RANK": "SLURM_LOCALID"}
    for ours, theirs in names.items():
        if theirs in os.environ:
            os.environ[ours] = os.environ[theirs]
    if "SLURM_LAUNCH_NODE_IPADDR" in os.environ:
        os.environ.setdefault("MASTER_ADDR", os.environ["SLURM_LAUNCH_NODE_IPADDR"])
    os.environ.setdefault("MASTER_PORT", "29500")
