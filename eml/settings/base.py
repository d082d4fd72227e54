"""What the program is made of, and where its data lives."""

from __future__ import annotations

from pathlib import Path

from . import env
from .env import BASE_DIR

VAR = env.folder("EML_VAR", str(BASE_DIR / "var"))
HOST = env.text("EML_HOST", "127.0.0.1")
PORT = env.number("EML_PORT", 8000, least=1, most=65535)
BASE_URL = env.url("EML_BASE_URL", f"http://{HOST}:{PORT}", {"http", "https"}).rstrip("/")
EMBEDDED = not env.text("DATABASE_URL")
DEBUG = env.flag("EML_DEBUG", False)
# The demo (known passwords) exists only in the default profile, unless switched off there too.
DEMO = EMBEDDED and env.flag("EML_DEMO", True)

SECRET_KEY = env.kept_secret("EML_SECRET_KEY", VAR / "secret_key", may_create=EMBEDDED, make=env.random_key)
SECRET_KEY_FALLBACKS = env.words("EML_SECRET_KEY_FALLBACKS")

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "unfold.contrib.inlines",
    "unfold.contrib.simple_history",
    "eml.admin_site.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.usersessions",
    "axes",
    "channels",
    "corsheaders",
    "csp",
    "django_celery_beat",
    "django_filters",
    "django_htmx",
    "django_prometheus",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "rest_framework_simplejwt.token_blacklist",
    "simple_history",
    "apps.core",
    "apps.users",
    "apps.messaging",
    "apps.routing",
    "apps.notifications",
    "apps.reports",
    "apps.console",
    "eml",
]

MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "apps.core.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "csp.middleware.CSPMiddleware",
    "apps.core.admin_policy.AdminPolicy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "apps.users.middleware.ViewerMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

ROOT_URLCONF = "eml.urls"
ASGI_APPLICATION = "eml.asgi.application"
WSGI_APPLICATION = "eml.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
            ],
        },
    }
]

SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;PRAGMA foreign_keys=ON;"
    "PRAGMA mmap_size=134217728;PRAGMA cache_size=-20000;"
)
# A stuck lock or a runaway query answers 503 in seconds instead of holding a connection.
POSTGRES_LIMITS = "-c statement_timeout=5s -c lock_timeout=2s -c idle_in_transaction_session_timeout=10s"


def _database() -> dict:
    config = env.database("DATABASE_URL", f"sqlite:///{VAR / 'db.sqlite3'}")
    if config["ENGINE"].endswith("sqlite3"):
        options = {"timeout": 20, "transaction_mode": "IMMEDIATE", "init_command": SQLITE_PRAGMAS}
        # Tests use threads, and those don't mix with SQLite's shared in-memory cache: a file.
        return config | {"OPTIONS": options, "TEST": {"NAME": str(VAR / "test.sqlite3")}}
    pool = {"min_size": 1, "max_size": env.number("EML_DB_POOL", 12, least=2, most=500), "timeout": 3}
    return config | {"CONN_MAX_AGE": 0, "OPTIONS": {"pool": pool, "options": POSTGRES_LIMITS}}


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TIME_ZONE = env.zone("EML_TIME_ZONE", "UTC")
USE_TZ = True
USE_I18N = True
# Texts are marked for translation; a language appears here when its catalogue does.
LANGUAGES = [("en", "English")]
LANGUAGE_CODE = env.one_of("EML_LANGUAGE", "en", {code for code, _ in LANGUAGES})
LOCALE_PATHS = [BASE_DIR / "eml" / "locale"]

STATIC_URL = "/static/"
STATIC_ROOT = VAR / "static"
# whitenoise complains at every start about a folder that is not there yet.
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
STATICFILES_DIRS = [BASE_DIR / "static"]
MEDIA_ROOT = Path(env.text("EML_MEDIA_ROOT", str(VAR / "media")))
# After `collectstatic` files are served hashed, compressed and cached for ever; before it, as they lie in the tree.
COLLECTED = (STATIC_ROOT / "staticfiles.json").exists() or env.flag("EML_COLLECTSTATIC", False)
WHITENOISE_USE_FINDERS = not COLLECTED
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if COLLECTED
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

ATTACHMENT_MAX_BYTES = env.number("EML_ATTACHMENT_MAX_MB", 10, least=1, most=100) * 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 500

vars().update(env.mail("EML_EMAIL_URL", "consolemail://"))
DEFAULT_FROM_EMAIL = env.text("EML_EMAIL_FROM", "EML <no-reply@localhost>")

# How long it is kept, in days; 0 is for ever.
KEEP_DAYS = {
    "decisions": env.number("EML_KEEP_DECISIONS_DAYS", 90, most=36_500),
    "presence": env.number("EML_KEEP_PRESENCE_DAYS", 730, most=36_500),
    "callbacks": env.number("EML_KEEP_CALLBACKS_DAYS", 365, most=36_500),
    "lists": env.number("EML_KEEP_LISTS_DAYS", 365, most=36_500),
    "events": env.number("EML_KEEP_EVENTS_DAYS", 0, most=36_500),
}
