# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Pretraining: images are found, a backbone learns, and a resumed run equals a whole one."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from segret_ros.network import load_backbone, SegRet
from segret_train import pretraining
from segret_train.datasets import DataError
from segret_train.pretraining import (
    BACKBONE,
    Classification,
    Distillation,
    find_classes,
    find_images,
    ImageCrops,
    Pretraining,
    PretrainingRun,
)
from segret_train.training.process_group import ProcessGroup
from segret_train.training.step import NonFiniteLoss
import torch
from torch import nn, Tensor

COLORS = {'blue': (255, 0, 0), 'green': (0, 255, 0), 'red': (0, 0, 255)}
SETTINGS = Pretraining(iterations=4, batch_size=2, crop=(32, 32), learning_rate=1e-3, warmup=1)


class StandInFeatures(nn.Module):
    """Stands for a teacher: means and slopes of brightness at strides 4 to 32."""

    channels = (2, 2, 2, 2)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return four (B, 2, H / stride, W / stride)."""
        grey = images.mean(1, keepdim=True)
        means = [nn.functional.avg_pool2d(grey, stride) for stride in (4, 8, 16, 32)]
        return [torch.cat([mean, mean.square()], 1) for mean in means]


@pytest.fixture
def folder(small_nano: None, tmp_path: Path) -> Path:
    """Write a folder of three classes, two images of 40 x 48 each, in Tiny-ImageNet's layout."""
    random = np.random.default_rng(0)
    for name, color in COLORS.items():
        images = tmp_path / 'images' / name / 'images'
        images.mkdir(parents=True)
        for number in range(2):
            noise = random.integers(0, 60, (40, 48, 3))
            image = np.clip(np.array(color) * 0.75 + noise, 0, 255).astype(np.uint8)
            cv2.imwrite(str(images / f'{number}.JPEG'), image)
    return tmp_path / 'images'


def run(folder: Path, output: Path, settings: Pretraining = SETTINGS) -> PretrainingRun:
    """Return a run that distils the stand-in."""
    torch.manual_seed(settings.seed)
    network = SegRet('nano')
    crops = ImageCrops([(path, 0) for path in find_images([folder])], settings.recipe())
    return PretrainingRun(settings, network, Distillation(network, StandInFeatures()), crops,
                          output, ProcessGroup('cpu'))


def test_images_are_found_in_all_folders_and_below(folder: Path) -> None:
    found = find_images([folder / 'red', folder / 'blue'])
    assert [path.relative_to(folder).as_posix() for path in found] == [
        'red/images/0.JPEG', 'red/images/1.JPEG', 'blue/images/0.JPEG', 'blue/images/1.JPEG']


def test_classes_are_the_first_folders(folder: Path) -> None:
    images, names = find_classes([folder])
    assert names == ['blue', 'green', 'red']
    assert [class_id for _, class_id in images] == [0, 0, 1, 1, 2, 2]


def test_images_without_a_class_or_of_a_single_one_are_refused(folder: Path) -> None:
    with pytest.raises(DataError, match='0.JPEG: is not in the folder of a class'):
        find_classes([folder / 'red' / 'images'])
    with pytest.raises(DataError, match='only the class images'):
        find_classes([folder / 'red'])


def test_a_corrupt_image_is_named(folder: Path) -> None:
    images = find_images([folder])
    images[0].write_bytes(b'no image')
    error = ImageCrops([(images[0], 0)], SETTINGS.recipe())[0]
    assert isinstance(error, DataError) and '0.JPEG: not a readable image' in str(error)


def test_crops_are_a_function_of_their_number(folder: Path) -> None:
    crops = ImageCrops(find_classes([folder])[0], SETTINGS.recipe())
    for number in (0, 7):
        (first, label), (second, same) = crops[number], crops[number]
        assert first.shape == (32, 32, 3)
        assert torch.equal(first, second)
        assert label == same
    assert sorted(crops[number][1] for number in range(6)) == [0, 0, 1, 1, 2, 2]
    assert not torch.equal(crops[0][0], crops[6][0])


def test_a_backbone_learns_the_teachers_features(folder: Path, tmp_path: Path) -> None:
    learning = run(folder, tmp_path / 'run',
                   replace(SETTINGS, iterations=20, batch_size=4, learning_rate=3e-3))
    learning.train()
    assert np.mean(learning.losses[-5:]) < 0.8 * learning.losses[0], learning.losses


