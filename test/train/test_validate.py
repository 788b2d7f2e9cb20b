# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What segret_validate measures, prints and writes."""

from collections.abc import Callable
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from segret_ros.files.output_file import claim_file, SCORES_MARK
from segret_ros.inference import ModelInfo
from segret_ros.labels.label_set import LabelSet
from segret_ros.labels.metrics import Scores
from segret_ros.network import load_checkpoint, save_checkpoint, SegRet
from segret_train.onnx_model import save_model, to_onnx
from segret_train.protocol import predict, Protocol, segment
from segret_train.score_table import table_of_one, table_of_some
from segret_train.validate import main, open_model
from small_nano import spread_network
import yaml

LABELS = LabelSet(('road', 'car', 'tree'), ((0, 0, 0), (1, 1, 1), (2, 2, 2)))
SIZE = (64, 96)
SURE = np.full((1, 6), 255, np.uint8)


def scores_of(true: list[int], label: list[int]) -> Scores:
    """Score one row of pixels of three classes."""
    scores = Scores(3)
    scores.add(np.array([true], np.uint8), np.array([label], np.uint8), SURE[:, :len(true)])
    return scores


def rows_of(table: str) -> dict[str, list[str]]:
    """Return the values of each line by title."""
    lines = [line.split('  ') for line in table.splitlines() if line]
    return {parts[0]: [part.strip() for part in parts[1:] if part.strip()] for parts in lines}


def test_the_table_of_one() -> None:
    # Class 2 is predicted alone: an IoU of 0, no accuracy. The ignored pixel counts nowhere.
    scores = scores_of([0, 0, 0, 1, 1, 255], [0, 0, 1, 1, 2, 2])
    assert rows_of(table_of_one(('road', 'tree', 'sky'), scores)) == {
        'class': ['IoU', 'accuracy', 'boundary F'],
        'road': ['66.67%', '66.67%', '0.00%'],
        'tree': ['33.33%', '50.00%', '66.67%'],
        'sky': ['0.00%', '-', '0.00%'],
        'mean': ['33.33%', '58.33%', '22.22%'],
        'pixel accuracy': ['60.00%'],
        'calibration error': ['40.00%']}  # sure of all five, right with three


def test_scores_with_and_without_the_unknown_pixels() -> None:
    scores = scores_of([0, 0, 0, 1, 1, 255], [0, 0, 255, 1, 0, 255])
    rows = rows_of(table_of_one(('road', 'tree', 'sky'), scores))
    assert rows['mean'][0] == '50.00%' and rows['sky'] == ['-', '-', '-']
    assert rows['pixel accuracy'] == ['60.00%']
    assert rows['unknown'] == ['20.00%']
    assert rows['mean IoU of the rest'] == ['58.33%']
    assert rows['pixel accuracy of the rest'] == ['75.00%']
    assert rows['calibration error'] == ['25.00%']  # of the four that keep a class


def test_models_side_by_side() -> None:
    scores = [scores_of([0, 0, 1, 1], label) for label in ([0, 0, 1, 1], [0, 1, 1, 1])]
    rows = rows_of(table_of_some(('road', 'tree', 'sky'), scores, [1.0, 0.75]))
    assert rows['mean IoU'] == ['100.00%', '58.33%', '-41.67']
    assert rows['IoU of road'] == ['100.00%', '50.00%', '-50.00']
    assert rows['IoU of sky'] == ['-', '-', '-']
    assert rows['pixels labelled as by A'] == ['100.000%', '75.000%']
    assert 'unknown' not in rows


def test_json_holds_no_nan() -> None:
    content = scores_of([0, 0, 1, 1], [0, 0, 1, 1]).as_json(('road', 'tree', 'sky'))
    json.dumps(content, allow_nan=False)
    assert content['classes'][0] == {'name': 'road', 'iou': 1.0, 'accuracy': 1.0,
                                     'boundary_f_score': 1.0, 'pixels': 2}
    assert content['classes'][2]['iou'] is None
    assert content['calibration'][14] == {'pixels': 4, 'confidence': 1.0, 'accuracy': 1.0}
    assert content['confusion'] == [[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 0, 0]]


def test_a_model_file_forgets_unsure_pixels(network_file: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    shares = [np.mean(open_model(network_file, 'cpu', Protocol(), least).segment(image)[0] == 255)
              for least in (0.0, 0.6, 1.0)]
    assert shares[0] == 0 < shares[1] < 0.9 < shares[2]


def test_a_checkpoint_knows_no_confidence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='best.safetensors: --min-confidence needs a model file'):
        open_model(tmp_path / 'best.safetensors', 'cpu', Protocol(), 0.5)


@pytest.fixture(scope='module')
def network(small_nano: None) -> SegRet:
    """Return a network that finds all three classes."""
    return spread_network(3, SIZE, spread=1)


