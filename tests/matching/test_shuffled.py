"""The control keeps every token and every id, and only parts those that belong together."""

from __future__ import annotations

import torch

from sensorfusion.matching.shuffled import Shuffled
from sensorfusion.sample import Batch, Correspondence

SIZE = 200
NUMBERS = torch.arange(SIZE)
FOUND = Correspondence(
    columns=("a", "b"),
    ids=(NUMBERS, NUMBERS.repeat_interleave(2)),
    tokens=(NUMBERS, torch.arange(2 * SIZE)),
    size=SIZE,
    item=NUMBERS // 100,
    trust=torch.ones(SIZE),
)


def shuffled(index=(3, 4), seed=0):
    batch = Batch({}, ("x", "y"), torch.tensor(index))
    return Shuffled(lambda features, batch: FOUND, seed)({}, batch)


def test_partners_change_and_nothing_else():
    found = shuffled()
    assert torch.equal(found.ids[0], FOUND.ids[0])
    assert all(torch.equal(a, b) for a, b in zip(found.tokens, FOUND.tokens, strict=True))
    pairs = found.ids[1].view(SIZE, 2)
    assert torch.equal(pairs[:, 0], pairs[:, 1])  # tokens of one id stay together
    assert torch.equal(pairs[:, 0].sort().values, NUMBERS)
    assert (pairs[:, 0] == NUMBERS).float().mean() < 0.05


def test_the_draw_follows_from_the_samples_and_the_seed():
    first = shuffled().ids[1]
    assert torch.equal(first, shuffled().ids[1])
    assert not torch.equal(first, shuffled(index=(3, 5)).ids[1])
    assert not torch.equal(first, shuffled(seed=1).ids[1])
