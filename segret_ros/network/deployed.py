# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The network in the form that engines run fastest: the same function, weights folded, one image.

Cells are rows of a matrix, (H W, C), so no engine can mistake their order for an image's. Scales
and offsets of a norm are folded into the layers after it, the residual into the positional
convolution, the scale of the attention into the key and the layer scale into the output. Each
level meets the fusing convolution at its own stride.

With float16 parameters (`to_half`) it computes in float16, except where that costs accuracy: the
normalisation of the image, LayerNorm, the decay and the softmax stay in float32. The casts are
operators of the graph, so that engines of strict types follow them.
"""

from typing import Any

from segret_ros.network import MEAN, SegRet, STD
from segret_ros.network.backbone import RetentionBlock, Stage
from segret_ros.network.decoder import Decoder
from segret_ros.network.folding import folded
from segret_ros.network.retention import DepthwiseConv2d
import torch
from torch import nn, Tensor
from torch.nn import functional


class DeployedSegRet(nn.Module):
    """
    A network for one image of 0..255, with the normalisation in front.

    :param network: in evaluation mode; its weights are copied.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, network: SegRet) -> None:
        super().__init__()
        backbone: Any = network.backbone  # PyTorch's lists do not know the types of their modules
        self.register_buffer('mean', torch.tensor(MEAN), persistent=False)
        self.register_buffer('scale', 1 / torch.tensor(STD), persistent=False)
        self.stem = nn.Sequential(*(
            deployed_convolution(*pair) for pair in zip(backbone.stem[::3], backbone.stem[1::3])))
        self.downsamples = nn.ModuleList(
            deployed_convolution(*layers) for layers in backbone.downsamples)
        self.stages = nn.ModuleList(map(DeployedStage, backbone.stages))
        self.decoder = DeployedDecoder(network.decoder)

    def forward(self, image: Tensor) -> Tensor:
        """
        Compute the logits of an image.

        :param image: (1, H, W, 3) uint8 RGB.
        :return: (1, classes, H / 4, W / 4) float32, rounded up.
        """
        return self.decoder(self.features(image)).float()

    def features(self, image: Tensor) -> list[Tensor]:
        """Compute the four stages' outputs, (1, C, H / stride, W / stride), of an image."""
        x = ((image.float() - self.mean) * self.scale).permute(0, 3, 1, 2)
        x = x.to(next(self.parameters()).dtype)
        for index, convolution in enumerate(self.stem):
            x = convolution(functional.gelu(x) if index > 0 else x)
        features = []
        for index, stage in enumerate(self.stages):
            if index > 0:
                x = self.downsamples[index - 1](x)
            x = stage(x)
            features.append(x)
        return features


class DeployedStage(nn.Module):
    """
    A stage's retention blocks on rows of cells.

    :param stage: of the backbone.
    """

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.decay = stage.decay
        self.decomposed = stage.decomposed
        blocks: Any = stage.blocks
        self.blocks = nn.ModuleList(map(DeployedBlock, blocks))

    def forward(self, x: Tensor) -> Tensor:
        """Run the blocks in turn on (1, C, H, W)."""
        biases: tuple[Tensor, ...]
        grid = height, width = x.shape[2:]
        if self.decomposed:
            biases = (self.decay.line(width), self.decay.line(height))
        else:
            biases = (self.decay.grid(height, width),)
        cells = cells_of(x)
        for block in self.blocks:
            cells = block(cells, grid, biases)
        return image_of(cells, grid)


