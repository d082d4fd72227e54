"""Who may do what, as a table: one row per route, one column per actor.

A cell is the status of the answer for the actor's own team's object; `-` means: not let in at all, which is 401 from
the API, the sign-in page elsewhere, and 403 for people who are signed in with too low a role. What follows from a row
for another team's object and for one that is not there is in `expected` and is the same for all rows of a scope.
"""

from __future__ import annotations

import dataclasses
from enum import Enum

from .world import Actor, Whose

SIGN_IN = "sign-in"
VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")
STAFF = {Actor.AX, Actor.AY, Actor.SX, Actor.AD}
ADMINS_OWN = {Actor.SX, Actor.AD}


class Scope(Enum):
    TEAM = "another team's does not exist, but for administrators"
    MINE = "another's does not exist, for nobody"
    ALL = "belongs to no team"


class Door(Enum):
    API = "tokens; verbs it does not know are 405 for whoever is let in"
    CHAT = "the token of a visitor, and nothing else"
    CONSOLE = "sessions of agents; verbs it does not know are 405 for everybody"
    ACCOUNT = "sessions"
    ADMIN = "sessions of staff; like Django's admin it takes every verb but POST for a GET"


@dataclasses.dataclass(frozen=True)
class Row:
    door: Door
    verbs: dict[str, str]
    scope: Scope = Scope.TEAM
    # Answers to the verbs the row does not name, where the door's rule does not hold.
    other: str = ""
    # Answers for another team's object and for a missing one, where the scope's rule does not hold.
    foreign: dict[str, str] = dataclasses.field(default_factory=dict)
    missing: dict[str, str] = dataclasses.field(default_factory=dict)

    def own(self, verb: str, actor: Actor) -> str:
        if verb in self.verbs:
            return _cell(self.verbs[verb], actor)
        return self._unknown_verb(actor)

    def _unknown_verb(self, actor: Actor) -> str:
        if self.other:
            return _cell(self.other, actor)
        if self.door != Door.CONSOLE and all(_cell(row, actor) == "-" for row in self.verbs.values()):
            return "-"
        return "405"

    def expected(self, verb: str, actor: Actor, whose: Whose) -> str:
        cell = self.own(verb, actor)
        special = {Whose.FOREIGN: self.foreign, Whose.MISSING: self.missing}.get(whose, {})
        if verb in special:
            cell = _cell(special[verb], actor)
        elif cell not in ("-", "405") and verb in self.verbs:
            cell = self._elsewhere(cell, actor, whose)
        return self._not_let_in(actor) if cell == "-" else cell

    def _elsewhere(self, cell: str, actor: Actor, whose: Whose) -> str:
        if whose == Whose.OWN or (whose == Whose.FOREIGN and self.scope == Scope.ALL):
            return cell
        if whose == Whose.FOREIGN and self.scope == Scope.TEAM and actor == Actor.AD:
            return cell
        return "404"

    def _not_let_in(self, actor: Actor) -> str:
        if self.door == Door.CHAT:
            return "401"
        if self.door == Door.API:
            return "403" if actor in STAFF else "401"
        if self.door == Door.CONSOLE:
            return "403" if actor in STAFF else SIGN_IN
        return SIGN_IN if self.door == Door.ACCOUNT or actor not in ADMINS_OWN else "403"


def _cell(columns: str, actor: Actor) -> str:
    cells = columns.split()
    return cells[0] if len(cells) == 1 else cells[list(Actor).index(actor)]


def api(scope: Scope = Scope.TEAM, **more: object) -> Row:
    return _row(Door.API, scope, more)


def chat(scope: Scope = Scope.TEAM, **more: object) -> Row:
    return _row(Door.CHAT, scope, more)


def desk(scope: Scope = Scope.TEAM, **more: object) -> Row:
    return _row(Door.CONSOLE, scope, more)


def page(scope: Scope = Scope.ALL, **more: object) -> Row:
    return _row(Door.ACCOUNT, scope, more)


def admin(scope: Scope = Scope.ALL, **more: object) -> Row:
    return _row(Door.ADMIN, scope, more)


def _row(door: Door, scope: Scope, more: dict) -> Row:
    verbs = {verb: more.pop(verb) for verb in VERBS if verb in more}
    return Row(door, verbs, scope, **more)


ALL, MINE = Scope.ALL, Scope.MINE
#         AN  VA  AX  AY  SX  AD  DX
AGENTS = "-   -   200 200 200 200 -"
LEADERS = "-  -   -   -   200 200 -"
KNOWN = "-   -   405 405 405 405 -"
SIGNED = "-   -   200 200 200 200 -"

