# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
SegRet weights from and to files, strictly: every key fits or the file is refused.

Our own files are safetensors whose metadata rebuilds the network. The authors' are PyTorch files
of an mmsegmentation EncoderDecoder; they are read without executing pickled code.
"""

from collections.abc import Iterator
from dataclasses import dataclass
import json
from pathlib import Path
import re
from typing import Any
import zipfile

from safetensors import safe_open, SafetensorError
from safetensors.torch import save_file
from segret_ros.errors import reason
from segret_ros.files.atomic import atomic_path
from segret_ros.network.segret import SegRet
from segret_ros.network.variants import VARIANTS
import torch
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

FORMAT = 'segret_ros checkpoint 1'

# The authors' names to ours, applied in this order.
RENAMES = (
    (r'^backbone\.patch_embed\.proj\.', 'backbone.stem.'),
    (r'^backbone\.layers\.(\d)\.blocks\.', r'backbone.stages.\1.blocks.'),
    (r'^backbone\.layers\.(\d)\.downsample\.reduction\.', r'backbone.downsamples.\1.0.'),
    (r'^backbone\.layers\.(\d)\.downsample\.norm\.', r'backbone.downsamples.\1.1.'),
    (r'\.pos\.conv\.', '.position.'),
    (r'\.retention_layer_norm\.', '.retention_norm.'),
    (r'\.final_layer_norm\.', '.ffn_norm.'),
    (r'\.retention\.q_proj\.', '.retention.query.'),
    (r'\.retention\.k_proj\.', '.retention.key.'),
    (r'\.retention\.v_proj\.', '.retention.value.'),
    (r'\.retention\.out_proj\.', '.retention.output.'),
    (r'\.retention\.lepe\.conv\.', '.retention.local.'),
    (r'\.ffn\.fc1\.', '.ffn.0.'),
    (r'\.ffn\.fc2\.', '.ffn.2.'),
    (r'\.gamma_1$', '.retention_scale'),
    (r'\.gamma_2$', '.ffn_scale'),
    (r'^decode_head\.linear_fuse\.conv\.', 'decoder.fuse.'),
    (r'^decode_head\.linear_fuse\.bn\.', 'decoder.fuse_norm.'),
    (r'^decode_head\.linear_pred\.', 'decoder.classify.'),
    (r'^decode_head\.linear_c(\d)\.proj\.', r'decoder.levels.\1.linear.'),
    (r'^decode_head\.linear_c(\d)\.zeroLayer\.conv\.', r'decoder.levels.\1.residual.'),
    (r'^decode_head\.linear_c(\d)\.zeroLayer\.bn\.', r'decoder.levels.\1.residual_norm.'),
)
# In the authors' files, but no part of the function that the network computes.
UNUSED = re.compile(r'^decode_head\.conv_seg\.|\.Relpos\.(angle|decay)$')
# The first bytes of what torch.save wrote up to 1.5: its magic number, pickled.
OLD_FORMAT = b'\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.'
CLASSIFIER = re.compile(r'^(norm|head)\.')  # of ImageNet, in the authors' backbones
BACKBONE = 'backbone.'


class CheckpointError(ValueError):
    """A file that is no SegRet checkpoint; the message names the file, the rule, the way out."""


@dataclass
class Checkpoint:
    """
    What a checkpoint file holds.

    :param state: weights by our names.
    :param class_names: in id order, or empty where the file has none.
    :param palette: RGB 0..255 of each class, or empty.
    :param training: how the weights were made, as the trainer recorded it; JSON values.
    """

    state: dict[str, Tensor]
    class_names: list[str]
    palette: list[list[int]]
    training: dict[str, Any]


def load_checkpoint(path: str | Path) -> SegRet:
    """
    Load the network of a checkpoint, on the CPU and in evaluation mode.

    Its attributes `class_names`, `palette` and `training_record` come from the file.

    :param path: our `.safetensors` or the authors' `.pth`.
    :raises CheckpointError: for a foreign, corrupt or incomplete file.
    :raises FileNotFoundError: when there is none.
    """
    checkpoint = read_checkpoint(path)
    network = _build(checkpoint.state, path)
    network.load_state_dict(checkpoint.state)
    network.class_names = checkpoint.class_names
    network.palette = checkpoint.palette
    network.training_record = checkpoint.training
    return network.eval()


def load_backbone(network: SegRet, path: str | Path) -> None:
    """
    Load the backbone of a file into a network, whose decoder stays as it is.

    :param network: of the file's variant.
    :param path: a backbone or a whole checkpoint: our `.safetensors` or the authors' `.pth`, of
        which ImageNet backbones are read without their classifier.
    :raises CheckpointError: for a foreign, corrupt or incomplete file, or another variant.
    :raises FileNotFoundError: when there is none.
    """
    state = {key: value for key, value in read_checkpoint(path).state.items()
             if not key.startswith('decoder.')}
    variant = _variant_of(state, path)
    if variant != network.variant:
        raise CheckpointError(f'{path}: is a backbone of SegRet {variant}, not {network.variant}: '
                              'train that variant, or give a file of this one')
    expected = {key: value for key, value in network.state_dict().items()
                if key.startswith(BACKBONE)}
    _refuse_misfits(state, expected, path, f'the backbone of SegRet {variant}')
    network.load_state_dict(state, strict=False)  # every key of the backbone is there


def save_backbone(network: SegRet, path: str | Path, training: dict[str, Any]) -> None:
    """
    Write a network's backbone as safetensors, for `load_backbone`, atomically.

    :param training: how the weights were made; JSON values.
    """
    _save(network, path, BACKBONE, [], [], training)


def save_checkpoint(network: SegRet, path: str | Path, class_names: list[str],
                    palette: list[list[int]], training: dict[str, Any]) -> None:
    """
    Write a network as safetensors with what rebuilds it, atomically.

    :param class_names: one a class, in id order.
    :param palette: RGB 0..255 of each class.
    :param training: how the weights were made; JSON values.
    """
    if not len(class_names) == len(palette) == network.num_classes:
        raise ValueError(f'{len(class_names)} class names and {len(palette)} colours for '
                         f'{network.num_classes} classes: give one of each a class')
    _save(network, path, '', class_names, palette, training)


def _save(network: SegRet, path: str | Path, prefix: str, class_names: list[str],
          palette: list[list[int]], training: dict[str, Any]) -> None:
    state = {key: value.contiguous() for key, value in network.state_dict().items()
             if key.startswith(prefix)}
    metadata = {'format': FORMAT, 'variant': network.variant, **{
        key: json.dumps(value) for key, value in (
            ('class_names', class_names), ('palette', palette), ('training', training))}}
    with atomic_path(path) as partial:
        save_file(state, partial, metadata)


def read_checkpoint(path: str | Path) -> Checkpoint:
    """
    Read a checkpoint, its weights by our names.

    :param path: our `.safetensors` or the authors' `.pth`.
    :raises CheckpointError: for a foreign or corrupt file.
    :raises FileNotFoundError: when there is none.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such checkpoint file')
    checkpoint = _read_ours(path) if path.suffix == '.safetensors' else _read_authors(path)
    rotary = [key for key in checkpoint.state if '.ffn.dwconv.' in key or '.theta' in key]
    if rotary:
        raise CheckpointError(
            f"{path}: {rotary[0]} belongs to RMT's code of June 2024 (rotated queries and keys), "
            'which computes another function; use a SegRet checkpoint or a backbone trained with '
            "RMT's code of December 2023")
    return checkpoint


