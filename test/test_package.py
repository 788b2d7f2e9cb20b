# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Package and changelog, as catkin_pkg reads them on a build farm."""

import importlib
from pathlib import Path
import runpy

import pytest
import setuptools

ROOT = Path(__file__).parents[1]
package = pytest.importorskip('catkin_pkg.package', reason='comes with colcon')


@pytest.fixture(scope='module')
def manifest():
    """Return package.xml as catkin_pkg has it; no warning may come of it."""
    warnings: list[str] = []
    manifest = package.parse_package(str(ROOT / 'package.xml'), warnings=warnings)
    manifest.validate(warnings=warnings)
    assert warnings == []
    return manifest


def test_each_licence_has_its_text(manifest) -> None:
    assert [str(licence) for licence in manifest.licenses] == [
        'Apache-2.0', 'LicenseRef-CamVid', 'LicenseRef-CamVid-models']
    for licence in manifest.licenses:
        assert (ROOT / licence.file).read_text()


def test_no_dependency_comes_from_pip(manifest) -> None:
    """A released package may not name such a key."""
    assert [each.name for each in manifest.exec_depends if each.name.endswith('-pip')] == []


def test_a_headless_robot_gets_no_tools(manifest) -> None:
    assert not {each.name for each in manifest.exec_depends} & {
        'rviz2', 'ros2bag', 'rosbag2_storage_mcap', 'python3-jinja2', 'python3-tqdm'}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict:
    """Return what setup.py tells setuptools."""
    told: dict = {}
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(setuptools, 'setup', lambda **arguments: told.update(arguments))
    runpy.run_path('setup.py')
    return told


def test_the_version_is_that_of_setup(manifest, told: dict) -> None:
    assert (told['name'], told['version']) == (manifest.name, manifest.version)


def test_only_extras_require_an_onnxruntime(told: dict) -> None:
    assert not [name for name in told['install_requires'] if 'onnxruntime' in name]
    assert {extra for extra, names in told['extras_require'].items()
            if any('onnxruntime' in name for name in names)} == {'cpu', 'cuda', 'tensorrt'}


def test_what_each_entry_point_names_is_there(told: dict) -> None:
    for line in sum(told['entry_points'].values(), []):
        module, name = line.partition(' = ')[2].split(':')
        assert hasattr(importlib.import_module(module), name)


def test_the_changelog_has_what_comes_next() -> None:
    """As `catkin_prepare_release` looks for it, and reads it once it has a version and a date."""
    from catkin_pkg.changelog import Changelog, populate_changelog_from_rst
    from catkin_pkg.package_version import get_forthcoming_label
    text = (ROOT / 'CHANGELOG.rst').read_text()
    label = get_forthcoming_label(text)
    assert label == 'Forthcoming'
    released = '0.1.0 (2026-12-01)'
    text = text.replace(f'{label}\n{"-" * len(label)}\n', f'{released}\n{"-" * len(released)}\n')
    changelog = Changelog('segret_ros')
    populate_changelog_from_rst(changelog, text)
    (version, _, content), = changelog.foreach_version()
    assert version == '0.1.0' and content