API_ROWS = {
    #                                     AN  VA  AX  AY  SX  AD  DX
    "auth-token": api(ALL, POST="400", other="405"),
    "auth-token-refresh": api(ALL, POST="400", other="405"),
    "auth-logout": api(ALL, POST="400", other="405"),
    "auth-ticket": api(POST=AGENTS),
    "me": api(GET=SIGNED, PATCH=SIGNED),
    "user-list": api(GET=AGENTS),
    "user-detail": api(GET=AGENTS),
    "team-list": api(GET=AGENTS),
    "team-detail": api(GET=AGENTS),
    # Agents read customers; a verb that writes is refused to them before it is known.
    "customer-list": api(GET=AGENTS, POST="-   -   -   -   201 201 -", other="-   -   -   -   405 405 -"),
    "customer-detail": api(GET=AGENTS, PATCH=LEADERS, other="-   -   -   -   405 405 -"),
    "customer-contacts": api(GET=KNOWN, POST="-   -   -   -   201 201 -", other="-   -   -   -   405 405 -"),
    "customer-consents": api(GET=AGENTS, PUT=LEADERS, other="-   -   -   -   405 405 -"),
    "customer-merge": api(GET=KNOWN, POST=LEADERS, other="-   -   -   -   405 405 -"),
    "customer-remove-contact": api(
        GET=KNOWN, DELETE="-   -   -   -   204 204 -", other="-   -   -   -   405 405 -"
    ),
    "conversation-list": api(GET=AGENTS),
    "conversation-detail": api(GET=AGENTS),
    # To speak in it one must be in its team; for whoever is not it does not exist, administrators included.
    "conversation-messages": api(GET=AGENTS, POST="-   -   201 201 403 404 -"),
    "conversation-notes": api(GET=AGENTS, POST="-   -   201 201 201 403 -"),
    "conversation-tags": api(PUT="-   -   200 200 200 403 -"),
    "conversation-close": api(POST=AGENTS),
    "conversation-read": api(POST="-   -   200 200 403 403 -"),
    "conversation-timeline": api(GET=AGENTS),
    "conversation-attachments": api(POST="-   -   201 201 403 403 -"),
    "conversation-decisions": api(GET=AGENTS),
    "conversation-transfer": api(POST="-   -   204 204 204 204 -"),
    # The agent named is of another team than the conversation then.
    "conversation-assign": api(
        POST="-   -   -   -   204 204 -", foreign={"POST": "-   -   -   -   404 400 -"}
    ),
    "conversation-end-wrap-up": api(POST="-   -   409 409 409 409 -"),
    "conversation-callback": api(POST="-   -   409 409 409 409 -"),
    "conversation-snooze": api(POST="-   -   204 204 204 204 -", DELETE="-   -   409 409 409 409 -"),
    "conversation-answers": api(GET=AGENTS),
    "conversation-follow-ups": api(POST="-   -   201 201 201 403 -"),
    "follow-up-list": api(GET=AGENTS),
    "follow-up-cancel": api(MINE, POST="-   -   200 200 404 404 -"),
    "customer-notifications": api(GET=AGENTS),
    # Agents read; a verb that writes is refused to them before it is known. They see reminders of their team's
    # conversations and their own, not of all customers.
    "reminder-list": api(GET=AGENTS, POST="-   -   -   -   201 201 -", other="-   -   -   -   405 405 -"),
    "reminder-detail": api(GET="-   -   404 404 200 200 -", other="-   -   -   -   405 405 -"),
    "reminder-reschedule": api(
        GET="-   -   405 405 405 405 -", POST="-   -   -   -   400 400 -", other="-   -   -   -   405 405 -"
    ),
    "reminder-cancel": api(GET=KNOWN, POST=LEADERS, other="-   -   -   -   405 405 -"),
    "reminder-ledger": api(GET="-   -   404 404 200 200 -", other="-   -   -   -   405 405 -"),
    "appointment-list": api(GET=AGENTS, POST="-   -   -   -   201 201 -", other="-   -   -   -   405 405 -"),
    "appointment-detail": api(GET=AGENTS, other="-   -   -   -   405 405 -"),
    "appointment-reschedule": api(GET=KNOWN, POST=LEADERS, other="-   -   -   -   405 405 -"),
    "appointment-cancel": api(GET=KNOWN, POST=LEADERS, other="-   -   -   -   405 405 -"),
    "callback-list": api(GET=AGENTS),
    "callback-detail": api(GET=AGENTS),
    "campaign-list": api(GET=LEADERS),
    "campaign-detail": api(GET=LEADERS),
    "campaign-start": api(POST=LEADERS),
    # A draft; what has not been started is neither paused nor stopped.
    "campaign-pause": api(POST="-   -   -   -   409 409 -"),
    "campaign-resume": api(POST="-   -   -   -   409 409 -"),
    "campaign-stop": api(POST="-   -   -   -   409 409 -"),
    "attachment": api(GET=AGENTS),
    "disposition-list": api(GET=AGENTS),
    "canned-reply-list": api(GET=AGENTS),
    "queue-list": api(GET=AGENTS),
    "queue-targets": api(GET=AGENTS),
    "queue-try-it": api(POST=LEADERS),
    "queue-detail": api(GET=AGENTS),
    "not-ready-reason-list": api(GET=AGENTS),
    "not-ready-reason-detail": api(ALL, GET=AGENTS),
    "agent-list": api(GET=LEADERS),
    "agent-detail": api(GET=LEADERS, PATCH=LEADERS),
    "agent-day": api(GET=LEADERS),
    "agent-not-ready": api(POST=LEADERS),
    "agent-sign-out": api(POST=LEADERS),
    # Offers are for whoever is rung; supervisors see the line in the admin.
    "offer-list": api(MINE, GET=AGENTS),
    "offer-detail": api(MINE, GET="-   -   200 200 404 404 -"),
    "offer-accept": api(MINE, POST="-   -   200 200 404 404 -"),
    "offer-decline": api(MINE, POST="-   -   200 200 404 404 -"),
    "presence": api(GET=AGENTS, PUT=AGENTS),
    "presence-day": api(GET=AGENTS),
    # Whoever never signed in as an agent has no presence to renew.
    "presence-heartbeat": api(POST="-   -   204 204 409 409 -"),
    "chat-start": chat(ALL, POST="201", other="405"),
    "chat-availability": chat(ALL, GET="200", other="405"),
    "chat-conversation": chat(GET="-   200 -   -   -   -   -"),
    "chat-messages": chat(GET="-   200 -   -   -   -   -", POST="-   201 -   -   -   -   -"),
    "chat-attachments": chat(POST="-   201 -   -   -   -   -"),
    "chat-attachment": chat(GET="-   200 -   -   -   -   -"),
    "chat-read": chat(POST="-   200 -   -   -   -   -"),
    "chat-end": chat(POST="-   200 -   -   -   -   -"),
    "chat-rating": chat(POST="-   409 -   -   -   -   -"),
    "chat-wait": chat(GET="-   200 -   -   -   -   -"),
    # An agent has it: there is nothing to wait for.
    "chat-callback": chat(POST="-   409 -   -   -   -   -", DELETE="-   409 -   -   -   -   -"),
    # A token that is no good is refused even where none is needed.
    "api-schema": api(ALL, GET="200 200 200 200 200 200 -"),
    "api-root": api(ALL, GET="302 302 302 302 302 302 -"),
    "api-docs": api(ALL, GET="200 200 200 200 200 200 -"),
}

