# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""YAML files that people write: UTF-8 in every locale, and no class named False."""

from collections.abc import Collection, Hashable
from pathlib import Path
from typing import Any

import yaml

TEXT = 'tag:yaml.org,2002:str'
READ_AS = {'bool': 'true or false', 'int': 'a number', 'float': 'a number', 'null': 'nothing',
           'timestamp': 'a date'}


class YamlFileError(ValueError):
    """A file that is not valid YAML; names the file and, where it is known, the line."""


def read_yaml(path: str | Path, texts: Collection[str] = ()) -> dict[Any, Any]:
    """
    Read the keys and values of a YAML file.

    :param texts: keys whose values are texts wherever they occur in the file: what YAML reads as
        something else (`name: off`, `name: 1`, `name: 2024-01-01`) is refused.
    :raises YamlFileError: for a file that is not UTF-8, not YAML or not a mapping, and for a key
        that occurs twice in a mapping.
    :raises OSError: for a file that can't be read.
    """
    content = Path(path).read_bytes()
    try:
        text = content.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        line = content.count(b'\n', 0, error.start) + 1
        raise YamlFileError(f'{path}: line {line} is not UTF-8: save the file as UTF-8 in an '
                            'editor, or convert it with iconv -t UTF-8') from error
    try:
        values = _Loader(text, texts).get_single_data()
    except yaml.reader.ReaderError as error:
        line = text.count('\n', 0, error.position) + 1
        raise YamlFileError(f'{path}: line {line}: the character {chr(error.character)!r} is not '
                            'allowed in YAML') from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f'{path}: line {mark.line + 1}' if mark else str(path)
        raise YamlFileError(f'{where}: {error.problem or error.context}') from error
    except RecursionError as error:
        raise YamlFileError(f'{path}: nested too deeply') from error
    if not isinstance(values, dict):
        raise YamlFileError(f'{path}: holds no `key: value`')
    return values


class _Loader(yaml.SafeLoader):
    """PyYAML's loader, strict about keys that occur twice and about `read_yaml`'s texts."""

    def __init__(self, text: str, texts: Collection[str]) -> None:
        super().__init__(text)
        self._texts = texts

    def construct_object(self, node: yaml.Node, deep: bool = False) -> object:
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, AttributeError, LookupError) as error:  # of several tags
            kind = node.tag.rpartition(':')[2]
            raise _error(node, f'{node.value!r} is not a valid {kind}') from error

    def construct_mapping(self, node: yaml.Node, deep: bool = False) -> dict[Hashable, Any]:
        if isinstance(node, yaml.MappingNode):
            self._check(node)
        return super().construct_mapping(node, deep)

    def _check(self, mapping: yaml.MappingNode) -> None:
        met = set()
        for key, value in mapping.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag.endswith(':merge'):
                continue
            if (key.tag, key.value) in met:
                raise _error(key, f'the key `{key.value}` occurs twice')
            met.add((key.tag, key.value))
            if key.value in self._texts and value.tag != TEXT:
                kind = value.tag.rpartition(':')[2]
                if not isinstance(value, yaml.ScalarNode):
                    raise _error(value, f'`{key.value}` must be a text')
                if not value.value:
                    raise _error(key, f'`{key.value}:` has no value')
                raise _error(value, f'`{key.value}: {value.value}` is read as '
                             f"{READ_AS.get(kind, kind)}: quote it, {key.value}: '{value.value}'")


def _error(node: yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(problem=problem, problem_mark=node.start_mark)
