import numpy as np
import pytest
import torch
from scipy import optimize, stats

from sensorfusion.errors import ConfigError, DataError
from sensorfusion.evaluation.probe import (
    FUSION,
    LINEAR,
    SINGLE,
    ProbeSettings,
    hide_sensors,
    train_probe,
)

from .synthetic import embeddings, separable

QUICK = {"epochs": 40, "hidden": 16, "learning_rate": 1e-2}
LINE = LINEAR.replace(epochs=40, learning_rate=3e-2)


@pytest.mark.parametrize("settings", [LINE, FUSION.replace(**QUICK)])
def test_separable_features_give_100_percent(settings):
    probe = train_probe(separable(), settings)
    assert probe.accuracy(separable(seed=1)) == 1.0


def test_shuffled_labels_give_chance():
    train, test = separable(n=200), separable(n=400, seed=1)
    draw = torch.Generator().manual_seed(0)
    noise = torch.randn(200, 6, generator=draw)
    train = embeddings({"imu": noise}, train.label("action")[torch.randperm(200, generator=draw)])
    test = embeddings({"imu": torch.randn(400, 6, generator=draw)}, test.label("action"))
    accuracy = train_probe(train, FUSION.replace(**QUICK)).accuracy(test)
    low, high = stats.binom.interval(0.999, 400, 0.25)
    assert low <= 400 * accuracy <= high


def test_linear_probe_finds_the_optimum_of_logistic_regression():
    draw = np.random.default_rng(0)
    values = draw.normal(size=(60, 3))
    labels = (values @ draw.normal(size=(3, 3)) + draw.normal(size=(60, 3))).argmax(1)

    def objective(flat):
        weight, bias = flat[:9].reshape(3, 3), flat[9:]
        logits = values @ weight.T + bias
        logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        return -logs[np.arange(60), labels].mean()

    best = optimize.minimize(objective, np.zeros(12), method="L-BFGS-B", tol=1e-12).x
    settings = ProbeSettings(
        hidden=0,
        epochs=1500,
        batch_size=60,
        learning_rate=0.02,
        schedule="cosine",
    )
    probe = train_probe(embeddings({"imu": torch.from_numpy(values)}, labels), settings)
    layer = probe.classifier.classifier

    def centred(values):  # adding one number to all classes changes no probability
        return values - values.mean(axis=0)

    found = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    np.testing.assert_allclose(centred(found[0]), centred(best[:9].reshape(3, 3)), atol=2e-4)
    np.testing.assert_allclose(centred(found[1]), centred(best[9:]), atol=2e-4)


def test_weight_decay_is_decoupled_from_the_gradient():
    """Features that are zero give their weights no gradient: only the decay moves them."""
    data = embeddings({"imu": torch.zeros(60, 3)}, np.arange(60) % 3)
    settings = ProbeSettings(hidden=0, epochs=20, batch_size=60, learning_rate=0.02)
    kept, decayed = (
        train_probe(data, settings.replace(weight_decay=d), seed=3).classifier.classifier.weight
        for d in (0.0, 0.5)
    )
    assert kept.abs().max() > 0.01
    torch.testing.assert_close(decayed, kept * (1 - 0.02 * 0.5) ** 20)


def test_same_seed_same_probe_and_outer_random_state_untouched():
    data = separable()
    settings = FUSION.replace(**QUICK, dropout=0.3, sensor_dropout=0.3, missing="token")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = train_probe(data, settings, seed=1).logits(data)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(train_probe(data, settings, seed=1).logits(data), first)
    assert not torch.equal(train_probe(data, settings, seed=2).logits(data), first)


def test_labels_need_not_count_from_zero():
    data = separable()
    moved = embeddings(data.features, data.label("action") * 10 + 7)
    probe = train_probe(moved, LINE)
    assert probe.classes.tolist() == [7, 17, 27, 37]
    assert torch.equal(probe.predict(moved), moved.label("action"))


@pytest.mark.parametrize("missing", ["zero", "token"])
def test_one_fusion_probe_with_either_sensor_missing(missing):
    settings = FUSION.replace(**QUICK, sensor_dropout=0.4, missing=missing)
    probe, test = train_probe(separable(), settings), separable(seed=1)
    for sensors in (("imu",), ("skeleton",), ("imu", "skeleton")):
        assert probe.accuracy(test.only(*sensors)) == 1.0
        assert probe.accuracy(test.keep(*sensors)) == 1.0


