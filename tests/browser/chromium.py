"""Which browser the stories and screenshots are played in."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

# The build without windows needs two thirds of the time.
CHROMIUM = Path(
    os.environ.get("EML_CHROMIUM")
    or shutil.which("chromium-headless-shell")
    or shutil.which("chromium")
    or "/usr/bin/chromium-headless-shell"
)
