# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The licence note at the top of the sources, as ament_copyright's plug-in of a licence."""

from typing import NamedTuple


class License(NamedTuple):
    """The fields that ament_copyright reads; it knows the note of thirteen lines alone."""

    name: str = 'Apache License, Version 2.0'
    spdx: str = 'Apache-2.0'
    file_headers: tuple[str, ...] = ('{copyright}\nSPDX-License-Identifier: Apache-2.0',)
    license_files: tuple[str, ...] = ()
    contributing_files: tuple[str, ...] = ()


APACHE_2 = License()