CONSOLE_ROWS = {
    #                               AN  VA  AX  AY  SX  AD  DX
    "console:desk": desk(GET=AGENTS),
    "console:nothing": desk(GET=AGENTS),
    "console:list": desk(GET=AGENTS),
    "console:line": desk(GET=AGENTS),
    "console:team": desk(GET=LEADERS),
    "console:queues": desk(GET=AGENTS),
    "console:presence": desk(GET=AGENTS, POST="-   -   302 302 302 302 -"),
    "console:offers": desk(GET=AGENTS),
    "console:accept": desk(MINE, POST="-   -   302 302 404 404 -"),
    "console:decline": desk(MINE, POST="-   -   302 302 404 404 -"),
    "console:notices": desk(ALL, GET=AGENTS, POST="-   -   302 302 302 302 -"),
    "console:notice": desk(MINE, POST="-   -   302 302 404 404 -"),
    "console:sign-out": desk(GET=AGENTS, POST=SIGN_IN),
    "console:conversation": desk(GET=AGENTS),
    "console:head": desk(GET=AGENTS),
    "console:composer": desk(GET=AGENTS),
    "console:details": desk(GET=AGENTS),
    "console:messages": desk(GET=AGENTS, POST="-   -   302 302 403 404 -"),
    "console:fates": desk(GET=AGENTS),
    "console:notes": desk(POST="-   -   302 302 302 403 -"),
    "console:read": desk(POST="-   -   204 204 403 403 -"),
    "console:canned": desk(GET=AGENTS),
    "console:upload": desk(POST="-   -   200 200 403 403 -"),
    "console:file": desk(GET=AGENTS),
    "console:tags": desk(GET="-   -   200 200 200 403 -", POST="-   -   302 302 302 403 -"),
    "console:transfer": desk(GET=AGENTS, POST="-   -   302 302 302 302 -"),
    "console:close": desk(GET=AGENTS, POST="-   -   302 302 302 302 -"),
    "console:later": desk(GET="-   -   200 200 200 403 -", POST="-   -   302 302 302 403 -"),
    "console:wake": desk(POST="-   -   409 409 409 409 -"),
    "console:follow-ups": desk(ALL, GET=AGENTS),
    "console:cancel-follow-up": desk(MINE, POST="-   -   302 302 404 404 -"),
    "console:callback": desk(POST="-   -   409 409 409 409 -"),
    "console:wrap-up": desk(POST="-   -   409 409 409 409 -"),
}

