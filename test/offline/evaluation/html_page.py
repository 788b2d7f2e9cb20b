# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""An HTML page as a browser would see it."""

from html.parser import HTMLParser
from pathlib import Path
import re

VOID = {'meta', 'link', 'img', 'br', 'hr', 'input'}


class Page(HTMLParser):
    """A page's tags, images and text; raises if elements are unbalanced or anything is fetched."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding='utf-8')
        self.tags: list[str] = []
        self.images: list[str] = []  # data: URLs
        self._open: list[str] = []
        self._texts: list[str] = []
        self.feed(self.source)
        assert not self._open and 'script' not in self.tags
        # A name space is a name that nothing fetches.
        assert not re.search(r'https?://(?!www\.w3\.org/2000/svg)', self.source)

    @property
    def text(self) -> str:
        """Return the text, words separated by single spaces."""
        return ' '.join(' '.join(self._texts).split())

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append(tag)
        self.images += [value for name, value in attrs if tag == 'img' and name == 'src']
        for name, value in attrs:
            assert name not in ('src', 'href') or value.startswith(('data:', '#')), value
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list) -> None:
        assert tag in VOID or 'svg' in self._open, tag
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self._texts.append(data)
