import pytest
import torch

from sensorfusion.errors import ConfigError, DataError
from sensorfusion.evaluation.confusion import Confusion

TRUE = torch.tensor([0, 0, 0, 1, 1, 2])
PREDICTED = torch.tensor([0, 0, 1, 1, 0, 3])


def test_counts_and_scores_by_hand():
    found = Confusion.of(TRUE, PREDICTED)
    expected = [[2, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    assert found.counts.tolist() == expected
    assert found.accuracy == pytest.approx(3 / 6)
    # F1: class 0 4/6, class 1 2/4, class 2 0, class 3 (only ever predicted) 0.
    assert found.macro_f1 == pytest.approx((4 / 6 + 1 / 2) / 4)
    first = found.per_class()[0]
    assert (first.precision, first.recall, first.support) == (
        pytest.approx(2 / 3),
        pytest.approx(2 / 3),
        3,
    )
    assert found.per_class()[3].recall == 0


def test_worst_errors_table_and_drawing(tmp_path):
    found = Confusion.of(TRUE, PREDICTED, ["wave", "clap", "throw", "jog"])
    assert found.worst(2) == (("clap", "wave", 1), ("throw", "jog", 1))
    assert found.table().splitlines()[2].startswith("| jog | 0.000")
    found.draw(tmp_path / "confusion.png", "fusion")
    assert (tmp_path / "confusion.png").read_bytes()[:4] == b"\x89PNG"


def test_labels_with_gaps():
    found = Confusion.of(torch.tensor([5, 9, 9]), torch.tensor([5, 5, 9]))
    assert found.labels == (5, 9)
    assert found.counts.tolist() == [[1, 0], [1, 1]]


def test_bad_input():
    with pytest.raises(DataError, match="0"):
        Confusion.of(torch.zeros(0).long(), torch.zeros(0).long())
    with pytest.raises(DataError):
        Confusion.of(TRUE, PREDICTED[:3])
    with pytest.raises(ConfigError, match="2 names"):
        Confusion.of(TRUE, PREDICTED, ["wave", "clap"])
