"""The page behind ``verification_uri``: where a person approves or denies a code by hand."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from .reply import Reply

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:3rem auto;padding:0 1rem}"
    "input,select,button{font:inherit;padding:.3rem .6rem}code{background:#8882;padding:.1rem .3rem}"
)


def form(user_code: str, logins: Iterable[str], waiting: Iterable[str], note: str = "") -> Reply:
    options = "".join(f"<option>{escape(login)}</option>" for login in logins)
    codes = ", ".join(f"<code>{escape(code)}</code>" for code in waiting) or "none"
    return _page(
        f"<p>{escape(note)}</p>" * bool(note) + '<form method="post" action="/login/device">'
        f'<p><label>Code <input name="user_code" required autocomplete="off" value="{escape(user_code)}"></label></p>'
        f'<p><label>Sign in as <select name="login">{options}</select></label></p>'
        '<p><button name="state" value="approved">Approve</button> '
        '<button name="state" value="denied">Deny</button></p></form>'
        f"<p>Waiting codes: {codes}</p>"
        "<p>The same without a browser, on the control port: "
        '<code>curl -X POST localhost:PORT/device/CODE -d \'{"state":"approved"}\'</code></p>',
        status=400 if note else 200,
    )


def decided(user_code: str, state: str, login: str) -> Reply:
    whom = f" for {escape(login)}" if login else ""
    return _page(f"<p>The code <code>{escape(user_code)}</code> is {escape(state)}{whom}. You may close this page.</p>")


def _page(content: str, status: int = 200) -> Reply:
    html = (
        '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Device activation</title>'
        f"<style>{STYLE}</style><h1>Device activation</h1>"
        "<p>This is an emulator of GitHub. No account here is real.</p>"
        f"{content}</html>\n"
    )
    headers = (("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'"),)
    return Reply(status=status, headers=headers, body=html.encode(), content_type="text/html; charset=utf-8")
