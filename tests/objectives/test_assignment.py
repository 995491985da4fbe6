"""Positives across subjects: what is assigned, when, and how it enters the contrast."""

from __future__ import annotations

import pytest
import torch

from sensorfusion.errors import ConfigError
from sensorfusion.objectives.assignment import AssignedAcross
from sensorfusion.objectives.contrast import Contrast
from sensorfusion.objectives.layout import Direction, joint
from tests.objectives.settings import inputs

CLASSES, SUBJECTS = 5, 3


def clips(noise=0.1):
    """Embeddings of each subject doing each thing once, in an order of its own."""
    generator = torch.Generator().manual_seed(0)
    things = torch.randn(CLASSES, 8, generator=generator, dtype=torch.float64)
    orders = torch.cat([torch.randperm(CLASSES, generator=generator) for _ in range(SUBJECTS)])
    rows = [things[orders] + noise * torch.randn(15, 8, generator=generator) for _ in range(2)]
    return {"imu": rows[0], "skeleton": rows[1]}, orders


def run(term, columns, subjects):
    features, correspondence, targets = inputs(columns)
    targets["keys.subject"] = subjects
    return term(features, correspondence, targets)["contrast"]


def contrast(**settings):
    positives = AssignedAcross(20, width=8, **settings)
    return Contrast(layout=joint, normaliser="own", positives=positives, temperature=0.5).double()


def test_partners_do_the_same_thing():
    columns, things = clips()
    subjects = torch.arange(15) // CLASSES
    term = contrast()
    run(term, columns, subjects)
    partners = term.positives.partners[:15, :SUBJECTS]
    for clip in range(15):
        for subject in range(SUBJECTS):
            partner = int(partners[clip, subject])
            if subject == subjects[clip]:
                assert partner == -1
            else:
                assert subjects[partner] == subject
                assert things[partner] == things[clip]
                assert int(partners[partner, subjects[clip]]) == clip


def test_partners_become_positives_from_the_next_step_on():
    columns, things = clips()
    term = contrast()
    before = run(term, columns, torch.arange(15) // CLASSES)
    after = run(term, columns, torch.arange(15) // CLASSES)
    rows = torch.cat([torch.nn.functional.normalize(x, dim=1) for x in columns.values()])
    logits = rows @ rows.T / 0.5
    same, itself = things.repeat(2)[:, None] == things.repeat(2), torch.eye(30).bool()
    moment = torch.eye(15).bool().repeat(2, 2)

    def expected(positive):
        negative = ~(positive | moment)
        zn = logits.masked_fill(~negative, -torch.inf).logsumexp(1, keepdim=True)
        losses = (torch.logaddexp(zn, logits) - logits) * positive
        weights = torch.linspace(0.5, 1.5, 64, dtype=torch.float64)[:15].repeat(2)
        return (weights * losses.sum(1) / positive.sum(1)).mean()

    torch.testing.assert_close(before, expected(moment & ~itself))
    torch.testing.assert_close(after, expected(same & ~itself))


def test_assignments_wait_for_their_start():
    columns, _ = clips()
    term = contrast(start=2, every=2)
    counts = []
    for _ in range(3):
        run(term, columns, torch.arange(15) // CLASSES)
        counts.append(int((term.positives.partners >= 0).sum()))
    assert counts == [0, 0, 30]


def test_a_provider_of_one_direction_remembers_and_is_saved_with_the_term():
    columns, _ = clips()
    positives = AssignedAcross(20, width=8)
    term = Contrast(
        layout=[
            Direction(("imu",), ("skeleton",), positives=positives),
            Direction(("skeleton",), ("imu",), positives=positives),
        ]
    ).double()
    run(term, columns, torch.arange(15) // CLASSES)
    saved = [name for name in term.state_dict() if name.endswith("partners")]
    assert len(saved) == 1
    assert int((term.state_dict()[saved[0]] >= 0).sum()) == 30


def test_uneven_subjects_leave_some_without_a_partner():
    columns, _ = clips()
    term = contrast()
    run(term, columns, torch.tensor([0] * 9 + [1] * 6))
    assert int((term.positives.partners >= 0).sum()) == 2 * 6


def test_too_small_a_memory_is_named():
    columns, _ = clips()
    term = Contrast(positives=AssignedAcross(4, width=8)).double()
    with pytest.raises(ConfigError, match="beyond a memory of 4"):
        run(term, columns, torch.arange(15) // CLASSES)
