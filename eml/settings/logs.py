"""Logs: lines for people by default, Elastic Common Schema JSON for ELK; never bodies, phones, e-mails or tokens."""

from __future__ import annotations

from . import env

LOG_FORMAT = env.one_of("EML_LOG_FORMAT", "console", {"console", "json"})
LOG_LEVEL = env.one_of("EML_LOG_LEVEL", "INFO", {"DEBUG", "INFO", "WARNING", "ERROR"})

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"private": {"()": "apps.core.logs.PrivacyFilter"}},
    "formatters": {
        "console": {"()": "apps.core.logs.console_formatter"},
        "json": {"()": "apps.core.logs.ecs_formatter"},
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT, "filters": ["private"]},
        # Before the privacy filter would fill in arguments: of a line only its constant text is kept.
        "database": {"()": "apps.core.error_log.Recorder"},
    },
    "root": {"handlers": ["database", "stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django.server": {"level": "WARNING"},
        "daphne": {"level": "WARNING"},
        "celery": {"level": "WARNING"},
        "kombu": {"level": "WARNING"},
        "django_celery_beat": {"level": "WARNING"},
        "axes": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},
        # The access line tells the status; Django's own warning would repeat it with the address as it was typed.
        "django.request": {"level": "ERROR"},
        "django.security": {"level": "ERROR"},
    },
}
