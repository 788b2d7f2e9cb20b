# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Why frames have no labels, and labels no score: counted by reason, with the first place."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass

REJECTED, UNSCORED = 'rejected', 'unscored'  # frames without labels, and those without a score
MOST_REASONS = 50  # of a bag; what is in the data can make more
LONGEST = 200  # characters of a reason
OTHER = 'other reasons'


@dataclass
class Fault:
    """
    What befell some frames of a camera.

    :param kind: `REJECTED` or `UNSCORED`.
    :param first: where the first of them is, and what is wrong there.
    """

    camera: str
    kind: str
    reason: str
    count: int
    first: str


class Faults:
    """The faults of one bag, in the order in which they were met."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], Fault] = {}

    def add(self, camera: str, kind: str, reason: str, first: str, count: int = 1) -> None:
        """Count frames."""
        key = camera, kind, reason
        if key not in self._found and len(self._found) >= MOST_REASONS:
            reason, key = OTHER, (camera, kind, OTHER)
        self._found.setdefault(key, Fault(camera, kind, reason, 0, first)).count += count

    def as_json(self) -> list[dict]:
        """Return them as JSON values."""
        return [asdict(fault) for fault in self._found.values()]

    def add_json(self, faults: Iterable[dict]) -> None:
        """Add what `as_json` returned."""
        for fault in faults:
            self.add(**fault)


def short(reason: str) -> str:
    """Return a reason as one line of printable text."""
    text = ' '.join(reason.split())
    return ''.join(char if char.isprintable() else '\ufffd' for char in text)[:LONGEST]


def counts(faults: Iterable[dict], kind: str, camera: str | None = None) -> dict[str, int]:
    """Return the frames of a kind by reason, the most first; of one camera or of all."""
    found: Counter[str] = Counter()
    for fault in faults:
        if fault['kind'] == kind and camera in (None, fault['camera']):
            found[fault['reason']] += fault['count']
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