PAGE_ROWS = {
    #                                        AN  VA  AX  AY  SX  AD  DX
    # Providers call it, with a signature; this gateway does not exist.
    "hook": page(POST="404", other="405"),
    "jwks": page(GET="200", other="405"),
    "front": page(GET="200", other="200"),
    "chat": page(GET="200", other="405"),
    "chat-frame": page(GET="200", other="405"),
    "chat-widget": page(GET="200", other="405"),
    "health": page(GET="200", other="405"),
    "health-live": page(GET="200", other="405"),
    "health-ready": page(GET="200", other="405"),
    "prometheus-django-metrics": page(GET="200", other="200"),
    # The link is the key: whoever has it may, also without signing in, and nobody else.
    "preferences": page(GET="200", POST="302", other="405"),
    "unsubscribe": page(GET="200", POST="200", other="405"),
    "home": page(GET="-   -   302 302 302 302 -", other="405"),
    "profile": page(GET=SIGNED, POST=SIGNED, other="405"),
}

# allauth's pages. Nobody has set up a second factor, so there is none to look at.
#           AN  VA  AX  AY  SX  AD  DX
GUESTS = "200 200 302 302 302 302 200"
MEMBERS = "-   -   302 302 302 302 -"
NOTHING = "-   -   404 404 404 404 -"
ACCOUNT_ROWS = {
    "account_login": page(GET=GUESTS, POST=GUESTS, PUT=GUESTS, other="405 405 302 302 302 302 405"),
    "account_logout": page(GET="302 302 200 200 200 200 302", POST="302", other="405"),
    "account_inactive": page(GET="200", other="405"),
    "account_signup": page(GET=GUESTS, other=GUESTS),
    # Whoever has just not said his password is asked for it first.
    "account_reauthenticate": page(GET=SIGNED, POST=SIGNED, PUT=SIGNED),
    "account_email": page(GET=SIGNED, POST=MEMBERS, PUT=MEMBERS),
    "account_email_verification_sent": page(GET="200", other="405"),
    "account_change_password": page(GET=SIGNED, POST=SIGNED, PUT=SIGNED),
    "account_set_password": page(GET=MEMBERS, other=MEMBERS),
    "account_reset_password": page(GET="200", POST="200", PUT="200", other="405"),
    "account_confirm_login_code": page(GET="302", other="302"),
    "account_confirm_email": page(GET="200", POST="404", other="405"),
    "account_reset_password_from_key": page(GET="200", other="200"),
    "account_reset_password_from_key_done": page(GET="200", other="405"),
    "account_reset_password_done": page(GET="200", other="405"),
    "mfa_index": page(GET=SIGNED),
    "mfa_authenticate": page(GET="302", other="302"),
    "mfa_reauthenticate": page(GET=MEMBERS, other=MEMBERS),
    "mfa_activate_totp": page(GET=MEMBERS, other=MEMBERS),
    "mfa_deactivate_totp": page(GET=NOTHING, other=NOTHING),
    "mfa_view_recovery_codes": page(GET=NOTHING),
    "mfa_generate_recovery_codes": page(GET=MEMBERS, other=MEMBERS),
    "mfa_download_recovery_codes": page(GET=NOTHING, other=NOTHING),
    "socialaccount_login_cancelled": page(GET="200", other="405"),
    "socialaccount_login_error": page(GET="401", other="405"),
    "socialaccount_signup": page(GET="302", other="302"),
    "socialaccount_connections": page(GET=SIGNED, POST="-   -   400 400 400 400 -", PUT=SIGNED),
    "/account/social/login/cancelled/": page(GET="301", other="301"),
    "/account/social/login/error/": page(GET="301", other="301"),
    "/account/social/signup/": page(GET="301", other="301"),
    "/account/social/connections/": page(GET="301", other="301"),
    # No provider is set up, so none exists.
    "openid_connect_login": page(GET="404", other="404"),
    "openid_connect_callback": page(GET="404", other="404"),
    "usersessions_list": page(GET=SIGNED, POST=MEMBERS, PUT=MEMBERS),
}

