"""The admin API and the compatible surfaces: product.md §2.3 and §2.4, row by row."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import trio
from trio_websocket import open_websocket_url
from walk_routes import CHAT, events, stored_in_time
from walk_table import Answer, Caller, until

MANAGED = "/v0/management"
LATE = 3.0


def accounts(b: Caller, control: Caller, token: str) -> None:
    """``token``: of an account that is not stored yet."""
    for base in ("/api/accounts", "/admin/accounts"):
        b.get(
            "2.3",
            "list, tokens masked",
            base,
            "accounts.0.githubToken=ghu_...0000",
            "accounts.0.label",
            "accounts.2.id",
        )
        given = {"githubToken": token, "label": "fresh", "accountType": "individual"}
        added = b.post(
            "2.3", "add, checked at GitHub: 201", base, given, "account.id", "account.label=fresh", status=201
        )
        assert added is not None
        one = f"{base}/{added.at('account.id')}"
        b.table.names[added.at("account.id")] = "ID"
        b.post("2.3", "the same again", base, given, "error", status=409)
        wrong = {"githubToken": "ghu_wrong", "label": "x"}
        b.post("2.3", "a token that GitHub refuses", base, wrong, "error", status=(400, 422))
        for status in ("disabled", "active"):
            b.ask("2.3", f"status {status}", "PUT", f"{one}/status", {"status": status}, f"account.status={status}")
        proxy = {"proxy": "http://me:hidden@127.0.0.1:9"}
        b.ask("2.3", "way out of its own", "PUT", f"{one}/proxy", proxy, "account.proxy=http://me:***@127.0.0.1:9")
        b.ask("2.3", "and none", "PUT", f"{one}/proxy", {"proxy": None}, "account.proxy=null")
        b.post("2.3", "token and quota anew", f"{one}/refresh", {}, "account.usage")
        _warn(b, control)
        warned = next(a for a in b.call("GET", base).at("accounts") if a["warning"])
        b.table.names[warned["id"]] = "WARNED"
        b.post("2.3", "a warning acknowledged", f"{base}/{warned['id']}/acknowledge", {}, "account.status=active")
        b.get("2.3", "quota of all", f"{base}/usage", "totalAccounts=4", "activeAccounts", "aggregatedUsage")
        _sign_in(b, control, base)
        b.ask("2.3", "removed", "DELETE", one, None)
        b.ask("2.3", "removed already", "DELETE", one, None, "error", status=404)


def _warn(b: Caller, control: Caller) -> None:
    control.call("POST", "/scenarios", {"path": "/chat/completions", "error": "tos_block"})
    assert b.call("POST", "/v1/chat/completions", CHAT).status == 403


def _sign_in(b: Caller, control: Caller, base: str) -> None:
    def begun(what: str) -> tuple[str, str]:
        names = ("device_code", "user_code", "verification_uri", "expires_in", "interval")
        code = b.post("2.3", what, f"{base}/auth/start", {}, *names)
        assert code is not None
        b.table.names[code.at("device_code")] = "CODE"
        b.table.names[code.at("user_code")] = "USER-CODE"
        return code.at("device_code"), code.at("user_code")

    path = f"{base}/auth/poll"
    asking, user = begun("sign-in from a page")
    b.post("2.3", "pending", path, {"device_code": asking}, "status=pending", "interval")
    other, other_user = begun("another caller's, beside it")
    control.call("POST", f"/device/{other_user}", {"state": "denied"})
    control.call("POST", f"/device/{user}", {"state": "approved", "login": "octo-page"})
    body = {"device_code": asking, "label": "page", "account_type": "business"}
    for what, asked, status in (("complete", body, "complete"), ("denied", {"device_code": other}, "denied")):
        until(partial(_decided, b, path, asked))
        b.post("2.3", what, path, asked, f"status={status}")
    b.post("2.3", "expired, or never begun", path, {"device_code": "x" * 32}, "status=expired")
    gone = next(a["id"] for a in b.call("GET", base).at("accounts") if a["label"] == "page")
    assert b.call("DELETE", f"{base}/{gone}").status == 200


def _decided(b: Caller, path: str, body: object) -> bool:
    return bool(b.call("POST", path, body).at("status") != "pending")


def settings(b: Caller, model: str) -> None:
    def mapped(_: Answer) -> str:
        answer = b.call("POST", "/v1/chat/completions", CHAT | {"model": "my-own"})
        assert (answer.status, answer.at("model")) == (200, "my-own"), answer
        return "my-own answers"

    b.get("2.3", "models", "/api/models/available", "0.id", "0.accounts", "0.unavailable")
    b.get("2.3", "mapping", "/api/models/mapping", "mapping")
    wild = {"mapping": {"my-*": model}}
    b.ask("2.3", "mapping with *", "PUT", "/api/models/mapping", wild, "mapping", check=mapped)
    wrong = {"mapping": {"a b": 5}}
    b.ask("2.3", "mapping to nonsense", "PUT", "/api/models/mapping", wrong, "error", status=(400, 422))
    b.get("2.3", "limits", "/api/models/concurrency", "concurrency.default=10")
    limits = {"concurrency": {"default": 9, model: 3}}
    b.ask("2.3", "limits set", "PUT", "/api/models/concurrency", limits, "concurrency.default=9")
    zero = {"concurrency": {"default": 0}}
    b.ask("2.3", "a limit of 0", "PUT", "/api/models/concurrency", zero, "error", status=(400, 422))
    b.get("2.3", "settings", "/api/config", "config.keys", "config.websocket=true", "restart")
    b.ask(
        "2.3",
        "settings changed",
        "PUT",
        "/api/config",
        {"inspect_bodies": True},
        "updated.inspect_bodies=true",
        "applied",
    )
    later = {"identity": {"editor_version": "vscode/1.114.0"}}
    b.ask("2.3", "what needs a restart is said", "PUT", "/api/config", later, "restart.0")
    typo = {"timeouts": {"silence": -1}}
    b.ask("2.3", "a wrong one, named", "PUT", "/api/config", typo, "error", status=(400, 422), words=["silence"])
    b.ask("2.3", "an unknown one", "PUT", "/api/config", {"nosuch": 1}, "error", status=(400, 422), words=["nosuch"])
    for method, path in (("POST", "/api/accounts"), ("PUT", "/api/models/mapping"), ("PUT", "/api/config")):
        broken = {"Content-Type": "application/json"}
        b.ask("2.3", "a body that is no JSON", method, path, b"{", "error", status=400, headers=broken)
    b.get("2.3", "a route that is not there", "/api/nothing", "error", status=404)
    b.ask("2.3", "a method that is not for it", "DELETE", "/api/quota", None, "error", status=405)


def watching(b: Caller, model: str) -> None:
    b.call("POST", "/v1/chat/completions", CHAT)
    names = ("active", "queued", "maxConcurrency", "totalRequests")
    fields = [f"models/{model}/{name}" for name in names]
    b.get("2.3", "stats", "/api/stats", "accounts.total=3", "uptime", check=lambda a: _nested(a, fields))
    b.ask("2.3", "stats reset", "DELETE", "/api/stats", None, "success=true")
    asked = ("requests.0.model", "requests.0.accountLabel", "requests.0.status=200", "requests.0.bodyPreview")
    b.get("2.3", "requests, bodies once inspected", "/api/requests", "inspecting=true", *asked)
    b.call("PUT", "/api/config", {"inspect_bodies": False})
    b.call("POST", "/v1/chat/completions", CHAT)
    b.get("2.3", "requests, metadata alone", "/api/requests", "inspecting=false", "requests.0.bodyPreview=null")
    b.ask("2.3", "requests forgotten", "DELETE", "/api/requests", None, "success=true")
    b.get("2.3", "log ring", "/api/logs", "status=ok", "logs.0.timestamp", "logs.0.level", "logs.0.message")
    with b.table.row("2.3", "logs as they come", "curl -N 'B/api/logs/stream?history=true'") as said:
        entry = json.loads(next(events(b.address, "/api/logs/stream?history=true")))
        assert set(entry) == {"timestamp", "level", "message", "icon"}, entry
        said.append(f"data: {', '.join(entry)}")
        b.table.asked.add(("GET", "/api/logs/stream"))
    with b.table.row("2.3", "live events", "websocat ws://B/api/live") as said:
        said.append(trio.run(_live, b))
        b.table.asked.add(("GET", "/api/live"))
    stored_in_time(b, "/api/metrics/summary", "summary.totals.requestCount")
    totals = ("summary.totals.requestCount", "summary.totals.totalTokens", "summary.byModel.0.model")
    for asked_range in ("24h", "7d", "30d", "all"):
        path = f"/api/metrics/summary?range={asked_range}"
        b.get("2.3", f"usage, {asked_range}", path, f"summary.range={asked_range}", *totals)
    filters = f"model={model}&account=dev&status=success"
    b.get("2.3", "usage, filtered", f"/api/metrics/summary?{filters}", "summary.byAccount.0.accountLabel=dev")
    recent = ("events.0.startedAt", "events.0.endpoint", "events.0.upstreamModel", "events.0.status=200")
    b.get("2.3", "usage, newest", "/api/metrics/recent?status=200&limit=5", *recent)
    b.get("2.3", "usage, the file", "/api/metrics/storage", "storage.dbPath", "storage.sizeBytes", "storage.maxBytes")
    windows = ("name", "usedPercent", "remainingPercent", "resetsAt", "pace.summary", "pace.outlook")
    shown = [f"accounts.0.windows.0.{name}" for name in windows]
    b.get("2.3", "quota", "/api/quota", "accounts.0.planLabel", *shown, "accounts.0.credits")


def _nested(answer: Answer, paths: list[str]) -> str:
    """As ``Answer.at``, for names with dots in them."""
    said = []
    for path in paths:
        value: Any = json.loads(answer.body)
        for name in path.split("/"):
            value = value[name]
        said.append(f"{path.rpartition('/')[2]}={value}")
    return " ".join(said)


async def _live(b: Caller) -> str:
    kinds: list[str] = []
    with trio.fail_after(20):
        async with open_websocket_url(f"ws{b.address.removeprefix('http')}/api/live") as connection:
            kinds.append(json.loads(await connection.get_message())["type"])
            await trio.to_thread.run_sync(b.call, "POST", "/v1/chat/completions", CHAT)
            while not any("request" in kind for kind in kinds):
                kinds.append(json.loads(await connection.get_message())["type"])
    return f"101, {', '.join(kinds)}"


def management(b: Caller, keyed: Caller, key: str) -> None:
    opened = {"X-Management-Key": key}
    b.get("2.4", "management without a key set", f"{MANAGED}/auth-files", "error", status=404)
    keyed.get("2.4", "management without the key", f"{MANAGED}/auth-files", "error", status=401)
    names = [f"files.0.{name}" for name in ("auth_index", "name", "provider", "status", "disabled", "account")]
    files = keyed.get("2.4", "auth-files", f"{MANAGED}/auth-files", *names, headers=opened)
    bearer = {"Authorization": f"Bearer {key}"}
    keyed.get("2.4", "the key as a bearer", f"{MANAGED}/auth-files", "files.0.id", headers=bearer)
    assert files is not None
    index = files.at("files.0.auth_index")
    keyed.table.names[index] = "INDEX"
    quota = ("copilot_plan", "quota_reset_date", "quota_snapshots.premium_interactions.percent_remaining")
    keyed.get("2.4", "copilot-quota", f"{MANAGED}/copilot-quota?auth_index={index}", *quota, headers=opened)
    github = keyed.call("GET", "/usage", headers=opened | ADMIN).at("endpoints.api")
    url = f"{github}/copilot_internal/user"
    asked = {"authIndex": index, "method": "GET", "url": url, "header": {"Authorization": "token $TOKEN$"}}
    path = f"{MANAGED}/api-call"
    keyed.post("2.4", "api-call", path, asked, "status_code=200", "header", "body", headers=opened)
    elsewhere = asked | {"url": "https://example.com/"}
    keyed.post("2.4", "api-call elsewhere", path, elsewhere, "error", headers=opened, status=(400, 403))
    method = asked | {"method": "DELETE"}
    keyed.post("2.4", "api-call, DELETE", path, method, "error", headers=opened, status=(400, 405))
    unknown = asked | {"authIndex": "0" * 16}
    keyed.post("2.4", "api-call, unknown index", path, unknown, "error", headers=opened, status=404)
    state = keyed.get("2.4", "github-auth-url", f"{MANAGED}/github-auth-url", "url", "state", headers=opened)
    assert state is not None
    keyed.table.names[state.at("state")] = "STATE"
    keyed.get(
        "2.4", "get-auth-status", f"{MANAGED}/get-auth-status?state={state.at('state')}", "status=wait", headers=opened
    )
    keyed.get("2.5", "an API key opens no management", f"{MANAGED}/auth-files", "error", status=401, headers=ADMIN)
    wrong = {"X-Management-Key": "wrong-wrong-wrong", "X-Forwarded-For": "10.0.0.1"}
    statuses = [keyed.call("GET", f"{MANAGED}/auth-files", headers=wrong).status for _ in range(30)]
    with keyed.table.row("2.4", "wrong keys are slowed down", f"30x curl K{MANAGED}/auth-files, wrong key") as said:
        said.append(f"{statuses.count(401)}x 401, {statuses.count(429)}x 429")
        assert statuses[-1] == 429
    keyed.get("2.4", "the right key never", f"{MANAGED}/auth-files", "files.0.id", headers=opened)


ADMIN = {"Authorization": "Bearer admin-key-of-the-walk"}


def codex_proxy(b: Caller, control: Caller, token: str) -> None:
    for base, name in (("/account", "account.email"), ("/accounts", "accounts.0.email")):
        for path in ("", "/status"):
            b.get("2.4", "codex-proxy: accounts", base + path, name, "total=3", "activeAccount")
        b.get("2.4", "its models", f"{base}/models", "success=true", "email", "models.0.id")
        b.get("2.4", "its usage", f"{base}/usage", "usage.totalTokenUsage", "usage.resetAt")
        b.get("2.4", "its quota", f"{base}/quota?refresh=true", "quota", "cached=false")
        b.get("2.4", "of one by label", f"{base}/quota?email=work", "email=octo-work")
        added = b.post("2.4", "add: a device flow", f"{base}/add", {}, "status=oauth_url", "oauth_url", "user_code")
        assert added is not None
        b.table.names[added.at("user_code")] = "USER-CODE"
        b.post("2.4", "sign-ins dropped", f"{base}/oauth/cleanup", {}, "success=true", "message")
        manual = {"githubToken": token, "label": "by hand"}
        b.post("2.4", "add by hand", f"{base}/add/manual", manual, "success=true")
        b.ask("2.4", "removed by label", "DELETE", "/accounts/by%20hand", None, "success=true", "message")
        b.post("2.4", "add by hand, a code", f"{base}/add/manual", {"code": "abc"}, "error", status=400)
        b.post("2.4", "import", f"{base}/import", {}, "success=false", "message")
        b.post("2.4", "refresh", f"{base}/refresh", {}, "success=true", "message")
    b.get("2.4", "every quota", "/accounts/quota/all", "accounts.0.email", "accounts.2.quota")
    b.post("2.4", "switch: preferred in its group", "/accounts/switch", {"email": "home"}, "success=true", "message")
    b.get("2.4", "and it is the active one", "/account", "account.label=home")
    b.post("2.4", "one refreshed, by label", "/accounts/home/refresh", {}, "success=true")
    b.post("2.4", "one refreshed, by login", "/accounts/octo-work/refresh", {}, "success=true")
    b.post("2.4", "all refreshed", "/accounts/refresh/all", {}, "2.success=true")
    assert b.call("POST", "/accounts/switch", {"email": "dev"}).status == 200
    gone = control.call(
        "POST", "/accounts", {"login": "octo-gone", "token": "ghu_SYNTHETICgone", "plan": "individual_pro"}
    )
    assert gone.status == 200
    added = b.call("POST", "/accounts/add/manual", {"githubToken": "ghu_SYNTHETICgone", "label": "gone"})
    assert b.call("POST", "/accounts/switch", {"email": "gone"}).status == 200, added
    b.ask("2.4", "the active one removed", "DELETE", "/account", None, "success=true", "message")
    path = "/settings/model-mappings"
    b.get("2.4", "mappings", path, "aliases", "models.0.id", "modelMappings")
    b.post("2.4", "mappings set", path, {"modelMappings": {"opus": "gpt-4.1"}}, "modelMappings.opus=gpt-4.1")
    b.post("2.4", "to a model there is not", path, {"modelMappings": {"opus": "nope"}}, "error", status=400)
    assert b.call("PUT", "/api/models/mapping", {"mapping": {}}).status == 200
    b.get("2.4", "Claude at the start", "/settings/claude-proxy", "configureClaudeOnStartup=false")
    off = {"configureClaudeOnStartup": False}
    b.post("2.4", "and set", "/settings/claude-proxy", off, "configureClaudeOnStartup=false")
    for method, path in (("GET", "haiku-model"), ("POST", "haiku-model"), ("GET", "kilo-models")):
        body = {"haikuKiloModel": "x"} if method == "POST" else None
        b.ask("2.4", "no kilo, and why", method, f"/settings/{path}", body, "error", status=404, words=["kilo"])
    fields = ("success=true", "configPath", "config")
    b.post("2.4", "Claude Code to here", "/claude/config/proxy", {}, *fields, "config.env.ANTHROPIC_BASE_URL")
    b.get("2.4", "its settings", "/claude/config", *fields, "config.env.ANTHROPIC_MODEL")
    there = {"apiUrl": "http://localhost:4141/", "apiKey": "any-key"}
    b.post("2.4", "to an address here", "/claude/config/set", there, "backup")
    away = there | {"apiUrl": "https://example.com"}
    b.post("2.4", "to one elsewhere", "/claude/config/set", away, "error", status=400)
    b.post("2.4", "to Anthropic", "/claude/config/direct", {"apiKey": "sk-ant-api-x"}, "message")
    b.post("2.4", "undone", "/claude/config/reset", {}, "success=true", "message")
