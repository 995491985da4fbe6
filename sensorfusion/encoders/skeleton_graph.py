"""A graph-convolutional skeleton encoder: joints, bones and their velocities in one network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sensorfusion.encoders.encoder import Encoder
from sensorfusion.encoders.norms import NormKind, norm1d, norm2d
from sensorfusion.encoders.readout import Readout, floating, read_out, require_shape, width_of
from sensorfusion.sample import Features, SensorBatch
from sensorfusion.sensors.skeleton import KINECT_V1, SkeletonWindow

STREAMS = 12  # joints, bones, velocities of joints and of bones: three coordinates each


class SkeletonGraph(Encoder):
    """Spatio-temporal graph convolutions over the body's tree.

    Blocks of a graph convolution over joints and convolutions over time, after Yan et al. 2018
    ("Spatial temporal graph convolutional networks"). Each group of channels has a topology of
    its own (Cheng et al. 2020, "Decoupling GCN"), which starts from the body's tree, is
    learned, and is refined for every window by differences between its joints (Chen et al.
    2021, "Channel-wise topology refinement", eq. 5, per group instead of per channel). Time is
    seen at three scales at once (Liu et al. 2020, "Disentangling and unifying graph
    convolutions"). Joints, bones and their velocities enter as channels of one network
    rather than as an ensemble of four (Song et al. 2020, "Stronger, faster", early fusion).

    Args:
        units: the units that readings may have; empty: any.
        rows: T, rows of a window.
        parents: of the J joints; the root is its own parent.
        channels: of the blocks; divisible by 4 and by `groups`. The stem, and every block whose
            channels are more than those of the block before, halves the time.
        groups: topologies per graph convolution.
        norm: see `norms`. dropout: before the read-out, of whole channels.
        readout: see `read_out`; the grid is [P, channels[-1], T'], the mean over joints.
    """

    reading = SkeletonWindow

    def __init__(
        self,
        *,
        units: Sequence[str],
        rows: int = 50,
        parents: Sequence[int] = KINECT_V1.parents,
        channels: Sequence[int] = (32, 32, 64, 64, 128, 128),
        groups: int = 8,
        norm: NormKind = "batch",
        dropout: float = 0.0,
        readout: Readout = "mean",
    ) -> None:
        super().__init__()
        self.units = tuple(units)
        self.rows, self.parents, self.channels = rows, tuple(parents), tuple(channels)
        self.groups, self.norm, self.dropout, self.readout = groups, norm, dropout, readout
        self.data_norm = norm1d(norm, STREAMS * len(parents), affine=False)
        self.stem = nn.Sequential(
            nn.Conv2d(STREAMS, channels[0], (5, 1), (2, 1), (2, 0), bias=False),
            norm2d(norm, channels[0]),
            nn.ReLU(),
        )
        self.blocks = nn.Sequential()
        hops, steps, self._stride = body_topologies(parents, groups), (rows - 1) // 2 + 1, 2
        for c_in, c_out in zip((channels[0], *channels), channels, strict=False):
            stride = 2 if c_out > c_in else 1
            self.blocks.append(_Block(c_in, c_out, stride, hops, norm))
            steps, self._stride = (steps - 1) // stride + 1, self._stride * stride
        self.drop = nn.Dropout1d(dropout)
        self.width = width_of(readout, channels[-1], steps)

    def forward(self, batch: SensorBatch) -> Features:
        """Encode windows of `joints` [P, T, J, 3]."""
        batch.require(self.reading, *self.units)
        require_shape(batch.values["joints"], (self.rows, len(self.parents), 3), self)
        streams_PTJC = body_streams(floating(batch.values["joints"], self), self.parents)
        flat_PET = streams_PTJC.flatten(2).transpose(1, 2)
        normed_PJCT = self.data_norm(flat_PET).unflatten(1, (len(self.parents), STREAMS))
        body_PCTJ = normed_PJCT.permute(0, 2, 3, 1).contiguous(memory_format=torch.channels_last)
        body_PCTJ = self.blocks(self.stem(body_PCTJ))
        grid_PDT = self.drop(body_PCTJ.mean(-1))
        return read_out(grid_PDT, batch, self.readout, rows=(self.rows, 0.0, self._stride))


def body_streams(joints_PTJ3: Tensor, parents: Sequence[int]) -> Tensor:
    """Joints, bones (joint minus parent) and their forward differences: [P, T, J, 12].

    Velocities of the first row are zero, bones of the root too.
    """
    places = torch.cat([joints_PTJ3, joints_PTJ3 - joints_PTJ3[:, :, list(parents)]], dim=-1)
    velocities = nn.functional.pad(places.diff(dim=1), (0, 0, 0, 0, 1, 0))
    return torch.cat([places, velocities], dim=-1)


def body_topologies(parents: Sequence[int], groups: int) -> Tensor:
    """Row j says from which joints joint j gathers, with which weights: [groups, J, J].

    The groups take turns: the joint itself, its parent, its children, all within two bones.
    """
    joints = len(parents)
    own = torch.eye(joints)
    parent = own[list(parents)]
    near = ((own + parent + parent.T) > 0).float()
    kinds = [own, parent, parent.T, ((near @ near) > 0).float()]
    kinds = [kind / kind.sum(-1, keepdim=True).clamp(min=1) for kind in kinds]
    return torch.stack([kinds[group % len(kinds)] for group in range(groups)])


class _Block(nn.Module):
    def __init__(self, c_in: int, c_out: int, stride: int, hops: Tensor, norm: NormKind) -> None:
        super().__init__()
        self.graph = _GraphConvolution(c_in, c_out, hops)
        self.graph_norm = norm2d(norm, c_out)
        self.graph_skip = _skip(c_in, c_out, 1, norm)
        self.time = _TimeScales(c_out, stride, norm)
        self.skip = _skip(c_in, c_out, stride, norm)

    def forward(self, body_PCTJ: Tensor) -> Tensor:
        gathered = self.graph_norm(self.graph(body_PCTJ)) + self.graph_skip(body_PCTJ)
        return torch.relu(self.time(torch.relu(gathered)) + self.skip(body_PCTJ))


def _skip(c_in: int, c_out: int, stride: int, norm: NormKind) -> nn.Module:
    if c_in == c_out and stride == 1:
        return nn.Identity()
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, 1, stride=(stride, 1), bias=False), norm2d(norm, c_out)
    )


class _GraphConvolution(nn.Module):
    """Mix channels, then let every joint gather from the others, per group of channels."""

    def __init__(self, c_in: int, c_out: int, hops_GJJ: Tensor) -> None:
        super().__init__()
        self.topology = nn.Parameter(hops_GJJ.clone())
        self.refinement = nn.Parameter(torch.full((len(hops_GJJ), 1, 1), 0.1))
        self.compare = nn.Conv1d(c_in, 2 * len(hops_GJJ), 1)
        self.mix = nn.Conv2d(c_in, c_out, 1, bias=False)

    def forward(self, body_PCTJ: Tensor) -> Tensor:
        to_PGJ, of_PGJ = self.compare(body_PCTJ.mean(2)).chunk(2, dim=1)
        differences = torch.tanh(to_PGJ[..., :, None] - of_PGJ[..., None, :])
        topology_PGJJ = self.topology + self.refinement * differences
        mixed = self.mix(body_PCTJ).contiguous()
        rows_PGRJ = mixed.unflatten(1, (len(self.topology), -1)).flatten(2, 3)
        gathered: Tensor = (rows_PGRJ @ topology_PGJJ.transpose(-1, -2)).view_as(mixed)
        return gathered.contiguous(memory_format=torch.channels_last)


class _TimeScales(nn.Module):
    """Four quarters of the channels: convolutions of dilation 1 and 2, a maximum, and none."""

    def __init__(self, channels: int, stride: int, norm: NormKind) -> None:
        super().__init__()
        quarter = channels // 4
        self.reduce = nn.Sequential(
            nn.Conv2d(channels, channels, 1, bias=False), norm2d(norm, channels), nn.ReLU()
        )
        self.near = nn.Conv2d(quarter, quarter, (5, 1), (stride, 1), (2, 0))
        self.far = nn.Conv2d(quarter, quarter, (5, 1), (stride, 1), (4, 0), (2, 1))
        self.highest = nn.MaxPool2d((3, 1), (stride, 1), (1, 0))
        self.stride = stride
        self.norm = norm2d(norm, channels)

    def forward(self, body_PCTJ: Tensor) -> Tensor:
        a, b, c, d = self.reduce(body_PCTJ).chunk(4, dim=1)
        scales = [self.near(a), self.far(b), self.highest(c), d[:, :, :: self.stride]]
        normed: Tensor = self.norm(torch.cat(scales, dim=1))
        return normed
