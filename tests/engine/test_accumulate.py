"""Accumulation by caching features gives the gradient of the whole batch."""

import pytest
import torch

from sensorfusion.collate import collate
from sensorfusion.engine import accumulate
from sensorfusion.engine.distributed import rank, sum_gradients
from sensorfusion.engine.plan import Item, Loaded, collate_items
from sensorfusion.matching.moments import Moments
from sensorfusion.model import Pretrainer, Weighted
from sensorfusion.objectives.contrast import Contrast
from sensorfusion.objectives.layout import joint
from sensorfusion.sample import Features
from tests.distributed_pool import run_on_two_ranks
from tests.engine import engine_toy as toy


def make_batch(size=11):
    loaded = Loaded(toy.Waves(missing=3), [toy.Jitter()])
    return collate([loaded.load(0, index) for index in range(size)], list(range(size)))


def make_model(dropout, norm, frozen=()):
    torch.manual_seed(0)
    encoder = toy.WaveEncoder(dropout=dropout, norm=norm)
    return toy.pretrainer({"wave": encoder}, norm=norm, frozen=frozen).double()


def gradients(model):
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def dense(model, batch):
    model.zero_grad()
    losses = model(batch)
    accumulate.sum_of(losses).backward()
    return losses, gradients(model)


def cached(model, batch, parts):
    model.zero_grad()
    losses = accumulate.backward(model, batch, parts, lambda total: total.backward())
    return losses, gradients(model)


@pytest.mark.parametrize("parts", [1, 2, 4, 11, 20])
def test_gradient_is_that_of_the_whole_batch(parts):
    model, batch = make_model(dropout=0.0, norm=False), make_batch()
    losses, expected = dense(model, batch)
    found_losses, found = cached(model, batch, parts)
    for name in losses:
        torch.testing.assert_close(found_losses[name], losses[name], rtol=0, atol=1e-12)
    assert set(found) == set(expected) == {name for name, _ in model.named_parameters()}
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=1e-10)


@pytest.mark.parametrize("parts", [2, 4])
def test_the_head_of_a_frozen_encoder_learns(parts):
    model, batch = make_model(dropout=0.0, norm=False, frozen=("wave",)).train(), make_batch()
    _, expected = dense(model, batch)
    _, found = cached(model, batch, parts)
    assert set(found) == set(expected)
    assert {name.split(".")[0] for name in found} == {"heads", "terms"}
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=1e-10)


def test_it_differs_from_adding_up_microbatches():
    """Otherwise the test above would not show anything."""
    model, batch = make_model(dropout=0.0, norm=False), make_batch()
    _, expected = dense(model, batch)
    model.zero_grad()
    for piece in accumulate.split(batch, 4):
        accumulate.sum_of(model(piece)).backward()
    name = "encoders.wave.layers.0.weight"
    assert (gradients(model)[name] - expected[name]).abs().max() > 1e-4


def test_dropout_is_the_same_in_both_passes_and_norms_move_once():
    model, batch = make_model(dropout=0.5, norm=True), make_batch()
    before = {name: value.clone() for name, value in model.named_buffers()}
    torch.manual_seed(5)
    losses, found = cached(model, batch, 3)
    after = {name: value.clone() for name, value in model.named_buffers()}
    drawn = torch.rand(1)

    model.load_state_dict({**model.state_dict(), **before})  # the same by one graph over all pieces
    model.zero_grad()
    torch.manual_seed(5)
    features = [model.project(model.encode(piece)) for piece in accumulate.split(batch, 3)]
    joined = {name: accumulate.join([f[name] for f in features]) for name in features[0]}
    expected_losses = model.losses(joined, batch)
    accumulate.sum_of(expected_losses).backward()
    for name, value in gradients(model).items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-10)
    for name, value in model.named_buffers():
        torch.testing.assert_close(after[name], value, rtol=0, atol=0)
    assert torch.equal(losses["pair.contrast"], expected_losses["pair.contrast"])
    assert torch.equal(drawn, torch.rand(1))
    counter = "encoders.wave.layers.1.num_batches_tracked"
    assert int(after[counter]) == 6  # three pieces of two sensors


def contrasting_model():
    """The package's own term, whose candidates are the moments of all ranks."""
    torch.manual_seed(0)
    encoder = toy.WaveEncoder(dropout=0.0, norm=False)
    streams = ("left", "right")
    term = Contrast(temperature=0.5, layout=joint(streams))
    terms = {"pair": Weighted(term, Moments(streams))}
    return Pretrainer({"wave": encoder}, dict.fromkeys(streams, "wave"), terms).double()


