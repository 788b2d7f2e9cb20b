"""
A process that builds one engine, for another process that goes on meanwhile.

`python -m segret_ros.engine_cache.child MODEL DEVICE CACHE` prints a JSON object a line: `phase`
is `building`, `comparing`, `keeping`, and at the end `done`, with the `entry`'s folder and the
`problem` that the gate finds or '', `unkept` with the `reason` why the cache can't keep it, or
`failed` with the `error`.
"""

import json
from pathlib import Path
import sys

from segret_ros.engine_cache.cache import CacheError, EngineCache
from segret_ros.engine_cache.proven import build_proven_engine


def tell(phase: str, **facts: str) -> None:
    """Print a line."""
    print(json.dumps({'phase': phase, **facts}), flush=True)


def main() -> int:
    """Build; give the exit code."""
    model, device, folder = sys.argv[1:]
    try:
        entry = build_proven_engine(model, device, None, EngineCache(Path(folder)), on_phase=tell)
    except CacheError as error:
        tell('unkept', reason=str(error))
        return 0
    except (ValueError, OSError) as error:
        tell('failed', error=str(error))
        return 1
    tell('done', entry=str(entry.folder), problem=entry.parity.problem())
    return 0


if __name__ == '__main__':
    sys.exit(main())
