"""What has to hold for every setting of the contrast terms."""

from __future__ import annotations

import copy
from itertools import product

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from sensorfusion.distributed import rank
from sensorfusion.errors import ConfigError
from sensorfusion.objectives.contrast import Contrast
from sensorfusion.objectives.kernel import Hardness
from sensorfusion.objectives.layout import joint
from sensorfusion.objectives.negatives import Others
from sensorfusion.objectives.positives import SameMoment
from sensorfusion.objectives.symile import Symile, multilinear_scores
from sensorfusion.objectives.temperature import Temperature
from tests.distributed_pool import run_on_two_ranks
from tests.objectives.settings import (
    SETTINGS,
    STREAMS,
    WIDTH,
    absences,
    assert_equal,
    draw,
    inputs,
    loss_and_gradients,
)

every_setting = pytest.mark.parametrize("name", SETTINGS)


def build(name, dtype=torch.float64, **changes):
    """A setting with a mild temperature, where it does not bring its own."""
    if "temperature" not in SETTINGS[name].keywords:
        changes.setdefault("temperature", 0.5)
    return copy.deepcopy(SETTINGS[name](**changes)).to(dtype)


@every_setting
def test_gradient_is_that_of_the_value(name):
    if name in ("dclw", "hard_detached"):
        pytest.skip("published without a gradient through its weights")
    term = build(name).eval()
    columns = draw(5)
    _, found = loss_and_gradients(term, columns)
    move = {n: torch.randn_like(columns[n]) for n in STREAMS}
    there, back = (
        loss_and_gradients(term, columns | {n: columns[n] + h * move[n] for n in STREAMS})[0]
        for h in (1e-5, -1e-5)
    )
    slope = sum((found[n] * move[n]).sum() for n in STREAMS)
    torch.testing.assert_close((there - back) / 2e-5, slope, rtol=1e-6, atol=1e-8)


@every_setting
@pytest.mark.parametrize("share", [0.0, 0.3])
def test_tiles_equal_the_whole(name, share):
    columns, present = draw(8), absences(8, share)
    whole = loss_and_gradients(build(name).eval(), columns, present)
    term = build(name, tile=3).eval()
    assert_equal(loss_and_gradients(term, columns, present), whole, 1e-12)


def on_rank(name, dtype, counts, share):
    """The second of two applications, so that queues hold something, on this rank's moments."""
    term = build(name, dtype)
    total = sum(counts)
    start, stop = (
        (0, total) if len(counts) == 1 else (sum(counts[: rank()]), sum(counts[: rank() + 1]))
    )
    for seed in (0, 1):
        columns = {n: x[start:stop] for n, x in draw(total, seed, dtype).items()}
        present = {n: x[start:stop] for n, x in absences(total, share, seed).items()}
        found = loss_and_gradients(term, columns, present, start)
    return found


@every_setting
@pytest.mark.parametrize(
    ("counts", "dtype", "tolerance"),
    [
        ((4, 4), torch.float64, 1e-12),
        ((6, 1), torch.float64, 1e-12),
        ((0, 5), torch.float64, 1e-12),
        ((3, 4), torch.float32, 1e-5),
        ((0, 5), torch.float32, 1e-5),
    ],
)
def test_two_ranks_equal_one(name, counts, dtype, tolerance):
    job = (name, dtype, counts, 0.2)
    alone = on_rank(name, dtype, (sum(counts),), 0.2)
    first, second = (
        (torch.as_tensor(loss), {n: torch.as_tensor(g) for n, g in found.items()})
        for loss, found in run_on_two_ranks(on_rank, [job, job])
    )
    for loss, _ in (first, second):
        torch.testing.assert_close(loss, alone[0], rtol=tolerance, atol=tolerance)
    together = {
        n: torch.cat([first[1][n], second[1][n]]) if n in draw(1) else first[1][n] + second[1][n]
        for n in first[1]
    }
    assert_equal((first[0], together), alone, tolerance)


@every_setting
def test_order_of_moments_does_not_matter(name):
    if name in ("symile", "symile_permuted"):
        pytest.skip("its negatives are drawn by position")
    columns, present = draw(9), absences(9)
    order = torch.randperm(9)
    term = build(name).eval()
    features, correspondence, targets = inputs(columns, present)
    expected = sum(term(features, correspondence, targets).values())
    place = order.argsort()
    moved = copy.copy(correspondence)
    for attribute, value in {
        "ids": tuple(place[ids] for ids in correspondence.ids),
        "item": correspondence.item[order],
        "trust": correspondence.trust[order],
    }.items():
        object.__setattr__(moved, attribute, value)
    found = sum(term(features, moved, targets).values())
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["clip", "ntxent", "mv_dhel", "hard", "siglip", "mv_infonce"])
def test_a_stream_that_is_always_missing_is_a_stream_less(name):
    columns, present = draw(6), absences(6)
    present["camera"] = torch.zeros(6, dtype=torch.bool)
    with_it = loss_and_gradients(build(name), columns, present)
    keywords = SETTINGS[name].keywords | ({} if name == "siglip" else {"temperature": 0.5})
    without_it = loss_and_gradients(Contrast(STREAMS[:2], **keywords).double(), columns, present)
    assert_equal(with_it, without_it, 1e-12)
    assert not with_it[1]["camera"].any()


