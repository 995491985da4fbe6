"""What every encoder and every fusion promises, checked on each that the package has."""

from __future__ import annotations

import copy
import dataclasses
import itertools

import pytest
import torch

from sensorfusion.collate import collate
from sensorfusion.errors import DataError, UnitError
from sensorfusion.export import PretrainedEncoder, load_encoder, save_encoder
from sensorfusion.sample import Features, Frame, Sample
from sensorfusion.sensors.camera import CameraImage
from tests.encoder_cases import (
    CLIP_ENCODERS,
    ENCODERS,
    FUSIONS,
    IMAGE_ENCODERS,
    POINT_ENCODERS,
    batch,
    build_small,
    dead_parameters,
    randomised,
    reading,
)

RELATIVE_TO_FIRST = {"CameraProjections"}
READOUTS = ("flatten", "mean", "steps")
DTYPES = (torch.float32, torch.bfloat16, torch.float64)
each_encoder = pytest.mark.parametrize("kind", ENCODERS, ids=lambda k: k.__name__)
each_clip_encoder = pytest.mark.parametrize("kind", CLIP_ENCODERS, ids=lambda k: k.__name__)
each_point_encoder = pytest.mark.parametrize("kind", POINT_ENCODERS, ids=lambda k: k.__name__)
each_image_encoder = pytest.mark.parametrize("kind", IMAGE_ENCODERS, ids=lambda k: k.__name__)
each_fusion = pytest.mark.parametrize("kind", FUSIONS, ids=lambda k: k.__name__)
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: str(d).removeprefix("torch."))


def test_discovery() -> None:
    assert len(ENCODERS) >= 11
    assert {*IMAGE_ENCODERS} <= {k for k in ENCODERS if k.reading is CameraImage}
    assert len(FUSIONS) >= 2


@each_clip_encoder
@pytest.mark.parametrize("readout", READOUTS)
def test_shapes(kind, readout) -> None:
    encoder = build_small(kind, readout=readout)
    present = ((True, True), (False, True), (False, False))
    features = encoder(batch(kind, present)["x"])
    steps = len(features) // 3
    assert features.tokens.shape == (3 * steps, encoder.width)
    assert steps == (features.grid.shape[-1] if readout == "steps" else 1)
    assert features.grid.shape[:1] == (3,)
    assert features.size == 3
    assert features.valid.all()
    assert features.item.tolist() == [b for b in (0, 0, 1) for _ in range(steps)]
    assert features.frame.tolist() == [f for f in (0, 1, 1) for _ in range(steps)]


@each_clip_encoder
def test_steps_lie_in_the_clip(kind) -> None:
    encoder = build_small(kind, readout="steps").eval()
    features = encoder(batch(kind)["x"])
    positions_PT = features.positions.view(3, -1)
    assert positions_PT.min() >= 0
    assert positions_PT.max() <= 1
    assert (positions_PT.diff(dim=1) > 0).all() or positions_PT.shape[1] == 1
    assert torch.equal(features.tokens.view(3, *positions_PT.shape[1:], -1), _over_time(features))


def _over_time(features: Features) -> torch.Tensor:
    grid = features.grid
    return (grid if grid.ndim == 3 else grid.mean(2)).transpose(1, 2)


@each_clip_encoder
def test_steps_look_where_they_say(kind) -> None:
    """The rows that a step depends on are centred on its position."""
    encoder = build_small(kind, readout="steps").double().eval()
    if hasattr(encoder, "transformer_encoder"):  # attention looks everywhere
        encoder.transformer_encoder = torch.nn.Identity()
    packed = batch(kind, ((True,),))["x"]
    values = {name: v.double().requires_grad_() for name, v in packed.values.items()}
    features = encoder(type(packed)(packed.present, values, packed.kind, packed.unit))
    steps = len(features)
    sources = {
        t: torch.autograd.grad(features.tokens[t].sum(), list(values.values()), retain_graph=True)
        for t in (0, steps - 1)
    }
    if kind.__name__ in RELATIVE_TO_FIRST:  # a pose at rest, which every step looks at
        sources[steps - 1] = [torch.cat([0 * g[:, :1], g[:, 1:]], 1) for g in sources[steps - 1]]
    first, last = (_centre(sources[t], features.positions[t].item()) for t in (0, steps - 1))
    assert steps == 1 or first < 0.5 < last


