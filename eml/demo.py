"""The demo's logins; they exist only in the default profile (settings.DEMO)."""

from __future__ import annotations

LOGINS = [
    {"role": "Agent", "email": "ana@demo.eml", "password": "demo-agent-1"},
    {"role": "Agent", "email": "ben@demo.eml", "password": "demo-agent-2"},
    {"role": "Supervisor", "email": "sofia@demo.eml", "password": "demo-boss-1"},
]
