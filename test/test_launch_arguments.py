# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Which arguments of a launch file are refused; test_launch.py has it for real."""

import sys

import pytest
from segret_ros.command_line import refuse_unknown_arguments

FILE = '/somewhere/segret.launch.py'
DECLARED = ['image', 'model']


def refuse(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    """Check the arguments of a command line."""
    monkeypatch.setattr(sys, 'argv', ['/bin/ros2', 'launch', *words])
    refuse_unknown_arguments(FILE, DECLARED)


@pytest.mark.parametrize('words', [
    ['segret_ros', 'segret.launch.py'],
    ['segret_ros', 'segret.launch.py', 'image:=/a:=b', 'model:='],
    ['launch/segret.launch.py', '--debug', 'model:=x'],
    ['robot', 'robot.launch.py', 'robot:=1']])  # which includes this one
def test_declared_arguments_pass(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    refuse(monkeypatch, *words)


@pytest.mark.parametrize('word, message', [
    ('immage:=/x', 'immage:= is no argument of segret.launch.py: did you mean image:=?'),
    ('speed:=1', 'speed:= is no argument of segret.launch.py: there are image, model')])
def test_others_are_refused(monkeypatch: pytest.MonkeyPatch, word: str, message: str) -> None:
    with pytest.raises(ValueError) as raised:
        refuse(monkeypatch, './segret.launch.py', 'model:=x', word)
    assert str(raised.value) == message