@every_setting
@pytest.mark.parametrize("size", [0, 1, 2])
def test_degenerate_batches_are_defined(name, size):
    for share in (0.0, 0.5, 1.0):
        loss, found = loss_and_gradients(build(name), draw(size), absences(size, share))
        assert torch.isfinite(loss)
        assert all(torch.isfinite(gradient).all() for gradient in found.values())
        if size == 0 or share == 1.0:
            assert loss == 0
            assert not any(gradient.any() for gradient in found.values())


@every_setting
def test_cold_bfloat16_is_finite_and_near(name):
    if name == "cmkm":
        pytest.skip("which neighbours are mined may differ between precisions")
    columns, cold = draw(8), {"temperature": 0.01}
    exact, _ = loss_and_gradients(build(name, **cold).eval(), columns)
    rounded = {n: x.bfloat16() for n, x in columns.items()}
    loss, found = loss_and_gradients(build(name, torch.float32, **cold).eval(), rounded)
    assert all(torch.isfinite(gradient).all() for gradient in found.values())
    torch.testing.assert_close(loss.double(), exact, rtol=0.1, atol=0.5)


@every_setting
def test_saved_state_continues_alike(name):
    term, again = build(name), build(name)
    loss_and_gradients(term, draw(4, 0))
    again.load_state_dict(term.state_dict())
    expected = loss_and_gradients(term, draw(4, 1))
    assert_equal(loss_and_gradients(again, draw(4, 1)), expected, 0.0)
    assert term.state_dict().keys() == again.state_dict().keys()


def test_clip_is_cross_entropy():
    columns = draw(7)
    imu, skeleton = (normalize(columns[n], dim=1) for n in STREAMS[:2])
    logits, own = imu @ skeleton.T / 0.1, torch.arange(7)
    expected = (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2
    features, correspondence, targets = inputs(columns)
    object.__setattr__(correspondence, "trust", torch.ones(7))
    found = Contrast(STREAMS[:2], temperature=0.1)(features, correspondence, targets)["contrast"]
    torch.testing.assert_close(found, expected)


def test_no_hardness_is_nt_xent():
    plain = loss_and_gradients(build("ntxent"), draw(6))
    none = build("ntxent", hardness=Hardness(beta=0.0, tau_plus=0.0))
    assert_equal(loss_and_gradients(none, draw(6)), plain, 1e-12)


def test_no_momentum_is_moco():
    moco, albef = build("moco"), build("albef")
    albef.positives = type(albef.positives)(0.0, streams=albef.positives.streams)
    for seed in (0, 1):
        expected = loss_and_gradients(moco, draw(5, seed))
        assert_equal(loss_and_gradients(albef, draw(5, seed)), expected, 1e-12)


def test_symile_of_two_streams_is_clip():
    columns = draw(6)
    for partners in (None, SETTINGS["symile_permuted"].keywords["partners"]):
        symile = Symile(STREAMS[:2], temperature=0.5, partners=partners).double()
        clip = Contrast(STREAMS[:2], temperature=0.5).double()
        assert_equal(loss_and_gradients(symile, columns), loss_and_gradients(clip, columns), 1e-12)


def test_sampled_symile_has_the_positive_among_its_candidates_once():
    # One moment repeated: every combination equals the positive, so the loss is log n.
    columns = {n: x[:1].expand(5, -1).clone() for n, x in draw(5).items()}
    features, correspondence, targets = inputs(columns)
    object.__setattr__(correspondence, "trust", torch.ones(5))
    loss = Symile(STREAMS, temperature=0.5).double()(features, correspondence, targets)["symile"]
    torch.testing.assert_close(loss, torch.tensor(5.0).log().double())


def test_trust_scales_a_row():
    columns = draw(4)
    features, correspondence, targets = inputs(columns)
    term = build("clip")
    weights = torch.eye(4, dtype=torch.float64)
    parts = []
    for trust in (*weights, weights.sum(0)):
        object.__setattr__(correspondence, "trust", trust)
        parts.append(term(features, correspondence, targets)["contrast"])
    torch.testing.assert_close(sum(parts[:4]), parts[4])


def test_queue_keeps_the_last_and_is_a_candidate_once():
    term = build("moco")
    for seed in range(4):
        loss_and_gradients(term, draw(4, seed))
    queue = term.queues["teacher/imu"]
    kept = torch.cat([normalize(draw(4, seed)["teacher.imu"], dim=1) for seed in range(4)])[-6:]
    stored = torch.roll(queue(), -int(queue.position), 0)
    torch.testing.assert_close(stored, kept)
    term.eval()
    loss_and_gradients(term, draw(4, 9))
    torch.testing.assert_close(torch.roll(queue(), -int(queue.position), 0), kept)


def test_learned_temperature_stays_within_its_bounds():
    temperature = Temperature(0.05, learned=True, bounds=(0.04, 0.06))
    term = Contrast(STREAMS, temperature=temperature)
    for value in (-9.0, 9.0):
        temperature.log_scale.data.fill_(value)
        term.after_step()
        scale, _ = temperature()
        assert 1 / 0.0601 < float(scale.detach()) < 1 / 0.0399


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"group": "sum"}, "reduce='in'"),
        ({"temperature": 0.0}, "positive temperature"),
        ({"queue": 4, "queue_width": WIDTH}, "explicit directions"),
    ],
)
def test_settings_that_exclude_each_other_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        Contrast(STREAMS, **settings)


