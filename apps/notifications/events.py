"""What happens to reminders, campaigns and what goes out. Payloads hold ids and codes only."""

from __future__ import annotations

from dataclasses import dataclass

from apps.core.events import Fact


@dataclass(frozen=True)
class ReminderScheduled(Fact, type="notifications.reminder.scheduled"):
    reminder: int


@dataclass(frozen=True)
class ReminderCancelled(Fact, type="notifications.reminder.cancelled"):
    reminder: int


@dataclass(frozen=True)
class CampaignListChanged(Fact, type="notifications.campaign.list_changed"):
    """A list was uploaded or removed; `count` are the recipients that are new (or gone: below zero)."""

    campaign: int
    count: int


@dataclass(frozen=True)
class CampaignStarted(Fact, type="notifications.campaign.started"):
    campaign: int


@dataclass(frozen=True)
class CampaignPaused(Fact, type="notifications.campaign.paused"):
    campaign: int


@dataclass(frozen=True)
class CampaignResumed(Fact, type="notifications.campaign.resumed"):
    campaign: int


@dataclass(frozen=True)
class CampaignStopped(Fact, type="notifications.campaign.stopped"):
    """`cancelled` waited in the sending queue and never goes out."""

    campaign: int
    cancelled: int


@dataclass(frozen=True)
class CampaignFinished(Fact, type="notifications.campaign.finished"):
    """Whatever could go out has."""

    campaign: int


@dataclass(frozen=True)
class DeliveryDead(Fact, type="notifications.delivery.dead"):
    """It failed for good; `error` is an ErrorKind."""

    delivery: int
    way: str
    error: str


@dataclass(frozen=True)
class AnswerMoved(Fact, type="notifications.answer.moved"):
    """An agent's answer by e-mail or SMS went out, arrived, or did not; `state` is a DeliveryState."""

    delivery: int
    message: int
    state: str


@dataclass(frozen=True)
class WebhookDisabled(Fact, type="notifications.webhook.disabled"):
    """The receiver said that it is gone."""

    subscription: int


@dataclass(frozen=True)
class WebhookSecretRotated(Fact, type="notifications.webhook.secret_rotated"):
    """A new secret signs; those before do so for another day."""

    subscription: int


@dataclass(frozen=True)
class AppointmentMoved(Fact, type="notifications.appointment.moved"):
    """It takes place at another time; its reminders have moved with it."""

    appointment: int


@dataclass(frozen=True)
class InboxesBound(Fact, type="notifications.inboxes.bound"):
    """Answers in these inboxes go out by this gateway now, and in no others."""

    gateway: int
    inboxes: list[int]


@dataclass(frozen=True)
class QueueChanged(Fact, type="notifications.queue.changed"):
    """Somebody paused, resumed, slowed, revived or emptied a sending queue; `what` says which."""

    way: str
    priority: int
    what: str
    count: int


@dataclass(frozen=True)
class ConsentChanged(Fact, type="notifications.consent.changed"):
    customer: int
    purpose: int
    way: str
    is_wanted: bool
    source: str


@dataclass(frozen=True)
class TemplateChanged(Fact, type="notifications.template.changed"):
    template: int
    version: int


@dataclass(frozen=True)
class AddressSuppressed(Fact, type="notifications.address.suppressed"):
    """Nothing goes there any more; `reason` is a Reason."""

    suppression: int
    way: str
    reason: str


@dataclass(frozen=True)
class AddressReleased(Fact, type="notifications.address.released"):
    suppression: int
    way: str


@dataclass(frozen=True)
class NoticePut(Fact, type="notifications.notice.put"):
    """Something new in the notification centre of a user."""

    user: int


@dataclass(frozen=True)
class DeliveryReviewed(Fact, type="notifications.delivery.reviewed"):
    """Somebody decided about one delivery: sent_again, found_sent or dropped."""

    delivery: int
    what: str