ADMIN_ROWS = {
    #                                 AN  VA  AX  AY  SX  AD  DX
    "admin-overview": page(GET="403 403 403 403 200 200 403", other="405"),
    "admin:routing_queue_try": admin(GET=LEADERS, other="-   -   -   -   405 405 -"),
    # They ask first, whatever is sent.
    "admin:messaging_conversation_give_it_to_an_agent": admin(Scope.TEAM, **dict.fromkeys(VERBS, LEADERS)),
    "admin:messaging_conversation_take_it_over": admin(Scope.TEAM, **dict.fromkeys(VERBS, LEADERS)),
    "admin:routing_agent_day": admin(Scope.TEAM, GET=LEADERS, other="-   -   -   -   405 405 -"),
    "admin:index": admin(GET=LEADERS, other=LEADERS),
    "admin:search": admin(GET=LEADERS, other=LEADERS),
    "admin:app_list": admin(GET=LEADERS, other=LEADERS),
    "admin:jsi18n": admin(GET=LEADERS),
    # Asks by parameters which model is meant; see test_matrix for what it finds.
    "admin:autocomplete": admin(GET="-   -   -   -   403 403 -"),
    "admin:view_on_site": admin(GET="-   -   -   -   404 404 -", other="-   -   -   -   404 404 -"),
    "admin:login": admin(GET="302 302 403 403 302 302 302", other="302 302 403 403 302 302 302"),
    "admin:logout": admin(GET="302 302 302 302 405 405 302", POST="302", other="302 302 302 302 405 405 302"),
    "admin:password_change": admin(GET="-   -   -   -   302 302 -", other="-   -   -   -   302 302 -"),
    "admin:password_change_done": admin(GET=LEADERS),
    "admin:notifications_template_preview": admin(
        POST="-   -   -   -   200 200 -", other="-   -   -   -   405 405 -"
    ),
    "admin:notifications_template_test": admin(
        POST="-   -   -   -   200 200 -", other="-   -   -   -   405 405 -"
    ),
    "admin:notifications_templateversion_restore": admin(
        POST="-   -   -   -   302 302 -", other="-   -   -   -   405 405 -"
    ),
    "admin:core_errorgroup_acknowledge": admin(
        POST="-   -   -   -   302 302 -", other="-   -   -   -   405 405 -"
    ),
    "admin:notifications_delivery_customer": admin(
        Scope.TEAM, GET=LEADERS, other="-   -   -   -   405 405 -"
    ),
    "admin:messaging_arrival_accept": admin(
        Scope.TEAM, POST="-   -   -   -   302 302 -", other="-   -   -   -   405 405 -"
    ),
    "admin:messaging_arrival_drop": admin(
        Scope.TEAM, POST="-   -   -   -   302 302 -", other="-   -   -   -   405 405 -"
    ),
    # Gateways are an administrator's.
    "admin:notifications_gateway_test": admin(
        GET="-   -   -   -   -   200 -", POST="-   -   -   -   -   200 -", other="-   -   -   -   405 405 -"
    ),
    "admin:notifications_segment_count": admin(
        POST="-   -   -   -   200 200 -", other="-   -   -   -   405 405 -"
    ),
    "admin:notifications_campaign_progress": admin(
        Scope.TEAM, GET=LEADERS, other="-   -   -   -   405 405 -"
    ),
    "admin:notifications_campaign_results": admin(Scope.TEAM, GET=LEADERS, other="-   -   -   -   405 405 -"),
    "admin:notifications_campaign_upload": admin(Scope.TEAM, GET=LEADERS, POST=LEADERS, other=LEADERS),
    "admin:notifications_campaign_start": admin(
        Scope.TEAM, GET=LEADERS, POST="-   -   -   -   302 302 -", other=LEADERS
    ),
    "admin:notifications_campaign_pause": admin(
        Scope.TEAM, POST="-   -   -   -   302 302 -", other="-   -   -   -   405 405 -"
    ),
    "admin:notifications_campaign_resume": admin(
        Scope.TEAM, POST="-   -   -   -   302 302 -", other="-   -   -   -   405 405 -"
    ),
    "admin:notifications_campaign_stop": admin(
        Scope.TEAM, GET=LEADERS, POST="-   -   -   -   302 302 -", other=LEADERS
    ),
    "/admin/%(url)s": admin(GET="-   -   -   -   404 404 -", other="-   -   -   -   404 404 -"),
}


