"""Who may call: API keys with rights, and the gate that keeps web pages out (product.md §2.5)."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec

from copilot_trio.accounts.groups import NO_PIN, Pin
from copilot_trio.config import ApiKey, Right
from copilot_trio.errors import Forbidden, Unauthorized, UnsupportedMedia

from .exchange import Request
from .router import Scope, no_route

CURSOR_ORIGIN = "vscode-file://vscode-app"  # Cursor's Verify button, on the model APIs only
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._\-]+)(:[0-9]*)?")
LOOPBACK_NAMES = {"localhost", "127.0.0.1", "::1"}


def hash_key(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


class Access(msgspec.Struct, frozen=True):
    """``host`` is what the server is bound to. Without keys, whoever passes the gate has every right.

    ``management``: SHA-256 of the keys to ``/v0/management``, which is not there without any.
    """

    host: str = "127.0.0.1"
    keys: tuple[ApiKey, ...] = ()
    management: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()


class Admitted(msgspec.Struct, frozen=True):
    """What the caller may do, and where its requests go."""

    rights: tuple[Right, ...]
    pin: Pin = NO_PIN


def admit(request: Request, scope: Scope, access: Access, session: ApiKey | None = None) -> Admitted:
    """``session``: the key that the request's cookie stands for, on admin routes and for the server's own page only.

    Raises ``Forbidden``, ``Unauthorized`` or ``UnsupportedMedia``; ``NotFound`` for what is switched off.
    """
    if scope == "management":
        return _admit_manager(request, access)
    key = _key_of(request, access.keys)
    if key is None:
        _check_host(request, access)
    _check_origin(request, scope, access)
    if access.keys and scope != "open":
        if key is None and scope == "admin" and _is_own_page(request):
            key = session
        if key is None:
            raise Unauthorized(
                "the API key is missing or wrong", remedy="Send it as `Authorization: Bearer` or as `x-api-key`."
            )
        if scope not in key.rights:
            raise Forbidden(f"the API key {key.label!r} lacks the right {scope!r}")
    _check_type(request)
    if key is not None:
        return Admitted(key.rights, Pin(key.group, key.account))
    return Admitted(() if access.keys else ("inference", "admin"))


def _admit_manager(request: Request, access: Access) -> Admitted:
    """By a management key, which opens nothing else; an API key, whatever its rights, does not do here."""
    _check_managed(request, access)
    known = _is_manager(request, access)
    if not known:
        _check_host(request, access)
    _check_origin(request, "management", access)
    if not known:
        raise Unauthorized(
            "the management key is missing or wrong",
            remedy="Send it as `Authorization: Bearer` or as `X-Management-Key`.",
        )
    _check_type(request)
    return Admitted(())


def _check_managed(request: Request, access: Access) -> None:
    if not access.management:
        raise no_route(request.path)


def _is_manager(request: Request, access: Access) -> bool:
    """Every key is compared, each in constant time; ``Authorization`` may hold it without a scheme, too."""
    authorization = request.headers.get("authorization", "")
    scheme, _, bearer = authorization.partition(" ")
    given = (
        bearer.strip() if scheme.lower() == "bearer" else authorization,
        request.headers.get("x-management-key", ""),
    )
    known = False
    for secret in filter(None, given):
        digest = hash_key(secret).encode()
        for key in access.management:
            known |= hmac.compare_digest(digest, key.lower().encode())
    return known


def preflight(request: Request, access: Access, scope: Scope = "inference") -> list[tuple[str, str]]:
    """Headers that answer an ``OPTIONS`` of an allowed origin. Raises ``Forbidden`` for all others."""
    if scope == "management":
        _check_managed(request, access)
    headers = cors_headers(request, access, scope)
    if not headers:
        raise Forbidden("this origin may not call this server", remedy="Start it with --allowed-origin to add one.")
    asked = request.headers.get("access-control-request-headers", "authorization, content-type, x-api-key")
    return [
        *headers,
        ("access-control-allow-methods", "GET, POST, PUT, DELETE, OPTIONS"),
        ("access-control-allow-headers", asked[:500].strip()),
        ("access-control-max-age", "600"),
    ]


def cors_headers(request: Request, access: Access, scope: Scope = "inference") -> list[tuple[str, str]]:
    """For an explicitly allowed origin, and for no other; never a wildcard."""
    origin = request.headers.get("origin")
    if origin is None or origin not in _allowed_origins(access, scope):
        return []
    return [("access-control-allow-origin", origin), ("vary", "origin")]


def _key_of(request: Request, keys: Sequence[ApiKey]) -> ApiKey | None:
    """Claude Code may send two credentials; either will do."""
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    given = [bearer.strip()] if scheme.lower() == "bearer" else []
    given.append(request.headers.get("x-api-key", ""))
    found: ApiKey | None = None
    for secret in filter(None, given):
        found = key_by_secret(secret, keys) or found
    return found


def key_by_secret(secret: str, keys: Sequence[ApiKey]) -> ApiKey | None:
    """Every key is compared, each in constant time."""
    digest = hash_key(secret).encode()
    found: ApiKey | None = None
    for key in keys:
        if hmac.compare_digest(digest, key.sha256.lower().encode()):
            found = key
    return found


def _check_host(request: Request, access: Access) -> None:
    if not _host_allowed(request, access):
        raise Forbidden(
            "this Host header is not one of this server's names", remedy="Start it with --allowed-host NAME to add one."
        )


def _host_allowed(request: Request, access: Access) -> bool:
    name = _host_name(request.headers.get("host", ""))
    if not name:
        return False
    allowed = {access.host, *access.allowed_hosts}
    return name in LOOPBACK_NAMES or name in {host.lower().strip("[]") for host in allowed} or _is_loopback(name)


def _host_name(host: str) -> str:
    """Without the port; nothing for what is no host."""
    if not _HOST.fullmatch(host):
        return ""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _is_loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _allowed_origins(access: Access, scope: Scope) -> set[str]:
    return {*access.allowed_origins, CURSOR_ORIGIN} if scope == "inference" else set(access.allowed_origins)


def _check_origin(request: Request, scope: Scope, access: Access) -> None:
    origin = request.headers.get("origin")
    if origin is not None:
        if origin in _allowed_origins(access, scope):
            return
        scheme, _, host = origin.partition("://")
        if scheme not in {"http", "https"} or host.lower() != request.headers.get("host", "").lower():
            raise Forbidden("web pages of other origins may not call this server", remedy="See --allowed-origin.")
    if request.headers.get("sec-fetch-site") == "cross-site":
        raise Forbidden("web pages of other origins may not call this server")


def _is_own_page(request: Request) -> bool:
    """Whether no other page makes this request: browsers send cookies to every port of a host, and say who asks."""
    origin = request.headers.get("origin")
    host = request.headers.get("host", "").lower()
    own = origin is None or origin.lower() in {f"http://{host}", f"https://{host}"}
    return own and request.headers.get("sec-fetch-site", "none") in {"same-origin", "none"}


def _check_type(request: Request) -> None:
    if request.method in {"POST", "PUT", "PATCH"} and _media_type(request) != "application/json":
        raise UnsupportedMedia("the body must be application/json", remedy="Set the Content-Type header.")


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
