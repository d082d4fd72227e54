"""What works without being set up: the notification centre, and one sending queue for each way and priority."""

from __future__ import annotations

from django.db import migrations

WAYS = ("email", "sms", "in_app", "webhook")
PRIORITIES = (0, 1, 2)


def create(apps, schema_editor):
    gateways = apps.get_model("notifications", "Gateway")
    gateways.objects.get_or_create(name="Notification centre", defaults={"way": "in_app", "kind": "in_app"})
    queues = apps.get_model("notifications", "SendingQueue")
    for way in WAYS:
        for priority in PRIORITIES:
            queues.objects.get_or_create(way=way, priority=priority)


class Migration(migrations.Migration):
    dependencies = [("notifications", "0001_initial")]

    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
