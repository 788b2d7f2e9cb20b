# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The README and the guides: examples run as pasted, links lead somewhere, tables are true."""

from dataclasses import fields
from pathlib import Path
import re
import subprocess
import sys

import cv2
import pytest
from segret_ros.files.share import share_directory
import yaml

ROOT = Path(__file__).parents[1]
README = ROOT / 'README.md'
PAGES = sorted([*ROOT.glob('*.md'), *ROOT.glob('docs/*.md'), *ROOT.glob('models/*.md'),
                *ROOT.glob('data/*.md')])


def python_block(page: Path) -> str:
    """Return the only Python example of a page."""
    block, = re.findall('```python\n(.*?)```', page.read_text(encoding='utf-8'), re.DOTALL)
    return block


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = re.sub('```.*?```', '', page.read_text(encoding='utf-8'), flags=re.DOTALL)
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-')
            for heading in re.findall('^#+ (.*)$', text, re.MULTILINE)}


def table(page: Path) -> dict[str, str]:
    """Return the first two cells of each row that begins with two pieces of code."""
    return dict(re.findall('^[|] `([^`]*)` [|] `([^`]*)` [|]', page.read_text(encoding='utf-8'),
                           re.MULTILINE))


def run(code: str, folder: Path) -> str:
    ran = subprocess.run([sys.executable, '-c', code], cwd=folder, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, '')
    return ran.stdout


def test_the_readme_says_what_it_is_and_is_short() -> None:
    text = README.read_text(encoding='utf-8')
    first_sentence = text.split('\n\n')[1]
    assert 'semantic segmentation' in first_sentence and 'ROS 2' in first_sentence
    assert len(text.split()) <= 1300


def test_the_readmes_python_example_runs_anywhere(tmp_path: Path) -> None:
    assert run(python_block(README), tmp_path).startswith('(360, 480) ')


def test_the_guides_python_example_runs_anywhere(tmp_path: Path) -> None:
    run(python_block(ROOT / 'docs' / 'offline.md'), tmp_path)
    street = cv2.imread(str(share_directory() / 'data' / 'street.jpg'))
    overlay = cv2.imread(str(tmp_path / 'overlay.png'))
    assert overlay.shape == street.shape == (360, 480, 3)
    assert 10 < cv2.absdiff(overlay, street).mean() < 128


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_a_file_and_a_heading(page: Path) -> None:
    for link in re.findall(r'\]\(([^)\s]+)\)', page.read_text(encoding='utf-8')):
        if '://' in link:
            continue
        path, _, anchor = link.partition('#')
        target = page.parent / path if path else page
        assert target.exists(), f'{page.name}: {link}'
        assert not anchor or anchor in anchors(target), f'{page.name}: {link}'


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_paths_in_the_text_exist(page: Path) -> None:
    named = re.findall(r'`((?:config|docker|launch|segret_ros|segret_train|test|tools)/[\w./]+)',
                       page.read_text(encoding='utf-8'))
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_guide_is_on_the_map() -> None:
    guides = {path.name for path in ROOT.glob('docs/*.md')} - {'README.md'}
    assert set(re.findall(r'\]\((\w+\.md)\)', (ROOT / 'docs' / 'README.md').read_text())) == guides


def test_every_parameter_is_in_the_table_with_its_default() -> None:
    pytest.importorskip('rclpy', reason='the parameters need rclpy')
    from segret_ros.node.parameters import Parameters
    rows = table(ROOT / 'docs' / 'parameters.md')
    defaults = {item.name: getattr(Parameters(), item.name) for item in fields(Parameters)}
    assert {name: yaml.safe_load(rows.get(name, 'null')) for name in defaults} == defaults
