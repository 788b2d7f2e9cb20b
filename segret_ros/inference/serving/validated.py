# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Engines that have passed the parity check, from the cache or newly built."""

from collections.abc import Callable, Sequence
import logging
import time

from segret_ros.errors import reason
from segret_ros.inference.engines.device import DeviceError
from segret_ros.inference.engines.engine import (
    build_engine,
    Engine,
    first_that_succeeds,
    open_engine,
)
from segret_ros.inference.model import Model
from segret_ros.inference.model_info import ModelError
from segret_ros.inference.parity_frames import ParityFrame
from segret_ros.inference.serving.cache import CacheError, EngineCache, Entry
from segret_ros.inference.serving.key import key_of
from segret_ros.inference.serving.parity import compare, frames_of, Parity

logger = logging.getLogger(__name__)

STRAYING = 0.001  # of the first frame's labels, between the engine as built and as loaded


class ParityError(ModelError):
    """An engine that fails the parity check; the message has the numbers and the ways out."""


def open_validated_engine(model: Model, device: str, streams: int | None = None,
                          cache: EngineCache | None = None, allow_unproven: bool = False
                          ) -> Engine:
    """
    Open an engine whose labels are those of the float32 network; see `open_engine`.

    It is taken from the cache, or else built, validated and cached.

    :param cache: of engines; the user's if left out.
    :param allow_unproven: only warn of an engine that fails the parity check.
    :raises ParityError: for an engine that fails the parity check.
    :raises ModelError: for a model that can't be loaded.
    :raises DeviceError: for a device asked for by name that is missing.
    """
    cache = cache or EngineCache()

    def open_one(name: str) -> Engine:
        cached = open_cached_engine(model, name, cache, streams, allow_unproven)
        if cached is not None:
            return cached
        try:
            engine, entry = build_validated_engine(model, name, streams, cache)
            parity = entry.parity
        except CacheError as error:
            logger.warning('%s; the engine is built at each start', error)
            engine = open_engine(model, name, streams)
            parity = _compare(engine, model, frames_of(model))
        _check(model, name, parity, allow_unproven)
        return engine

    return first_that_succeeds(
        device, open_one, lambda name: cache.find(key_of(model, name, streams)) is not None)


def open_cached_engine(model: Model, device: str, cache: EngineCache, streams: int | None = None,
                       allow_unproven: bool = False) -> Engine | None:
    """
    Open the engine of the cache; see `open_validated_engine`.

    Checksums can't tell whether they were made of the right file, so the engine labels a frame.

    :param device: one of `device.DEVICES`, not `auto`.
    :return: None where there is none, or with a warning where it is not as it was built.
    """
    entry = cache.find(key_of(model, device, streams))
    if entry is None:
        return None
    try:
        engine = open_engine(model, device, streams, built=entry.folder)
        if entry.files:  # else it comes from the model file alone
            share = _compare(engine, model, frames_of(model, 1)).share_equal
            if abs(share - entry.first_share) > STRAYING:
                raise ModelError(f"{share:.2%} of the labels of a frame are the float32 network's,"
                                 f' and when it was built {entry.first_share:.2%}')
    except DeviceError:
        raise
    except Exception as error:  # libraries have many types for what they throw
        logger.warning('%s: the cached engine is unusable (%s): it is rebuilt', entry.folder,
                       reason(error))
        return None
    _check(model, device, entry.parity, allow_unproven)
    return engine


def build_validated_engine(model: Model, device: str, streams: int | None, cache: EngineCache,
                           frames: Sequence[ParityFrame] | None = None,
                           on_phase: Callable[[str], None] = lambda phase: None
                           ) -> tuple[Engine, Entry]:
    """
    Build an engine, validate it and cache it with the result, whether it passes or not.

    :param device: one of `device.DEVICES`, not `auto`.
    :param frames: to validate it on, besides those of `frames_of`.
    :param on_phase: called with `building`, `comparing` and `caching` when each begins.
    :raises CacheError: when it can't be cached.
    :raises ModelError, DeviceError: as `open_validated_engine`.
    """
    key = key_of(model, device, streams)
    with cache.writing() as folder:
        on_phase('building')
        start = time.monotonic()
        build_engine(model, device, streams, folder)
        built_s = time.monotonic() - start
        engine = open_engine(model, device, streams, built=folder)
        on_phase('comparing')
        own_frames = frames_of(model)
        parity = _compare(engine, model, own_frames)
        if frames and not parity.problem():
            parity = _compare(engine, model, frames)
        first_share = _compare(engine, model, own_frames[:1]).share_equal
        on_phase('caching')
        return engine, cache.keep(folder, key, parity, first_share, built_s)


def _compare(engine: Engine, model: Model, frames: Sequence[ParityFrame]) -> Parity:
    precision = engine.precision if model.info.precision == 'float32' else model.info.precision
    try:
        return compare(engine, frames, len(model.info.labels), precision)
    except Exception as error:  # libraries have many types for what they throw
        raise ModelError(f"{model.path}: {engine.name} can't run it ({reason(error)}): use "
                         'another device') from error


def _check(model: Model, device: str, parity: Parity, allow_unproven: bool) -> None:
    problem = parity.problem()
    if not problem:
        return
    if not allow_unproven:
        raise ParityError(
            f'{model.path}: its engine on {device} fails the parity check: {problem}. Build it '
            f'anew (segret_engine build {model.path} --device {device}), use another device, or '
            'allow it with the parameter allow_unproven_engine:=true of the node')
    logger.warning('%s: its engine on %s fails the parity check, and is used all the same: %s',
                   model.path, device, problem)
