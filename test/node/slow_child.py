"""
The process that builds an engine, begun late: `slow_child.py SECONDS MODEL DEVICE CACHE`.

With negative seconds it ends after as many without having built anything.
"""

import json
import sys
import time

from segret_ros.engine_cache.child import main

print(json.dumps({'phase': 'building'}), flush=True)
seconds = float(sys.argv.pop(1))
time.sleep(abs(seconds))
sys.exit(main() if seconds >= 0 else 1)
