"""The demo's HTML page: one file, nothing outside."""

from pathlib import Path

from segret_ros.inference import ModelInfo
from segret_ros.metrics import ConfusionMatrix
from segret_ros.reporting.page import class_rows, data_url, write_page


def write_report(path: Path, drive: str, rows: dict[str, str], confusion: ConfusionMatrix,
                 info: ModelInfo, pictures: dict[str, bytes]) -> None:
    """
    Write the page.

    :param drive: its name.
    :param rows: of the summary table.
    :param confusion: empty for a drive without true labels.
    :param pictures: PNG files by name, embedded in this order.
    """
    images = [{'caption': Path(name).stem.replace('_', ' '), 'url': data_url(content)}
              for name, content in pictures.items()]
    classes = class_rows(info.labels, confusion) if confusion.counts.any() else []
    write_page(path, 'segret_ros.demo', drive=drive, rows=rows, classes=classes, info=info,
               images=images)
