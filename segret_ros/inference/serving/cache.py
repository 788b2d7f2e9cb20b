# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A folder of built engines: each is complete or absent, and is what was asked for."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
import fcntl
import hashlib
import json
import logging
import os
from pathlib import Path
import re
import shutil
import time
from typing import Any
import uuid

from segret_ros.files.user_cache import engine_folder
from segret_ros.inference.serving.key import Key
from segret_ros.inference.serving.parity import Parity

logger = logging.getLogger(__name__)

ENTRY = 'entry.json'
HIDDEN = '.segret_engine.'  # begins the names of folders that are being filled or emptied
LONGEST_BUILD_S = 86400.0  # an older hidden folder is what a killed process left
NAME = re.compile(r'.+-[\w-]+-[0-9a-f]{16}')  # of an entry's folder
MOST_BYTES = 4_000_000_000


class CacheError(RuntimeError):
    """An engine that can't be cached; the message names the folder, the reason and the way out."""


@dataclass(frozen=True)
class Entry:
    """
    A built engine.

    :param folder: with what `build_engine` wrote, and `entry.json`.
    :param parity: how its labels compare with those of the float32 network.
    :param first_share: of equal labels on the first of the model's own frames, 0..1.
    :param built_s: how long `build_engine` took.
    :param built_at: seconds since 1970.
    :param files: SHA-256 of each, by its path in the folder; none for an engine without a build
        step.
    :param size_bytes: of all its files.
    :param last_used: when it was written or found last, in seconds since 1970.
    """

    folder: Path
    key: Key
    parity: Parity
    first_share: float
    built_s: float
    built_at: float
    files: dict[str, str]
    size_bytes: int
    last_used: float


