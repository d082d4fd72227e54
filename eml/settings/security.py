"""Who may come in, and what browsers are told. Default deny."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

from csp.constants import NONCE, NONE, SELF

from . import env
from .base import BASE_URL, EMBEDDED, HOST, VAR

HTTPS = BASE_URL.startswith("https://")

ALLOWED_HOSTS = env.words(
    "EML_ALLOWED_HOSTS", [urlsplit(BASE_URL).hostname or HOST, "127.0.0.1", "localhost"]
)
CSRF_TRUSTED_ORIGINS = env.words("EML_TRUSTED_ORIGINS", [BASE_URL])
CORS_ALLOWED_ORIGINS = env.words("EML_CORS_ORIGINS")
CORS_URLS_REGEX = r"^/api/"
# How many proxies of ours stand in front; their X-Forwarded-For entries are believed, nobody else's.
TRUSTED_PROXIES = env.number("EML_TRUSTED_PROXIES", 0, most=10)
if TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# Webhooks and gateways of the kind "http" call addresses that people type in: only the internet, but for these hosts.
OUTGOING_HOSTS = frozenset(host.lower() for host in env.words("EML_OUTGOING_HOSTS"))

SESSION_COOKIE_NAME = "__Host-session" if HTTPS else "session"
CSRF_COOKIE_NAME = "__Host-csrf" if HTTPS else "csrf"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
# Asked by machines inside, which speak no TLS.
SECURE_REDIRECT_EXEMPT = [r"^health/", r"^metrics$"]
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "apps.core.api.errors.csrf_failure"

CONTENT_SECURITY_POLICY: dict[str, dict[str, list]] = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:", "blob:"],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    },
}

AUTH_USER_MODEL = "users.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "front"

ACCOUNT_ADAPTER = "apps.users.adapters.AccountAdapter"
SOCIALACCOUNT_ADAPTER = "apps.users.adapters.SocialAccountAdapter"
ACCOUNT_FORMS = {"login": "apps.users.forms.LoginForm"}
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_PREVENT_ENUMERATION = True
# Who fails is locked out by person and address together (axes below); by person alone anybody could lock him out.
ACCOUNT_RATE_LIMITS = {"login_failed": "10/m/ip"}
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = True
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXIES
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = "EML"
# Administrators make the users, so their addresses need no confirmation before a second factor is set up.
MFA_ALLOW_UNVERIFIED_EMAIL = True
USERSESSIONS_TRACK_ACTIVITY = False
# Supervisors and admins need a second factor; the demo alone may do without.
REQUIRE_MFA = env.flag("EML_REQUIRE_MFA", not EMBEDDED)

SOCIALACCOUNT_PROVIDERS: dict[str, dict] = {"openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": []}}
if OIDC_SERVER := env.url("EML_OIDC_SERVER", "", {"https", "http"}):
    SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"].append(
        {
            "provider_id": "sso",
            "name": env.text("EML_OIDC_NAME", "Single sign-on"),
            "client_id": env.text("EML_OIDC_CLIENT_ID"),
            "secret": env.text("EML_OIDC_SECRET"),
            "settings": {"server_url": OIDC_SERVER, "fetch_userinfo": True},
        }
    )
    # Chrome applies form-action to the redirect that follows the form.
    CONTENT_SECURITY_POLICY["DIRECTIVES"]["form-action"].append(
        "{0.scheme}://{0.netloc}".format(urlsplit(OIDC_SERVER))
    )

AXES_FAILURE_LIMIT = 8
AXES_COOLOFF_TIME = timedelta(minutes=10)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_USERNAME_CALLABLE = "apps.users.lockout.tried_name"
AXES_RESET_ON_SUCCESS = False
AXES_CLIENT_IP_CALLABLE = "apps.core.middleware.client_ip"
AXES_LOCKOUT_CALLABLE = "apps.users.lockout.locked_out"
AXES_VERBOSE = False

JWT_PRIVATE_KEY = env.kept_secret(
    "EML_JWT_PRIVATE_KEY", VAR / "jwt_private_key.pem", may_create=EMBEDDED, make=env.ec_private_key
).replace("\\n", "\n")
JWT_PUBLIC_KEYS = [env.public_half(JWT_PRIVATE_KEY), *env.public_keys("EML_JWT_ACCEPTED_KEYS")]
SIMPLE_JWT = {
    "ALGORITHM": "ES256",
    "SIGNING_KEY": JWT_PRIVATE_KEY,
    "VERIFYING_KEY": JWT_PUBLIC_KEYS[0],
    "ISSUER": "eml",
    "AUDIENCE": "eml-api",
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=5),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=1),
    "ROTATE_REFRESH_TOKENS": True,
    "BLACKLIST_AFTER_ROTATION": True,
    "TOKEN_OBTAIN_SERIALIZER": "apps.users.api.tokens.SignInSerializer",
    "TOKEN_REFRESH_SERIALIZER": "apps.users.api.tokens.RefreshSerializer",
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "apps.users.api.authentication.TokenAuthentication",
        "apps.users.api.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["apps.core.api.permissions.DenyAll"],
    "DEFAULT_PARSER_CLASSES": ["apps.core.api.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "apps.core.api.pagination.CursorPages",
    "DEFAULT_FILTER_BACKENDS": ["apps.core.api.filters.StrictFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "apps.core.api.schema.Schema",
    "DEFAULT_THROTTLE_CLASSES": ["apps.core.api.throttles.PerCaller"],
    "DEFAULT_THROTTLE_RATES": {
        "caller": env.rate("EML_API_RATE", "600/min"),
        "login": "20/min",
        "chat-start": env.rate("EML_CHAT_START_RATE", "20/min"),
        "chat-write": "120/min",
        "upload": "10/hour",
        # Pages of customers that need no sign-in; whole companies share an address.
        "preferences": "120/min",
    },
    "NUM_PROXIES": TRUSTED_PROXIES,
    "EXCEPTION_HANDLER": "apps.core.api.errors.handle",
    "URL_FORMAT_OVERRIDE": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "EML API",
    "DESCRIPTION": "Everything the screens can do, for programs. Errors have one shape; lists are cursor pages.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "SenderEnum": "apps.messaging.choices.Sender",
        "AgentStateEnum": "apps.routing.choices.State",
        "DeliveryWayEnum": "apps.notifications.choices.Way",
        "CallbackWayEnum": "apps.routing.choices.CallbackWay",
        "ReminderWayEnum": "apps.notifications.api.serializers.WAYS",
        "ReminderStateEnum": "apps.notifications.choices.ReminderState",
        "CampaignStateEnum": "apps.notifications.choices.CampaignState",
        "AddressedWayEnum": "apps.notifications.api.consents.WAYS",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "apps.core.api.schema.add_errors",
    ],
}
