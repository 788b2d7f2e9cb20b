# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Building in another process: what it reports, and how both of them end."""

from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
import pytest
from segret_ros.inference import Model, ModelError
from segret_ros.inference.engines.engine import open_engine
from segret_ros.inference.serving import background, supervisor, validated
from segret_ros.inference.serving.background import BackgroundBuild, CHILD
from segret_ros.inference.serving.cache import EngineCache, Entry
from segret_ros.inference.serving.supervisor import Supervisor
from segret_ros.inference.serving.validated import ParityError

pytest.importorskip('openvino', reason='needs openvino, an extra')

DEVICE = 'openvino'
WAIT_S = 60.0
LATE = """
import pathlib, time
from segret_ros.inference.serving import background
while not pathlib.Path({gate!r}).exists():
    time.sleep(0.02)
background.main()
"""
STUCK = """
import time
from segret_ros.inference.serving import background
def build(*arguments, on_phase):
    on_phase('building')
    time.sleep(60)
background.build_validated_engine = build
background.main()
"""


def use_child(monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    monkeypatch.setattr(background, 'CHILD', (sys.executable, '-c', source))


def started(command: tuple[str, ...], spare: Path, cwd: Path
            ) -> tuple[subprocess.Popen, Connection]:
    """Start the process that builds, and return it with the connection to it."""
    channel, child_end = Pipe()
    with child_end:
        process = subprocess.Popen([*command, str(child_end.fileno()), str(spare)], cwd=cwd,
                                   pass_fds=[child_end.fileno()])
    return process, channel


@pytest.fixture
def unwritable(tmp_path: Path) -> EngineCache:
    """Return a cache that can hold nothing: its folder is below a file."""
    (tmp_path / 'file').write_text('')
    return EngineCache(tmp_path / 'file' / 'engines')


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[BackgroundBuild]]:
    """Collect the builds that `Supervisor` begins."""
    begun = []

    def begin(*arguments) -> BackgroundBuild:
        begun.append(BackgroundBuild(*arguments))
        return begun[-1]

    monkeypatch.setattr(supervisor, 'BackgroundBuild', begin)
    yield begun
    for build in begun:
        build.stop()


def test_the_process_reports_its_phases(model_file: Path, cache: EngineCache,
                                        tmp_path: Path) -> None:
    (tmp_path / 'onnxruntime.py').write_text('raise RuntimeError("of the working directory")')
    process, channel = started(CHILD, tmp_path / 'spare', tmp_path)
    channel.send((Model.load(model_file), 'cpu', cache))
    phases = [channel.recv() for _ in range(4)]
    assert process.wait(WAIT_S) == 0
    assert phases == [{'phase': 'building'}, {'phase': 'comparing'}, {'phase': 'caching'},
                      {'phase': 'done', 'uncached': ''}]
    assert [entry.key.device for entry in cache.entries()] == ['cpu']


def test_the_process_ends_with_the_one_that_waits_for_it(
        model_file: Path, cache: EngineCache, tmp_path: Path) -> None:
    spare = tmp_path / 'spare'
    spare.mkdir()
    process, channel = started((sys.executable, '-c', STUCK), spare, tmp_path)
    channel.send((Model.load(model_file), DEVICE, cache))
    assert channel.recv() == {'phase': 'building'}
    assert process.poll() is None
    channel.close()  # as the end of the other process does, even by SIGKILL
    assert process.wait(WAIT_S) == 1
    assert not spare.exists()


def test_a_cached_engine_leaves_no_spare_folder(
        model_file: Path, cache: EngineCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
        ) -> None:
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    build = BackgroundBuild(Model.load(model_file), DEVICE, cache)
    assert [*tmp_path.glob('segret_engine.*')]
    assert build.wait(WAIT_S)
    assert (build.phase, build.error) == ('done', '')
    assert not [*tmp_path.glob('segret_engine.*')]  # before `stop`, which nobody killed calls
    build.stop()


def test_a_build_reports_why_it_fails(model_file: Path, cache: EngineCache,
                                      monkeypatch: pytest.MonkeyPatch) -> None:
    build = BackgroundBuild(Model.load(model_file), 'cuda', cache)
    assert build.wait(WAIT_S) and "device 'cuda' can't be used" in build.error
    build.stop()
    monkeypatch.setattr(background, 'CHILD', ('/no/such/program',))
    with pytest.raises(ModelError, match='no process can be started to build its engine'):
        BackgroundBuild(Model.load(model_file), DEVICE, cache)


def test_without_a_cache_the_other_process_builds_all_the_same(
        model_file: Path, unwritable: EngineCache, is_right: Callable,
        monkeypatch: pytest.MonkeyPatch, builds: list[BackgroundBuild],
        caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(supervisor, 'PATIENCE_S', WAIT_S)
    monkeypatch.setattr(validated, 'build_engine', lambda *arguments: pytest.fail('built here'))
    engine = Supervisor(Model.load(model_file), DEVICE, cache=unwritable)
    assert engine.device == DEVICE and is_right(engine)
    assert "can't be cached there (Not a directory)" in caplog.text
    assert 'the engine is built at each start' in caplog.text
    kept = builds[0].cache.folder
    assert len(EngineCache(kept).entries()) == 1
    engine.close()
    assert not kept.exists()


def test_a_model_replaced_during_the_build_does_not_reach_it(
        model_file: Path, wrong_model: Path, cache: EngineCache, tmp_path: Path,
        is_right: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = tmp_path / 'gate'
    use_child(monkeypatch, LATE.format(gate=str(gate)))
    path = tmp_path / 'model.onnx'
    shutil.copy(model_file, path)
    build = BackgroundBuild(Model.load(path), DEVICE, cache)
    shutil.copy(wrong_model, path)
    gate.touch()
    assert build.wait(WAIT_S) and not build.error
    entry, = cache.entries()
    assert not entry.parity.problem()
    assert is_right(open_engine(Model.load(model_file), DEVICE, built=entry.folder))
    build.stop()


def test_a_refused_fallback_leaves_no_build_behind(
        wrong_model: Path, cache: EngineCache, monkeypatch: pytest.MonkeyPatch,
        builds: list[BackgroundBuild]) -> None:
    use_child(monkeypatch, STUCK)
    monkeypatch.setattr(supervisor, 'PATIENCE_S', 0.0)
    with pytest.raises(ParityError, match='on cpu'):
        Supervisor(Model.load(wrong_model), DEVICE, cache=cache)
    assert len(builds) == 1 and builds[0].wait(0)


def test_close_waits_for_the_engine_that_is_being_loaded(
        model_file: Path, filled: EngineCache, built: Entry, monkeypatch: pytest.MonkeyPatch
        ) -> None:
    loading, loaded = threading.Event(), threading.Event()
    open_cached = supervisor.open_cached_engine

    def open_slowly(*arguments, **named):
        if threading.current_thread().name != 'segret_swap':
            return None
        loading.set()
        time.sleep(1)
        loaded.set()
        return open_cached(*arguments, **named)

    monkeypatch.setattr(supervisor, 'PATIENCE_S', 0.0)
    monkeypatch.setattr(supervisor, 'open_cached_engine', open_slowly)
    engine = Supervisor(Model.load(model_file), DEVICE, cache=filled)
    assert loading.wait(WAIT_S)
    engine.close()
    assert loaded.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name == 'segret_swap']
    assert engine.run(np.zeros((64, 96, 3), np.uint8)).shape[0] == 3
