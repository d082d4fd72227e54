"""What the pages name exists: links, pictures, files, settings, metrics, services, commands, tests."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml
from PIL import Image

from apps.reports import prometheus
from tests.docs.pages import PAGES, ROOT, anchors, blocks, links, prose

pytestmark = pytest.mark.embedded

IMAGES = sorted((ROOT / "docs" / "img").glob("*"))
OPERATIONS, PROMISES = ROOT / "docs" / "operations.md", ROOT / "docs" / "promises.md"
MOST_BYTES = 300_000


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(target), link


def test_pictures_are_small_and_shown() -> None:
    shown = {
        (page.parent / link).resolve() for page in PAGES for link in links(page) if link.endswith(".png")
    }
    assert set(IMAGES) == shown
    for image in IMAGES:
        assert image.stat().st_size < MOST_BYTES, image.name
        with Image.open(image) as picture:
            assert picture.width >= 800, image.name


def test_every_page_of_docs_is_in_the_readme() -> None:
    named = {(ROOT / link.partition("#")[0]).resolve() for link in links(ROOT / "README.md")}
    assert set((ROOT / "docs").glob("*.md")) <= named


def test_settings_that_are_named_exist() -> None:
    known = (ROOT / ".env.example").read_text() + (ROOT / "docker" / "compose.yml").read_text()
    for page in PAGES:
        named = set(re.findall(r"\b(?:EML_[A-Z_]+|DATABASE_URL|REDIS_URL|BROKER_URL)\b", page.read_text()))
        assert not {name for name in named if name not in known}, page.name


def test_services_that_are_named_are_those_of_the_compose_file() -> None:
    services = set(yaml.safe_load((ROOT / "docker" / "compose.yml").read_text())["services"])
    rows = re.findall(r"^\| `([\w-]+)` (?:\([^)]*\) )?\|", OPERATIONS.read_text(), re.MULTILINE)
    web, workers = {"web-asgi", "web-wsgi"}, {"worker", "worker-bulk"}
    roles = set(rows) & (web | workers | {"router", "notifier", "scheduler", "migrate"})
    assert services == roles | {"nginx", "postgres", "redis", "rabbitmq"}


def test_metrics_that_are_named_are_those_we_have() -> None:
    named = set(re.findall(r"^\| `(eml_\w+)", OPERATIONS.read_text(), re.MULTILINE))
    assert named == set(prometheus._families())


def test_make_targets_and_commands_that_are_named_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for page in PAGES:
        text = prose(page) + "\n".join(block.text for block in blocks(page, "console"))
        for target in re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
        for command in re.findall(r"manage\.py ([a-z_]+)", text):
            own = list(ROOT.glob(f"*/management/commands/{command}.py"))
            own += ROOT.glob(f"apps/*/management/commands/{command}.py")
            assert own or command in {"migrate", "collectstatic"}, command


# Promises


def _tests() -> dict[str, bool]:
    """Every test of the suite, and whether it needs the real servers."""
    found: dict[str, bool] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        tree = ast.parse(path.read_text())
        marks = [
            ast.unparse(node.value) for node in tree.body if isinstance(node, ast.Assign) and _is_mark(node)
        ]
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                text = " ".join([*marks, *map(ast.unparse, node.decorator_list)])
                found[node.name] = "mark.services" in text or found.get(node.name, False)
    return found


def _is_mark(node: ast.Assign) -> bool:
    return any(isinstance(target, ast.Name) and target.id == "pytestmark" for target in node.targets)


def test_promises_name_tests_that_exist_and_where_they_run() -> None:
    tests = _tests()
    named = re.findall(r"`(test_\w+)`( ⚙)?", PROMISES.read_text())
    assert len(named) > 50
    for name, needs_servers in named:
        assert name in tests, name
        assert tests[name] == bool(needs_servers), f"{name}: the ⚙ is wrong"


def test_every_promise_names_a_test() -> None:
    rows = [line for line in prose(PROMISES).splitlines() if line.startswith("| ")]
    promises = [row for row in rows if not row.startswith(("| promise", "|---"))]
    assert len(promises) > 30
    assert not [row for row in promises if "`test_" not in row]
