"""Moments in time: everything measured in one frame of one sample belongs together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from sensorfusion.errors import ConfigError
from sensorfusion.sample import Batch, Correspondence, Features


@dataclass(frozen=True)
class Moments:
    """One id for every frame of every sample; one column per stream.

    A stream's valid tokens of a moment are averaged when they are pooled. Streams that are
    missing in a moment are absent from its id.

    Args:
        streams: the columns, names of sensors, fusions or, as `teacher.<sensor>`, teachers.

    Raises:
        ConfigError: naming a stream that the model does not have.
    """

    streams: tuple[str, ...]

    def __call__(self, features: Mapping[str, Features], batch: Batch) -> Correspondence:
        unknown = [name for name in self.streams if name not in features]
        if unknown:
            raise ConfigError(
                f"no sensor, fusion or teacher gives the streams {unknown}",
                where="Moments.streams",
                remedy=f"name some of {sorted(features)}",
            )
        moments = [_moment_of_tokens(features[name], batch.frames) for name in self.streams]
        size = len(batch) * batch.frames
        item = torch.arange(len(batch), device=batch.index.device)
        return Correspondence(
            columns=self.streams,
            ids=tuple(ids for ids, _ in moments),
            tokens=tuple(tokens for _, tokens in moments),
            size=size,
            item=item.repeat_interleave(batch.frames),
            trust=torch.ones(size, device=batch.index.device),
        )


def _moment_of_tokens(features: Features, frames: int) -> tuple[torch.Tensor, torch.Tensor]:
    tokens = features.valid.nonzero()[:, 0]
    return features.item[tokens] * frames + features.frame[tokens], tokens
