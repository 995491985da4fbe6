"""The property that every public function keeps, and the list of public functions."""

from __future__ import annotations

import copy
import importlib
import pkgutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, Phase, settings
from numpy.exceptions import ComplexWarning
from torch import Tensor

from sensorfusion.errors import SensorFusionError
from tests.fuzz.faults import Fault, faults_of

Arguments = dict[str, Any]
# The same few examples every time, and no search for a smaller one: each fault names itself.
FEW = settings(
    max_examples=2,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def finite_as_before(arguments: Arguments, result: Any) -> None:
    """Finite arguments give a finite result."""
    if all(_finite(value) for value in arguments.values()):
        assert _finite(result), f"not finite: {result}"


@dataclass(frozen=True)
class Case:
    """How a public function is tried.

    Args:
        call: takes the arguments by name; puts objects together from plain ones.
        arguments: sound ones, from a source of randomness.
        verify: asserts what must hold of a result, whatever the arguments were.
        spare: (argument, fault) pairs that are not tried, with the reason.
    """

    call: Callable[..., Any]
    arguments: Callable[[np.random.Generator], Arguments]
    verify: Callable[[Arguments, Any], None] = finite_as_before
    spare: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def check(self, seed: int) -> None:
        """Try the sound arguments, and each of them with each fault that it can have."""
        sound = self.arguments(np.random.default_rng(seed))
        self.attempt(sound, "", None)
        for name, fault in self.faults(sound):
            spoilt = fault.spoil(sound[name], np.random.default_rng(seed))
            self.attempt(sound | {name: spoilt}, name, fault)

    def faults(self, sound: Arguments) -> Iterator[tuple[str, Fault]]:
        """Names of arguments, and what is tried with them."""
        for name, value in sound.items():
            for fault in faults_of(value):
                if (name, fault.name) not in self.spare:
                    yield name, fault

    def attempt(self, arguments: Arguments, name: str, fault: Fault | None) -> None:
        """Either the result is right, or one of our errors names what is wrong."""
        where = f"{name}: {fault.name}" if fault else "sound arguments"
        before = copy.deepcopy(arguments)
        refused = None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                warnings.simplefilter("error", ComplexWarning)
                result = self.call(**arguments)
                self.verify(arguments, result)
        except SensorFusionError as error:
            refused = error
        except BaseException as error:
            raise AssertionError(f"{where}: {type(error).__name__}: {error}") from error
        assert same(arguments, before), f"{where}: arguments were changed"
        if refused is None:
            assert fault is None or not fault.fatal, f"{where}: taken"
            return
        assert fault is not None, f"{where}: refused: {refused}"
        assert not fault.harmless, f"{where}: refused: {refused}"
        words = fault.names(arguments[name]) if fault.names else ()
        text = str(refused).lower()
        named = not words or any(word.lower() in text for word in words)
        assert named, f"{where}: {refused!r} names none of {words}"


def same(one: Any, other: Any) -> bool:
    """Whether values are equal, NaN included."""
    if isinstance(one, Tensor):
        return one.dtype == other.dtype and same(one.detach().numpy(), other.detach().numpy())
    if isinstance(one, np.ndarray):
        if one.dtype != other.dtype or one.shape != other.shape:
            return False
        return one.tobytes() == other.tobytes()
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) or one != one or type(one).__eq__ is object.__eq__


def _finite(value: Any) -> bool:
    if isinstance(value, Tensor):
        return bool(torch.isfinite(value).all())
    if isinstance(value, np.ndarray):
        return value.dtype.kind not in "fc" or bool(np.isfinite(value).all())
    if isinstance(value, float):
        return bool(np.isfinite(value))
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_finite, value))
    if is_dataclass(value) and not isinstance(value, type):
        return all(_finite(getattr(value, f.name)) for f in fields(value))
    return True


def public_names(package: str) -> Iterator[str]:
    """Functions and classes that the modules of a package define, as module.name."""
    root = importlib.import_module(f"sensorfusion.{package}")
    for found in pkgutil.walk_packages(root.__path__, f"{root.__name__}."):
        module = importlib.import_module(found.name)
        for name, value in vars(module).items():
            own = getattr(value, "__module__", None) == module.__name__
            if own and callable(value) and not name.startswith("_"):
                yield f"{found.name.removeprefix(root.__name__ + '.')}.{name}"


def assert_all_have_cases(
    package: str, cases: Mapping[str, Case], without: Mapping[str, str]
) -> None:
    """Every public name has a case, or stands in `without` with a reason (a module counts)."""
    found = set(public_names(package))
    tried = {name.partition(" ")[0] for name in cases}
    exempt = {n for n in found if any(n == w or n.startswith(w + ".") for w in without)}
    assert tried <= found, f"cases of what does not exist: {sorted(tried - found)}"
    stale = [w for w in without if not any(n == w or n.startswith(w + ".") for n in found)]
    assert not stale, f"exempt, but not there: {stale}"
    missing = found - tried - exempt
    assert not missing, f"public, but without a case: {sorted(missing)}"
