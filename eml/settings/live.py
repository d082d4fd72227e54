"""The live layer, background work and the cache: in this process, or on Redis and RabbitMQ."""

from __future__ import annotations

from kombu import Exchange, Queue, binding

from . import env

REDIS_URL = env.url("REDIS_URL", "", {"redis", "rediss", "unix"})
BROKER_URL = env.url("BROKER_URL", "", {"amqp", "amqps"})

if REDIS_URL:
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [REDIS_URL], "prefix": env.text("EML_REDIS_PREFIX", "eml")},
        }
    }
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
            "KEY_PREFIX": env.text("EML_REDIS_PREFIX", "eml"),
            # A dead cache must fail fast, not hang a request.
            "OPTIONS": {"socket_timeout": 2, "socket_connect_timeout": 2},
        }
    }
else:
    # One channel per process carries everything, so it must hold a burst.
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels.layers.InMemoryChannelLayer",
            "CONFIG": {"capacity": 100_000, "group_expiry": 10**9},
        }
    }
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

# With no host kombu logs 'No hostname was supplied'.
CELERY_BROKER_URL = BROKER_URL or "memory://localhost/"
CELERY_BROKER_TRANSPORT_OPTIONS = {"confirm_publish": True} if BROKER_URL else {"polling_interval": 0.05}
CELERY_BROKER_CONNECTION_TIMEOUT = 3
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = 120
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CONSUMER = "eml.worker:Consumer"
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_TIMEZONE = "UTC"

# Somebody waits for what is urgent. What is bulk comes by itself, takes long, and has workers of its own.
URGENT, BULK, DEAD = "eml.urgent", "eml.bulk", "eml.dead"


def _durable(name: str) -> Queue:
    """Survives the broker's restart; who fells one worker after another leaves it after as many tries."""
    return Queue(
        name,
        Exchange("eml", "direct"),
        routing_key=name,
        queue_arguments={"x-queue-type": "quorum", "x-delivery-limit": 5, "x-dead-letter-exchange": DEAD},
    )


def _dead_because(reason: str) -> binding:
    # Not of everything: ticks that nobody took in time expire, as they should, and are dead letters as well.
    return binding(
        Exchange(DEAD, "headers"), arguments={"x-match": "all-with-x", "x-first-death-reason": reason}
    )


DEAD_LETTERS: Queue | None = None
if BROKER_URL:
    CELERY_TASK_DEFAULT_QUEUE = URGENT
    CELERY_TASK_QUEUES = [_durable(URGENT), _durable(BULK)]
    CELERY_TASK_ROUTES = {
        "*.clean": {"queue": BULK},
        "*.prune": {"queue": BULK},
        "messaging.sweep": {"queue": BULK},
        "notifications.campaigns": {"queue": BULK},
        "routing.audit": {"queue": BULK},
    }
    # What was no task of ours, and what felled workers is parked there to be looked at: the newest thousand.
    DEAD_LETTERS = Queue(
        DEAD,
        bindings=[_dead_because("rejected"), _dead_because("delivery_limit")],
        queue_arguments={"x-queue-type": "quorum", "x-max-length": 1000},
    )
else:
    CELERY_TASK_DEFAULT_QUEUE = "eml"

CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 1
# A tick that waited longer than its period is worthless: the next one does its work.
CELERY_BEAT_SCHEDULE = {
    "core.drain": {"task": "core.drain", "schedule": 5.0, "options": {"expires": 5}},
    "core.clean": {"task": "core.clean", "schedule": 3600.0, "options": {"expires": 3600}},
    "users.clean": {"task": "users.clean", "schedule": 3600.0, "options": {"expires": 3600}},
    "routing.tick": {"task": "routing.tick", "schedule": 1.0, "options": {"expires": 2}},
    "routing.heal": {"task": "routing.heal", "schedule": 5.0, "options": {"expires": 5}},
    "routing.audit": {"task": "routing.audit", "schedule": 60.0, "options": {"expires": 60}},
    "routing.prune": {"task": "routing.prune", "schedule": 86400.0, "options": {"expires": 86400}},
    "core.prune": {"task": "core.prune", "schedule": 86400.0, "options": {"expires": 86400}},
    "notifications.prune": {
        "task": "notifications.prune",
        "schedule": 86400.0,
        "options": {"expires": 86400},
    },
    # The one tick of all reminders.
    "notifications.advance": {"task": "notifications.advance", "schedule": 5.0, "options": {"expires": 5}},
    "notifications.catch_up": {
        "task": "notifications.catch_up",
        "schedule": 10.0,
        "options": {"expires": 10},
    },
    # Often enough that the sending queue never runs dry (feeding.AHEAD).
    "notifications.campaigns": {
        "task": "notifications.campaigns",
        "schedule": 2.0,
        "options": {"expires": 2},
    },
    "notifications.clean": {"task": "notifications.clean", "schedule": 3600.0, "options": {"expires": 3600}},
    "messaging.sweep": {"task": "messaging.sweep", "schedule": 60.0, "options": {"expires": 60}},
}
