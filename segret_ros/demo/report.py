"""The demo's HTML page: one file, nothing outside."""

from pathlib import Path

from segret_ros.inference import ModelInfo
from segret_ros.metrics import ConfusionMatrix
from segret_ros.reporting.page import class_rows, data_url, write_page


def write_report(path: Path, rows: dict[str, str], confusion: ConfusionMatrix, info: ModelInfo,
                 pictures: dict[str, bytes]) -> None:
    """
    Write the page.

    :param rows: of the summary table.
    :param pictures: PNG files by name, embedded in this order.
    """
    images = [{'caption': Path(name).stem.replace('_', ' '), 'url': data_url(content)}
              for name, content in pictures.items()]
    write_page(path, 'segret_ros.demo', rows=rows, classes=class_rows(info.labels, confusion),
               info=info, images=images)
