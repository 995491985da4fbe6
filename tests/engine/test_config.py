"""Config trees: built, changed, recorded, compared; errors name the key path."""

import dataclasses

import pytest
import torch

from sensorfusion.engine import config as configs
from sensorfusion.engine.recipe import fill, read_recipe, record
from sensorfusion.errors import ConfigError, SensorFusionError
from tests.engine import engine_toy as toy


@dataclasses.dataclass
class Box:
    size: int
    inner: object = None

    def __post_init__(self):
        if self.size < 0:
            raise ValueError("negative size")


def test_build_is_recursive():
    tree = {"a": [{"type": Box, "size": 1}], "b": {"type": Box, "size": 2, "inner": {"c": (3,)}}}
    assert configs.build(tree) == {"a": [Box(1)], "b": Box(2, {"c": (3,)})}


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"a": {"type": "Box"}}, r"'Box', not a class.*where: config\.a\.type"),
        ({"a": [{"type": Box, "sise": 1}]}, r"(?s)no argument 'sise'.*config\.a\.0\.sise.*'size'"),
        ({"a": {"type": Box}}, r"(?s)missing 1 required.*'size'.*config\.a"),
        ({"a": {"type": Box, "size": -1}}, r"(?s)negative size.*config\.a"),
    ],
)
def test_errors_name_the_key_path(tree, message):
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        configs.build(tree)


def test_our_own_errors_keep_their_type():
    def fail():
        raise SensorFusionError("what", where="there", remedy="that")

    with pytest.raises(SensorFusionError, match=r"(?s)what.*config\.x: there.*that"):
        configs.build({"x": {"type": fail}})


def test_options():
    tree = {"train": {"epochs": 1}, "list": [{"type": Box, "size": 1}], "name": "a"}
    changed = configs.set_options(
        tree, ["train.epochs=20", "list.0.inner=(1, 2)", "list.0.size=3", "name=b c"]
    )
    assert changed["train"]["epochs"] == 20
    assert changed["list"] == [{"type": Box, "size": 3, "inner": (1, 2)}]
    assert changed["name"] == "b c"
    assert tree["train"]["epochs"] == 1


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("train.epoch=3", r"'epoch'.*\n.*train\.epoch\n.*did you mean 'epochs'"),
        ("trian.epochs=3", "did you mean 'train'"),
        ("train.epochs.more=3", "below a value"),
        ("list.7.size=3", "list of 1"),
        ("list.0.type=os.system", "unknown option 'type'"),
        ("epochs", "not key=value"),
    ],
)
def test_wrong_options_are_refused(option, message):
    tree = {"train": {"epochs": 1}, "list": [{"type": Box, "size": 1}]}
    with pytest.raises(ConfigError, match=message):
        configs.set_options(tree, [option])


def test_options_never_run(tmp_path):
    option = f"name=__import__('os').mkdir('{tmp_path}/ran')"
    assert configs.set_options({"name": ""}, [option])["name"].startswith("__import__")
    assert not (tmp_path / "ran").exists()


def test_record_and_differences():
    first = configs.resolved({"m": {"type": torch.optim.Adam, "lr": 1e-3}, "t": (1, {"a": None})})
    assert first["m"]["type"] == "torch.optim.adam:Adam"
    second = configs.resolved({"m": {"type": torch.optim.Adam, "lr": 2e-3}, "t": [1, {"a": 0}, 2]})
    assert configs.differences(first, second) == {
        "m.lr": (1e-3, 2e-3),
        "t.1.a": (None, 0),
        "t.2": (None, 2),
    }
    assert configs.differences(first, first) == {}
    with pytest.raises(ConfigError, match=r"(?s)Tensor.*config\.a\.0"):
        configs.resolved({"a": [torch.zeros(1)]})
    with pytest.raises(ConfigError, match=r"(?s)inf \(float\) cannot.*config\.a"):
        configs.resolved({"a": float("inf")})