def test_unknown_streams_and_keys_are_named():
    with pytest.raises(ConfigError, match="no column named 'radar'"):
        loss_and_gradients(Contrast(("imu", "radar")).double(), draw(3))
    by_site = Others(factors=(SETTINGS["hard_by_subject"].keywords["negatives"].factors[0],))
    object.__setattr__(by_site.factors[0], "key", "keys.site")
    with pytest.raises(ConfigError, match=r"no key named 'keys\.site'"):
        loss_and_gradients(Contrast(STREAMS, negatives=by_site).double(), draw(3))


def xor_accuracy(term, score, seed, bits=5, steps=150):
    """How often linear encoders find c = a xor b among all words of so many bits."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    encoders = [torch.nn.Linear(bits, 16) for _ in range(3)]
    parameters = [p for encoder in encoders for p in encoder.parameters()]
    optimizer = torch.optim.Adam([*parameters, *term.parameters()], lr=0.05)
    words = torch.tensor(list(product([0, 1], repeat=bits)))

    def draw_words(size):
        a, b = words[torch.randint(0, len(words), (2, size), generator=generator)]
        return a, b, a ^ b

    def encode(*given):
        return [e(w.float()) for e, w in zip(encoders, given, strict=True)]

    for _ in range(steps):
        z = dict(zip(STREAMS, encode(*draw_words(128)), strict=True))
        loss = sum(term(*inputs_of(z)).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        a, b, c = draw_words(1000)
        unit_a, unit_b = (normalize(z, dim=1) for z in encode(a, b, c)[:2])
        candidates = normalize(encoders[2](words.float()), dim=1)
        found = words[score(unit_a, unit_b, candidates).argmax(1)]
    return float((found == c).all(1).float().mean())


def inputs_of(columns):
    features, correspondence, targets = inputs(columns)
    object.__setattr__(correspondence, "trust", torch.ones(len(correspondence.item)))
    return features, correspondence, targets


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_only_the_multilinear_product_sees_xor(seed):
    symile = Symile(STREAMS, temperature=Temperature(0.3, learned=True))
    assert xor_accuracy(symile, lambda a, b, c: multilinear_scores((a, b), c), seed) >= 0.99
    pairwise = Contrast(STREAMS, temperature=Temperature(0.3, learned=True))
    assert xor_accuracy(pairwise, lambda a, b, c: (a + b) @ c.T, seed) <= 0.1  # chance: 1 / 32


def test_mv_dhel_of_two_streams_is_dhel():
    # DHEL of two views (Koromilas et al.): -l_12 + LSE over same-view negatives of both views.
    columns = draw(6)
    a, b = (normalize(columns[n], dim=1) for n in STREAMS[:2])
    apart = torch.eye(6, dtype=torch.float64) * -1e9
    expected = -(a * b).sum(1) / 0.5
    expected = expected + sum((z @ z.T / 0.5 + apart).logsumexp(1) for z in (a, b))
    term = Contrast(
        STREAMS[:2],
        layout=joint,
        reduce="in",
        group="product",
        normaliser="none",
        temperature=0.5,
        negatives=Others("same"),
        positives=SameMoment(value=0.5),
    )
    found = term(*inputs_of(columns))["contrast"]
    torch.testing.assert_close(found, expected.mean())
