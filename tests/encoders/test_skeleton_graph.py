"""The body's tree inside the graph encoder."""

from __future__ import annotations

import torch

from sensorfusion.encoders.skeleton_graph import body_streams, body_topologies
from sensorfusion.sensors.skeleton import KINECT_V1

CHAIN = (1, 1, 1, 2)  # 0 - 1 - 2 - 3, root 1


def test_streams() -> None:
    joints = torch.randn(2, 5, 4, 3, dtype=torch.float64)
    streams = body_streams(joints, CHAIN)
    assert torch.equal(streams[..., :3], joints)
    torch.testing.assert_close(streams[..., 3, 3:6], joints[..., 3, :] - joints[..., 2, :])
    assert not streams[..., 1, 3:6].any()  # the root has no bone
    assert not streams[:, 0, :, 6:].any()  # the first row no velocity
    torch.testing.assert_close(streams[:, 1:, :, 6:9], joints[:, 1:] - joints[:, :-1])
    moved = body_streams(joints + 7, CHAIN)
    torch.testing.assert_close(moved[..., 3:], streams[..., 3:])  # all but places ignore shifts


def test_topologies() -> None:
    own, parent, children, near = body_topologies(CHAIN, 4)
    assert torch.equal(own, torch.eye(4))
    assert parent.argmax(1).tolist() == list(CHAIN)
    assert children[2].tolist() == [0, 0, 0, 1]
    assert not children[0].any()  # a leaf gathers from no child
    torch.testing.assert_close(near[0], torch.tensor([1, 1, 1, 0]) / 3)
    every = body_topologies(KINECT_V1.parents, 8)
    assert every.shape == (8, 20, 20)
    assert torch.equal(every[:4], every[4:])
