"""Serializers that take what is meant and nothing else: no unknown names, no guessed types."""

from __future__ import annotations

import json
import math
import re
import unicodedata
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast
from zoneinfo import available_timezones

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

_INT32 = 2**31
# Dates outside are typing errors, and some of them no database or time zone can hold.
_FIRST_YEAR, _LAST_YEAR = 1900, 2200
_MOST_NAMES, _NAME_CHARACTERS = 20, 100
_OFFSET = re.compile(r"(?:Z|[+-]\d\d:?\d\d)$", re.IGNORECASE | re.ASCII)


class MaxBytes:
    """Limits text by what it costs to store: one visible character may be made of thousands of code points."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def __call__(self, value: str) -> None:
        if len(value.encode()) > self.limit:
            message = _("This must not be longer than %(limit)s bytes.") % {"limit": self.limit}
            raise DjangoValidationError(message, code="max_bytes")


class StrictIntegerField(serializers.IntegerField):
    """An integer is an integer: not `true`, "1" or 1.0. 32 bits unless bounds are given."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("min_value", -_INT32)
        kwargs.setdefault("max_value", _INT32 - 1)
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self.fail("invalid")
        return data


class StrictFloatField(serializers.FloatField):
    def to_internal_value(self, data: Any) -> float:
        if type(data) not in (int, float) or not math.isfinite(data):
            self.fail("invalid")
        return float(data)


class StrictBooleanField(serializers.BooleanField):
    def to_internal_value(self, data: Any) -> bool:
        if type(data) is not bool:
            self.fail("invalid", input=type(data).__name__)
        return data


class StrictText(serializers.CharField):
    """Base of all text: a string, kept byte for byte. `max_length` counts code points, `max_bytes` bytes."""

    def __init__(self, *, max_bytes: int | None = None, **kwargs: Any) -> None:
        kwargs.setdefault("trim_whitespace", False)
        super().__init__(**kwargs)
        if max_bytes is not None:
            self.validators.append(MaxBytes(max_bytes))

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if isinstance(data, str) and not self.allow_blank and not data.strip():
            self.fail("blank")
        return super().run_validation(data)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictCharField(StrictText):
    """Any text, several lines too."""


class LineField(StrictText):
    """Text for one line: names, subjects and whatever else may end up in a header."""

    default_error_messages = {"control": _("Line breaks and control characters are not allowed here.")}

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in text):
            self.fail("control")
        return text


class StrictEmailField(LineField, serializers.EmailField):
    pass


class StrictURLField(LineField, serializers.URLField):
    pass


class StrictSlugField(LineField, serializers.SlugField):
    pass


class ZoneField(LineField):
    """An IANA time zone such as Europe/Berlin."""

    default_error_messages = {"zone": _("There is no time zone of this name.")}

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", 64)
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> str:
        name = super().to_internal_value(data)
        if name and name not in available_timezones():
            self.fail("zone")
        return name


class StrictUUIDField(serializers.UUIDField):
    """Only the usual spelling with hyphens: one identifier must not come in five."""

    def to_internal_value(self, data: Any) -> uuid.UUID:
        if not isinstance(data, str) or len(data) != 36:
            self.fail("invalid", value=type(data).__name__)
        return super().to_internal_value(data)


class StrictDateTimeField(serializers.DateTimeField):
    """A moment in ISO 8601 with an offset; without one nobody knows which moment is meant."""

    default_error_messages = {
        "offset": _("Add Z or an offset such as +02:00."),
        "range": _("The year must be between {first} and {last}."),
    }

    def to_internal_value(self, value: Any) -> datetime:
        if not isinstance(value, str) or len(value) > 40 or not value.isascii():
            self.fail("invalid", format="YYYY-MM-DDThh:mm:ssZ")
        if not _OFFSET.search(value):
            self.fail("offset")
        moment = super().to_internal_value(value)
        if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
            self.fail("range", first=_FIRST_YEAR, last=_LAST_YEAR)
        return moment.astimezone(UTC)


class StrictChoiceField(serializers.ChoiceField):
    """A choice in its own type: 1 is not "1"."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str | int) or isinstance(data, bool):
            self.fail("invalid_choice", input=type(data).__name__)
        # A wrong value may be long; the answer quotes only its beginning.
        shown = str(data)[:_NAME_CHARACTERS]
        if data == "" and self.allow_blank:
            return ""
        value = self.choice_strings_to_values.get(str(data), serializers.empty)
        if value is serializers.empty or not isinstance(value, type(data)):
            self.fail("invalid_choice", input=shown)
        return value


class StrictJSONField(serializers.JSONField):
    """A free JSON object (the parser has looked at its characters, numbers and depth), limited in size."""

    default_error_messages = {
        "not_an_object": _("This must be a JSON object."),
        "max_bytes": _("This must not be longer than {limit} bytes."),
    }

    def __init__(self, *, max_bytes: int = 16_384, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.max_bytes = max_bytes

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail("not_an_object")
        if len(json.dumps(data, ensure_ascii=False).encode()) > self.max_bytes:
            self.fail("max_bytes", limit=self.max_bytes)
        return data


class StrictRelatedField(serializers.PrimaryKeyRelatedField):
    """A row by its key, in the key's own type; scope the queryset to who asks."""

    def to_internal_value(self, data: Any) -> Any:
        pk = cast(models.QuerySet, self.get_queryset()).model._meta.pk
        expected = int if isinstance(pk, models.IntegerField) else str
        if type(data) is not expected:
            self.fail("incorrect_type", data_type=type(data).__name__)
        try:
            return super().to_internal_value(data)
        except (DjangoValidationError, ValueError, OverflowError):
            self.fail("does_not_exist", pk_value=str(data)[:_NAME_CHARACTERS])


class Strict(serializers.Serializer):
    """Refuses names it does not know or does not let be written, before it looks at anything else."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            self._refuse_unknown(data)
        return super().to_internal_value(data)

    def _refuse_unknown(self, data: Mapping[str, Any]) -> None:
        known = self.fields
        refused: dict[str, list[ErrorDetail]] = {}
        for name in data:
            field = known.get(name)
            if field is None or isinstance(field, serializers.HiddenField):
                text = _("There is no such field.")
            elif field.read_only:
                text = _("This field cannot be set.")
            else:
                continue
            refused[name[:_NAME_CHARACTERS]] = [ErrorDetail(str(text), code="unknown_field")]
            if len(refused) == _MOST_NAMES:
                break
        if refused:
            raise ValidationError(refused)


class StrictSerializer(Strict):
    """For input and output that is no model."""


class StrictModelSerializer(Strict, serializers.ModelSerializer):
    """A model's fields, strictly typed."""

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.AutoField: StrictIntegerField,
        models.BigIntegerField: StrictIntegerField,
        models.IntegerField: StrictIntegerField,
        models.PositiveIntegerField: StrictIntegerField,
        models.PositiveSmallIntegerField: StrictIntegerField,
        models.SmallIntegerField: StrictIntegerField,
        models.BooleanField: StrictBooleanField,
        models.CharField: LineField,
        models.TextField: StrictCharField,
        models.EmailField: StrictEmailField,
        models.URLField: StrictURLField,
        models.SlugField: StrictSlugField,
        models.FloatField: StrictFloatField,
        models.DateTimeField: StrictDateTimeField,
        models.UUIDField: StrictUUIDField,
        models.JSONField: StrictJSONField,
    }
    serializer_choice_field = StrictChoiceField
    serializer_related_field = StrictRelatedField