def test_taught_features_are_compared_whatever_their_scale() -> None:
    class Scaled(StandInFeatures):

        def forward(self, images: Tensor) -> list[Tensor]:
            return [100 * feature + 7 for feature in super().forward(images)]

    torch.manual_seed(0)
    network = SegRet('nano').eval()
    images = nn.functional.interpolate(torch.randn(2, 3, 4, 4), 64)  # with contrast at stride 32
    plain, scaled = (Distillation(network, teacher) for teacher in (StandInFeatures(), Scaled()))
    scaled.projections.load_state_dict(plain.projections.state_dict())
    torch.testing.assert_close(plain(images, None), scaled(images, None), atol=1e-4, rtol=0)


def test_a_backbone_learns_classes() -> None:
    torch.manual_seed(0)
    task = Classification(SegRet('nano'), 3).train()
    optimizer = torch.optim.AdamW(task.parameters(), lr=1e-3)
    classes = torch.tensor([0, 1, 2])
    images = torch.randn(3, 3, 32, 32)
    losses = []
    for _ in range(12):
        loss = task(images, classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(np.log(3), abs=0.6)
    assert losses[-1] < 0.6 * losses[0]


def test_a_stopped_run_ends_with_the_weights_of_a_whole_one(folder: Path,
                                                            tmp_path: Path) -> None:
    run(folder, tmp_path / 'whole').train()
    stopped = run(folder, tmp_path / 'stopped')
    stopped.train(lambda: stopped.step == 2)
    resumed = run(folder, tmp_path / 'stopped')
    assert resumed.step == 2
    resumed.train()
    networks = [SegRet('nano', 5) for _ in range(2)]
    for network, name in zip(networks, ('whole', 'stopped')):
        load_backbone(network, tmp_path / name / BACKBONE)
    for key, value in networks[0].backbone.state_dict().items():
        assert torch.equal(value, networks[1].backbone.state_dict()[key]), key


def test_a_loss_that_is_no_number_stops_and_changes_no_weights(folder: Path,
                                                               tmp_path: Path) -> None:
    learning = run(folder, tmp_path / 'run')
    with torch.no_grad():
        learning.task.projections[0].bias[0] = float('nan')
    before = learning.task.projections[1].weight.clone()
    with pytest.raises(NonFiniteLoss, match=r'nan at step 0: lower --learning-rate \(0.001\)'):
        learning.train()
    assert torch.equal(learning.task.projections[1].weight, before)


def test_the_command_pretrains_on_classes(folder: Path, tmp_path: Path,
                                          capsys: pytest.CaptureFixture) -> None:
    arguments = ['--images', str(folder), '--output', str(tmp_path / 'run'),
                 '--task', 'classification', '--iterations', '2', '--batch_size', '2',
                 '--crop', '[32, 32]']
    assert pretraining.main(arguments) == 0
    assert BACKBONE in capsys.readouterr().out
    load_backbone(SegRet('nano'), tmp_path / 'run' / BACKBONE)


def test_the_command_reports_a_mistake_in_one_line(tmp_path: Path,
                                                   capsys: pytest.CaptureFixture) -> None:
    (tmp_path / 'empty').mkdir()
    arguments = ['--images', str(tmp_path / 'empty'), '--output', str(tmp_path / 'run')]
    assert pretraining.main(arguments) == 1
    error = capsys.readouterr().err
    assert f'{tmp_path / "empty"}: contains no image' in error
    assert error.count('\n') == 1


@pytest.mark.parametrize('place', ['images', 'mine'])
def test_the_command_leaves_the_users_files(folder: Path, tmp_path: Path, place: str,
                                            capsys: pytest.CaptureFixture) -> None:
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'last.pt').write_text('mine')
    before = {path: path.read_bytes() for path in tmp_path.rglob('*') if path.is_file()}
    assert pretraining.main(['--images', str(folder), '--output', str(tmp_path / place),
                             '--task', 'classification', '--crop', '[32, 32]']) == 1
    assert str(tmp_path / place) in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in tmp_path.rglob('*') if path.is_file()}