def test_defaults_are_written_out():
    written = record(fill(toy.config()))
    assert written["train"]["precision"] == "float32"
    assert written["data"]["corrupt"] == {"policy": "raise", "cap": 0.001, "attempts": 10}
    assert written["schedule"] == {"type": "sensorfusion.engine.schedule:Constant"}
    assert record(fill(fill(toy.config()))) == written


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train__epoch": 3}, r"train\.epoch\n.*'epochs'"),
        ({"seed": -1}, "seed must be a whole number >= 0"),
        ({"optimiser": {}}, r"did you mean 'optimizer'"),
        ({"train__epochs": 0}, "epochs must be a whole number >= 1"),
        ({"loader__batch_size": "8"}, "batch_size must be"),
        ({"train__precision": "half"}, "unknown precision 'half'"),
        ({"train__ema": 1.5}, "ema is a decay"),
        ({"data__corrupt": {"policy": "ignore"}}, "unknown policy"),
        ({"data__corrupt": {"cap": 1.5}}, "share in"),
        ({"loader": 3}, "expected a dict"),
    ],
)
def test_wrong_recipes_are_refused(change, message):
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        fill(toy.config(**change))


CONFIG = """
from tests.engine.engine_toy import Jitter, Trace, WaveEncoder, Waves, pretrainer
from torch.optim import AdamW

from sensorfusion.engine.schedule import Cosine

_width = 8
model = dict(type=pretrainer, encoders=dict(wave=dict(type=WaveEncoder, width=_width)))
data = dict(train=dict(type=Waves, size=16), transforms=[dict(type=Jitter)])
loader = dict(batch_size=8)
optimizer = dict(type=AdamW, lr=1e-2)
schedule = dict(type=Cosine, warmup_steps=2)
train = dict(epochs=2)
"""


def test_a_config_file(tmp_path):
    (tmp_path / "small.py").write_text(CONFIG)
    tree = read_recipe(tmp_path / "small.py", ["train.epochs=4", "data.train.missing=2"])
    assert tree["model"]["encoders"]["wave"] == {"type": toy.WaveEncoder, "width": 8}
    assert tree["data"]["transforms"] == [{"type": toy.Jitter}]
    assert (tree["train"]["epochs"], tree["data"]["train"]["missing"]) == (4, 2)


def test_a_config_may_build_on_another(tmp_path):
    (tmp_path / "small.py").write_text(CONFIG)
    (tmp_path / "long.py").write_text(
        "from mmengine.config import read_base\n"
        "with read_base():\n    from .small import *\n"
        "train.update(epochs=7)\n"
        "model['encoders']['wave'].update(dropout=0.5)\n"
    )
    tree = read_recipe(tmp_path / "long.py")
    assert tree["train"]["epochs"] == 7
    wave = {"type": toy.WaveEncoder, "width": 8, "dropout": 0.5}
    assert tree["model"] == {"type": toy.pretrainer, "encoders": {"wave": wave}}


def test_a_function_may_be_the_type(tmp_path):
    """A frozen teacher whose folder is given on the command line."""
    (tmp_path / "taught.py").write_text(
        CONFIG
        + "from sensorfusion.objectives.teacher import frozen\n"
        + "model.update(teachers=dict(wave=dict(type=frozen)))\n"
    )
    tree = read_recipe(tmp_path / "taught.py", ["model.teachers.wave.path=runs/x/encoders/wave"])
    teacher = record(tree)["model"]["teachers"]["wave"]
    assert teacher == {
        "type": "sensorfusion.objectives.teacher:frozen",
        "path": "runs/x/encoders/wave",
    }
    with pytest.raises(ConfigError, match=r"(?s)no such folder.*model\.teachers\.wave.*pretrain"):
        configs.build(tree["model"], "model")


def test_a_misspelt_config_file(tmp_path):
    (tmp_path / "quickstart.py").write_text("")
    with pytest.raises(ConfigError, match=r"(?s)quickstrat.*did you mean 'quickstart\.py'"):
        read_recipe(tmp_path / "quickstrat.py")
    with pytest.raises(ConfigError, match="no such config file"):
        read_recipe(tmp_path / "absent" / "quickstart.py")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such config file"),
        ("model = dict(", "SyntaxError|was never closed"),
        (
            "from tests.engine.engine_toy import Nothing\nmodel = dict(type=Nothing)",
            r"(?s)Nothing.*model\.type",
        ),
        ("import nowhere.at.all\nmodel = dict(type=nowhere.at.all.X)", r"(?s)nowhere.*model"),
    ],
)
def test_wrong_config_files(tmp_path, text, message):
    file = tmp_path / "wrong.py"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_recipe(file)
