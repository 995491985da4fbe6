"""Which subjects train, validate and test; and a guard around the test subjects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sensorfusion.datasets.utd_mhad import TEST_SUBJECTS
from sensorfusion.errors import ConfigError

LEAVE_ONE_OUT = "loso"


@dataclass(frozen=True, kw_only=True)
class Split:
    """Subjects of one experiment.

    Args:
        family: what the split belongs to; the folds of one leave-one-out share it.
        train, validation, test: subjects, without overlap; validation may be empty.
        touch_test: says that this is the one final look at reserved subjects; kept with every
            result.
        reserved: subjects that need `touch_test`: no choice is ever made on them.

    Raises:
        ConfigError: an empty part, an overlap, or reserved subjects without `touch_test`.
    """

    family: str
    train: tuple[int, ...]
    test: tuple[int, ...]
    validation: tuple[int, ...] = ()
    touch_test: bool = False
    reserved: tuple[int, ...] = TEST_SUBJECTS

    def __post_init__(self) -> None:
        if not self.train or not self.test:
            raise ConfigError(
                f"training subjects {self.train}, test subjects {self.test}",
                where=f"split {self.family!r}",
                remedy="name at least one subject for each",
            )
        everyone = [*self.train, *self.validation, *self.test]
        twice = sorted({subject for subject in everyone if everyone.count(subject) > 1})
        if twice:
            raise ConfigError(
                f"subjects {twice} occur in two parts, or twice",
                where=f"split {self.family!r}",
                remedy="a subject either trains, validates or tests",
            )
        guarded = sorted(set(everyone) & set(self.reserved))
        if guarded and not self.touch_test:
            raise ConfigError(
                f"subjects {guarded} are reserved for the final test",
                where=f"split {self.family!r}",
                remedy="choose by leave-one-subject-out on the others; for the one final test "
                "give touch_test=True (--touch-test), which the results record",
            )

    @property
    def name(self) -> str:
        """`train/validation/test`, subjects joined by commas; without validation two parts."""
        parts = (self.train, self.validation, self.test)
        return "/".join(",".join(map(str, part)) for part in parts if part)

    def record(self) -> dict[str, Any]:
        """What results keep of the split."""
        return {"name": self.name, **asdict(self)}


def leave_one_subject_out(
    subjects: Sequence[int], *, touch_test: bool = False, reserved: Sequence[int] = TEST_SUBJECTS
) -> tuple[Split, ...]:
    """One split per subject, which tests on it and trains on all others.

    Raises:
        ConfigError: fewer than two subjects, repeated or reserved ones.
    """
    if len(subjects) < 2:
        raise ConfigError(
            f"leave-one-out over {list(subjects)}", remedy="name two or more subjects"
        )
    family = f"{LEAVE_ONE_OUT}:" + ",".join(map(str, subjects))
    return tuple(
        Split(
            family=family,
            train=tuple(s for i, s in enumerate(subjects) if i != out),
            test=(subjects[out],),
            touch_test=touch_test,
            reserved=tuple(reserved),
        )
        for out in range(len(subjects))
    )


def parse_splits(
    text: str, *, touch_test: bool = False, reserved: Sequence[int] = TEST_SUBJECTS
) -> tuple[Split, ...]:
    """`loso:1,3,5,7`, `train/test` or `train/validation/test`, e.g. `1,3,5/7/2,4,6,8`.

    Raises:
        ConfigError: any other form.
    """
    kind, colon, rest = text.partition(":")
    if colon and kind == LEAVE_ONE_OUT:
        return leave_one_subject_out(
            _subjects(rest, text), touch_test=touch_test, reserved=reserved
        )
    parts = [_subjects(part, text) for part in text.split("/")]
    if colon or len(parts) not in (2, 3):
        raise _malformed(text)
    return (
        Split(
            family=text,
            train=parts[0],
            validation=parts[1] if len(parts) == 3 else (),
            test=parts[-1],
            touch_test=touch_test,
            reserved=tuple(reserved),
        ),
    )


def _subjects(text: str, whole: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise _malformed(whole) from error


def _malformed(text: str) -> ConfigError:
    return ConfigError(
        f"cannot read the split {text!r}",
        remedy="write loso:1,3,5,7 or train/test or train/validation/test, e.g. 1,3,5/7",
    )
