"""Which runs a table needs, and in which order."""

import pytest

from sensorfusion.errors import ConfigError
from sensorfusion.evaluation.table import CHOOSE, TEST, Group, Row, Stage, Table, finalists, plan


def row(name, **changes):
    return Row(name=name, config="a.py", **changes)


GRID = Table(
    rows=[row("plain"), *(row(name, group="grid") for name in "abc")],
    groups={"grid": Group(best=2, coarse=(0, 1))},
    test=Stage(split="1,3,5/2,4,6,8", seeds=(0, 1, 2, 3, 4)),
)


def seeds(jobs):
    found = {}
    for job in jobs:
        found.setdefault(job.row.name, [])
        if job.seed not in found[job.row.name]:
            found[job.row.name].append(job.seed)
    return found


def test_stages_have_their_subjects():
    chosen = [job.split for job in plan(GRID, CHOOSE, only=["plain"])]
    assert [(s.train, s.test) for s in chosen] == [
        ((3, 5, 7), (1,)), ((1, 5, 7), (3,)), ((1, 3, 7), (5,)), ((1, 3, 5), (7,)),
    ]  # fmt: skip
    (first, *_) = tested = plan(GRID, TEST, only=["plain"])
    assert {(job.split.train, job.split.test) for job in tested} == {((1, 3, 5), (2, 4, 6, 8))}
    assert first.split.touch_test
    assert (first.place, len(tested)) == ("plain/test-2,4,6,8-0", 5)
    assert first.options(GRID, {}) == ["data.train.dataset.subjects=(1, 3, 5)", "seed=0"]
    with pytest.raises(ConfigError, match="reserved for the final test"):
        Table(rows=[row("a")], choose=Stage(split="1,3/2", seeds=(0,)))


def test_a_grid_is_coarse_first_and_only_its_best_are_tested():
    assert seeds(plan(GRID, CHOOSE)) == {"plain": [0], "a": [0, 1], "b": [0, 1], "c": [0, 1]}
    assert finalists(GRID, "grid", {"a": 0.5, "b": 0.7}) is None
    best = {"grid": finalists(GRID, "grid", {"a": 0.5, "b": 0.7, "c": 0.5})}
    assert best == {"grid": ["b", "a"]}
    five = [0, 1, 2, 3, 4]
    assert seeds(plan(GRID, TEST, best=best)) == {"plain": five, "a": five, "b": five}
    assert seeds(plan(GRID, TEST)) == {"plain": five}
    more = Table(rows=GRID.rows, groups=GRID.groups, choose=Stage(split="loso:1,3", seeds=(0, 7)))
    assert seeds(plan(more, CHOOSE, best=best))["b"] == [0, 1, 7]
    assert seeds(plan(more, CHOOSE, best=best))["c"] == [0, 1]
    assert seeds(plan(GRID, CHOOSE, only=["grid"], seeds=[3])) == {"a": [3], "b": [3], "c": [3]}


def test_teachers_come_first_with_the_seeds_of_their_students():
    table = Table(
        rows=[
            row("student", teachers={"imu": "middle"}, group="grid"),
            row("middle", teachers={"imu": "first"}),
            row("first"),
        ],
        groups={"grid": Group(best=1, coarse=(4,))},
        choose=Stage(split="loso:1,3", seeds=(0,)),
    )
    jobs = plan(table, CHOOSE, only=["student"])
    assert list(seeds(jobs).items()) == [("first", [4]), ("middle", [4]), ("student", [4])]
    assert [job.evaluated for job in jobs] == [False] * 4 + [True] * 2
    assert list(jobs[-1].teachers()) == [("imu", "middle/choose-3-4")]
    assert jobs[-1].options(table, {"imu": "x/imu"})[0] == "model.teachers.imu.path='x/imu'"
    everything = plan(table, CHOOSE)
    assert {(j.row.name, j.seed) for j in everything if j.evaluated} == {
        ("first", 0), ("middle", 0), ("student", 4),
    }  # fmt: skip
    assert seeds(everything)["first"] == [0, 4]


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([row("a"), row("a")], "names of their own"),
        ([row("a", teachers={"imu": "b"})], "no row 'b'"),
        ([row("a", teachers={"i": "b"}), row("b", teachers={"i": "a"})], "a -> b -> a"),
        ([row("a", group="g")], "unknown group 'g'"),
    ],
)
def test_mistakes_are_named(rows, what):
    with pytest.raises(ConfigError, match=what):
        Table(rows=rows)


def test_a_name_is_a_folder_and_protocols_are_known():
    for wrong in ("../a", "a b", "", "a/b"):
        with pytest.raises(ConfigError, match="a row is named"):
            row(wrong)
    with pytest.raises(ConfigError, match="unknown protocol 'fuson'"):
        row("a", protocols=("fuson",))
