"""Late interaction against a loop, and its one-token case against CLIP."""

from __future__ import annotations

import torch
from torch.nn.functional import cross_entropy, normalize

from sensorfusion.objectives.late_interaction import LateInteraction, late_interaction
from tests.objectives.tables import table


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def test_equals_a_loop_over_valid_tokens() -> None:
    x, y = draw(4, 3, 5), draw(6, 2, 5)
    x_valid, y_valid = torch.rand(4, 3) < 0.6, torch.rand(6, 2) < 0.6
    x_valid[:, 0], y_valid[:, 1] = True, True
    found = late_interaction(x, x_valid, y, y_valid, chunk=20)
    for i in range(4):
        for j in range(6):
            similar = x[i][x_valid[i]] @ y[j][y_valid[j]].T
            torch.testing.assert_close(found[i, j], similar.max(1).values.mean())


def test_sets_without_tokens_have_similarity_zero() -> None:
    x = draw(2, 3, 4)
    nobody = torch.zeros(2, 3).bool()
    some = ~nobody
    assert not late_interaction(x, nobody, x, some).any()
    assert not late_interaction(x, some, x, nobody).any()


def test_one_token_is_clip() -> None:
    x, y = draw(6, 5), draw(6, 5)
    logits = normalize(x, dim=1) @ normalize(y, dim=1).T / 0.1
    own = torch.arange(6)
    expected = (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2
    loss = LateInteraction(0.1)(*table({"x": x, "y": y}), {})["contrast"]
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-6)  # the scale is float32
