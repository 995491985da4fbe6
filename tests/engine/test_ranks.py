"""Gradients are summed over ranks; messages arrive; differing state is found."""

import os

import pytest
import torch
from torch import nn

from sensorfusion.engine import distributed
from sensorfusion.errors import ConfigError
from tests.engine import engine_processes as processes
from tests.engine import engine_toy as toy


def make_model():
    torch.manual_seed(0)
    return nn.ModuleDict({name: nn.Linear(3, 2) for name in ("both", "one", "none")}).double()


def use(model, rank):
    """A loss on rank's part of the data; module `one` is used on rank 1 only, `none` nowhere."""
    inputs = torch.arange(12, dtype=torch.float64).reshape(2, 2, 3)[rank]
    loss = model["both"](inputs).square().sum()
    return loss + model["one"](inputs).pow(3).sum() if rank == 1 else loss


def _sum(rank):
    distributed.BUCKET = 4  # several buckets
    model = make_model()
    use(model, rank).backward()
    distributed.sum_gradients(model.parameters())
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def test_gradients_are_those_of_the_sum(tmp_path):
    model = make_model()
    (use(model, 0) + use(model, 1)).backward()
    expected = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    for found in processes.on_ranks(_sum, 2, tmp_path):
        assert set(found) == set(expected) == {"both.weight", "both.bias", "one.weight", "one.bias"}
        for name in expected:
            torch.testing.assert_close(found[name], expected[name], rtol=0, atol=1e-12)


def _talk(rank):
    texts = [["a", "bä"], []][rank]
    assert distributed.gather_texts(texts) == [["a", "bä"], []]
    assert distributed.gather_texts([["", ""], [""]][rank]) == [["", ""], [""]]
    assert distributed.gather_texts([]) == [[], []]

    model = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2))
    nn.init.constant_(model[1].weight, rank)
    distributed.broadcast_state(model)
    assert (model[1].weight == 0).all()

    model[0].running_mean.fill_(1.0 + 2 * rank)
    model[0].num_batches_tracked.fill_(rank)
    distributed.average_batch_statistics(model)
    assert (model[0].running_mean == 2).all()
    assert int(model[0].num_batches_tracked) == 1
    model[0].eval().running_mean.fill_(rank)
    distributed.average_batch_statistics(model)
    assert (model[0].running_mean == rank).all()

    distributed.require_equal({"same": torch.ones(3, dtype=torch.bool)})
    with pytest.raises(ConfigError, match=r"queue differs between ranks \(1 tensors do\)"):
        distributed.require_equal({"same": torch.ones(3), "queue": torch.full((3,), rank)})
    return {"rows": distributed.gather(torch.tensor([rank, 7]))}


def test_ranks_talk(tmp_path):
    for found in processes.on_ranks(_talk, 2, tmp_path):
        assert found["rows"].tolist() == [[0, 7], [1, 7]]


def test_one_process_needs_no_launcher():
    assert distributed.gather(torch.tensor([3])).tolist() == [[3]]
    assert distributed.gather_texts(["a"]) == [["a"]]


def test_a_launcher_without_its_variables(monkeypatch):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    with pytest.raises(ConfigError, match="LOCAL_RANK"), distributed.joined("pytorch"):
        pass


def _slurm(rank):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR"):
        os.environ.pop(name, None)
    os.environ |= {
        "SLURM_PROCID": str(rank),
        "SLURM_NTASKS": "2",
        "SLURM_LOCALID": str(rank),
        "SLURM_LAUNCH_NODE_IPADDR": "127.0.0.1",
    }
    with distributed.joined("slurm"):
        return {"rows": distributed.gather(torch.tensor([distributed.rank(), 7]))}


def test_slurm_starts_ranks_by_its_own_variables(tmp_path):
    for found in processes.on_ranks(_slurm, 2, tmp_path, launched=False):
        assert found["rows"].tolist() == [[0, 7], [1, 7]]


def test_terms_keep_state_that_ranks_share():
    model = toy.pretrainer({"wave": toy.WaveEncoder()})
    assert "terms.pair.steps" in model.state_dict()
