# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What is kept, for whom, and for how long: real engines, other processes, full folders."""

from collections.abc import Callable
from dataclasses import fields, replace
import errno
import logging
import os
from pathlib import Path
import resource
import shutil
import subprocess
import sys
import time

import pytest
from segret_ros.inference import Model, ModelError
from segret_ros.inference.engines.openvino import BUILT
from segret_ros.inference.serving import key as key_module, validated
from segret_ros.inference.serving.background import BackgroundBuild
from segret_ros.inference.serving.cache import (
    CacheError,
    default_folder,
    EngineCache,
    ENTRY,
    Entry,
    HIDDEN,
    LONGEST_BUILD_S,
)
from segret_ros.inference.serving.key import hardware_of, Key, key_of, libraries_of, processor
from segret_ros.inference.serving.parity import Parity
from segret_ros.inference.serving.validated import build_validated_engine, open_validated_engine

DEVICE = 'openvino'
DAY_S = 86400
PASSING = Parity('float32', 1, 1.0, [1.0], True)
KEY = Key('model', 'ab' * 32, 'openvino', {'openvino': '1'}, 'a processor', 'float32', [64, 96],
          None)
OTHERS = {'model': 'other', 'model_sha256': 'cd' * 32, 'device': 'cpu',
          'libraries': {'openvino': '2'}, 'hardware': 'another processor', 'precision': 'int8',
          'input_size': [96, 64], 'streams': 2}
CPUINFO = 'vendor_id : GenuineIntel\nmodel name : A\ncpuid level : 31\nflags : avx2 amx_bf16\n'


def made_up(cache: EngineCache, key: Key, size: int = 1000) -> Path:
    """Keep a file of some bytes as if it were an engine; give its folder."""
    with cache.writing() as folder:
        (folder / 'engine').write_bytes(bytes(size))
        return cache.keep(folder, key, PASSING, 1.0, 0.1).folder


def hidden(cache: EngineCache) -> list[Path]:
    return list(cache.folder.glob(f'{HIDDEN}*'))


