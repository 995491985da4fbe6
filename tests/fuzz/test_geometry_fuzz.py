from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.cases import FEW, assert_all_have_cases
from tests.fuzz.geometry_cases import CASES, WITHOUT


def test_every_public_function_is_tried():
    assert_all_have_cases("geometry", CASES, WITHOUT)


@pytest.mark.parametrize("name", CASES)
@FEW
@given(seed=st.integers(0, 999))
def test_right_or_refused_by_name(name, seed):
    CASES[name].check(seed)
