"""The whole model, from batch to losses, with sensors missing."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.optim import AdamW

from sensorfusion.collate import collate
from sensorfusion.encoders.heads import LinearHead, Projection
from sensorfusion.encoders.imu_residual import ImuResidual
from sensorfusion.encoders.skeleton_graph import SkeletonGraph
from sensorfusion.engine.optimizer import build_optimizer
from sensorfusion.errors import ConfigError
from sensorfusion.export import save_encoder
from sensorfusion.fusion.attention import AttentionFusion
from sensorfusion.matching.moments import Moments
from sensorfusion.model import Pretrainer, Weighted
from sensorfusion.objectives.teacher import Teacher, frozen
from sensorfusion.objectives.term import Term
from sensorfusion.sample import Batch, Frame, Sample
from sensorfusion.sensors.imu import ImuWindow
from sensorfusion.sensors.skeleton import SkeletonWindow
from tests.encoder_cases import build_small, reading

KINDS = {"imu": ImuWindow, "imu_view2": ImuWindow, "skeleton": SkeletonWindow}
EVERYTHING = ("imu", "imu_view2", "skeleton")


class Spread(Term):
    """Squared distance of all present columns of an id to their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.seen: dict = {}

    def forward(self, features, correspondence, targets):
        self.seen = {**features, **targets}
        pooled, present = correspondence.pool(features), correspondence.present[..., None]
        count = present.sum(1).clamp(min=1)
        mean = (pooled * present).sum(1) / count
        apart = ((pooled - mean[:, None]).square() * present).sum((1, 2))
        return {"apart": self.scale * apart.sum() / max(len(apart), 1)}

    def after_step(self) -> None:
        self.steps += 1


def samples(*presence: tuple[str, ...], frames: int = 1) -> list[Sample]:
    """Sample b has readings of the named sensors, drawn from the seed (b, sensor)."""
    return [
        Sample(
            id=str(b),
            frames=tuple(
                Frame({name: reading(KINDS[name], 100 * b + 10 * f + len(name)) for name in names})
                for f in range(frames)
            ),
            labels={"action": b},
            keys={"subject": b % 2},
        )
        for b, names in enumerate(presence)
    ]


def batch(*presence: tuple[str, ...], frames: int = 1) -> Batch:
    return collate(samples(*presence, frames=frames))


def model(**changes) -> Pretrainer:
    imu = build_small(ImuResidual)
    skeleton = build_small(SkeletonGraph)
    widths = {"imu": imu.width, "skeleton": skeleton.width}
    settings = {
        "encoders": {"imu": imu, "skeleton": skeleton},
        "sensors": {"imu": "imu", "imu_view2": "imu", "skeleton": "skeleton"},
        "terms": {
            "views": Weighted(Spread(), Moments(("imu", "imu_view2"))),
            "cross": Weighted(Spread(), Moments(("imu", "skeleton", "joint")), weight=0.5),
        },
        "heads": {name: Projection(16, 8, 4) for name in ("imu", "skeleton", "joint")},
        "fusions": {"joint": AttentionFusion(widths=widths, width=16)},
    }
    return Pretrainer(**(settings | changes))


def test_everything_present() -> None:
    whole = model()
    losses = whole(batch(EVERYTHING, EVERYTHING, EVERYTHING))
    assert losses.keys() == {"views.apart", "cross.apart"}
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in whole.parameters())


def test_streams_and_their_widths() -> None:
    whole, given = model(), batch(EVERYTHING, ("imu",), ("skeleton",), (), frames=2)
    features = whole.encode(given)
    projected = whole.project(features)
    tokens = {name: len(entry) for name, entry in features.items()}
    assert tokens == {"imu": 4, "imu_view2": 2, "skeleton": 4, "joint": 6}
    assert all(entry.size == 4 for entry in features.values())
    assert {entry.tokens.shape[1] for entry in projected.values()} == {4}
    assert features["joint"].item.tolist() == [0, 0, 1, 1, 2, 2]
    assert features["joint"].frame.tolist() == [0, 1, 0, 1, 0, 1]


@pytest.mark.parametrize("absent", ["skeleton", "imu"])
def test_a_sensor_that_is_absent_everywhere(absent) -> None:
    names = tuple(name for name in EVERYTHING if not name.startswith(absent))
    whole = model()
    losses = whole(batch(names, names, names))
    assert all(loss.isfinite() for loss in losses.values())
    sum(losses.values()).backward()
    silent = [*whole.encoders[absent].parameters(), *whole.heads[absent].parameters()]
    assert all(p.grad is None or not p.grad.any() for p in silent)
    other = "imu" if absent == "skeleton" else "skeleton"
    assert any(p.grad is not None and p.grad.any() for p in whole.encoders[other].parameters())


def test_nothing_present_at_all() -> None:
    losses = model()(batch((), ()))
    assert [float(loss.detach()) for loss in losses.values()] == [0, 0]


