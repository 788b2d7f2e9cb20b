# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What the HTML reports share: each is one file that needs nothing else."""

import base64
from collections.abc import Iterable
from pathlib import Path

import jinja2
import numpy as np
from segret_ros.files.atomic import write_text
from segret_ros.labels.label_set import LabelSet
from segret_ros.labels.metrics import ConfusionMatrix
from segret_ros.offline.pictures import Thumb


def write_page(path: Path, package: str, template: str = 'report.html.j2', **content: object
               ) -> None:
    """
    Write a page, whole or not at all.

    :param template: of the package; it extends `base.html.j2` of this one.
    :param content: what the template shows; text is escaped there.
    """
    loaders = [jinja2.PackageLoader(name, '') for name in (package, 'segret_ros.offline')]
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    write_text(path, environment.get_template(template).render(content))


def data_url(picture: bytes) -> str:
    """Return a PNG or JPEG file as the source of an `img` that fetches nothing."""
    kind = 'png' if picture.startswith(b'\x89PNG') else 'jpeg'
    return f'data:image/{kind};base64,{base64.b64encode(picture).decode()}'


def embedded(thumbs: Iterable[Thumb]) -> list[dict]:
    """Return frames as the macros `film` and `frames` take them."""
    return [{'caption': thumb.caption,
             'panels': {text: data_url(file) for text, file in thumb.panels.items()}}
            for thumb in thumbs]


def hex_color(color: tuple[int, int, int]) -> str:
    """Write a colour, RGB 0..255, as CSS does."""
    return '#{:02x}{:02x}{:02x}'.format(*color)


def class_rows(labels: LabelSet, confusion: ConfusionMatrix) -> list[dict]:
    """Return each class's name, colour, share of the labelled pixels, and IoU; None if absent."""
    shares = confusion.counts.sum(1) / max(confusion.counts.sum(), 1)
    return [{'name': name, 'color': hex_color(color), 'share': float(share),
             'iou': None if np.isnan(iou) else float(iou)}
            for name, color, share, iou in zip(labels.names, labels.colors, shares,
                                               confusion.iou())]
