"""One sending queue for each way and priority, there from the start."""

from __future__ import annotations

from django.db import migrations

WAYS = ("email", "sms", "in_app", "webhook")
PRIORITIES = (0, 1, 2)


def create(apps, schema_editor):
    queues = apps.get_model("notifications", "SendingQueue")
    for way in WAYS:
        for priority in PRIORITIES:
            queues.objects.get_or_create(way=way, priority=priority)


class Migration(migrations.Migration):
    dependencies = [("notifications", "0005_outbox_and_paces")]

    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
