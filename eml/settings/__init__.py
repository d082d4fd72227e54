"""All settings. The profile (embedded or services) follows from the addresses in the environment alone."""

from __future__ import annotations

from .base import *  # noqa: F403
from .live import *  # noqa: F403
from .logs import *  # noqa: F403
from .security import *  # noqa: F403
from .ui import *  # noqa: F403
