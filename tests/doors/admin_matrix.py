"""What follows for the pages of a model in the admin from what one may do with it."""

from __future__ import annotations

from .matrix import MODELS, SIGN_IN, Model, Scope
from .world import Actor, Whose

# Django's admin sends whoever asks for a row that is not there to its first page, and says so there.
NOT_THERE = "not there"
PAGES = ("changelist", "add", "history", "delete", "change", "simple_history")


def model_and_page(route: str) -> tuple[Model, str] | None:
    """`admin:users_customer_change` is a page of a model, and `/admin/users/customer/%(object_id)s/` leads there."""
    if route.startswith("/admin/") and route.endswith("/%(object_id)s/"):
        name, page = "_".join(route.split("/")[2:4]), "redirect"
    else:
        page = next((page for page in sorted(PAGES, key=len, reverse=True) if route.endswith(f"_{page}")), "")
        name = route.removeprefix("admin:").removesuffix(f"_{page}")
    return (MODELS[name], page) if name in MODELS and page else None


def expected(model: Model, page: str, verb: str, actor: Actor, whose: Whose) -> str:
    if actor not in (Actor.SX, Actor.AD):
        return SIGN_IN
    may = set((model.supervisor if actor == Actor.SX else model.administrator).split())
    return {
        "redirect": lambda: "302",
        "changelist": lambda: "200" if "view" in may else "403",
        "add": lambda: "200" if "add" in may else "403",
        "delete": lambda: _delete(model, may, actor, whose),
        "change": lambda: _change(model, may, verb, actor, whose),
        "history": lambda: _history(model, may, actor, whose),
        "simple_history": lambda: _old_version(model, may, verb, actor, whose),
    }[page]()


def is_seen(model: Model, actor: Actor, whose: Whose) -> bool:
    if whose == Whose.FOREIGN:
        return actor == Actor.AD or model.scope == Scope.ALL
    return whose == Whose.OWN


def _change(model: Model, may: set[str], verb: str, actor: Actor, whose: Whose) -> str:
    if not may & ({"change"} if verb == "POST" else {"view", "change"}):
        return "403"
    if not is_seen(model, actor, whose):
        return NOT_THERE
    return "302" if verb == "POST" and model.saves_empty else "200"


def _delete(model: Model, may: set[str], actor: Actor, whose: Whose) -> str:
    if "delete" not in may:
        return "403"
    if not is_seen(model, actor, whose):
        return NOT_THERE
    return "403" if model.leaned_on else "200"


def _history(model: Model, may: set[str], actor: Actor, whose: Whose) -> str:
    if model.is_logged:
        return "302" if is_seen(model, actor, whose) else "404"
    if not is_seen(model, actor, whose):
        return "404" if model.has_history else NOT_THERE
    return "200" if "view" in may else "403"


def _old_version(model: Model, may: set[str], verb: str, actor: Actor, whose: Whose) -> str:
    is_restored = verb == "POST" and model.may_be_empty and is_seen(model, actor, whose)
    return "302" if is_restored else _history(model, may, actor, whose)