@pytest.mark.parametrize("absent", EVERYTHING)
def test_missing_is_masked_not_zero(absent) -> None:
    """Losses of a partly missing batch are the mean over what each sample gives alone."""
    names = tuple(name for name in EVERYTHING if name != absent)
    whole = model().double().eval()
    given = samples(names, EVERYTHING, (), names)
    losses = whole(collate(given))
    alone = [whole(collate([sample])) for sample in given]
    for name, loss in losses.items():
        torch.testing.assert_close(loss, sum(each[name] for each in alone) / len(given))


def test_samples_do_not_see_each_other_in_eval() -> None:
    whole = model().double().eval()
    presence = [EVERYTHING, ("imu",), ("skeleton", "imu_view2"), ("imu", "skeleton")]
    given = samples(*presence)
    together = whole.project(whole.encode(collate(given)))
    for b, sample in enumerate(given):
        alone = whole.project(whole.encode(collate([sample])))
        for stream, entry in together.items():
            own = entry.tokens[entry.item == b]
            torch.testing.assert_close(alone[stream].tokens, own, rtol=1e-9, atol=1e-9)


def test_two_views_share_one_encoder() -> None:
    whole = model().double().eval()
    given = batch(EVERYTHING, EVERYTHING)
    swapped = Batch(
        sensors={**given.sensors, "imu": given["imu_view2"], "imu_view2": given["imu"]},
        ids=given.ids,
        index=given.index,
    )
    first, second = whole.encode(given), whole.encode(swapped)
    assert torch.equal(first["imu"].tokens, second["imu_view2"].tokens)
    assert not torch.equal(first["imu"].tokens, first["imu_view2"].tokens)
    keys = {key.split(".")[1] for key in whole.state_dict() if key.startswith("encoders.")}
    assert keys == {"imu", "skeleton"}


def test_weights_scale_the_losses() -> None:
    whole, given = model().eval(), batch(EVERYTHING, EVERYTHING)
    before = whole(given)
    whole.weights["cross"] = 2.0
    after = whole(given)
    torch.testing.assert_close(after["cross.apart"], 4 * before["cross.apart"])
    torch.testing.assert_close(after["views.apart"], before["views.apart"])


def test_targets_reach_the_terms() -> None:
    whole = model()
    whole(batch(EVERYTHING, ("imu",)))
    seen = whole.terms["views"].seen
    assert seen["index"].tolist() == [0, 1]
    assert seen["labels.action"].tolist() == [0, 1]
    assert seen["keys.subject"].tolist() == [0, 1]


def test_teachers_give_targets_and_follow() -> None:
    encoder = build_small(SkeletonGraph)
    teacher = Teacher.following(encoder, momentum=0.75)
    whole = model(
        encoders={"imu": build_small(ImuResidual), "skeleton": encoder},
        teachers={"skeleton": teacher},
    ).train()
    whole(batch(("imu", "skeleton"), ("imu",)))
    target = whole.terms["cross"].seen["teacher.skeleton"]
    assert "teacher.imu" not in whole.terms["cross"].seen
    assert not target.tokens.requires_grad
    assert not teacher.training
    assert target.item.tolist() == [0]
    before = teacher.encoder.stem[0].weight.clone()
    with torch.no_grad():
        encoder.stem[0].weight.add_(1)
    whole.after_step()
    torch.testing.assert_close(teacher.encoder.stem[0].weight, before + 0.25)
    assert whole.terms["cross"].steps == 1


def test_a_following_teacher_begins_as_its_student() -> None:
    """As from a config, which builds the teacher's encoder and head a second time."""
    heads = {name: Projection(16, 8, 4) for name in ("imu", "skeleton", "joint")}
    teacher = Teacher.following(build_small(ImuResidual), Projection(16, 8, 4))
    whole = model(teachers={"imu": teacher}, heads=heads)
    pairs = [(teacher.encoder, whole.encoders["imu"]), (teacher.head, whole.heads["imu"])]
    for mine, theirs in pairs:
        for name, value in theirs.state_dict().items():
            assert torch.equal(mine.state_dict()[name], value)
            assert mine.state_dict()[name].data_ptr() != value.data_ptr()
    given = batch(("imu",), ("imu", "skeleton"))
    whole.eval()
    taught, own = whole.taught(given), whole.project(whole.encode(given))
    torch.testing.assert_close(taught["teacher.imu"].tokens, own["imu"].tokens)


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        ({"imu": lambda: Teacher.following(build_small(SkeletonGraph))}, "another encoder"),
        (
            {"joint": lambda: Teacher.following(build_small(ImuResidual))},
            r"encoders that do not exist(?s:.*)joint",
        ),
        (
            {"imu": lambda: Teacher.following(build_small(ImuResidual), Projection(16, 8, 5))},
            "another head",
        ),
    ],
)
def test_teachers_that_cannot_follow(teacher, message) -> None:
    with pytest.raises(ConfigError, match=message):
        model(teachers={name: make() for name, make in teacher.items()})


