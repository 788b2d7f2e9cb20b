# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Checkpoints: what is read keeps everything, what does not fit is refused and never executed."""

from collections import OrderedDict
import os
from pathlib import Path
import pickle
import subprocess
import sys
from types import ModuleType
from typing import Callable

import numpy as np
import pytest
from reference_weights import reference_state
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from segret_ros.network import (
    CheckpointError,
    load_backbone,
    load_checkpoint,
    save_backbone,
    save_checkpoint,
    SegRet,
)
import torch
from torch import nn, Tensor

NAMES = ['road', 'car', 'tree']
PALETTE = [[128, 64, 128], [0, 0, 142], [107, 142, 35]]
CITYSCAPES = [f'class {number}' for number in range(19)]
GREYS = [[number, number, number] for number in range(19)]


@pytest.fixture(scope='module')
def authors() -> dict[str, Tensor]:
    """Return weights of the tiny variant by the authors' names."""
    return {key: torch.from_numpy(value) for key, value in reference_state('tiny').items()}


@pytest.fixture
def ours(network: SegRet, tmp_path: Path) -> Path:
    """Return a checkpoint of ours."""
    path = tmp_path / 'ours.safetensors'
    save_checkpoint(network, path, NAMES, PALETTE, {'data': 'none', 'steps': 0})
    return path


def refusal(path: Path) -> str:
    """Return the message with which a file is refused; it must name the file."""
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    assert str(path) in str(caught.value)
    assert '\n' not in str(caught.value)
    return str(caught.value)


def change_ours(path: Path, change: Callable[[dict[str, Tensor]], None] = lambda state: None,
                metadata: dict[str, str] | None = None) -> None:
    """Write a checkpoint of ours again, changed."""
    state = load_file(path)
    with safe_open(path, framework='pt') as file:
        kept = file.metadata()
    change(state)
    save_file(state, path, {**kept, **(metadata or {})})


def test_ours_keeps_everything(network: SegRet, ours: Path) -> None:
    loaded = load_checkpoint(ours)
    assert not loaded.training
    assert (loaded.variant, loaded.decoder_channels, loaded.num_classes) == ('nano', 128, 3)
    assert (loaded.class_names, loaded.palette) == (NAMES, PALETTE)
    assert loaded.training_record == {'data': 'none', 'steps': 0}
    for key, value in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value), key


def test_ours_keeps_another_decoder_width(tmp_path: Path) -> None:
    path = tmp_path / 'narrow.safetensors'
    save_checkpoint(SegRet('nano', 3, decoder_channels=16), path, NAMES, PALETTE, {})
    assert load_checkpoint(path).decoder_channels == 16


