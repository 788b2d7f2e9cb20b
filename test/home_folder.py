# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""An empty home folder, and what processes leave in it or look up beside it."""

import os
from pathlib import Path

# The libraries that report to their makers leave out what runs on a server that tests.
SERVERS = ('CI', 'TF_BUILD', 'GITHUB_ACTIONS', 'GITLAB_CI', 'CIRCLECI', 'TRAVIS', 'JENKINS_URL',
           'CODEBUILD_BUILD_ID', 'BUILDKITE', 'TEAMCITY_VERSION', 'APPVEYOR', 'BUILD_ID')
OWN = ('XDG_CACHE_HOME', 'XDG_CONFIG_HOME', 'XDG_DATA_HOME', 'SEGRET_ENGINE_CACHE',
       'ORT_DISABLE_TELEMETRY', 'RAY_USAGE_STATS_ENABLED')
SPY = """
import os, socket
def spy(name):
    def look_up(host, *rest, **named):
        with open(os.environ['LOOK_UPS'], 'a') as file:
            print(host, file=file)
        raise socket.gaierror(socket.EAI_AGAIN, 'no network')
    setattr(socket, name, look_up)
for name in ('getaddrinfo', 'gethostbyname', 'gethostbyname_ex'):
    spy(name)
"""


class HomeFolder:
    """
    A home folder and the look-ups of the processes that are started with its environment.

    :param folder: empty; the spy is written beside it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._spy = folder.with_name('spy')
        self._spy.mkdir()
        (self._spy / 'sitecustomize.py').write_text(SPY)
        self._look_ups = self._spy / 'look_ups'

    def environment(self) -> dict[str, str]:
        """Return the environment that the processes need."""
        kept = {name: value for name, value in os.environ.items()
                if name not in (*SERVERS, *OWN)}
        path = os.pathsep.join(filter(None, (str(self._spy), os.environ.get('PYTHONPATH'))))
        return {**kept, 'HOME': str(self.folder), 'PYTHONPATH': path,
                'LOOK_UPS': str(self._look_ups)}

    def lookups(self) -> list[str]:
        """Return the hosts that Python code has looked up."""
        return self._look_ups.read_text().split() if self._look_ups.is_file() else []

    def files(self) -> list[Path]:
        """Return the files in the home folder, relative to it."""
        return sorted(path.relative_to(self.folder) for path in self.folder.rglob('*')
                      if not path.is_dir())
