# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The licence header of the sources, as a plug-in of ament_copyright."""

from typing import NamedTuple


class License(NamedTuple):
    """The fields that ament_copyright reads; by itself it knows only the header of 13 lines."""

    name: str = 'Apache License, Version 2.0'
    spdx: str = 'Apache-2.0'
    file_headers: tuple[str, ...] = ('{copyright}\nSPDX-License-Identifier: Apache-2.0',)
    license_files: tuple[str, ...] = ()
    contributing_files: tuple[str, ...] = ()


APACHE_2 = License()