def test_saving_needs_a_name_and_a_colour_for_each_class(network: SegRet, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='2 class names and 3 colours for 3 classes'):
        save_checkpoint(network, tmp_path / 'wrong.safetensors', NAMES[:2], PALETTE, {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('meta', [
    {'CLASSES': tuple(CITYSCAPES), 'PALETTE': GREYS, 'mmseg_version': '0.13.0', 'iter': 160000},
    {'dataset_meta': {'classes': tuple(CITYSCAPES), 'palette': GREYS}, 'cfg': 'model = dict()'},
])
@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_authors_files_keep_weights_names_and_palette(authors: dict[str, Tensor], meta: dict,
                                                      prefix: str, tmp_path: Path) -> None:
    path = tmp_path / 'authors.pth'
    state = OrderedDict((prefix + key, value) for key, value in authors.items())
    state._metadata = {'': {'version': 1}}  # as every state_dict of a module has it
    torch.save({'meta': meta, 'state_dict': state}, path)
    network = load_checkpoint(path)
    assert (network.variant, network.decoder_channels, network.num_classes) == ('tiny', 256, 19)
    assert (network.class_names, network.palette) == (CITYSCAPES, GREYS)
    assert torch.equal(network.decoder.levels[0].linear.weight,
                       authors['decode_head.linear_c1.proj.weight'])
    assert torch.equal(network.backbone.downsamples[2][1].running_var,
                       authors['backbone.layers.2.downsample.norm.running_var'])


def test_a_bare_state_dict_is_read_without_names(authors: dict[str, Tensor],
                                                 tmp_path: Path) -> None:
    torch.save(authors, tmp_path / 'bare.pth')
    network = load_checkpoint(tmp_path / 'bare.pth')
    assert (network.variant, network.class_names, network.palette) == ('tiny', [], [])


def test_mmengines_own_objects_are_passed_over(authors: dict[str, Tensor], tmp_path: Path,
                                               monkeypatch: pytest.MonkeyPatch) -> None:
    path, module = tmp_path / 'iter_160000.pth', 'mmengine.logging.history_buffer'
    history = type('HistoryBuffer', (), {'__module__': module})()  # gone when the file is read
    history._log_history = np.array([0.5, 0.25])
    weight = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.AdamW([weight])
    weight.sum().backward()
    optimizer.step()
    content = {
        'meta': {'dataset_meta': {'classes': CITYSCAPES, 'palette': GREYS}, 'iter': 160000,
                 'best_score': np.float64(49.4)},
        'state_dict': authors,
        'message_hub': {'log_scalars': {'train/loss': history},
                        'runtime_info': OrderedDict(miou=np.float32(49.4), path=Path('runs'))},
        'optimizer': optimizer.state_dict(),
        'param_schedulers': [{'power': 0.9, '_last_value': [np.float64(1e-4)]}],
    }
    with monkeypatch.context() as patch:
        for name in ('mmengine', 'mmengine.logging', module):
            patch.setitem(sys.modules, name, ModuleType(name))
        sys.modules[module].HistoryBuffer = type(history)
        torch.save(content, path)
    network = load_checkpoint(path)
    assert 'mmengine' not in sys.modules
    assert (network.class_names, network.palette) == (CITYSCAPES, GREYS)


@pytest.mark.parametrize('odd', ['random', 3, {'a': 1}, [1, 2], [['red']], np.zeros((2, 3))])
def test_a_palette_or_names_that_are_no_list_are_none(authors: dict[str, Tensor], tmp_path: Path,
                                                      odd: object) -> None:
    path = tmp_path / 'odd.pth'
    torch.save({'state_dict': authors, 'meta': {'CLASSES': CITYSCAPES, 'PALETTE': odd}}, path)
    network = load_checkpoint(path)
    assert (network.class_names, network.palette) == (CITYSCAPES, [])
    if not isinstance(odd, list):
        torch.save({'state_dict': authors, 'meta': {'CLASSES': odd}}, path)
        assert load_checkpoint(path).class_names == []


def test_the_format_before_1_6_is_reported_with_the_way_out(authors: dict[str, Tensor],
                                                            tmp_path: Path) -> None:
    path = tmp_path / 'old.pth'
    content = {'state_dict': authors, 'meta': {'best_score': np.float64(49.4)}}
    torch.save(content, path, _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match=r'before 1\.6: if you trust it, rewrite it with '
                                              r'torch\.save\(torch\.load\(PATH, weights_only=F'):
        load_checkpoint(path)
    torch.save(torch.load(path, weights_only=False), tmp_path / 'new.pth')
    load_checkpoint(tmp_path / 'new.pth')


class Command:
    """Runs a command when it is unpickled."""

    def __init__(self, function: Callable, *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple:
        return self.call


@pytest.mark.parametrize('place', ['meta', 'state_dict', 'optimizer'])
@pytest.mark.parametrize('save', [torch.save, lambda content, path: path.write_bytes(
    pickle.dumps(content, protocol=2))], ids=['torch', 'pickle'])
@pytest.mark.parametrize('function', ['os.system', 'subprocess.call', 'exec'])
def test_pickled_code_is_never_executed(function: str, save: Callable, place: str,
                                        tmp_path: Path) -> None:
    path, trace = tmp_path / 'harmful.pth', tmp_path / 'executed'
    command = {
        'os.system': Command(os.system, f'touch {trace}'),
        'subprocess.call': Command(subprocess.call, ['touch', str(trace)]),
        'exec': Command(exec, f'open({str(trace)!r}, "w")'),
    }[function]
    save({'meta': {}, 'state_dict': {'weight': torch.ones(2)}, place: command}, path)
    refusal(path)
    assert not trace.exists()
    if save is torch.save:  # and it would have been
        torch.load(path, weights_only=False)
        assert trace.exists()


@pytest.mark.parametrize('name', ['no.pth', 'no.safetensors'])
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f'{tmp_path / name}: no such checkpoint'):
        load_checkpoint(tmp_path / name)


@pytest.mark.parametrize('kept', [0, 5, 1000, 100_000])
def test_truncated_files_are_refused(ours: Path, kept: int, tmp_path: Path) -> None:
    torch.save({'state_dict': load_file(ours)}, tmp_path / 'cut.pth')
    for path in (ours, tmp_path / 'cut.pth'):
        path.write_bytes(path.read_bytes()[:kept])
        assert 'again' in refusal(path)


@pytest.mark.parametrize('text', [b'', b'not a checkpoint', b'<html>Sign in</html>\n'])
@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_other_files_are_refused(text: bytes, suffix: str, tmp_path: Path) -> None:
    (tmp_path / f'page{suffix}').write_bytes(text)
    refusal(tmp_path / f'page{suffix}')


@pytest.mark.parametrize(('change', 'named'), [
    (lambda state: state.pop('decoder.fuse.weight'), '1 missing keys (decoder.fuse.weight)'),
    (lambda state: state.update(surplus=torch.ones(1)), '1 unexpected keys (surplus)'),
    (lambda state: state.update({'decoder.fuse.weight': torch.ones(128, 9, 1, 1)}),
     'decoder.fuse.weight is (128, 9, 1, 1), not (128, 512, 1, 1)')])
def test_a_key_that_does_not_fit_is_named(ours: Path, change: Callable, named: str) -> None:
    change_ours(ours, change)
    assert named in refusal(ours)


@pytest.mark.parametrize('change', [{'format': 'segret_ros checkpoint 9'},
                                    {'class_names': '["road"'}])
def test_another_format_and_damaged_metadata_are_refused(ours: Path, change: dict) -> None:
    change_ours(ours, metadata=change)
    message = refusal(ours)
    assert 'segret_ros checkpoint 9' in message or 'metadata is corrupt' in message


def test_safetensors_of_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / 'others.safetensors'
    save_file({'weight': torch.ones(2)}, path)
    assert "its format is None, not 'segret_ros checkpoint 1'" in refusal(path)


def test_later_rotary_weights_of_rmt_are_refused(authors: dict[str, Tensor],
                                                 tmp_path: Path) -> None:
    key = 'backbone.layers.0.blocks.0.ffn.dwconv.weight'
    torch.save({'state_dict': {**authors, key: torch.ones(192, 1, 3, 3)}}, tmp_path / 'rmt.pth')
    message = refusal(tmp_path / 'rmt.pth')
    assert 'ffn.dwconv.weight' in message
    assert 'December 2023' in message


def test_another_network_is_refused(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / 'linear.pth')
    assert 'no decoder.classify.weight' in refusal(tmp_path / 'linear.pth')


def test_a_classifier_on_another_backbone_is_refused(tmp_path: Path) -> None:
    torch.save({'decode_head.linear_pred.weight': torch.ones(19, 256, 1, 1)},
               tmp_path / 'segformer.pth')
    assert 'depths (0, 0, 0, 0)' in refusal(tmp_path / 'segformer.pth')


@pytest.mark.parametrize('wrap', [dict, lambda state: {'model': state}], ids=['bare', 'model'])
def test_a_backbone_without_decoder_is_refused(authors: dict[str, Tensor], wrap: Callable,
                                               tmp_path: Path) -> None:
    backbone = {key.removeprefix('backbone.'): value for key, value in authors.items()
                if key.startswith('backbone.')}
    torch.save(wrap(backbone), tmp_path / 'imagenet.pth')
    assert 'SegRet checkpoint' in refusal(tmp_path / 'imagenet.pth')


@pytest.mark.parametrize('content', [torch.ones(2), [1, 2], {}, {'state_dict': {}},
                                     {'state_dict': [torch.ones(2)]}, {'state_dict': {'a': 1}}])
def test_a_file_without_state_dict_is_refused(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / 'content.pth')
    assert 'no state_dict of tensors' in refusal(tmp_path / 'content.pth')


@pytest.fixture(scope='module')
def imagenet(authors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the authors' backbone as they publish it: bare names and ImageNet's classifier."""
    backbone = {key.removeprefix('backbone.'): value for key, value in authors.items()
                if key.startswith('backbone.')}
    return {**backbone, 'norm.weight': torch.ones(512), 'norm.bias': torch.ones(512),
            'head.weight': torch.ones(1000, 512), 'head.bias': torch.ones(1000)}


def backbone_refusal(network: SegRet, path: Path) -> str:
    """Return the message with which a backbone is refused; it must leave the network as it was."""
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load_backbone(network, path)
    for key, value in network.state_dict().items():
        assert torch.equal(before[key], value), key
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize('whole', [False, True])
def test_a_backbone_of_ours_fills_the_backbone_alone(network: SegRet, ours: Path, whole: bool,
                                                     tmp_path: Path) -> None:
    path = ours if whole else tmp_path / 'backbone.safetensors'
    if not whole:
        save_backbone(network, path, {'data': 'none'})
    torch.manual_seed(1)
    filled = SegRet('nano', 5)
    before = {key: value.clone() for key, value in filled.decoder.state_dict().items()}
    load_backbone(filled, path)
    for key, value in network.backbone.state_dict().items():
        assert torch.equal(filled.backbone.state_dict()[key], value), key
    for key, value in before.items():
        assert torch.equal(filled.decoder.state_dict()[key], value), key


@pytest.mark.parametrize('wrap', [dict, lambda state: {'model': state, 'epoch': 299},
                                  lambda state: {'state_dict': state}])
def test_the_authors_imagenet_backbone_is_read_without_its_classifier(
        authors: dict[str, Tensor], imagenet: dict[str, Tensor], wrap: Callable,
        tmp_path: Path) -> None:
    torch.save(wrap(imagenet), tmp_path / 'imagenet.pth')
    network = SegRet('tiny', 3)
    load_backbone(network, tmp_path / 'imagenet.pth')
    assert torch.equal(network.backbone.stages[3].blocks[1].retention.query.weight,
                       authors['backbone.layers.3.blocks.1.retention.q_proj.weight'])
    assert torch.equal(network.backbone.downsamples[2][1].running_var,
                       authors['backbone.layers.2.downsample.norm.running_var'])


def test_a_backbone_of_another_variant_is_refused(network: SegRet, imagenet: dict[str, Tensor],
                                                  tmp_path: Path) -> None:
    torch.save(imagenet, tmp_path / 'imagenet.pth')
    assert 'SegRet tiny, not nano' in backbone_refusal(network, tmp_path / 'imagenet.pth')


def test_a_backbone_that_lacks_a_key_is_refused(network: SegRet, tmp_path: Path) -> None:
    path = tmp_path / 'backbone.safetensors'
    save_backbone(network, path, {})
    change_ours(path, lambda state: state.pop('backbone.stem.0.bias'))
    assert '1 missing keys (backbone.stem.0.bias)' in backbone_refusal(network, path)


def test_a_later_backbone_of_rmt_is_refused_by_name(imagenet: dict[str, Tensor],
                                                    tmp_path: Path) -> None:
    later = {**imagenet, 'layers.0.blocks.0.ffn.dwconv.weight': torch.ones(192, 1, 3, 3)}
    torch.save({'model': later}, tmp_path / 'rmt.pth')
    message = backbone_refusal(SegRet('tiny', 3), tmp_path / 'rmt.pth')
    assert 'ffn.dwconv.weight' in message
    assert 'June 2024' in message


def test_a_backbone_alone_is_no_checkpoint(network: SegRet, tmp_path: Path) -> None:
    save_backbone(network, tmp_path / 'backbone.safetensors', {})
    assert '--backbone' in refusal(tmp_path / 'backbone.safetensors')