def _read_ours(path: Path) -> Checkpoint:
    try:
        with safe_open(path, framework='pt') as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}
    except SafetensorError as error:
        raise CheckpointError(f'{path}: not a whole safetensors file ({error}); '
                              'copy or train it again') from error
    if metadata.get('format') != FORMAT:
        raise CheckpointError(f'{path}: its format is {metadata.get("format")!r}, not {FORMAT!r}; '
                              "load a checkpoint that segret_train wrote, or the authors' .pth")
    try:
        names, palette, training = (json.loads(metadata[key])
                                    for key in ('class_names', 'palette', 'training'))
    except (KeyError, ValueError) as error:
        raise CheckpointError(f'{path}: its metadata is corrupt ({error}); '
                              'copy or train it again') from error
    return Checkpoint(state, _names(names), _colors(palette), _dict(training))


def _read_authors(path: Path) -> Checkpoint:
    try:
        content = _load_inert(path)
    except Exception as error:  # torch.load raises a dozen types for foreign and corrupt files
        # Only the first sentence: PyTorch goes on to advise loading without any protection.
        first = reason(error).partition('. ')[0]
        way_out = 'download it again, or keep only its state_dict and meta'
        if path.read_bytes()[:len(OLD_FORMAT)] == OLD_FORMAT:
            way_out = ('it is in the format of PyTorch before 1.6: if you trust it, rewrite it '
                       'with torch.save(torch.load(PATH, weights_only=False), NEW_PATH)')
        raise CheckpointError(f'{path}: not a PyTorch checkpoint of plain tensors ({first}); '
                              f'{way_out}') from error
    content = _dict(content)
    state = _dict(content.get('state_dict', content.get('model', content)))
    if not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f'{path}: holds no state_dict of tensors; '
                              'load a SegRet checkpoint of mmsegmentation')
    meta = _lower_keys(content.get('meta'))
    dataset = _lower_keys(meta.get('dataset_meta')) or meta
    return Checkpoint(_rename(state), _names(dataset.get('classes')),
                      _colors(dataset.get('palette')), {})


