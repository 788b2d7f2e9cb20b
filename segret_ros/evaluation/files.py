"""What the output folder of an evaluation holds."""

FORMAT = 1  # of metrics.json; another one when its content or that of frames.csv changes
METRICS, FRAMES, RUN, REALTIME = 'metrics.json', 'frames.csv', 'run.json', 'realtime.json'
RESULT, REPORT, SELECT = 'result.mcap', 'report.html', 'select'
WORK = '.work'  # while it is made
NODE_LOG = 'node.log'
