#!/usr/bin/env python
"""The operators' door: every command of EML, `python manage.py help` lists them."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "eml.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError:
        sys.exit("Django is not installed here: `make run` prepares .venv and starts EML.")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
