"""The house's rules that a program can check: floors and rooms, and the bans."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.embedded

ROOT = Path(__file__).resolve().parents[1]
SIGNALS = {"pre_save", "post_save", "pre_delete", "post_delete", "m2m_changed", "pre_init", "post_init"}
MODULES = sorted(path for top in ("apps", "eml") for path in (ROOT / top).rglob("*.py"))


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """(module, name) of everything imported, absolute imports only."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from ((node.module or "", alias.name) for alias in node.names)


def _uses(tree: ast.AST) -> set[str]:
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def signals_used(source: str) -> set[str]:
    tree = ast.parse(source)
    return SIGNALS & (_uses(tree) | {name for _, name in _imports(tree)})


def tasks_sent(source: str) -> set[str]:
    return {"delay", "apply_async", "send_task"} & _uses(ast.parse(source))


def imports_of(source: str, package: str) -> set[str]:
    return {module for module, _ in _imports(ast.parse(source)) if module.split(".")[0] == package}


def test_floors_and_rooms_hold() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--config", "setup.cfg", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_domain_work_never_hangs_on_model_signals() -> None:
    assert {_name(path): used for path in MODULES if (used := signals_used(path.read_text()))} == {}


def test_only_the_ground_floor_and_the_wiring_send_tasks() -> None:
    upper = [path for path in MODULES if not _name(path).startswith(("apps/core/", "eml/"))]
    assert {_name(path): sent for path in upper if (sent := tasks_sent(path.read_text()))} == {}


def test_the_admin_theme_is_imported_in_one_module() -> None:
    importers = [_name(path) for path in MODULES if imports_of(path.read_text(), "unfold")]
    assert len(importers) <= 1, importers


def test_whole_processes_are_started_where_tests_run_looks_for_them() -> None:
    """Elsewhere no run would have them."""
    mark = ".".join(["mark", "alone"])
    marked = [_name(path) for path in ROOT.glob("tests/**/test_*.py") if mark in path.read_text()]
    assert marked
    assert [name for name in marked if not name.startswith(("tests/faults/", "tests/flows/"))] == []


@pytest.mark.parametrize(
    ("find", "source", "found"),
    [
        (signals_used, "from django.db.models.signals import post_save", {"post_save"}),
        (signals_used, "from django.db.models import signals\nsignals.pre_delete.connect(f)", {"pre_delete"}),
        (tasks_sent, "tasks.drain.delay()", {"delay"}),
        (tasks_sent, "task.apply_async(countdown=3)", {"apply_async"}),
        (
            lambda source: imports_of(source, "unfold"),
            "from unfold.admin import ModelAdmin",
            {"unfold.admin"},
        ),
    ],
)
def test_the_bans_find_what_they_ban(find, source: str, found: set[str]) -> None:
    assert find(source) == found
