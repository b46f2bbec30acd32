"""Routes: method and path to a handler, with what a caller needs to have."""

from __future__ import annotations

from typing import Literal

import msgspec

from copilot_trio.errors import MethodNotAllowed, NotFound

from .exchange import Handler

Scope = Literal["open", "inference", "admin", "management"]
MODEL_PREFIXES = ("", "/v1", "/copilot/v1")


class Route(msgspec.Struct, frozen=True):
    """In ``/models/{id}`` the part in braces takes the rest of the path; where something follows it, one part."""

    pattern: str
    methods: dict[str, Handler]
    scope: Scope

    def ends(self) -> tuple[str, str]:
        """What is before and after the part in braces."""
        before, _, rest = self.pattern.partition("{")
        return before, rest.partition("}")[2]

    def fits(self, path: str) -> bool:
        before, after = self.ends()
        if not (path.startswith(before) and path.endswith(after)):
            return False
        middle = path[len(before) : len(path) - len(after)]
        return not after or (bool(middle) and "/" not in middle)


def no_route(path: str) -> NotFound:
    return NotFound(f"there is no route {path[:200]}", remedy="docs/api.md lists what there is.")


class Router:
    def __init__(self) -> None:
        self._fixed: dict[str, Route] = {}
        self._open_ended: list[Route] = []

    def add(self, method: str, pattern: str, handler: Handler, *, scope: Scope) -> None:
        existing = self._fixed.get(pattern) or next((r for r in self._open_ended if r.pattern == pattern), None)
        if existing is not None:
            existing.methods[method] = handler
            return
        route = Route(pattern, {method: handler}, scope)
        if "{" in pattern:
            self._open_ended.append(route)
        else:
            self._fixed[pattern] = route

    def add_model_route(self, method: str, pattern: str, handler: Handler) -> None:
        """With and without ``/v1``, and under ``/copilot/v1`` (product.md §2.1)."""
        for prefix in MODEL_PREFIXES:
            self.add(method, prefix + pattern, handler, scope="inference")

    def routes(self) -> list[Route]:
        return [*self._fixed.values(), *self._open_ended]

    def find(self, path: str) -> Route:
        """Raises ``NotFound``."""
        route = self._fixed.get(path)
        if route is None and len(path) > 1 and path.endswith("/"):
            route = self._fixed.get(path.rstrip("/"))
        if route is None:
            # The longest prefix, then the longest end, whatever was added first.
            fitting = [each for each in self._open_ended if each.fits(path)]
            route = max(fitting, key=lambda each: tuple(map(len, each.ends())), default=None)
        if route is None:
            raise no_route(path)
        return route

    @staticmethod
    def handler(route: Route, method: str) -> Handler:
        """Raises ``MethodNotAllowed``. ``HEAD`` is answered by what answers ``GET``."""
        handler = route.methods.get(method) or (route.methods.get("GET") if method == "HEAD" else None)
        if handler is None:
            raise MethodNotAllowed(f"{method} is not for this route", allow=", ".join(sorted(route.methods)))
        return handler
