"""The notification centre needs no provider: it works from the start."""

from __future__ import annotations

from django.db import migrations


def create(apps, schema_editor):
    gateways = apps.get_model("notifications", "Gateway")
    gateways.objects.get_or_create(name="Notification centre", defaults={"way": "in_app", "kind": "in_app"})


class Migration(migrations.Migration):
    dependencies = [("notifications", "0002_automation_repeats")]

    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
