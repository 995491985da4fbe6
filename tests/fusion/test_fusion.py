"""Moments that streams share, and what the joint tokens depend on."""

from __future__ import annotations

import torch

from sensorfusion.fusion.attention import AttentionFusion
from sensorfusion.fusion.concat import ConcatFusion
from sensorfusion.fusion.fusion import shared_moments
from sensorfusion.sample import Features


def stream(item, frame, width=4, valid=None, positions=None, seed=0) -> Features:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(len(item), width, generator=generator, dtype=torch.float64)
    kept = torch.ones(len(item), dtype=torch.bool) if valid is None else torch.tensor(valid)
    return Features(tokens, torch.tensor(item), torch.tensor(frame), 5, kept, positions)


def test_shared_moments() -> None:
    a = stream([0, 0, 3, 4], [1, 0, 0, 0], valid=[True, True, True, False])
    b = stream([3, 3, 1], [0, 0, 2])
    moments = shared_moments([a, b])
    assert list(zip(moments.item.tolist(), moments.frame.tolist(), strict=True)) == [
        (0, 0),
        (0, 1),
        (1, 2),
        (3, 0),
    ]
    assert [t.tolist() for t in moments.tokens] == [[0, 1, 2], [0, 1, 2]]
    assert [m.tolist() for m in moments.moment] == [[1, 0, 3], [3, 3, 2]]
    assert moments.features(torch.zeros(4, 2)).size == 5


def test_frames_are_separate_moments() -> None:
    for kind in (AttentionFusion, ConcatFusion):
        fusion = kind(widths={"a": 4, "b": 4}, width=8).double().eval()
        a, b = stream([0, 0], [0, 1]), stream([0], [1], seed=1)
        joint = fusion({"a": a, "b": b})
        only_a = fusion({"a": a, "b": Features.empty(5, 4, like=a.tokens)})
        torch.testing.assert_close(joint.tokens[0], only_a.tokens[0])
        assert (joint.tokens[1] - only_a.tokens[1]).abs().max() > 1e-4


def test_attention_tells_streams_apart() -> None:
    fusion = AttentionFusion(widths={"a": 4, "b": 4}, width=8).double().eval()
    with torch.no_grad():
        for code in fusion.stream_code.values():
            code.normal_()
    fusion.enter["b"].load_state_dict(fusion.enter["a"].state_dict())
    a, b = stream([0], [0]), stream([0], [0], seed=1)
    swapped = fusion({"a": b, "b": a}).tokens
    assert (fusion({"a": a, "b": b}).tokens - swapped).abs().max() > 1e-4


def test_attention_sees_the_order_in_time() -> None:
    fusion = AttentionFusion(widths={"a": 4}, width=8).double().eval()
    times = torch.tensor([[0.0], [0.5], [1.0]], dtype=torch.float64)
    forward = stream([0, 0, 0], [0, 0, 0], positions=times)
    reversed_ = forward.replace(tokens=forward.tokens.flip(0))
    timeless = [f.replace(positions=None) for f in (forward, reversed_)]
    assert (fusion({"a": forward}).tokens - fusion({"a": reversed_}).tokens).abs().max() > 1e-4
    torch.testing.assert_close(*(fusion({"a": f}).tokens for f in timeless))


def test_concat_averages_a_streams_tokens() -> None:
    fusion = ConcatFusion(widths={"a": 4}, hidden=6, width=3).double().eval()
    several = stream([2, 2, 2], [0, 0, 0])
    one = stream([2], [0]).replace(tokens=several.tokens.mean(0, keepdim=True))
    torch.testing.assert_close(fusion({"a": several}).tokens, fusion({"a": one}).tokens)


def test_concat_uses_the_learned_stand_in() -> None:
    fusion = ConcatFusion(widths={"a": 4, "b": 4}, hidden=6, width=3).double().train()
    a, b = stream([0, 1], [0, 0]), stream([1], [0], seed=1)
    tokens = fusion({"a": a, "b": b}).tokens
    (tokens[1] * torch.randn(3)).sum().backward(retain_graph=True)
    assert fusion.missing["b"].grad is None or not fusion.missing["b"].grad.any()
    (tokens[0] * torch.randn(3)).sum().backward()
    assert fusion.missing["b"].grad.any()
    assert not fusion.missing["a"].grad.any()