@dataclasses.dataclass(frozen=True)
class Model:
    """What supervisors (of the row's team) and administrators may do with the rows of a model in the admin."""

    key: str
    supervisor: str
    administrator: str
    scope: Scope = Scope.TEAM
    has_history: bool = False
    # Its history is the event log: the page leads there.
    is_logged: bool = False
    # Rows that others lean on are not deleted although the right is there.
    leaned_on: bool = False
    # A form without anything in it is a good one.
    may_be_empty: bool = False
    # An empty form is a good one: its page saves it and goes back to the list.
    saves_empty: bool = False


READ, SET_UP, TIDY = "view", "view add change", "view add change delete"
MODELS = {
    "core_event": Model("event", READ, READ),
    "core_handling": Model("handling", READ, READ),
    "core_errorgroup": Model("error", READ, READ, ALL),
    "axes_accessattempt": Model("attempt", "", "view delete", ALL),
    "django_celery_beat_periodictask": Model("task", "", READ, ALL),
    "users_customer": Model("customer", SET_UP, SET_UP, has_history=True, may_be_empty=True),
    "users_user": Model("user", SET_UP, SET_UP, has_history=True),
    "users_team": Model("team", SET_UP, TIDY, leaned_on=True),
    "messaging_conversation": Model("conversation", READ, READ),
    "messaging_arrival": Model("arrival", READ, READ),
    "messaging_inbox": Model("inbox_row", SET_UP, SET_UP, has_history=True),
    "messaging_cannedreply": Model("canned", TIDY, TIDY, has_history=True),
    "messaging_disposition": Model("disposition", SET_UP, SET_UP, ALL),
    "messaging_tag": Model("tag", TIDY, TIDY, ALL),
    "notifications_template": Model("template", SET_UP, SET_UP, ALL),
    "notifications_templateversion": Model("template_version", READ, READ, ALL),
    "notifications_purpose": Model("purpose", SET_UP, SET_UP, ALL, has_history=True),
    "notifications_preference": Model("preference", "view add", "view add"),
    "notifications_gateway": Model("gateway_row", "", SET_UP, ALL, has_history=True),
    "notifications_webhooksubscription": Model("webhook", "", SET_UP, ALL),
    "notifications_suppression": Model("suppression", "view add delete", "view add delete", ALL),
    "notifications_reminder": Model("reminder", "view add", "view add"),
    "notifications_appointment": Model("appointment", SET_UP, SET_UP),
    "notifications_segment": Model("segment", SET_UP, TIDY, has_history=True),
    "notifications_campaign": Model("campaign", SET_UP, SET_UP),
    "notifications_sendingqueue": Model(
        "sending", "view change", "view change", ALL, is_logged=True, saves_empty=True
    ),
    "notifications_delivery": Model("delivery", READ, READ),
    "notifications_outboxmessage": Model("outbox", READ, READ),
    "notifications_automation": Model("automation", SET_UP, TIDY, ALL, has_history=True),
    "routing_agent": Model("agent", SET_UP, SET_UP),
    "routing_calendar": Model("calendar", TIDY, TIDY, ALL, has_history=True),
    "routing_callback": Model("callback", READ, READ),
    "routing_decision": Model("decision", READ, READ),
    "routing_item": Model("item", READ, READ),
    "routing_policyversion": Model("version", READ, READ),
    "routing_queue": Model("queue", SET_UP, SET_UP, has_history=True),
    "routing_skill": Model("skill", SET_UP, TIDY, ALL),
    "routing_notreadyreason": Model("reason", SET_UP, SET_UP, ALL),
}
ROWS = API_ROWS | CONSOLE_ROWS | PAGE_ROWS | ACCOUNT_ROWS | ADMIN_ROWS
