# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Random damage to the content of a file."""

import random

WIDE = (b'\xff' * 8, b'\xff' * 7 + b'\x7f', bytes(8), (1 << 31).to_bytes(8, 'little'),
        (1 << 31).to_bytes(8, 'big'))


def mutate(content: bytes, rng: random.Random) -> bytes:
    """Return content of which bytes are flipped, cut, inserted, repeated or made a length."""
    place = rng.randrange(len(content) or 1)
    if rng.random() < 0.5:
        place = rng.randrange(min(len(content), 5000) or 1)  # where headers are
    before, behind = content[:place], content[place:]
    return rng.choice((
        lambda: before + bytes(byte ^ 1 << rng.randrange(8) for byte in behind[:1]) + behind[1:],
        lambda: before, lambda: behind,
        lambda: before + rng.randbytes(rng.choice((1, 99))) + behind,
        lambda: before + behind[:500] + behind, lambda: before + rng.choice(WIDE) + behind[8:]))()
