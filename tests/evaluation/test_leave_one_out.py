import pytest

from sensorfusion.errors import ConfigError
from sensorfusion.evaluation.leave_one_out import Split, leave_one_subject_out, parse_splits


def test_each_subject_is_held_out_once():
    folds = leave_one_subject_out((1, 3, 5, 7))
    assert [fold.test for fold in folds] == [(1,), (3,), (5,), (7,)]
    assert [fold.train for fold in folds] == [(3, 5, 7), (1, 5, 7), (1, 3, 7), (1, 3, 5)]
    assert {fold.family for fold in folds} == {"loso:1,3,5,7"}
    assert folds[0].name == "3,5,7/1"


@pytest.mark.parametrize("text", ["loso:1,2,3", "1,3,5/7/2,4,6,8", "1,8/3", "1/4/3"])
def test_reserved_subjects_need_the_flag_which_is_recorded(text):
    with pytest.raises(ConfigError, match="reserved for the final test"):
        parse_splits(text)
    for split in parse_splits(text, touch_test=True):
        assert split.record()["touch_test"] is True
    assert parse_splits(text, reserved=())[0].record()["touch_test"] is False


def test_forms():
    (split,) = parse_splits("1,3/5/7")
    assert (split.train, split.validation, split.test) == ((1, 3), (5,), (7,))
    assert split.name == "1,3/5/7"
    (split,) = parse_splits("1,3/7")
    assert (split.train, split.validation, split.test) == ((1, 3), (), (7,))
    for wrong in ("1,3", "1/3/5/7", "odd", "1,x/3", "lopo:1,3", ""):
        with pytest.raises(ConfigError, match="cannot read the split"):
            parse_splits(wrong)


def test_overlaps_and_empty_parts():
    with pytest.raises(ConfigError, match=r"\[3\] occur in two parts"):
        Split(family="f", train=(1, 3), test=(3,))
    with pytest.raises(ConfigError, match=r"\[3\] occur in two parts"):
        Split(family="f", train=(1, 3), validation=(3,), test=(5,))
    with pytest.raises(ConfigError, match="at least one"):
        Split(family="f", train=(), test=(3,))
    with pytest.raises(ConfigError, match="leave-one-out over"):
        leave_one_subject_out((1,))