def _names(value: object) -> list[str]:
    """Return class names, or none where a file holds something else in their place."""
    return [str(name) for name in value] if isinstance(value, (list, tuple)) else []


def _colors(value: object) -> list[list[int]]:
    """Return a palette, or none where a file holds something else in its place."""
    if not isinstance(value, (list, tuple)):
        return []
    try:
        return [[int(part) for part in color] for color in value]
    except (TypeError, ValueError, RuntimeError):  # the last of a tensor of several numbers
        return []


def _load_inert(path: Path) -> object:
    """
    Read what torch.save wrote, without importing or running anything that the file names.

    mmengine's files hold objects of its own beside the weights (running means, numpy scalars);
    those become `_Inert`, which is thrown away with them.
    """
    foreign = get_unsafe_globals_in_checkpoint(path) if zipfile.is_zipfile(path) else []
    with safe_globals([(_Inert, name) for name in foreign]):
        return torch.load(path, map_location='cpu', weights_only=True)


class _Inert:
    """Stands in for an object of any class that is not PyTorch's; holds and does nothing."""

    def __init__(self, *arguments: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass

    def __iter__(self) -> Iterator[Any]:
        return iter(())


def _dict(value: object) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _lower_keys(value: object) -> dict[str, Any]:
    return {str(key).lower(): entry for key, entry in _dict(value).items()}


def _rename(state: dict[str, Tensor]) -> dict[str, Tensor]:
    state = {key.removeprefix('module.'): value for key, value in state.items()}
    if any(key.startswith('patch_embed.') for key in state):  # a backbone alone
        state = {BACKBONE + key: value for key, value in state.items()
                 if not CLASSIFIER.search(key)}
    renamed = {}
    for key, value in state.items():
        if UNUSED.search(key):
            continue
        for pattern, replacement in RENAMES:
            key = re.sub(pattern, replacement, key)
        # The authors count the levels from 1.
        key = re.sub(r'(?<=^decoder\.levels\.)\d', lambda found: str(int(found[0]) - 1), key)
        renamed[key] = value.flatten() if key.endswith('_scale') else value
    return renamed


def _build(state: dict[str, Tensor], path: str | Path) -> SegRet:
    """Return a network of the state's variant, width and classes; all keys and shapes must fit."""
    classifier = state.get('decoder.classify.weight')
    if classifier is None or classifier.ndim != 4:
        raise CheckpointError(f"{path}: has no decoder.classify.weight (the authors' "
                              'decode_head.linear_pred.weight), so it is no SegRet checkpoint; a '
                              'backbone alone is where training begins: --backbone')
    network = SegRet(_variant_of(state, path), num_classes=classifier.shape[0],
                     decoder_channels=classifier.shape[1])
    _refuse_misfits(state, network.state_dict(), path, f'SegRet {network.variant}')
    return network


def _refuse_misfits(state: dict[str, Tensor], expected: dict[str, Tensor], path: str | Path,
                    what: str) -> None:
    """Raise unless the keys and shapes of a state are those expected."""
    missing = sorted(expected.keys() - state.keys())
    unexpected = sorted(state.keys() - expected.keys())
    misfits = [f'{key} is {tuple(state[key].shape)}, not {tuple(expected[key].shape)}'
               for key in sorted(expected.keys() & state.keys())
               if state[key].shape != expected[key].shape]
    if missing or unexpected or misfits:
        problems = [f'{len(keys)} {problem} ({", ".join(keys[:3])}{", ..." * (len(keys) > 3)})'
                    for problem, keys in (('missing keys', missing),
                                          ('unexpected keys', unexpected),
                                          ('shapes that do not fit', misfits)) if keys]
        raise CheckpointError(f'{path}: does not fit {what}: {"; ".join(problems)}; '
                              'load a whole SegRet checkpoint')


def _variant_of(state: dict[str, Tensor], path: str | Path) -> str:
    depths, channels = [], []
    for stage in range(4):
        prefix = f'backbone.stages.{stage}.blocks.'
        blocks = {key.removeprefix(prefix).split('.')[0]
                  for key in state if key.startswith(prefix)}
        norm = state.get(f'{prefix}0.retention_norm.weight')
        depths.append(len(blocks))
        channels.append(0 if norm is None else len(norm))
    for name, variant in VARIANTS.items():
        if variant.depths == tuple(depths) and variant.channels == tuple(channels):
            return name
    known = '; '.join(f'{name} {variant.depths} {variant.channels}'
                      for name, variant in VARIANTS.items())
    raise CheckpointError(f'{path}: stage depths {tuple(depths)} and channels {tuple(channels)} '
                          f'belong to no SegRet variant ({known})')
