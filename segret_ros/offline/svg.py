# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Pictures as SVG: a handful of shapes, no library."""

from xml.sax.saxutils import escape

INK, FAINT, GRID = '#24292f', '#656d76', '#d8dee4'
COLORS = ('#2f6fbd', '#e07b39', '#3d9970', '#8e5bb5', '#b8a130')  # told apart by the colour-blind
FONT = 'system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif'


class Picture:
    """
    A drawing on white.

    :param width: in pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        self._size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        self._shapes = [f'<rect width="{width}" height="{height}" fill="white"/>']

    def text(self, x: float, y: float, content: str, size: int = 13, color: str = INK,
             anchor: str = 'start', bold: bool = False, upwards: bool = False) -> None:
        """Write a line, or a column; `anchor` is start, middle or end, `y` its base line."""
        weight = ' font-weight="600"' if bold else ''
        if upwards:
            weight += f' transform="rotate(-90 {x:.1f} {y:.1f})"'
        self._shapes.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{color}" '
                            f'text-anchor="{anchor}"{weight}>{escape(content)}</text>')

    def bar(self, x: float, y: float, width: float, height: float, color: str,
            opacity: float = 1) -> None:
        """Draw a filled rectangle with its upper left corner at (x, y)."""
        self._shapes.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
                            f'height="{height:.1f}" rx="2" fill="{color}"'
                            + (f' fill-opacity="{opacity:.2f}"' if opacity < 1 else '') + '/>')

    def line(self, points: list[tuple[float, float]], color: str = GRID, width: float = 1,
             dashed: bool = False) -> None:
        """Draw a line from point to point (x, y)."""
        joined = ' '.join(f'{x:.1f},{y:.1f}' for x, y in points)
        dashes = ' stroke-dasharray="4 4"' if dashed else ''
        self._shapes.append(f'<polyline points="{joined}" fill="none" stroke="{color}" '
                            f'stroke-width="{width}" stroke-linejoin="round"{dashes}/>')

    def dot(self, x: float, y: float, color: str) -> None:
        """Draw a small disc."""
        self._shapes.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{color}"/>')

    def __str__(self) -> str:
        return (f'<svg xmlns="http://www.w3.org/2000/svg" {self._size} font-family="{FONT}">\n'
                + '\n'.join(self._shapes) + '\n</svg>\n')
