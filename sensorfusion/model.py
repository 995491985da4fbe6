"""The whole model: a batch to features per stream, to correspondences, to named losses."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from sensorfusion.encoders.encoder import Encoder
from sensorfusion.errors import ConfigError
from sensorfusion.fusion.fusion import Fusion
from sensorfusion.objectives.teacher import Teacher
from sensorfusion.objectives.term import Term
from sensorfusion.sample import Batch, Correspondence, Features, SensorBatch
from sensorfusion.together import split, stack

Matching = Callable[[Mapping[str, Features], Batch], Correspondence]


@dataclass(frozen=True)
class Weighted:
    """A term of the objective.

    Args:
        term: the objective. matching: which tokens it is given as belonging together.
        weight: factor of its losses in the total.
    """

    term: Term
    matching: Matching
    weight: float = 1.0


class Pretrainer(nn.Module):
    """Encoders, projection heads, fusions, teachers and objective terms.

    Args:
        encoders: encoders by name.
        sensors: sensor name -> encoder name; sensors may share an encoder, as do six cameras or
            two augmented views of one sensor.
        terms: the objective: named weighted terms.
        heads: encoder or fusion name -> projection head, applied to tokens [N, D] -> [N, D'].
        fusions: joint stream name -> module, in the order in which they are computed.
        teachers: encoder name -> teacher; it gives the streams `teacher.<sensor>` of each sensor
            that uses the encoder. One that follows starts from the weights of its student. A
            frozen one may stand alone, without an encoder of its name: its sensors then give no
            other stream, and the model that results has the teacher's encoder for them (Zhai et
            al. 2022, "LiT: zero-shot transfer with locked-image text tuning").
        together: encoders that are given the readings of all their sensors at once, which saves
            calls, and lets batch norms see six cameras as one batch. Others run sensor by sensor.
        frozen: encoders that stay as they are, in evaluation mode and without gradient; their
            heads learn. So SLidR (Sautier et al. 2022, section 3.1) uses an image network that
            was pretrained elsewhere.

    Raises:
        ConfigError: for a sensor of an unknown encoder, a teacher that no sensor uses or that
            cannot follow, or a head of another width than its encoder.
    """

    def __init__(
        self,
        encoders: Mapping[str, Encoder],
        sensors: Mapping[str, str],
        terms: Mapping[str, Weighted],
        *,
        heads: Mapping[str, nn.Module] | None = None,
        fusions: Mapping[str, Fusion] | None = None,
        teachers: Mapping[str, Teacher] | None = None,
        together: Sequence[str] = (),
        frozen: Sequence[str] = (),
    ) -> None:
        super().__init__()
        fixed = {name for name, teacher in (teachers or {}).items() if teacher.momentum is None}
        known = {*encoders, *fixed.intersection(sensors.values())}
        _require_encoders(known, {f"sensor {s!r} ({name!r})": name for s, name in sensors.items()})
        _require_encoders(known, {f"teacher {name!r}": name for name in teachers or {}})
        self.encoders = nn.ModuleDict(encoders)
        self.heads = nn.ModuleDict(heads or {})
        for name, head in self.heads.items():
            _require_fitting(name, head, encoders.get(name) or (fusions or {}).get(name))
        self.fusions = nn.ModuleDict(fusions or {})
        self.teachers = nn.ModuleDict(teachers or {})
        self.terms = nn.ModuleDict({name: entry.term for name, entry in terms.items()})
        self.matchings = {name: entry.matching for name, entry in terms.items()}
        self.weights = {name: entry.weight for name, entry in terms.items()}
        self.sensors = dict(sensors)
        self.together = tuple(together)
        used = {name for name in sensors.values() if name in encoders}
        _require_encoders(used, {f"together {name!r}": name for name in together})
        self.frozen = tuple(frozen)
        _require_encoders(used, {f"frozen {name!r}": name for name in frozen})
        for name in frozen:
            self.encoders[name].requires_grad_(False).eval()
        for name, teacher in self._teachers_of_students():
            teacher.begin(self.encoders[name], self._head(name))

    def train(self, mode: bool = True) -> Pretrainer:
        """Frozen encoders stay in evaluation mode."""
        super().train(mode)
        for name in self.frozen:
            self.encoders[name].eval()
        return self

    def encode(self, batch: Batch) -> dict[str, Features]:
        """Features of every sensor and joint stream, before projection."""
        features: dict[str, Features] = {}
        for name, encoder in self.encoders.items():
            given = {s: batch[s] for s, used in self.sensors.items() if used == name}
            if name in self.together:
                features |= split(self._run(encoder, stack(given)), given)
            else:
                features |= {s: self._run(encoder, readings) for s, readings in given.items()}
        for stream, fusion in self.fusions.items():
            features[stream] = fusion(features)
        return features

    def project(self, features: Mapping[str, Features]) -> dict[str, Features]:
        """Features in the spaces in which the terms compare them."""
        return {stream: self._project(stream, entry) for stream, entry in features.items()}

    def taught(self, batch: Batch) -> dict[str, Features]:
        """Features `teacher.<sensor>` of every sensor whose encoder has a teacher."""
        return {
            f"teacher.{sensor}": self._run(self.teachers[name], batch[sensor])
            for sensor, name in self.sensors.items()
            if name in self.teachers
        }

    def losses(self, projected: Mapping[str, Features], batch: Batch) -> dict[str, Tensor]:
        """Weighted named losses `<term>.<loss>`; their sum is the training loss.

        Args:
            projected: features of all streams, teachers included. batch: for matchings and targets.
        """
        targets = targets_of(batch)
        losses: dict[str, Tensor] = {}
        for name, term in self.terms.items():
            correspondence = self.matchings[name](projected, batch)
            for part, value in term(projected, correspondence, targets).items():
                losses[f"{name}.{part}"] = self.weights[name] * value
        return losses

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """A batch to weighted named losses."""
        return self.losses(self.project(self.encode(batch)) | self.taught(batch), batch)

    def after_step(self) -> None:
        """Move teachers and the terms' state; called once after each optimiser step."""
        for name, teacher in self._teachers_of_students():
            teacher.follow(self.encoders[name], self._head(name))
        for term in self.terms.values():
            cast(Term, term).after_step()

    def finished(self) -> dict[str, tuple[Encoder, nn.Module | None]]:
        """Name -> encoder and head of all that the model consists of, lone teachers included."""
        alone = {n: cast(Teacher, t) for n, t in self.teachers.items() if n not in self.encoders}
        return {
            **{n: (cast(Encoder, e), self._head(n)) for n, e in self.encoders.items()},
            **{n: (cast(Encoder, t.encoder), t.head) for n, t in alone.items()},
        }

    def _teachers_of_students(self) -> list[tuple[str, Teacher]]:
        return [(n, cast(Teacher, t)) for n, t in self.teachers.items() if n in self.encoders]

    def _run(self, encoder: nn.Module, readings: SensorBatch) -> Features:
        if len(readings):
            features: Features = encoder(readings)
            return features
        size = len(readings.present)
        return Features.empty(size, _width(encoder), like=next(self.parameters()))

    def _project(self, stream: str, features: Features) -> Features:
        head = self._head(self.sensors.get(stream, stream))
        if head is None:
            return features
        if len(features):
            return features.replace(tokens=head(features.tokens))
        return features.replace(tokens=features.tokens.new_zeros(0, _width(head)))

    def _head(self, name: str) -> nn.Module | None:
        return self.heads[name] if name in self.heads else None