def _centre(gradients, position: float) -> float:
    energy_T = sum(g.square().flatten(2).sum(-1)[0] for g in gradients)
    rows = torch.linspace(0, 1, len(energy_T), dtype=energy_T.dtype)
    centre = float((energy_T * rows).sum() / energy_T.sum())
    assert centre == pytest.approx(position, abs=0.25)
    return centre


@each_encoder
def test_refuses_units_and_types(kind) -> None:
    encoder = build_small(kind)
    strange = reading(kind, 0)
    object.__setattr__(strange, "unit", "furlong")
    with pytest.raises(UnitError, match="furlong"):
        encoder(collate([_sample(strange)])["x"])
    other = next(k.reading for k in ENCODERS if k.reading is not kind.reading)
    with pytest.raises(UnitError, match=other.__name__):
        encoder(batch(other)["x"])


def _sample(only) -> Sample:
    return Sample(id="0", frames=(Frame(readings={"x": only}),))


@each_clip_encoder
def test_refuses_other_shapes(kind) -> None:
    packed = batch(kind)["x"]
    values = {name: torch.cat([v, v], dim=1) for name, v in packed.values.items()}
    longer = type(packed)(packed.present, values, packed.kind, packed.unit)
    with pytest.raises(DataError, match="made for"):
        build_small(kind)(longer)


@each_encoder
def test_eval_is_deterministic_and_per_reading(kind) -> None:
    encoder = randomised(build_small(kind)).double().eval()
    together = encoder(batch(kind)["x"])
    assert torch.equal(together.tokens, encoder(batch(kind)["x"]).tokens)
    for b in range(3):
        alone = encoder(batch(kind, ((True,),), first_seed=10 * b)["x"]).tokens
        own = together.tokens[together.item == b]
        torch.testing.assert_close(alone, own, rtol=1e-9, atol=1e-9)
    first, second = (together.tokens[together.item == b][0] for b in (0, 1))
    assert (first - second).abs().max() > 1e-6


@each_point_encoder
def test_tokens_are_the_points_in_their_order(kind) -> None:
    encoder = build_small(kind)
    packed = batch(kind, ((True, True), (False, True), (False, False)))["x"]
    features = encoder(packed)
    assert features.tokens.shape == (len(packed.values["points"]), encoder.width)
    assert features.size == 3
    assert features.valid.all()
    assert torch.equal(features.positions, packed.values["points"])
    assert torch.equal(features.item, packed.item[packed.row_reading])
    assert torch.equal(features.frame, packed.frame[packed.row_reading])


@each_point_encoder
def test_the_order_of_points_does_not_matter(kind) -> None:
    encoder = randomised(build_small(kind)).double().eval()
    given = reading(kind.reading, 0)
    order = torch.randperm(len(given.points)).numpy()
    one, other = (encoder(collate([_sample(r)])["x"]) for r in (given, given.take(order)))
    torch.testing.assert_close(other.tokens, one.tokens[order], rtol=1e-5, atol=1e-6)
    assert (one.tokens - other.tokens).abs().max() > 1e-3


@each_point_encoder
@pytest.mark.parametrize("rows", [(0,), (0, 5), (1, 0, 1), (1,)])
def test_readings_of_few_points_train(kind, rows) -> None:
    encoder = build_small(kind).train()
    readings = [reading(kind.reading, seed) for seed in range(len(rows))]
    few = [r.take(torch.arange(n).numpy()) for r, n in zip(readings, rows, strict=True)]
    features = encoder(collate([_sample(r) for r in few])["x"])
    assert features.item.tolist() == [b for b, n in enumerate(rows) for _ in range(n)]
    assert features.tokens.isfinite().all()
    features.tokens.sum().backward()
    assert all(p.grad.isfinite().all() for p in encoder.parameters())


