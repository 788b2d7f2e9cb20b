"""The demo's HTML page: one file, nothing outside."""

import base64
from pathlib import Path

import jinja2
import numpy as np
from segret_ros.inference import ModelInfo
from segret_ros.metrics import ConfusionMatrix


def write_report(path: Path, rows: dict[str, str], confusion: ConfusionMatrix, info: ModelInfo,
                 pictures: dict[str, bytes]) -> None:
    """
    Write the page.

    :param rows: of the summary table.
    :param pictures: PNG files by name, embedded in this order.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader('segret_ros.demo', ''), autoescape=True,
        trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    classes = [{'name': name, 'color': '#%02x%02x%02x' % color,
                'iou': None if np.isnan(iou) else float(iou)}
               for name, color, iou in zip(info.labels.names, info.labels.colors,
                                           confusion.iou())]
    images = [{'caption': Path(name).stem.replace('_', ' '),
               'data': base64.b64encode(content).decode()} for name, content in pictures.items()]
    path.write_text(environment.get_template('report.html.j2').render(
        rows=rows, classes=classes, info=info, images=images))
