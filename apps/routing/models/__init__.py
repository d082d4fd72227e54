"""Who may answer what (queues, hours), who is there (agents), what waits and rings (work), what is told (waits)."""

from __future__ import annotations

from .agents import Agent, AgentSkill, NotReadyReason, PresenceInterval
from .hours import Calendar, CalendarDay
from .policies import PolicyVersion
from .queues import InboxRoute, Need, PriorityLevel, Queue, Skill, Step
from .waits import Announcement, Callback, WaitTable
from .work import Decision, Item, ItemQuerySet, Offer, RouterLease

__all__ = [
    "Agent",
    "AgentSkill",
    "Announcement",
    "Calendar",
    "CalendarDay",
    "Callback",
    "Decision",
    "InboxRoute",
    "Item",
    "ItemQuerySet",
    "Need",
    "NotReadyReason",
    "Offer",
    "PolicyVersion",
    "PresenceInterval",
    "PriorityLevel",
    "Queue",
    "RouterLease",
    "Skill",
    "Step",
    "WaitTable",
]