class DeployedBlock(nn.Module):
    """
    A retention block on rows of cells.

    :param block: of the backbone.
    """

    def __init__(self, block: RetentionBlock) -> None:
        super().__init__()
        retention = block.retention
        self.heads = retention.heads
        self.channels = retention.query.in_features
        self.position = with_residual(block.position)
        self.local = retention.local
        self.query = after_norm(block.retention_norm, retention.query)
        key_scale = (self.channels // self.heads) ** -0.5
        self.key = after_norm(block.retention_norm, retention.key, key_scale)
        self.value = after_norm(block.retention_norm, retention.value)
        self.output = scaled(retention.output, block.retention_scale)
        ffn: Any = block.ffn
        self.widen = after_norm(block.ffn_norm, ffn[0])
        self.narrow = scaled(ffn[2], block.ffn_scale)

    def forward(self, x: Tensor, grid: tuple[int, int], biases: tuple[Tensor, ...]) -> Tensor:
        """
        Run the block.

        :param x: (H W, C).
        :param grid: (H, W).
        :param biases: of rows and columns, (heads, W, W) and (heads, H, H), or of all cells.
        :return: (H W, C).
        """
        x = convolve(self.position, x, grid)
        normalised = self._normalise(x)
        value = self.value(normalised)
        heads = [cells.view(*grid, self.heads, -1)  # (H, W, heads, dim)
                 for cells in (self.query(normalised), self.key(normalised), value)]
        attend = self._attend_to_all_cells if len(biases) == 1 else self._attend_to_lines
        attended = attend(*heads, *biases).reshape(value.shape)
        x = x + self.output(attended + convolve(self.local, value, grid))
        return x + self.narrow(functional.gelu(self.widen(self._normalise(x))))

    def _normalise(self, x: Tensor) -> Tensor:
        return functional.layer_norm(x.float(), (self.channels,), eps=1e-6).to(x.dtype)

    def _attend_to_all_cells(self, query: Tensor, key: Tensor, value: Tensor,
                             bias: Tensor) -> Tensor:
        query, key, value = (heads.flatten(0, 1)[None] for heads in (query, key, value))
        return attention(query, key, value, bias)  # (1, H W, heads, dim)

    def _attend_to_lines(self, query: Tensor, key: Tensor, value: Tensor, row_bias: Tensor,
                         column_bias: Tensor) -> Tensor:
        value = attention(query, key, value, row_bias)  # (H, W, heads, dim)
        query, key, value = map(transposed, (query, key, value))  # (W, H, heads, dim)
        return transposed(attention(query, key, value, column_bias))


class DeployedDecoder(nn.Module):
    """
    The decoder on rows of cells.

    :param decoder: of the network.
    """

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        weight, bias = folded(decoder.fuse.weight, None, decoder.fuse_norm)
        weights = weight.flatten(1).chunk(len(decoder.levels), dim=1)[::-1]  # deepest first
        biases = [bias, *[torch.zeros_like(bias)] * 3]
        levels: Any = decoder.levels
        merged = (level.merged() for level in levels)
        self.levels = nn.ModuleList(linear(level_weight.flatten(1), level_bias)
                                    for level_weight, level_bias in merged)
        self.fuse = nn.ModuleList(map(linear, weights, biases))
        self.classify = decoder.classify

    def forward(self, features: list[Tensor]) -> Tensor:
        """Compute logits, (1, classes, H, W), from four (1, C, H / n, W / n), n of 1, 2, 4, 8."""
        size = features[0].shape[2:]
        parts = (image_of(fuse(functional.relu(level(cells_of(x)))), x.shape[2:])
                 for x, level, fuse in zip(features, self.levels, self.fuse))
        fused = next(parts)
        for part in parts:
            fused = fused + functional.interpolate(part, size, mode='bilinear',
                                                   align_corners=False)
        return self.classify(functional.relu(fused))


def to_half(network: nn.Module) -> None:
    """Convert the parameters to float16, in place: no other network may share them."""
    for parameter in network.parameters():
        parameter.data = parameter.data.half()  # not the buffers: mean, scale and decay


def cells_of(image: Tensor) -> Tensor:
    """Reshape (1, C, H, W) to (H W, C)."""
    return image.permute(0, 2, 3, 1).reshape(-1, image.shape[1])


def image_of(cells: Tensor, grid: tuple[int, ...]) -> Tensor:
    """Reshape (H W, C) to (1, C, H, W)."""
    return cells.view(1, *grid, -1).permute(0, 3, 1, 2)


def transposed(cells: Tensor) -> Tensor:
    """Transpose (H, W, heads, dim) to (W, H, heads, dim), moving whole cells."""
    return cells.flatten(2).permute(1, 0, 2).reshape(*cells.shape[1::-1], *cells.shape[2:])


def convolve(convolution: DepthwiseConv2d, cells: Tensor, grid: tuple[int, int]) -> Tensor:
    """Convolve cells, (H W, C), depthwise."""
    return convolution(cells.view(1, *grid, -1)).reshape(cells.shape)


def attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """
    Attend along the second axis.

    Written out, for engines fuse exactly these operations into one kernel. No other permutation
    comes between them: OpenVINO 2026.4 fused a swap of lines and cells into the kernel and
    computed wrong numbers where a grid was as high as it had heads.

    :param query, key, value: (lines, cells, heads, dim).
    :param bias: (heads, cells, cells).
    :return: (lines, cells, heads, dim).
    """
    logits = (query.permute(0, 2, 1, 3) @ key.permute(0, 2, 3, 1)).float() + bias
    weights = logits.softmax(-1).to(value.dtype)
    return (weights @ value.permute(0, 2, 1, 3)).permute(0, 2, 1, 3)


def deployed_convolution(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """Return one convolution equal to a convolution and its norm."""
    weight, bias = folded(convolution.weight, convolution.bias, norm)
    sizes: Any = weight.shape[2:], convolution.stride, convolution.padding
    result = nn.Conv2d(weight.shape[1], len(weight), *sizes)
    result.load_state_dict({'weight': weight, 'bias': bias})
    return result


def with_residual(convolution: DepthwiseConv2d) -> DepthwiseConv2d:
    """Return a depthwise convolution that adds its input."""
    weight, bias = convolution.weight.clone(), convolution.bias
    middle = weight.shape[2] // 2
    weight[:, :, middle, middle] += 1
    result = DepthwiseConv2d(len(weight), weight.shape[2])
    result.load_state_dict({'weight': weight, 'bias': bias})
    return result


def after_norm(norm: nn.LayerNorm, layer: nn.Linear, scale: float = 1.0) -> nn.Linear:
    """Return a linear layer, times a scale, that has taken in the weights of the norm before."""
    return linear(layer.weight * norm.weight * scale,
                  (layer.bias + layer.weight @ norm.bias) * scale)


def scaled(layer: nn.Linear, scale: Tensor | None) -> nn.Linear:
    """Return a linear layer times a scale, of each output or of all."""
    if scale is None:
        return layer
    return linear(layer.weight * scale.unsqueeze(-1), layer.bias * scale)


def linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    """Return the linear layer of (outputs, inputs) and (outputs,)."""
    result = nn.Linear(weight.shape[1], len(weight))
    result.load_state_dict({'weight': weight, 'bias': bias})
    return result