@each_image_encoder
def test_tokens_are_patches_at_their_positions(kind) -> None:
    """What changes with a pixel are the tokens of its reading that lie around it."""
    encoder = randomised(build_small(kind)).double().eval()
    given = batch(kind, ((True, True), (False, True), (False, False)))["x"]
    features = encoder(given)
    pixels = given.values["pixels"]
    height, width = features.grid.shape[2:]
    assert features.size == 3
    assert features.grid.shape[:2] == (3, encoder.width)
    assert features.tokens.shape == (3 * height * width, encoder.width)
    assert features.item.tolist() == [b for b in (0, 0, 1) for _ in range(height * width)]
    assert features.frame.tolist() == [f for f in (0, 1, 1) for _ in range(height * width)]
    flat = features.grid.permute(0, 2, 3, 1).flatten(0, 2)
    assert torch.equal(flat, features.tokens)
    for u, v in ((4, 17), (15, 5)):
        changed = pixels.clone()
        changed[1, 0, v, u] = 255 - changed[1, 0, v, u]
        other = encoder(dataclasses.replace(given, values={"pixels": changed}))
        moved_N = (other.tokens - features.tokens).abs().sum(1)
        assert not moved_N[: height * width].any()
        centre = (moved_N[:, None] * features.positions).sum(0) / moved_N.sum()
        assert (centre - torch.tensor([u, v])).abs().max() <= 5


@each_image_encoder
def test_refuses_images_of_another_size(kind) -> None:
    small = reading(kind, 0)
    with pytest.raises(DataError, match="size"):
        build_small(kind)(collate([_sample(small.replace(pixels=small.pixels[:, :-4]))])["x"])


@each_encoder
@each_dtype
def test_trains_in_every_dtype(kind, dtype) -> None:
    encoder = build_small(kind).to(dtype).train()
    tokens = encoder(batch(kind)["x"]).tokens
    assert tokens.dtype == dtype
    # Random directions: a sum of squares has no gradient through a last normalisation.
    (tokens * torch.randn_like(tokens)).sum().backward()
    assert all(p.grad.isfinite().all() for p in encoder.parameters())
    # A bias before batch normalisation cancels: its gradient is rounding, and may round to zero.
    cancelled = _biases_before_batch_norm(encoder)
    assert set(dead_parameters(encoder)) <= cancelled


def _biases_before_batch_norm(encoder) -> set[str]:
    modules = dict(encoder.named_modules())
    names = list(modules)
    return {
        f"{name}.bias"
        for name, following in itertools.pairwise(names)
        if isinstance(modules[name], torch.nn.modules.conv._ConvNd)
        and isinstance(modules[following], torch.nn.modules.batchnorm._BatchNorm)
    }


@each_encoder
def test_trains_under_autocast(kind) -> None:
    encoder = build_small(kind).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        tokens = encoder(batch(kind)["x"]).tokens
    tokens.float().square().sum().backward()
    assert all(p.grad.isfinite().all() for p in encoder.parameters())


@each_encoder
def test_a_single_reading_trains(kind) -> None:
    encoder = build_small(kind).train()
    tokens = encoder(batch(kind, ((False,), (True,)))["x"]).tokens
    assert tokens.isfinite().all()
    (tokens * torch.randn_like(tokens)).sum().backward()
    assert all(p.grad.isfinite().all() for p in encoder.parameters())
    assert all(b.isfinite().all() for b in encoder.buffers())


@each_encoder
@each_dtype
def test_saved_and_loaded_is_the_same(kind, dtype, tmp_path) -> None:
    encoder = randomised(build_small(kind).to(dtype))
    save_encoder(tmp_path / "saved", encoder)
    loaded = load_encoder(tmp_path / "saved")
    expected = PretrainedEncoder(copy.deepcopy(encoder))(batch(kind)["x"])
    features = loaded(batch(kind))
    assert type(loaded.encoder) is kind
    assert loaded.units == encoder.units
    assert torch.equal(features.tokens, expected.tokens)
    assert features.tokens.dtype == dtype


