"""What segret_validate tells of pixels below a confidence."""

from pathlib import Path

import numpy as np
import pytest
from segret_ros.metrics import ConfusionMatrix
from segret_train.validate import labeller, table


def test_scores_with_and_without_the_unknown_pixels() -> None:
    confusion = ConfusionMatrix(2)
    confusion.add(np.array([[0, 0, 0, 1, 1, 255]]), np.array([[0, 0, 255, 1, 0, 255]]))
    assert confusion.unknown_share() == pytest.approx(1 / 5)
    rows = [line.split() for line in table(('road', 'tree'), confusion).splitlines()]
    assert rows == [
        ['road', '50.00%'], ['tree', '50.00%'], ['mean', 'IoU', '50.00%'],
        ['pixel', 'accuracy', '60.00%'], ['unknown', '20.00%'], ['of', 'the', 'rest:'],
        ['mean', 'IoU', '58.33%'], ['pixel', 'accuracy', '75.00%']]


def test_without_unknown_pixels_there_is_no_rest() -> None:
    confusion = ConfusionMatrix(2)
    confusion.add(np.array([[0, 1]]), np.array([[0, 1]]))
    assert len(table(('road', 'tree'), confusion).splitlines()) == 4


def test_a_model_file_forgets_unsure_pixels(model_file: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    assert (labeller(model_file, 'cpu')(image) < 255).all()
    assert 0 < np.mean(labeller(model_file, 'cpu', 0.6)(image) == 255) < 1
    assert (labeller(model_file, 'cpu', 1.0)(image) == 255).mean() > 0.9


def test_a_checkpoint_knows_no_confidence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='best.safetensors: --min-confidence needs a model file'):
        labeller(tmp_path / 'best.safetensors', 'cpu', 0.5)