def test_a_frozen_teacher_of_a_saved_encoder(tmp_path) -> None:
    saved, head = build_small(ImuResidual), Projection(16, 8, 6)
    save_encoder(tmp_path / "imu", saved, head=head)
    given = batch(("imu",), ("skeleton",), ("imu", "skeleton"))
    expected = saved.eval()(given["imu"]).tokens
    for project, tokens in ((False, expected), (True, head.eval()(expected))):
        teacher = frozen(tmp_path / "imu", project=project)
        whole = model(teachers={"imu": teacher}).train()
        torch.testing.assert_close(whole.taught(given)["teacher.imu"].tokens, tokens)
        whole(given)
        whole.after_step()
        torch.testing.assert_close(whole.taught(given)["teacher.imu"].tokens, tokens)
        nobody = whole.taught(batch(("skeleton",)))["teacher.imu"].tokens
        assert nobody.shape == (0, tokens.shape[1])


def test_a_lone_frozen_teacher_is_part_of_the_model(tmp_path) -> None:
    """Its sensors give only what it teaches; it is not trained, and finished as it was."""
    save_encoder(tmp_path / "imu", build_small(ImuResidual), head=Projection(16, 8, 4))
    teacher = frozen(tmp_path / "imu", project=True)
    head = Projection(16, 8, 4)
    whole = model(
        encoders={"skeleton": build_small(SkeletonGraph)},
        heads={"skeleton": head},
        fusions={},
        teachers={"imu": teacher},
        terms={"cross": Weighted(Spread(), Moments(("skeleton", "teacher.imu")))},
    ).train()
    given = batch(EVERYTHING, ("skeleton",), ("imu", "skeleton"))
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    assert list(whole.encode(given)) == ["skeleton"]
    assert sorted(whole.taught(given)) == ["teacher.imu", "teacher.imu_view2"]
    sum(whole(given).values()).backward()
    whole.after_step()
    assert all(p.grad is not None for p in whole.encoders["skeleton"].parameters())
    assert not any(p.requires_grad for p in teacher.parameters())
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    finished = whole.finished()
    assert finished == {
        "skeleton": (whole.encoders["skeleton"], head),
        "imu": (teacher.encoder, teacher.head),
    }


def test_lone_teachers_that_cannot_be() -> None:
    encoders = {"skeleton": build_small(SkeletonGraph)}
    lone = Teacher.following(build_small(ImuResidual))
    with pytest.raises(ConfigError, match="imu"):
        model(encoders=encoders, teachers={"imu": lone}, fusions={}, heads={})
    nobodys = Teacher(build_small(ImuResidual))
    with pytest.raises(ConfigError, match="other"):
        model(teachers={"other": nobodys})


def test_a_frozen_teacher_needs_its_encoder(tmp_path) -> None:
    for path in (None, tmp_path / "absent"):
        with pytest.raises(ConfigError, match=r"model\.teachers\.<name>\.path="):
            frozen(path)
    save_encoder(tmp_path / "imu", build_small(ImuResidual))
    with pytest.raises(ConfigError, match="without a projection head"):
        frozen(tmp_path / "imu", project=True)


def test_a_frozen_encoder_stays_and_its_head_learns() -> None:
    whole = model(frozen=("imu",)).train()
    assert not any(part.training for part in whole.encoders["imu"].modules())
    assert whole.encoders["skeleton"].training
    assert whole.heads["imu"].training
    before = {name: value.clone() for name, value in whole.encoders["imu"].state_dict().items()}
    given = batch(EVERYTHING, EVERYTHING, EVERYTHING)
    sum(whole(given).values()).backward()
    optimizer = build_optimizer({"type": AdamW, "lr": 0.1}, whole)
    optimizer.step()
    after = whole.encoders["imu"].state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert all(p.grad is None for p in whole.encoders["imu"].parameters())
    learning = [whole.heads["imu"], whole.encoders["skeleton"], whole.fusions["joint"]]
    assert all(p.grad is not None for part in learning for p in part.parameters())
    assert whole.finished()["imu"] == (whole.encoders["imu"], whole.heads["imu"])


def test_a_head_takes_what_its_encoder_gives() -> None:
    usual = {name: Projection(16, 8, 4) for name in ("skeleton", "joint")}
    model(heads={**usual, "imu": Projection(10, 8, 4)})  # the last ten values of each token
    for head in (Projection(17, 8, 4), LinearHead(15, 4), LinearHead(17, 4)):
        with pytest.raises(ConfigError, match=r"tokens of ImuResidual have 16(?s:.*)inputs=16"):
            model(heads={**usual, "imu": head})
    with pytest.raises(ConfigError, match=r"model\.heads\.joint(?s:.*)inputs=16"):
        model(heads={**usual, "joint": LinearHead(15, 4)})


def test_frozen_encoders_that_no_sensor_uses() -> None:
    with pytest.raises(ConfigError, match=r"frozen 'radar'"):
        model(frozen=("radar",))


def test_a_sensor_with_an_unknown_encoder() -> None:
    with pytest.raises(ConfigError, match="radar"):
        model(sensors={"imu": "radar"})


def test_a_matching_of_an_unknown_sensor() -> None:
    whole = model(terms={"cross": Weighted(Spread(), Moments(("imu", "radar")))})
    with pytest.raises(ConfigError, match=r"\['radar'\](?s:.*)'skeleton'"):
        whole(batch(EVERYTHING))