@pytest.fixture(scope='module')
def checkpoint(network: SegRet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the checkpoint of `network`."""
    path = tmp_path_factory.mktemp('checkpoint') / 'best.safetensors'
    save_checkpoint(network, path, list(LABELS.names), list(map(list, LABELS.colors)), {})
    return path


@pytest.fixture(scope='module')
def network_file(network: SegRet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the model file of `network`."""
    path = tmp_path_factory.mktemp('model') / 'random.onnx'
    save_model(to_onnx(network, SIZE), ModelInfo(LABELS, SIZE, 'nano', 'none', None, '', ''), path)
    return path


@pytest.fixture(scope='module')
def data(network: SegRet, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return arguments for two images, 64 x 96, whose labels are nearly those of the network."""
    root = tmp_path_factory.mktemp('data')
    for kind in ('images', 'labels'):
        (root / kind / 'val').mkdir(parents=True)
    random = np.random.default_rng(0)
    for name in 'ab':
        image = cv2.resize(random.integers(0, 256, (8, 12, 3)).astype(np.uint8), (96, 64),
                           interpolation=cv2.INTER_CUBIC)
        label = predict(network, image[..., ::-1])
        label[:10] = random.integers(0, 3, (10, 96))
        label[:, :4] = 255
        cv2.imwrite(str(root / 'images' / 'val' / f'{name}.png'), image)
        cv2.imwrite(str(root / 'labels' / 'val' / f'{name}.png'), label)
    classes = [{'name': name, 'color': list(color)}
               for name, color in zip(LABELS.names, LABELS.colors)]
    (root / 'own.yaml').write_text(yaml.safe_dump(
        {'classes': classes, 'images': 'images/{split}/{name}.png'}))
    return ['--dataset', str(root / 'own.yaml'), '--data', str(root)]


def test_a_checkpoint_and_its_model_file_side_by_side(checkpoint: Path, network_file: Path,
                                                      data: list[str], tmp_path: Path,
                                                      call: Callable) -> None:
    code, output, progress = call(main, checkpoint, network_file, *data, '--device', 'cpu',
                                  '--json', tmp_path / 'new' / 'scores.json')
    assert code == 0 and '2/2' in progress
    claim_file(tmp_path / 'new' / 'scores.json', [], SCORES_MARK)  # to be replaced by the next one
    rows = rows_of(output)
    assert float(rows['pixels labelled as by A'][1].rstrip('%')) > 99.9
    assert abs(float(rows['mean IoU'][2])) < 0.1
    content = json.loads((tmp_path / 'new' / 'scores.json').read_text())
    assert content['images'] == 2 and content['split'] == 'val'
    network, scores = load_checkpoint(checkpoint), Scores(3)
    root = Path(data[-1])
    for name in 'ab':
        image = cv2.imread(str(root / 'images' / 'val' / f'{name}.png'))[..., ::-1]
        scores.add(cv2.imread(str(root / 'labels' / 'val' / f'{name}.png'), cv2.IMREAD_UNCHANGED),
                   *segment(network, image, Protocol()))
    ours, file = content['models']
    assert ours['mean_iou'] == pytest.approx(scores.confusion.mean_iou())
    assert ours['mean_boundary_f_score'] == pytest.approx(scores.boundary.mean())
    assert ours['expected_calibration_error'] == pytest.approx(scores.calibration.error())
    assert 0.7 < ours['mean_iou'] < 0.95
    assert file['mean_iou'] == pytest.approx(ours['mean_iou'], abs=1e-3)
    assert (ours['shown'], file['shown']) == ('whole', 'whole at 64 x 96')


def test_options_of_a_checkpoint(checkpoint: Path, data: list[str], call: Callable) -> None:
    code, output, _ = call(main, checkpoint, *data, '--device', 'cpu', '--crop', 32, 48,
                           '--stride', 20, 30, '--short-side', 96, '--multi-scale')
    assert code == 0
    assert 'windows of 32 x 48 by 20 x 30, short side 96, multi-scale with mirror' in output
    assert rows_of(output)['mean'][0] != '100.00%'


def test_a_model_file_has_one_input_size(network_file: Path, data: list[str],
                                         call: Callable) -> None:
    code, _, error = call(main, network_file, *data, '--multi-scale')
    assert (code, error.count('\n')) == (1, 1)
    assert 'random.onnx: a model file has one input size' in error


def test_other_classes_are_refused(checkpoint: Path, camvid_tree: Path, call: Callable) -> None:
    code, _, error = call(main, checkpoint, '--data', camvid_tree, '--device', 'cpu')
    assert (code, error.count('\n')) == (1, 1)
    assert 'best.safetensors: has 3 classes, CamVid has 11' in error


def test_other_names_are_a_warning(checkpoint: Path, data: list[str], tmp_path: Path,
                                   call: Callable) -> None:
    path = tmp_path / 'own.yaml'
    path.write_text(Path(data[1]).read_text().replace('car', 'lorry'))
    code, _, error = call(main, checkpoint, '--dataset', path, *data[2:], '--device', 'cpu')
    assert code == 0
    assert "calls class 1 'car'" in error and "'lorry'" in error
