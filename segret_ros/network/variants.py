# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The five SegRet variants, a few numbers each (SegRet arXiv 2502.14014, RMT arXiv 2309.11523)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    """
    The numbers of a variant; tuples have one entry per stage, at strides 4, 8, 16, 32.

    :param channels: width of each stage.
    :param depths: retention blocks of each stage.
    :param heads: attention heads of each stage; divides its channels.
    :param decay_range: r of the decay of head h of n, log(1 - 2^(-i - r h / n)).
    :param ffn_ratios: hidden width of the feed-forward network over the stage's width.
    :param decomposed: attention along rows, then columns, instead of over all cells at once.
    :param layer_scale: learned scale per channel on both residual branches.
    :param drop_path: stochastic depth of the last block, growing linearly from 0 at the first.
    :param decoder_channels: default decoder width E (Cityscapes').
    """

    channels: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]
    heads: tuple[int, int, int, int]
    decay_range: tuple[int, int, int, int]
    ffn_ratios: tuple[int, int, int, int]
    decomposed: tuple[bool, bool, bool, bool]
    layer_scale: tuple[bool, bool, bool, bool]
    drop_path: float
    decoder_channels: int


VARIANTS = {
    'nano': Variant(
        channels=(32, 64, 128, 256), depths=(2, 2, 6, 2), heads=(2, 2, 4, 8),
        decay_range=(4, 4, 6, 6), ffn_ratios=(3, 3, 3, 3),
        decomposed=(True, True, True, False), layer_scale=(False, False, False, False),
        drop_path=0.1, decoder_channels=128),
    'tiny': Variant(
        channels=(64, 128, 256, 512), depths=(2, 2, 8, 2), heads=(4, 4, 8, 16),
        decay_range=(4, 4, 6, 6), ffn_ratios=(3, 3, 3, 3),
        decomposed=(True, True, False, False), layer_scale=(False, False, False, False),
        drop_path=0.1, decoder_channels=256),
    'small': Variant(
        channels=(64, 128, 256, 512), depths=(3, 4, 18, 4), heads=(4, 4, 8, 16),
        decay_range=(4, 4, 6, 6), ffn_ratios=(4, 4, 3, 3),
        decomposed=(True, True, True, False), layer_scale=(False, False, False, False),
        drop_path=0.15, decoder_channels=256),
    'base': Variant(
        channels=(80, 160, 320, 512), depths=(4, 8, 25, 8), heads=(5, 5, 10, 16),
        decay_range=(5, 5, 6, 6), ffn_ratios=(4, 4, 3, 3),
        decomposed=(True, True, True, False), layer_scale=(False, False, True, True),
        drop_path=0.4, decoder_channels=256),
    'large': Variant(
        channels=(112, 224, 448, 640), depths=(4, 8, 25, 8), heads=(7, 7, 14, 20),
        decay_range=(6, 6, 6, 6), ffn_ratios=(4, 4, 3, 3),
        decomposed=(True, True, True, False), layer_scale=(False, False, True, True),
        drop_path=0.5, decoder_channels=512),
}