def on_rank(bounds, parts, exact):
    """Losses and the gradient summed over ranks, of this rank's samples in microbatches."""
    samples = range(bounds[rank()], bounds[rank() + 1])
    loaded = Loaded(toy.Waves(missing=3), [toy.Jitter()])
    batch = collate_items([Item(loaded.load(0, index), index) for index in samples]).batch
    model = contrasting_model()
    if exact:
        losses = accumulate.backward(model, batch, parts, lambda total: total.backward())
    else:
        for piece in accumulate.split(batch, parts):
            losses = model(piece)
            accumulate.sum_of(losses).backward()
    sum_gradients(model.parameters())
    return losses["pair.contrast"], gradients(model)


def over_two_ranks(bounds, parts, exact=True):
    """What both ranks found, which is the same; and what one process finds for the whole batch."""
    (loss, first), (other_loss, second) = run_on_two_ranks(on_rank, [(bounds, parts, exact)] * 2)
    assert loss == other_loss or not exact
    assert all((first[name] == second[name]).all() for name in first)
    expected_losses, expected = dense(contrasting_model(), make_batch(bounds[-1]))
    assert set(first) == set(expected)
    found = {name: torch.as_tensor(value) for name, value in first.items()}
    return (torch.as_tensor(loss), found), (expected_losses["pair.contrast"], expected)


@pytest.mark.parametrize("parts", [1, 2, 4])
@pytest.mark.parametrize("bounds", [(0, 6, 11), (0, 9, 11), (0, 0, 11)])
def test_two_ranks_with_microbatches_give_the_gradient_of_the_whole_batch(bounds, parts):
    (loss, found), (expected_loss, expected) = over_two_ranks(bounds, parts)
    torch.testing.assert_close(loss, expected_loss, rtol=0, atol=1e-10)
    for name in expected:
        assert expected[name].abs().max() > 1e-6
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=1e-10)


def test_two_ranks_that_add_up_microbatches_do_not():
    """Otherwise the test above would not show anything."""
    (_, found), (_, expected) = over_two_ranks((0, 6, 12), parts=2, exact=False)
    name = "encoders.wave.layers.0.weight"
    assert (found[name] - expected[name]).abs().max() > 1e-4


class WeighingEncoder(toy.WaveEncoder):
    def forward(self, batch):
        features = super().forward(batch)
        return features.replace(weight=features.tokens.mean(dim=1).sigmoid())


class Weighing(toy.Spread):
    def forward(self, features, correspondence, targets):
        left = features["left"]
        return {"weighed": (left.weight / left.weight.sum() * left.tokens.square().sum(1)).sum()}


def test_weights_of_tokens_carry_their_gradient_too():
    batch = make_batch()
    model = toy.pretrainer({"wave": WeighingEncoder(dropout=0.0, norm=False)}, norm=False).double()
    model.terms["wide"] = Weighing()
    _, expected = dense(model, batch)
    _, found = cached(model, batch, 3)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=1e-10)


def test_split_batches_are_batches_of_the_samples():
    batch = make_batch()
    loaded = Loaded(toy.Waves(missing=3), [toy.Jitter()])
    pieces = accumulate.split(batch, 3)
    assert [len(piece) for piece in pieces] == [3, 4, 4]
    start = 0
    for piece in pieces:
        index = list(range(start, start + len(piece)))
        expected = collate([loaded.load(0, i) for i in index], index)
        assert (piece.ids, piece.index.tolist()) == (expected.ids, index)
        for sensor in ("left", "right"):
            assert torch.equal(piece[sensor].present, expected[sensor].present)
            values = [b[sensor].values["values_TC"] for b in (piece, expected)]
            assert torch.equal(*values)
            assert len(piece[sensor].clocks) == len(expected[sensor].clocks) == len(values[0])
        start += len(piece)


def test_joined_features_number_items_through():
    index = torch.tensor([0, 2])
    part = Features(torch.zeros(2, 3), index, index * 0, 3, index >= 0, grid=torch.zeros(2, 3, 5))
    empty = Features.empty(2, 3, like=torch.zeros(1))
    joined = accumulate.join([part, empty, part])
    assert joined.item.tolist() == [0, 2, 5, 7]
    assert joined.size == 8
    assert joined.grid.shape == (4, 3, 5)
