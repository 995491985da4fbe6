"""Frozen EfficientNet-Lite0 on the images of two moments: ours against the published network.

Both have the same weights and give the same map of stride 16 of twelve images of 112 x 208 pixels.
The published one is of the package efficientnet-lite-pytorch, as it comes, in evaluation mode;
once with images laid out as ours are, and once as its authors lay them out.

    python benchmarks/image_network.py [--threads 2] [--repeats 31]
"""

from __future__ import annotations

from alternate import compare, parsed


def main() -> None:
    """Print the milliseconds of each way."""
    options = parsed(__doc__ or "", repeats=31)
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    from sensorfusion.checkpoint import load_weights
    from sensorfusion.encoders.efficientnet_lite_weights import (
        efficientnet_lite_imagenet,
        installed_weights,
    )

    ours = efficientnet_lite_imagenet(size=(112, 208), stride=16).eval().requires_grad_(False)
    published = EfficientNet.from_name("efficientnet-lite0").eval().requires_grad_(False)
    published.load_state_dict(load_weights(installed_weights()))
    rows = torch.randn(12, 3, 112, 208)
    last = rows.contiguous(memory_format=torch.channels_last)

    def peer(images: torch.Tensor) -> torch.Tensor:
        deep = published._swish(published._bn0(published._conv_stem(images)))
        for block in published._blocks[: len(ours.blocks)]:
            deep = block(deep)
        return deep

    torch.testing.assert_close(ours.map(last), peer(rows), rtol=1e-3, atol=1e-3)
    ways = {
        "ours, channels last": lambda: ours.map(last),
        "published, channels last": lambda: peer(last),
        "published, channels first": lambda: peer(rows),
    }
    compare(f"EfficientNet-Lite0, {options.threads} threads", ways, options.repeats)


if __name__ == "__main__":
    main()
