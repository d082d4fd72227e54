"""Who may do what with a conversation he can see."""

from __future__ import annotations

from apps.users.choices import Role
from apps.users.models import User

from .. import errors
from ..models import Conversation


def check_own(conversation: Conversation, *, by: User) -> None:
    """Raises NotYourConversation unless it is in his hands."""
    if conversation.agent_id != by.pk:
        raise errors.NotYourConversation


def check_member(conversation: Conversation, *, by: User) -> None:
    """Raises NotYourTeam: an administrator sees every conversation, but notes and tags are the team's."""
    if not by.teams.filter(pk=conversation.team_id).exists():
        raise errors.NotYourTeam


def check_may_close(conversation: Conversation, *, by: User) -> None:
    """Agents close their own; supervisors whatever they see."""
    if not by.has_role(Role.SUPERVISOR):
        check_own(conversation, by=by)
