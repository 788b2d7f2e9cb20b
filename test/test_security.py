# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The SROS 2 policy is one that `ros2 security create_permission` takes, and grants no more."""

from collections import Counter
import re
import xml.etree.ElementTree as ET

import pytest
from segret_ros.files.share import share_directory

POLICY = share_directory() / 'config' / 'sros2_policy.xml'
# What each list may hold and grant in version 0.2.0 of the policy's schema.
LISTS = {'topics': ('topic', {'publish', 'subscribe'}),
         'services': ('service', {'request', 'reply'})}
NAME = re.compile(r'(~/|/)?[a-z][a-z0-9_]*(/[a-z][a-z0-9_]*)*')


@pytest.fixture(scope='module')
def policy() -> ET.Element:
    """Return the root of the policy."""
    return ET.parse(POLICY).getroot()


@pytest.fixture(scope='module')
def profile(policy: ET.Element) -> ET.Element:
    """Return the profile of the node, after checking the way to it."""
    assert (policy.tag, policy.attrib) == ('policy', {'version': '0.2.0'})
    enclaves, = policy
    enclave, = enclaves
    profiles, = enclave
    profile, = profiles
    assert [enclaves.tag, enclave.tag, profiles.tag, profile.tag] == [
        'enclaves', 'enclave', 'profiles', 'profile']
    assert enclave.attrib == {'path': '/segret'}
    assert profile.attrib == {'ns': '/', 'node': 'segret'}
    return profile


def test_each_list_holds_names_and_grants_rights_that_the_schema_knows(
        profile: ET.Element) -> None:
    assert {group.tag for group in profile} == set(LISTS)
    for group in profile:
        item, rights = LISTS[group.tag]
        assert group.attrib.keys() <= rights and len(group.attrib) == 1
        assert {entry.tag for entry in group} == {item}
        assert not any(entry.attrib or len(entry) for entry in group)


def test_the_node_may_answer_services_but_call_none(profile: ET.Element) -> None:
    granted = {(group.tag, *right) for group in profile for right in group.attrib.items()}
    assert granted == {('topics', 'subscribe', 'ALLOW'), ('topics', 'publish', 'ALLOW'),
                       ('services', 'reply', 'ALLOW')}


def test_every_name_is_whole_without_wildcards_and_granted_once(profile: ET.Element) -> None:
    names = [entry.text for group in profile for entry in group]
    assert not [name for name in names if not NAME.fullmatch(name)]
    assert not [name for name, count in Counter(names).items() if count > 1]
