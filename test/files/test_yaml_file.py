# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""YAML that people write: read alike in every locale, and refused with its line."""

import os
from pathlib import Path
import subprocess
import sys

import pytest
from segret_ros.files.yaml_file import read_yaml, YamlFileError
from segret_ros.labels.label_set import load_label_set

# Of the locale C alone: without these, Python would read in UTF-8 there too.
ASCII = {'LC_ALL': 'C', 'PYTHONUTF8': '0', 'PYTHONCOERCECLOCALE': '0', 'PYTHONIOENCODING': 'utf-8'}


def written(folder: Path, text: str, encoding: str = 'utf-8') -> Path:
    path = folder / 'own.yaml'
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig'])
def test_it_is_utf8_whatever_the_locale(tmp_path: Path, encoding: str) -> None:
    path = written(tmp_path, 'classes: [{name: Bürgersteig 道路, color: [1, 2, 3]}]', encoding)
    code = ('import locale, sys; from segret_ros.labels.label_set import load_label_set; '
            'print(locale.getpreferredencoding(False), load_label_set(sys.argv[1]).names[0])')
    child = subprocess.run([sys.executable, '-c', code, path], env={**os.environ, **ASCII},
                           check=True, capture_output=True)
    assert child.stdout.decode() == 'ANSI_X3.4-1968 Bürgersteig 道路\n'


@pytest.mark.parametrize('encoding', ['gbk', 'utf-16'])
def test_another_encoding_is_refused_with_the_way_out(tmp_path: Path, encoding: str) -> None:
    path = written(tmp_path, 'name: yard\nsource: 道路\n', encoding)
    line = 1 if encoding == 'utf-16' else 2
    with pytest.raises(YamlFileError, match=f'{path}: line {line} is not UTF-8: save the file as '
                                            'UTF-8'):
        read_yaml(path)


@pytest.mark.parametrize('value', ['off', 'on', 'no', 'Yes', '1', '1.0', '0x10', '12:30', 'null',
                                   '~', '2024-01-01', '2024-99-99', '.inf'])
def test_a_text_that_yaml_reads_as_something_else_is_refused(tmp_path: Path, value: str) -> None:
    path = written(tmp_path, f'# of one class\nclasses:\n- {{id: 1, name: {value}}}\n')
    with pytest.raises(YamlFileError) as caught:
        read_yaml(path, texts=('name',))
    assert str(caught.value).startswith(f'{path}: line 3: `name: {value}` is read as ')
    assert str(caught.value).endswith(f": quote it, name: '{value}'")
    quoted = written(tmp_path, f"classes:\n- {{id: 1, name: '{value}'}}\n")
    assert read_yaml(quoted, texts=('name',)) == {'classes': [{'id': 1, 'name': value}]}


@pytest.mark.parametrize(('text', 'message'), [
    ('a: 1\nb: [', 'line 2: '), ('a: b: c', 'line 1: mapping values are not allowed here'),
    ('a: 1\nb: 2\na: 3', 'line 3: the key `a` occurs twice'),
    ('a: {b: 1,\n b: 2}', 'line 2: the key `b` occurs twice'),
    ('a: 1\nb: \x07', r"line 2: the character '\\x07' is not allowed in YAML"),
    ('a: !!python/object:os.system 1', 'line 1: could not determine a constructor'),
    ('a: 2024-99-99', "line 1: '2024-99-99' is not a valid timestamp"),
    ('a: !!int ""', "line 1: '' is not a valid int"),
    ('a:\n  !!timestamp x', "line 2: 'x' is not a valid timestamp"),
    ('[' * 5000, 'nested too deeply'),
    ('', 'holds no `key: value`'), ('- 1', 'holds no'), ('road', 'holds no'),
    ('name:', 'line 1: `name:` has no value'),
    ('name: [a]', 'line 1: `name` must be a text'),
])
def test_what_is_wrong_is_one_line_that_names_the_file(tmp_path: Path, text: str,
                                                       message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(YamlFileError, match=f'{path}: {message}') as caught:
        read_yaml(path, texts=('name',))
    assert '\n' not in str(caught.value)


def test_merged_keys_may_be_replaced(tmp_path: Path) -> None:
    path = written(tmp_path, 'tiny: &tiny {a: 1, b: 2}\nsmall: {<<: *tiny, b: 3}\n')
    assert read_yaml(path)['small'] == {'a': 1, 'b': 3}


def test_every_shipped_label_set_has_texts_for_names() -> None:
    for path in (Path(__file__).parents[2] / 'config' / 'label_sets').glob('*.yaml'):
        assert all(isinstance(name, str) for name in load_label_set(path).names)
