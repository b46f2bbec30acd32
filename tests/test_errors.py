from __future__ import annotations

import pytest

from copilot_trio.errors import (
    ContextTooLong,
    MethodNotAllowed,
    ProxyError,
    RateLimited,
    UpstreamError,
    UpstreamOverloaded,
    UpstreamRefused,
)


@pytest.mark.parametrize(
    "error",
    [
        RateLimited("slow", remedy="Wait.", retry_after=7, code="c", cost="unknown", param="p"),
        ContextTooLong(9, 8),
        MethodNotAllowed("not so", allow="POST"),
        UpstreamOverloaded("down", status=502, retry_after=3),
        UpstreamRefused("no", status=424, code="c", param="p"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_fresh_error_says_the_same(error: ProxyError) -> None:
    fresh = error.fresh()
    assert fresh is not error
    assert type(fresh) is type(error)
    assert (str(fresh), fresh.args, vars(fresh)) == (str(error), error.args, vars(error))
    assert (fresh.status, fresh.code, fresh.cost) == (error.status, error.code, error.cost)


def test_a_fresh_error_holds_nothing_of_the_request_that_met_the_first() -> None:
    error = UpstreamError("down")
    error.account, error.partial, error.headers = "work", b"Half an ans", [("x-github-request-id", "1")]
    with pytest.raises(UpstreamError):
        raise error from ValueError("secret")
    fresh = error.fresh()
    assert (fresh.account, fresh.partial, fresh.headers) == ("work", b"", [])
    assert (fresh.__traceback__, fresh.__cause__, fresh.__context__) == (None, None, None)
    fresh.headers.append(("x", "y"))
    fresh.cost = "none"
    assert (error.headers, error.cost) == ([("x-github-request-id", "1")], "unknown")