@pytest.mark.parametrize('device', ['openvino', 'cpu'])
def test_an_engine_is_built_once(model_file: Path, cache: EngineCache, is_right: Callable,
                                 monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    assert is_right(open_validated_engine(Model.load(model_file), device, cache=cache))
    entry, = cache.entries()
    content = {path.name: path.read_bytes() for path in entry.folder.iterdir()}
    assert content.keys() == ({ENTRY, BUILT} if device == 'openvino' else {ENTRY})
    assert entry.size_bytes == sum(map(len, content.values()))
    monkeypatch.setattr(validated, 'build_engine', lambda *_: pytest.fail('built again'))
    assert is_right(open_validated_engine(Model.load(model_file), device, cache=cache))
    assert {path.name: path.read_bytes() for path in entry.folder.iterdir()} == content
    assert cache.entries() == [replace(entry, last_used=cache.entries()[0].last_used)]
    assert hidden(cache) == []


def test_the_entry_reports_all_that_it_is_found_by(model_file: Path, built: Entry) -> None:
    assert built.key == key_of(Model.load(model_file), DEVICE)
    assert EngineCache(built.folder.parent).entries() == [built]
    assert built.parity.frames == 2 and not built.parity.problem()
    assert built.first_share > 0.98 and built.built_s > 0
    assert 0 <= time.time() - built.built_at < DAY_S
    assert built.key.libraries['openvino'].startswith('20')


@pytest.mark.parametrize('part', [field.name for field in fields(Key)])
def test_each_part_of_the_key_asks_for_another_engine(cache: EngineCache, part: str) -> None:
    folder = made_up(cache, KEY)
    other = replace(KEY, **{part: OTHERS[part]})
    assert cache.find(KEY).folder == folder
    assert other.name != KEY.name
    assert cache.find(other) is None
    assert cache.find(KEY).key == KEY


@pytest.mark.parametrize('line', ['vendor_id', 'model name', 'cpuid level', 'flags'])
def test_what_a_processor_can_do_is_part_of_it(line: str) -> None:
    changed = ''.join(f'{text} x\n' if text.startswith(line) else f'{text}\n'
                      for text in CPUINFO.splitlines())
    assert processor(changed) != processor(CPUINFO)
    assert processor(f'{CPUINFO}cpu MHz : 2000\nprocessor : 7\n') == processor(CPUINFO)


def test_another_library_asks_for_another_engine(model_file: Path, cache: EngineCache,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    openvino = pytest.importorskip('openvino')
    model = Model.load(model_file)
    made_up(cache, key_of(model, DEVICE))
    assert cache.find(key_of(model, DEVICE)).key.foreign() == ''
    version = openvino.__version__
    monkeypatch.setattr(openvino, '__version__', '2099.1.0')
    assert cache.find(key_of(model, DEVICE)) is None
    assert cache.entries()[0].key.foreign() == (f'built with openvino {version}, here it is '
                                                '2099.1.0')


def test_another_driver_is_another_key(model_file: Path, tmp_path: Path,
                                       monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model.load(model_file)
    names = set()
    for version in ('535.54.03', '580.65.06'):
        text = f'NVRM version: NVIDIA UNIX x86_64 Kernel Module  {version}  Tue May 6\n'
        (tmp_path / 'version').write_text(text)
        monkeypatch.setattr(key_module, 'NVIDIA_VERSION', tmp_path / 'version')
        for device in ('cuda:0', 'torch', 'tensorrt:1'):
            key = key_of(model, device)
            assert key.libraries['driver'] == version and key.hardware == 'no GPU'
            names.add(key.name)
        for device in ('cpu', 'openvino', 'torch:cpu'):
            assert 'driver' not in key_of(model, device).libraries
    assert len(names) == 6


def test_a_gpu_and_its_libraries_are_part_of_it(driver: Callable[..., str], tmp_path: Path,
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    library = driver(13000, 0, 2)
    monkeypatch.setattr(key_module, 'CUDNN', library)
    monkeypatch.setattr(key_module, 'TENSORRT_LIBRARIES', ['libnobody_has.so', library])
    monkeypatch.setattr(key_module, 'NVIDIA_VERSION', tmp_path / 'none')
    assert hardware_of('cuda') == hardware_of('tensorrt:0') == hardware_of('torch') == 'GPU A'
    assert (hardware_of('cuda:1'), hardware_of('cuda:2')) == ('GPU B', 'no GPU')
    libraries = libraries_of('tensorrt')
    assert (libraries['driver'], libraries['cudnn'], libraries['tensorrt']) == (
        'for CUDA 13', '91002', '101303')
    assert 'tensorrt' not in libraries_of('cuda') and 'cudnn' not in libraries_of('torch')


@pytest.mark.parametrize(('model', 'begins'), [
    ('../../etc/passwd', '_.._etc_passwd-cpu-'), ('.hidden', 'hidden-cpu-'), ('', 'model-cpu-'),
    ('a' * 300, 'a' * 80 + '-cpu-'), ('Straße 1', 'Straße_1-cpu-')])
def test_any_name_of_a_model_makes_a_folder(model: str, begins: str, cache: EngineCache) -> None:
    key = replace(KEY, model=model, device='cpu')
    assert key.name.startswith(begins)
    assert made_up(cache, key).parent == cache.folder
    assert cache.find(key).key == key


def test_what_a_killed_builder_left_is_removed_after_a_day(cache: EngineCache) -> None:
    old, young = (cache.folder / f'{HIDDEN}{name}' for name in ('old', 'young'))
    for folder in (old, young):
        folder.mkdir(parents=True)
        (folder / 'half').write_bytes(b'half an engine')
    long_ago = time.time() - LONGEST_BUILD_S - 60
    os.utime(old, (long_ago, long_ago))
    assert cache.entries() == [] and cache.find(KEY) is None
    made_up(cache, KEY)
    assert hidden(cache) == [young]


def test_what_fails_while_it_is_built_is_not_kept(cache: EngineCache) -> None:
    with pytest.raises(ModelError, match='broken'), cache.writing() as folder:
        (folder / 'half').write_bytes(b'half an engine')
        raise ModelError('broken')
    assert list(cache.folder.iterdir()) == []


def test_two_builders_at_once(model_file: Path, cache: EngineCache, is_right: Callable,
                              monkeypatch: pytest.MonkeyPatch) -> None:
    builds = [BackgroundBuild(Model.load(model_file), DEVICE, cache) for _ in range(2)]
    for build in builds:
        assert build.wait(120) and (build.phase, build.error, build.uncached) == ('done', '', '')
        build.stop()
    assert len(cache.entries()) == 1 and hidden(cache) == []
    monkeypatch.setattr(validated, 'build_engine', lambda *_: pytest.fail('built again'))
    assert is_right(open_validated_engine(Model.load(model_file), DEVICE, cache=cache))


def test_an_older_engine_of_the_same_key_gives_way(cache: EngineCache) -> None:
    made_up(cache, KEY, 10)
    folder = made_up(cache, KEY, 20)
    assert (folder / 'engine').stat().st_size == 20
    assert len(list(cache.folder.iterdir())) == 1


def test_the_longest_unused_have_to_go(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path, most_bytes=35_000)
    keys = [replace(KEY, model=name) for name in 'abcd']
    for age, key in zip((30, 20, 10), keys):
        folder = made_up(cache, key, 10_000)
        os.utime(folder / ENTRY, (time.time() - age,) * 2)
    assert cache.find(keys[0])  # used
    (tmp_path / keys[1].name / 'engine').write_bytes(b'corrupt')
    (tmp_path / keys[1].name / 'more').write_bytes(bytes(10_000))
    made_up(cache, keys[3], 10_000)
    assert [entry.key.model for entry in cache.entries()] == ['d', 'a', 'c']
    made_up(cache, replace(KEY, model='large'), 50_000)
    assert [entry.key.model for entry in cache.entries()] == ['large']


def test_what_is_none_of_its_own_is_left_alone(cache: EngineCache) -> None:
    for name in ('pictures', '.ssh', f'{HIDDEN[:-1]}x'):
        (cache.folder / name).mkdir(parents=True)
        os.utime(cache.folder / name, (0, 0))
    (cache.folder / 'notes.txt').write_text('mine')
    folder = made_up(cache, KEY)
    assert cache.folders() == [folder]
    assert len(list(cache.folder.iterdir())) == 5


KEEPING = """
import sys
from dataclasses import replace
from test_engine_cache import KEY, made_up
from segret_ros.inference.serving.cache import EngineCache
cache = EngineCache(sys.argv[1])
for number in range(150):
    key = replace(KEY, model=f'{sys.argv[2]}{number % 3}')
    made_up(cache, key, 10)
    assert cache.find(key), number
"""


def test_two_that_keep_others_at_once_lose_none(cache: EngineCache) -> None:
    keepers = [subprocess.Popen([sys.executable, '-c', KEEPING, str(cache.folder), name],
                                cwd=Path(__file__).parent, stderr=subprocess.PIPE, text=True)
               for name in 'ab']
    for keeper in keepers:
        assert 'AssertionError' not in keeper.communicate(timeout=120)[1]
        assert keeper.returncode == 0
    assert len(cache.entries()) == 6


def test_an_engine_that_cannot_be_read_this_time_stays(
        cache: EngineCache, caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch) -> None:
    made_up(cache, KEY)

    def read(path: Path) -> bytes:
        raise OSError(errno.EMFILE, 'Too many open files')

    with monkeypatch.context() as patch:
        patch.setattr(Path, 'read_bytes', read)
        assert cache.find(KEY) is None
    assert 'Too many open files' in caplog.text
    assert cache.find(KEY) is not None


def test_what_cannot_be_removed_is_reported(cache: EngineCache,
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    folder = made_up(cache, KEY)

    def refuse(*arguments) -> None:
        raise PermissionError(errno.EACCES, 'Permission denied')

    monkeypatch.setattr(os, 'rename', refuse)
    with pytest.raises(CacheError, match="it can't be removed .Permission denied"):
        cache.remove(folder)
    assert len(cache.entries()) == 1


def test_a_folder_that_cannot_be_written_is_reported_once(
        model_file: Path, tmp_path: Path, is_right: Callable,
        caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / 'file').write_text('no folder')
    cache = EngineCache(tmp_path / 'file')
    assert is_right(open_validated_engine(Model.load(model_file), DEVICE, cache=cache))
    warning, = (record for record in caplog.records if record.levelno >= logging.WARNING)
    assert f"{cache.folder}: engines can't be cached there (Not a directory)" in warning.message
    assert 'SEGRET_ENGINE_CACHE' in warning.message
    for folder in (cache.folder, cache.folder / 'below'):
        with pytest.raises(CacheError, match='Not a directory'):
            build_validated_engine(Model.load(model_file), DEVICE, None, EngineCache(folder))
    assert cache.entries() == []


def test_a_disk_that_is_full_is_reported(model_file: Path, cache: EngineCache) -> None:
    command = [sys.executable, '-m', 'segret_ros.inference.serving.command', 'build',
               str(model_file), '--device', DEVICE, '--cache', str(cache.folder)]
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)))
    assert ran.returncode == 1
    assert f"segret_engine: {cache.folder}: engines can't be cached there (File too large)" in (
        ran.stderr)
    assert list(cache.folder.iterdir()) == []


def test_an_engine_that_another_process_removes_is_built_anew(
        model_file: Path, filled: EngineCache, is_right: Callable,
        monkeypatch: pytest.MonkeyPatch) -> None:
    find = EngineCache.find

    def find_and_lose(self: EngineCache, key: Key):
        entry = find(self, key)
        shutil.rmtree(entry.folder)
        return entry

    monkeypatch.setattr(EngineCache, 'find', find_and_lose)
    assert is_right(open_validated_engine(Model.load(model_file), DEVICE, cache=filled))
    monkeypatch.undo()
    assert filled.find(filled.entries()[0].key)


def test_the_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('SEGRET_ENGINE_CACHE', '/a')
    monkeypatch.setenv('XDG_CACHE_HOME', '/b')
    monkeypatch.setenv('HOME', '/c')
    assert default_folder() == EngineCache().folder == Path('/a')
    monkeypatch.delenv('SEGRET_ENGINE_CACHE')
    assert default_folder() == Path('/b/segret_ros/engines')
    monkeypatch.delenv('XDG_CACHE_HOME')
    assert default_folder() == Path('/c/.cache/segret_ros/engines')
