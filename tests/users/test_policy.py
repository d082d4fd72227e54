"""Z12 as pure rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.users import policy
from apps.users.choices import Role

pytestmark = pytest.mark.embedded

some_role = st.sampled_from([None, *Role])
some_teams = st.frozensets(st.integers(1, 5))


@given(by=some_role, old=some_role, new=some_role)
def test_nobody_grants_or_takes_what_is_above_him(by, old, new):
    if policy.may_grant(by=by, old=old, new=new):
        assert policy.rank(by) >= policy.rank(old)
        assert policy.rank(by) >= policy.rank(new)
        assert by in (Role.SUPERVISOR, Role.ADMIN)


@given(old=some_role, new=some_role)
def test_administrators_grant_everything_and_agents_nothing(old, new):
    assert policy.may_grant(by=Role.ADMIN, old=old, new=new)
    assert not policy.may_grant(by=Role.AGENT, old=old, new=new)
    assert not policy.may_grant(by=None, old=old, new=new)


@given(by=some_role, user=some_role, shares=st.booleans())
def test_only_administrators_manage_people_of_other_teams(by, user, shares):
    expected = by == Role.ADMIN or (by == Role.SUPERVISOR and shares and user != Role.ADMIN)
    assert policy.may_manage(by=by, user=user, shares_team=shares) is expected


@given(by=some_role, own=some_teams, changed=some_teams)
def test_supervisors_move_people_between_their_own_teams_only(by, own, changed):
    expected = by == Role.ADMIN or (by == Role.SUPERVISOR and changed <= own)
    assert policy.may_change_teams(by=by, own=own, changed=changed) is expected


@given(st.lists(st.sampled_from(list(Role))))
def test_the_highest_role_is_one_of_them_and_none_is_above_it(roles):
    highest = policy.highest(roles)
    assert (highest is None) == (not roles)
    assert all(policy.rank(role) <= policy.rank(highest) for role in roles)


def test_work_begins_where_the_role_belongs():
    assert policy.home_path(Role.AGENT) == "/console/"
    assert policy.home_path(Role.SUPERVISOR) == policy.home_path(Role.ADMIN) == "/admin/"
    assert policy.home_path(None) == "/account/profile/"