def streams(readouts=("mean", "mean")) -> dict[str, Features]:
    """Two streams of three samples: "a" lacks the second, "b" has two tokens per sample."""
    a, b = torch.randn(2, 5, dtype=torch.float64), torch.randn(6, 7, dtype=torch.float64)
    item_a, item_b = torch.tensor([0, 2]), torch.tensor([0, 0, 1, 1, 2, 2])
    return {
        "a": Features(a, item_a, 0 * item_a, 3, item_a >= 0),
        "b": Features(b, item_b, 0 * item_b, 3, item_b >= 0),
    }


def only(features: Features, item: int) -> Features:
    """The tokens of one sample."""
    kept = features.item == item
    return features.replace(
        tokens=features.tokens[kept],
        item=features.item[kept],
        frame=features.frame[kept],
        valid=features.valid[kept],
    )


@each_fusion
def test_fusion_does_not_see_other_samples(kind) -> None:
    fusion = randomised(kind(widths={"a": 5, "b": 7}, width=8)).double().eval()
    features = streams()
    joint = fusion(features)
    assert joint.tokens.shape == (3, 8)
    assert joint.item.tolist() == [0, 1, 2]
    for b in range(3):
        alone = fusion({name: only(entry, b) for name, entry in features.items()})
        assert alone.item.tolist() == [b]
        torch.testing.assert_close(alone.tokens[0], joint.tokens[b], rtol=1e-10, atol=1e-10)


@each_fusion
def test_fusion_ignores_order_and_invalid_tokens(kind) -> None:
    fusion = randomised(kind(widths={"a": 5, "b": 7}, width=8)).double().eval()
    features = streams()
    expected = fusion(features).tokens
    order = torch.tensor([4, 1, 0, 3, 2, 5])
    b = features["b"]
    shuffled = b.replace(tokens=b.tokens[order], item=b.item[order], frame=b.frame[order])
    torch.testing.assert_close(fusion({**features, "b": shuffled}).tokens, expected)
    junk = b.replace(
        tokens=torch.cat([b.tokens, torch.full((1, 7), 1e9, dtype=torch.float64)]),
        item=torch.cat([b.item, torch.tensor([1])]),
        frame=torch.cat([b.frame, torch.tensor([0])]),
        valid=torch.cat([b.valid, torch.tensor([False])]),
    )
    torch.testing.assert_close(fusion({**features, "b": junk}).tokens, expected)


@each_fusion
def test_fusion_uses_every_stream(kind) -> None:
    fusion = kind(widths={"a": 5, "b": 7}, width=8).double().eval()
    features = {n: f.replace(tokens=f.tokens.requires_grad_()) for n, f in streams().items()}
    (fusion(features).tokens[0] * torch.randn(8)).sum().backward()
    a, b = features["a"].tokens.grad, features["b"].tokens.grad
    assert a[0].any()
    assert not a[1].any()
    assert b[:2].any(dim=1).all()
    assert not b[2:].any()


@each_fusion
@each_dtype
def test_fusion_trains_with_missing_streams(kind, dtype) -> None:
    fusion = kind(widths={"a": 5, "b": 7}, width=8).to(dtype).train()
    features = {n: f.replace(tokens=f.tokens.to(dtype)) for n, f in streams().items()}
    tokens = fusion(features).tokens
    (tokens * torch.randn_like(tokens)).sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in fusion.parameters())
    absent = {"a": Features.empty(3, 5, like=features["a"].tokens), "b": features["b"]}
    fusion.zero_grad()
    tokens = fusion(absent).tokens
    (tokens * torch.randn_like(tokens)).sum().backward()
    assert len(tokens) == 3
    # What belongs to the absent stream alone gets no gradient.
    assert all(p.grad is None for p in fusion.enter["a"].parameters())
    nothing = {n: Features.empty(3, w, like=tokens) for n, w in (("a", 5), ("b", 7))}
    assert fusion(nothing).tokens.shape == (0, 8)


@each_fusion
def test_fusion_of_a_single_present_reading_trains(kind) -> None:
    fusion = kind(widths={"a": 5, "b": 7}, width=8).double().train()
    features = {"a": only(streams()["a"], 0), "b": only(streams()["b"], 1)}
    joint = fusion(features)
    assert joint.item.tolist() == [0, 1]
    assert joint.tokens.isfinite().all()
