# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Engines that have passed the gate, from the cache or newly built."""

from collections.abc import Callable, Sequence
import logging
from pathlib import Path
import time

from segret_ros.inference.engines.device import DeviceError
from segret_ros.inference.engines.engine import build_engine, Engine, first_of, open_engine
from segret_ros.inference.model_file import read_model_info
from segret_ros.inference.model_info import ModelError, ModelInfo
from segret_ros.inference.serving.cache import CacheError, EngineCache, Entry
from segret_ros.inference.serving.key import key_of, sha256_of
from segret_ros.inference.serving.parity import compare, Parity
from segret_ros.inference.serving.parity_frames import ParityFrame
from segret_ros.inference.serving.validation_frames import frames_of
from segret_ros.reason import reason

logger = logging.getLogger(__name__)

PHASES = ('building', 'comparing', 'keeping')
STRAYING = 0.001  # of the first frame's labels, between the engine as built and as loaded


class UnprovenEngineError(ModelError):
    """An engine that fails the gate; the message has the numbers and the ways out."""


def open_proven_engine(path: str | Path, device: str, streams: int | None = None,
                       cache: EngineCache | None = None, allow_unproven: bool = False,
                       frames: Sequence[ParityFrame] | None = None) -> Engine:
    """
    Give an engine whose labels are those of the float32 network; see `open_engine`.

    It is taken from the cache, else built, compared and kept.

    :param cache: of engines; the user's if left out.
    :param allow_unproven: only warn of an engine that fails the gate.
    :param frames: to compare a newly built one on, besides those of `frames_of`.
    :raises UnprovenEngineError: for an engine that fails the gate.
    :raises ModelError: for a file that is missing, damaged or can't be loaded.
    :raises DeviceError: for a device asked for by name that is missing.
    """
    info = read_model_info(path)
    cache = cache or EngineCache()

    def open_one(name: str) -> Engine:
        kept = open_kept_engine(path, info, name, cache, streams, allow_unproven)
        if kept is not None:
            return kept
        engine, parity = _new(path, info, name, streams, cache, frames)
        _check(path, name, parity, allow_unproven)
        return engine

    return first_of(device, open_one)


def open_kept_engine(path: str | Path, info: ModelInfo, device: str, cache: EngineCache,
                     streams: int | None = None, allow_unproven: bool = False) -> Engine | None:
    """
    Give the engine of the cache, or None where there is none; parameters, errors as before.

    :param info: of the file.
    :param device: one of `device.DEVICES`, not `auto`.
    """
    found = _kept(path, info, device, streams, cache)
    if found is None:
        return None
    engine, parity = found
    _check(path, device, parity, allow_unproven)
    return engine


def build_proven_engine(path: str | Path, device: str, streams: int | None, cache: EngineCache,
                        frames: Sequence[ParityFrame] | None = None,
                        on_phase: Callable[[str], None] = lambda phase: None) -> Entry:
    """
    Build an engine anew, compare it and keep it with the result, whether it passes or not.

    :param device: one of `device.DEVICES`, not `auto`.
    :param frames: to compare it on, besides those of `frames_of`.
    :param on_phase: is told each of `PHASES` when it begins.
    :raises CacheError: when it can't be kept.
    :raises ModelError, DeviceError: as `open_proven_engine`.
    """
    info = read_model_info(path)
    return _build(path, info, device, streams, cache, frames, on_phase)[1]


def _kept(path: str | Path, info: ModelInfo, device: str, streams: int | None,
          cache: EngineCache) -> tuple[Engine, Parity] | None:
    """Give the engine of the cache; one that is not as it was built is told, and no engine."""
    entry = cache.find(key_of(path, info, device, streams))
    if entry is None:
        return None
    try:
        engine = open_engine(path, device, streams, built=entry.folder)
        if entry.files:  # else it comes from the model file alone
            _check_first_frame(engine, path, info, entry)
        return engine, entry.parity
    except DeviceError:
        raise
    except Exception as error:  # libraries have many types for what they throw
        logger.warning('%s: the engine kept there is of no use (%s): it is built anew',
                       entry.folder, reason(error))
        return None


def _check_first_frame(engine: Engine, path: str | Path, info: ModelInfo, entry: Entry) -> None:
    """
    Refuse an engine that labels another way than when it was built.

    The checksums can't tell whether it was the right file that they were made of.

    :raises ModelError: for such an engine.
    """
    share = _compare(engine, path, info, frames_of(path, info, 1)).share_equal
    if abs(share - entry.first_share) > STRAYING:
        raise ModelError(f"{share:.2%} of the labels of a frame are the float32 network's, and "
                         f'when it was built {entry.first_share:.2%}')


def _new(path: str | Path, info: ModelInfo, device: str, streams: int | None, cache: EngineCache,
         frames: Sequence[ParityFrame] | None) -> tuple[Engine, Parity]:
    """Give a newly built engine, kept if that is possible."""
    try:
        engine, entry = _build(path, info, device, streams, cache, frames)
        return engine, entry.parity
    except CacheError as error:
        logger.warning('%s; the engine is built at each start', error)
        engine = open_engine(path, device, streams)
        return engine, _parity(engine, path, info, frames_of(path, info), frames)


def _build(path: str | Path, info: ModelInfo, device: str, streams: int | None,
           cache: EngineCache, frames: Sequence[ParityFrame] | None,
           on_phase: Callable[[str], None] = lambda phase: None) -> tuple[Engine, Entry]:
    key = key_of(path, info, device, streams)
    with cache.writing(key) as folder:
        on_phase('building')
        start = time.monotonic()
        build_engine(path, device, streams, folder)
        built_s = time.monotonic() - start
        engine = open_engine(path, device, streams, built=folder)
        on_phase('comparing')
        own_frames = frames_of(path, info)
        parity = _parity(engine, path, info, own_frames, frames)
        first_share = _compare(engine, path, info, own_frames[:1]).share_equal
        on_phase('keeping')
        if sha256_of(Path(path)) != key.model_sha256:
            raise ModelError(f'{path}: it was replaced while its engine was built: build it anew')
        return engine, cache.keep(folder, key, parity, first_share, built_s)


def _parity(engine: Engine, path: str | Path, info: ModelInfo,
            own_frames: Sequence[ParityFrame], frames: Sequence[ParityFrame] | None) -> Parity:
    """Compare on the file's own frames, and on others if there are and these are passed."""
    parity = _compare(engine, path, info, own_frames)
    if parity.problem() or not frames:
        return parity
    return _compare(engine, path, info, frames)


def _compare(engine: Engine, path: str | Path, info: ModelInfo, frames: Sequence[ParityFrame]
             ) -> Parity:
    precision = engine.precision if info.precision == 'float32' else info.precision
    try:
        return compare(engine, frames, len(info.labels), precision)
    except Exception as error:  # libraries have many types for what they throw
        raise ModelError(f"{path}: {engine.name} can't run it ({reason(error)}): use another "
                         'device') from error


def _check(path: str | Path, device: str, parity: Parity, allow_unproven: bool) -> None:
    problem = parity.problem()
    if not problem:
        return
    if not allow_unproven:
        raise UnprovenEngineError(
            f'{path}: its engine on {device} fails the comparison: {problem}. Build it anew '
            f'(segret_engine build {path} --device {device}), use another device, or allow it '
            'with the parameter allow_unproven_engine:=true of the node')
    logger.warning('%s: its engine on %s fails the comparison, and is used all the same: %s',
                   path, device, problem)
