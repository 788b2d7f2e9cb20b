# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The shipped models: each explains itself and has a card that tells the same."""

from pathlib import Path

import pytest
from segret_ros.files.share import default_model
from segret_ros.inference import Model
from segret_ros.labels.label_set import load_label_set

MODELS = sorted((Path(__file__).parents[1] / 'models').glob('*.onnx'))


def test_nano_is_the_default() -> None:
    assert default_model().name == 'segret_nano_camvid.onnx'
    assert [path.stem for path in MODELS] == ['segret_nano_camvid', 'segret_tiny_camvid']


@pytest.mark.parametrize('path', MODELS, ids=lambda path: path.stem)
def test_a_model_and_its_card_report_the_same(path: Path) -> None:
    info, card = Model.load(path).info, path.with_suffix('.md').read_text()
    assert info.labels == load_label_set('camvid')
    assert path.stem == f'segret_{info.variant}_camvid'
    assert info.miou > 0.65
    assert f'**{info.miou:.1%}**'.replace('%', ' %') in card
    assert f'temperature {info.temperature:.3f}' in card
    assert info.source.split('sha256 ')[1] in card
    assert 'EfficientNet-Lite2' in info.training_data and 'Apache-2.0' in card


def test_the_small_models_of_the_tests_are_what_their_program_writes(tmp_path: Path) -> None:
    pytest.importorskip('torch', reason='what writes model files needs torch')
    import small_models
    small_models.write(tmp_path)
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_bytes() for path in small_models.FOLDER.iterdir()}