def test_single_sensor_settings_survive_features_of_tiny_variance():
    def shrunk(data):
        small = {"imu": data.features["imu"], "skeleton": 0.02 + 1e-3 * data.features["skeleton"]}
        return embeddings(small, data.label("action"))

    probe = train_probe(shrunk(separable()), SINGLE.replace(**QUICK))
    assert probe.accuracy(shrunk(separable(seed=1)).only("skeleton")) == 1.0


def test_a_masked_sensor_has_no_influence():
    probe = train_probe(separable(), FUSION.replace(**QUICK))
    test = separable(seed=1)
    wild = embeddings(
        {"imu": test.features["imu"], "skeleton": 1e3 * test.features["skeleton"]},
        test.label("action"),
    )
    assert torch.equal(probe.logits(test.only("imu")), probe.logits(wild.only("imu")))
    assert torch.equal(probe.logits(test.only("imu")), probe.logits(test.keep("imu")))


def test_training_with_missing_sensors_uses_present_rows_only():
    data = separable()
    present = {"imu": torch.arange(120) % 3 != 0, "skeleton": torch.arange(120) % 3 != 1}
    holes = embeddings(data.features, data.label("action"), present=present)
    probe = train_probe(holes, FUSION.replace(**QUICK, standardise=True))
    rows = data.features["imu"][present["imu"]]
    torch.testing.assert_close(probe.centre["imu"], rows.mean(0))
    torch.testing.assert_close(probe.scale["imu"], rows.std(0))
    assert probe.accuracy(holes) == 1.0
    nowhere = embeddings(
        data.features, data.label("action"), present={"imu": torch.zeros(120).bool()}
    )
    assert train_probe(nowhere, FUSION.replace(**QUICK)).accuracy(nowhere) == 1.0


def test_hide_sensors_keeps_one_and_hides_at_the_given_rate():
    present = torch.ones(20000, 2, dtype=torch.bool)
    present[:100, 0] = False
    present[100:200] = False
    kept = hide_sensors(present, 0.4)
    assert not (kept & ~present).any()
    assert kept[:100, 1].all()
    assert not kept[100:200].any()
    both = kept[200:]
    assert both.any(dim=1).all()
    # Each is hidden with 0.4; both with 0.16, and then either one comes back.
    assert float(both.float().mean()) == pytest.approx(0.6 + 0.08, abs=0.01)
    assert float(both[:, 0].float().mean()) == pytest.approx(0.68, abs=0.015)


def test_constant_feature_is_not_blown_up():
    data = separable()
    flat = torch.cat([data.features["imu"], torch.full((120, 1), 7.3)], dim=1)
    probe = train_probe(embeddings({"imu": flat}, data.label("action")), LINEAR)
    assert probe.scale["imu"][-1] == 1.0


def test_validation_selects_the_epoch_and_training_never_sees_it():
    train, validation = separable(), separable(seed=1)
    settings = FUSION.replace(**QUICK, selection="validation")
    chosen = train_probe(train, settings, validation=validation)
    assert chosen.accuracy(validation) == 1.0
    # The kept weights are those of that epoch of the same run.
    short = train_probe(train, settings.replace(selection="last", epochs=chosen.epoch))
    torch.testing.assert_close(short.logits(validation), chosen.logits(validation))
    with pytest.raises(ConfigError, match="without a validation set"):
        train_probe(train, settings)


def test_copies_are_drawn_per_sample():
    data = separable()
    zeros = embeddings({n: 0 * v for n, v in data.features.items()}, data.label("action"))
    # Half of what training sees says nothing; the other half still tells the classes apart.
    probe = train_probe([data, zeros], FUSION.replace(**QUICK))
    assert probe.accuracy(data) == 1.0
    with pytest.raises(ConfigError, match="other samples"):
        train_probe([data, separable(n=60)], LINEAR)


def test_bad_input():
    data = separable()
    with pytest.raises(DataError, match="empty"):
        train_probe(data.select([]), LINEAR)
    three = data.select(data.label("action") != 2)
    with pytest.raises(DataError, match=r"classes \[2\]"):
        train_probe(three, FUSION.replace(epochs=1), validation=data)
    probe = train_probe(data.keep("imu"), LINEAR.replace(epochs=1))
    with pytest.raises(ConfigError, match="not trained with sensor"):
        probe.predict(data)
    with pytest.raises(ConfigError, match="width 3"):
        probe.predict(embeddings({"imu": torch.zeros(2, 3)}, [0, 1]))
    with pytest.raises(DataError, match="no label 'verb'"):
        train_probe(data, LINEAR, label="verb")
