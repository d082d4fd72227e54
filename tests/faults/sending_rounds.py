"""Reminders go out while whatever sends them is killed, round after round: `python -m tests.faults.sending_rounds`.

In each round people are to be reminded at once by SMS (a provider that takes idempotency keys; in doubt it is asked
again) and by e-mail (SMTP knows no keys; in doubt it is held for review), and at a random moment one of the two
notifiers, the worker, the scheduler, PostgreSQL or RabbitMQ is killed (-9) and started again. In the end all is
counted: what arrived twice, and what is neither there nor held. Figures as JSON; exit code 1 when there is any such.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from tests.bench import ground, sink
from tests.faults.nursery import Nursery, nursery
from tests.faults.provider import Provider, serving

PEOPLE_PER_ROUND = 10
ROLES = ("notifier1", "notifier2", "worker", "scheduler")
# How often of a hundred; the servers take longer to come back than the rest.
VICTIMS = {"notifier1": 32, "notifier2": 32, "worker": 10, "scheduler": 6, "postgres": 15, "rabbitmq": 5}
LATEST_SECONDS = 1.2
RECOVERY_SECONDS = 240.0
TEXTS = {
    "sms": {"en": {"body": "Remember {reminder.note}"}},
    "email": {"en": {"subject": "Remember", "body": "Remember {reminder.note}"}},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 10**6))
    options = parser.parse_args()
    provider = Provider(options.seed)
    with ground.durable_servers(), sink.running() as mails, serving(provider) as port:
        ground.prepare_django(
            EML_EMAIL_URL=f"smtp://127.0.0.1:{mails.port}",
            EML_OUTGOING_HOSTS=f"127.0.0.1:{port}",
            EML_LOG_LEVEL="ERROR",
        )
        with nursery() as roles:
            storm = Storm(roles, random.Random(options.seed), provider_port=port)
            storm.rage(options.rounds)
            seconds = storm.recover()
            figures = storm.count(provider, mails)
    figures = {"seed": options.seed, "rounds": options.rounds, "recovery_seconds": round(seconds)} | figures
    print(json.dumps(figures), flush=True)
    sys.exit(bool(figures["faults"]))


class Storm:
    def __init__(self, roles: Nursery, chance: random.Random, *, provider_port: int) -> None:
        self._roles, self._chance = roles, chance
        self.kills: Counter[str] = Counter()
        self._coming_back: list[threading.Thread] = []
        _set_up(provider_port)
        for name in ROLES:
            roles.start(name)
        _wait_for_queues()

    def rage(self, rounds: int) -> None:
        for number in range(rounds):
            _patiently(lambda number=number: _make_due(number))
            time.sleep(self._chance.uniform(0, LATEST_SECONDS))
            victim = self._chance.choices(list(VICTIMS), list(VICTIMS.values()))[0]
            self._kill(victim)
            if number % 20 == 19:
                print(f"round {number + 1}: {dict(self.kills)}", file=sys.stderr, flush=True)

    def _kill(self, victim: str) -> None:
        self.kills[victim] += 1
        pause = self._chance.uniform(0, 0.5)
        if victim in ROLES:
            self._roles.kill(victim)
            time.sleep(pause)
            self._roles.start(victim)
        elif victim == "postgres":
            _servers("kill", victim)
            time.sleep(pause)
            _servers("start", victim)
            _forget_connections()
        else:
            # The broker takes its time, and nobody waits for it.
            self._wait_for_broker()
            _servers("kill", victim)
            back = threading.Thread(target=_servers, args=("start", victim))
            back.start()
            self._coming_back.append(back)

    def _wait_for_broker(self) -> None:
        for back in self._coming_back:
            back.join()
        self._coming_back.clear()

    def recover(self) -> float:
        """Until nothing is on its way any more; how long that took (seconds)."""
        self._wait_for_broker()
        began = time.monotonic()
        while _patiently(_are_open):
            if time.monotonic() - began > RECOVERY_SECONDS:
                break
            time.sleep(0.2)
        return time.monotonic() - began

    def count(self, provider: Provider, mails: sink.Sink) -> dict[str, Any]:
        from apps.notifications.models import Delivery

        states = {
            way: Counter(
                Delivery.objects.filter(way=way, slot_at__lte=_now()).values_list("state", flat=True)
            )
            for way in ("sms", "email")
        }
        texts = Counter(text for _, text in provider.taken)
        arrived = Counter(key for key, _ in mails.take())
        due = {way: sum(counted.values()) for way, counted in states.items()}
        faults = {
            "sms_doubles": sum(texts.values()) - len(texts),
            "sms_missing": due["sms"] - len(texts),
            "mail_doubles": sum(arrived.values()) - len(arrived),
            "mail_missing": _neither_there_nor_held(arrived),
            "not_recorded": due["sms"] + due["email"] - sum(map(_ended, states.values())),
            "not_carried_on": _not_carried_on(),
        }
        return {
            "kills": sum(self.kills.values()),
            "killed": dict(self.kills),
            "due": due,
            "sms_calls": provider.calls,
            "sms_repeats_with_the_same_key": provider.calls - len(provider.taken),
            "mails_held_for_review": states["email"]["review"],
            "given_up": states["sms"]["dead"] + states["email"]["dead"],
            **faults,
            "faults": [name for name, number in faults.items() if number],
        }


def _now() -> Any:
    from django.utils import timezone

    return timezone.now()


def _wait_for_queues() -> None:
    """RabbitMQ 3.10 may leave a quorum queue without a leader when it is killed while that is declared for the very
    first time (docs/operations.md). Nobody can help that but who installs it, and the storm is not about him."""
    from eml.celery import app

    until = time.monotonic() + 60
    while not all(map(_is_consumed, app.amqp.queues)):
        if time.monotonic() > until:
            raise RuntimeError("nobody takes from the queues")
        time.sleep(0.2)


def _is_consumed(queue: str) -> bool:
    from eml.celery import app

    with app.connection_for_read() as broker:
        try:
            return broker.default_channel.queue_declare(queue, passive=True).consumer_count > 0
        except broker.channel_errors:
            return False


def _set_up(provider_port: int) -> None:
    from apps.notifications.models import Gateway, Purpose, Template, TemplateVersion
    from apps.notifications.services import defaults

    defaults.create_queues()
    purpose = Purpose.objects.create(slug="storm", name="Storm")
    template = Template.objects.create(slug="storm", name="Storm", purpose=purpose, version=1)
    TemplateVersion.objects.create(template=template, number=1, texts=TEXTS)
    body = {"to": "{to}", "text": "{text}", "key": "{key}"}
    Gateway.objects.create(
        name="Provider",
        way="sms",
        kind="http",
        options={"url": f"http://127.0.0.1:{provider_port}/send", "body": body, "id_path": "id"},
        unknown_outcome="resend",
    )
    Gateway.objects.create(name=defaults.SMTP_NAME, way="email", kind="smtp", unknown_outcome="review")


def _make_due(number: int) -> None:
    """Daily reminders of new people, due now, with their deliveries: one commit, or nothing of it."""
    from django.db import transaction

    from apps.notifications.models import Reminder, Template, TemplateVersion
    from apps.notifications.services import deliveries
    from apps.users.models import ContactPoint, Customer

    if Customer.objects.filter(name=f"{number}-0").exists():
        return  # it was committed, and the answer was lost
    now = _now()
    slot = now.strftime("%Y-%m-%dT%H:%M")
    template = Template.objects.get(slug="storm")
    version = TemplateVersion.objects.get(template=template)
    with transaction.atomic():
        drafts = []
        for place in range(PEOPLE_PER_ROUND):
            name = f"{number}-{place}"
            customer = Customer.objects.create(name=name, language="en")
            for kind, value in (("email", f"{name}@example.org"), ("phone", f"+4930{number:05}{place:03}")):
                ContactPoint.objects.create(customer=customer, kind=kind, value=value)
            reminder = Reminder.objects.create(
                template=template,
                ways=["sms", "email"],
                customer=customer,
                note=name,
                date=now.date(),
                time=now.time().replace(second=0, microsecond=0),
                rrule="FREQ=DAILY",
                next_slot=slot,
                next_at=now,
            )
            drafts += [
                deliveries.Draft(
                    cause=f"reminder:{reminder.pk}",
                    occurrence=slot,
                    to=customer,
                    way=way,
                    at=now,
                    purpose_id=template.purpose_id,
                    template_version_id=version.pk,
                )
                for way in reminder.ways
            ]
        deliveries.make_many(drafts, now=now)


def _are_open() -> bool:
    from apps.notifications.models import Delivery, Reminder

    now = _now()
    # What failed for now may wait half an hour; what is due tomorrow is none of ours.
    coming = Delivery.objects.filter(state__in=("due", "sending"), due_at__lte=now + timedelta(hours=2))
    return coming.exists() or Reminder.objects.active().filter(next_at__lte=now).exists()


def _ended(states: Counter[str]) -> int:
    """Gone out, held for a person, or (after seven tries that were all broken off) given up where people see it."""
    return states["sent"] + states["review"] + states["dead"]


def _neither_there_nor_held(arrived: Counter[str]) -> int:
    from apps.notifications.models import Delivery

    mails = Delivery.objects.filter(way="email", slot_at__lte=_now())
    return sum(row.key not in arrived and row.state != "review" for row in mails)


def _not_carried_on() -> int:
    """Reminders without exactly one delivery for each way tomorrow."""
    from apps.notifications.models import Delivery, Reminder

    coming = Counter(Delivery.objects.filter(slot_at__gt=_now()).values_list("cause", flat=True))
    return sum(coming[f"reminder:{pk}"] != 2 for pk in Reminder.objects.values_list("pk", flat=True))


def _patiently(do: Callable[[], Any]) -> Any:
    """Again, while the database comes back."""
    from django.db import DatabaseError, InterfaceError

    until = time.monotonic() + 60
    while True:
        try:
            return do()
        except (DatabaseError, InterfaceError):
            if time.monotonic() > until:
                raise
            _forget_connections()
            time.sleep(0.1)


def _forget_connections() -> None:
    from django.db import connection

    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]


def _servers(*arguments: str) -> None:
    done = subprocess.run(["tests/servers", *arguments], cwd=ground.ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"tests/servers {' '.join(arguments)}: {done.stderr[-2000:]}")


if __name__ == "__main__":
    main()
