"""Templates and their versions: saving texts makes a new version, and nothing ever changes an old one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F

from apps.core import events
from apps.core.events import Actor
from apps.users.models import User

from .. import errors, texts
from ..events import TemplateChanged
from ..models import Template, TemplateVersion

FIELDS = frozenset({"slug", "name", "purpose", "is_active"})


def create(*, texts: Mapping[str, Any], by: Actor, now: datetime, **fields: Any) -> Template:
    """A new template with its first version. TextsInvalid says what is wrong with its texts."""
    return _save(Template(), said=texts, by=by, now=now, fields=fields)


def update(
    template: Template,
    *,
    by: Actor,
    now: datetime,
    texts: Mapping[str, Any] | None = None,
    version: int | None = None,
    **fields: Any,
) -> Template:
    """Change a template. Other texts make a new version; the same ones don't. With `version`, only if it is still the
    one in force: else TemplateStale."""
    with transaction.atomic():
        row = Template.objects.select_for_update().get(pk=template.pk)
        if version is not None and version != row.version:
            raise errors.TemplateStale
        return _save(row, said=texts, by=by, now=now, fields=fields)


def restore(template: Template, *, number: int, by: Actor, now: datetime) -> Template:
    """The texts of an old version hold again, as a new version."""
    old = TemplateVersion.objects.filter(template=template, number=number).first()
    if old is None:
        raise errors.VersionNotFound
    return update(template, texts=old.texts, by=by, now=now)


def current(template: Template) -> TemplateVersion | None:
    """The version in force; what is written from now on names it."""
    return TemplateVersion.objects.filter(template=template, number=template.version).first()


def current_of(template_ids: Collection[int]) -> dict[int, int]:
    """The ids of the versions in force, by template."""
    in_force = TemplateVersion.objects.filter(template__in=template_ids, number=F("template__version"))
    return dict(in_force.values_list("template_id", "id"))


def _save(
    template: Template, *, said: Mapping[str, Any] | None, by: Actor, now: datetime, fields: dict[str, Any]
) -> Template:
    if unknown := fields.keys() - FIELDS:
        raise TypeError(f"templates have no {', '.join(sorted(unknown))} to change")
    for name, value in fields.items():
        setattr(template, name, value)
    kept = None if said is None else texts.checked(said)
    with transaction.atomic():
        before = current(template) if template.pk else None
        is_new = kept is not None and (before is None or before.texts != kept)
        template.version += is_new
        template.save()
        if is_new:
            _add_version(template, kept or {}, by=by, now=now)
        return template


def _add_version(template: Template, kept: texts.Texts, *, by: Actor, now: datetime) -> None:
    TemplateVersion.objects.create(
        template=template,
        number=template.version,
        texts=kept,
        by=by if isinstance(by, User) else None,
        at=now,
    )
    fact = TemplateChanged(template=template.pk, version=template.version)
    events.record(fact, stream=f"template:{template.pk}", actor=by)