class EngineCache:
    """
    Built engines, by what they depend on; several processes may use it at once.

    :param folder: of its own, made when the first engine is cached; the user's if left out.
    :param most_bytes: of all engines; the least recently used are removed.
    """

    def __init__(self, folder: str | Path | None = None, most_bytes: int = MOST_BYTES) -> None:
        self.folder = Path(folder) if folder else default_folder()
        self.most_bytes = most_bytes

    def find(self, key: Key) -> Entry | None:
        """
        Return the engine of a key, complete and intact, or None.

        Logs a corrupt one or one of another key; the next that is cached replaces it.
        """
        folder = self.folder / key.name
        if not os.path.lexists(folder):
            return None
        try:
            entry = read_entry(folder)
            if entry.key != key or checksums(folder) != entry.files:
                raise ValueError('its files are not those of this engine: checksum mismatch')
        except (ValueError, OSError) as error:
            logger.warning("%s: the cached engine is corrupt or can't be read (%s)", folder,
                           error)
            return None
        with suppress(OSError):  # in a read-only folder nothing is removed either
            os.utime(folder / ENTRY)
        return entry

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """
        Make a hidden folder to build an engine in, for `keep`; what is not kept is removed.

        :raises CacheError: when the folder can't be written, there or in the block.
        """
        hidden = self._hidden()
        try:
            self._sweep()
            hidden.mkdir(parents=True)
            yield hidden
        except OSError as error:
            raise CacheError(f"{self.folder}: engines can't be cached there "
                             f'({error.strerror or error}): make room, or set SEGRET_ENGINE_CACHE '
                             'to a folder that can be written') from error
        finally:
            shutil.rmtree(hidden, ignore_errors=True)

    def keep(self, hidden: Path, key: Key, parity: Parity, first_share: float, built_s: float
             ) -> Entry:
        """
        Move the engine that was built in a folder of `writing` into its place for all to find.

        It replaces an older one of the same key. The least recently used ones are removed when
        all together are too large.
        """
        content = {'key': asdict(key), 'parity': asdict(parity), 'first_share': first_share,
                   'built_s': built_s, 'built_at': time.time(), 'files': checksums(hidden)}
        (hidden / ENTRY).write_text(
            json.dumps({'sha256': _digest(content), 'entry': content}, indent=2) + '\n')
        folder = self.folder / key.name
        with _locked(self.folder):
            if os.path.lexists(folder):
                self._remove_at_once(folder)
            os.rename(hidden, folder)
            self._make_room(folder)
            return read_entry(folder)

    def entries(self) -> list[Entry]:
        """List all engines whose entry can be read, the last used one first."""
        entries = []
        for folder in self.folders():
            with suppress(ValueError, OSError):  # replaced when it is asked for
                entries.append(read_entry(folder))
        return sorted(entries, key=lambda entry: -entry.last_used)

    def remove(self, folder: Path) -> None:
        """
        Remove an engine, by its folder.

        :raises CacheError: when that is not allowed.
        """
        try:
            with _locked(self.folder):
                self._remove_at_once(folder)
        except FileNotFoundError:
            pass  # another process was faster
        except OSError as error:
            raise CacheError(f"{folder}: it can't be removed ({error.strerror or error})"
                             ) from error

    def folders(self) -> list[Path]:
        """List the folders of all engines, corrupt ones too."""
        if not self.folder.is_dir():
            return []
        return sorted(path for path in self.folder.iterdir()
                      if NAME.fullmatch(path.name) and not path.name.startswith(HIDDEN)
                      and os.path.lexists(path / ENTRY))

    def _make_room(self, newest: Path) -> None:
        """Remove the least recently used engines, corrupt ones too, of what is too much."""
        sizes = {folder: _size_bytes(folder) for folder in self.folders()}
        for folder in sorted(sizes.keys() - {newest}, key=_last_used):
            if sum(sizes.values()) <= self.most_bytes:
                break
            del sizes[folder]
            with suppress(OSError):  # another user's
                self._remove_at_once(folder)

    def _remove_at_once(self, path: Path) -> None:
        """Remove a folder, or a file in its place: for others it is gone at once."""
        hidden = self._hidden()
        os.rename(path, hidden)
        if hidden.is_dir() and not hidden.is_symlink():
            shutil.rmtree(hidden, ignore_errors=True)
        else:
            hidden.unlink()

    def _sweep(self) -> None:
        """Remove what killed builders left."""
        for path in self.folder.glob(f'{HIDDEN}*'):
            with suppress(OSError):  # gone by now
                if time.time() - path.stat().st_mtime > LONGEST_BUILD_S:
                    shutil.rmtree(path, ignore_errors=True)

    def _hidden(self) -> Path:
        return self.folder / f'{HIDDEN}{uuid.uuid4().hex}'


def default_folder() -> Path:
    """
    Return the folder of the user's engines.

    :raises CacheError: for a user without a home folder.
    """
    try:
        return engine_folder()
    except RuntimeError as error:
        raise CacheError('this user has no home folder to cache engines in: set '
                         'SEGRET_ENGINE_CACHE to a folder that can be written') from error


def read_entry(folder: Path) -> Entry:
    """
    Read a folder's `entry.json`, and check that it is what was written.

    :raises ValueError, OSError: for one that is corrupt or missing.
    """
    try:
        record = json.loads((folder / ENTRY).read_bytes())
        content = record['entry']
        if record['sha256'] != _digest(content):
            raise ValueError('checksum mismatch')
        return Entry(**{**content, 'folder': folder, 'key': Key(**content['key']),
                        'parity': Parity(**content['parity']),
                        'size_bytes': _size_bytes(folder), 'last_used': _last_used(folder)})
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f'{ENTRY}: {error}') from error


def checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of an engine but its entry, by its path in the folder."""
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob('*')) if path.is_file() and path != folder / ENTRY}


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _size_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob('*') if path.is_file())


def _last_used(folder: Path) -> float:
    return (folder / ENTRY).lstat().st_mtime


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Have a folder alone as long as the block takes, where its file system knows locks."""
    lock = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # NFS locks no folders
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
