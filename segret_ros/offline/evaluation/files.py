# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What the output folder of an evaluation holds."""

from segret_ros.files.output_folder import Layout, WORK

FORMAT = 2  # of metrics.json; another one when its content or that of frames.csv changes
METRICS, FRAMES, RUN, REALTIME = 'metrics.json', 'frames.csv', 'run.json', 'realtime.json'
RESULT, REPORT, SELECT = 'result.mcap', 'report.html', 'select'
NODE_LOG = 'node.log'
JOBS = 'jobs.json'  # in the work
LAYOUT = Layout('segret_evaluate', (METRICS, FRAMES, RUN, REALTIME, RESULT, REPORT, NODE_LOG),
                signatures=(frozenset({METRICS, FRAMES, RUN}), frozenset({f'{WORK}/{JOBS}'})),
                live=frozenset({NODE_LOG}))