def _require_encoders(known: Collection[str], wanted: Mapping[str, str]) -> None:
    unknown = [who for who, name in wanted.items() if name not in known]
    if unknown:
        raise ConfigError(
            f"encoders that do not exist: of {', '.join(unknown)}",
            remedy=f"use one of {sorted(known)}",
        )


def _require_fitting(name: str, head: nn.Module, before: nn.Module | None) -> None:
    """Refuse a head that takes another width than the tokens of what is before it have."""
    width, inputs = getattr(before, "width", None), getattr(head, "inputs", None)
    # A projection takes the last of a token's values; a linear layer all of them.
    if width is None or inputs is None or inputs == width:
        return
    if inputs > width or isinstance(head, nn.Linear):
        raise ConfigError(
            f"the head takes {inputs} values, the tokens of {type(before).__name__} have {width}",
            where=f"model.heads.{name}",
            remedy=f"set model.heads.{name}.inputs={width}",
        )


def targets_of(batch: Batch) -> dict[str, Tensor]:
    """What terms may use beside features: `index`, `labels.<name>` and `keys.<name>`."""
    targets = {"index": batch.index}
    targets |= {f"labels.{name}": label for name, label in batch.labels.items()}
    return targets | {f"keys.{name}": key for name, key in batch.keys.items()}


def _width(module: nn.Module) -> int:
    return cast(Encoder, module).width
