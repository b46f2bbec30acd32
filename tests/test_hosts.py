from __future__ import annotations

import pytest

from copilot_trio.accounts.account import AccountType, Hosts
from copilot_trio.github.hosts import (
    allowed_copilot_base,
    check_base_url,
    enterprise_hosts,
    is_loopback,
    normalise_enterprise_host,
)

TWIN = Hosts("http://127.0.0.1:8788", "http://127.0.0.1:8788")


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ("https://octocorp.ghe.com/login", "octocorp.ghe.com"),
        ("https://octocorp.ghe.com:8443/login", "octocorp.ghe.com:8443"),
        ("octocorp.ghe.com:8443", "octocorp.ghe.com:8443"),
        ("octocorp.ghe.com:443", "octocorp.ghe.com"),
        ("github.com", "github.com"),
        ("", "github.com"),
        ("   ", "github.com"),
        (".", "github.com"),
        ("GitHub.com.", "github.com"),
        ("HTTP://OctoCorp.GHE.com/", "octocorp.ghe.com"),
        ("https://user:pw@h.ghe.com/x?y", "h.ghe.com"),
        ("api.octocorp.ghe.com", "api.octocorp.ghe.com"),
        ("www.github.com", "www.github.com"),
        (" octocorp.ghe.com ", "octocorp.ghe.com"),
    ],
)
def test_an_enterprise_host_is_normalised(given: str, host: str) -> None:
    assert normalise_enterprise_host(given) == host


@pytest.mark.parametrize(
    "given",
    ["foo bar", "a..b", "octo_corp.ghe.com", "\u043ectocorp.ghe.com", "https://[::1", "h.ghe.com:99999", "a%2fb.c"],
)
def test_what_is_no_host_name_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        normalise_enterprise_host(given)


@pytest.mark.parametrize("given", ["octocorp.ghe.com", "https://octocorp.ghe.com/login", "api.octocorp.ghe.com"])
def test_a_tenant_has_three_hosts(given: str) -> None:
    assert enterprise_hosts(given) == Hosts(
        "https://octocorp.ghe.com", "https://api.octocorp.ghe.com", "https://copilot-api.octocorp.ghe.com"
    )


@pytest.mark.parametrize("given", ["github.com", "", "https://github.com/", "www.github.com", "api.github.com"])
def test_githubs_own_host_is_no_tenant(given: str) -> None:
    assert enterprise_hosts(given) == Hosts()


@pytest.mark.parametrize(
    ("offered", "base"),
    [
        ("https://api.githubcopilot.com", "https://api.githubcopilot.com"),
        ("https://api.business.githubcopilot.com/", "https://api.business.githubcopilot.com"),
        ("https://api.enterprise.githubcopilot.com:443", "https://api.enterprise.githubcopilot.com"),
        ("https://API.Individual.GitHubCopilot.com/some/path?x=y", "https://api.individual.githubcopilot.com"),
    ],
)
def test_an_offered_copilot_host_is_taken(offered: str, base: str) -> None:
    assert allowed_copilot_base(offered, Hosts(), "individual") == base


@pytest.mark.parametrize(
    "offered",
    [
        "https://evilgithubcopilot.com",
        "https://api.evilgithubcopilot.com",
        "https://api.githubcopilot.com.evil.com",
        "https://githubcopilot.com.evil.com/.githubcopilot.com",
        "http://api.githubcopilot.com",
        "ftp://api.githubcopilot.com",
        "//api.githubcopilot.com",
        "api.githubcopilot.com",
        "https://api.githubcopilot.com:8443",
        "https://api.githubcopilot.com:99999",
        "https://api.githubcopilot.com:x",
        "https://user@api.githubcopilot.com",
        "https://user:pw@api.githubcopilot.com",
        "https://@api.githubcopilot.com",
        "https://api.githubcopilot.com@evil.com",
        "https://api.githubcopilot.com\\@evil.com",
        "https://evil.com\\.githubcopilot.com",
        "https://evil.com%2f.githubcopilot.com",
        "https://evil.com#.githubcopilot.com",
        "https://evil.com?.githubcopilot.com",
        "https://evil.com/.githubcopilot.com",
        "https://.githubcopilot.com",
        "https://a..githubcopilot.com",
        "https://api.githubcopilot.com.",
        "https://évil.githubcopilot.com",
        "https://evil.com .githubcopilot.com",
        "https://[::1",
        "https://[::1].githubcopilot.com",
        "https://127.0.0.1",
        "http://127.0.0.1:8788",
        "http://localhost:8788",
        "http://[::1]:8788",
        "https://",
        "",
    ],
)
def test_an_offer_off_the_list_gets_no_bearer(offered: str) -> None:
    assert allowed_copilot_base(offered, Hosts(), "business") == "https://api.business.githubcopilot.com"


@pytest.mark.parametrize("account_type", ["individual", "business", "enterprise"])
def test_without_an_offer_the_account_type_decides(account_type: AccountType) -> None:
    assert allowed_copilot_base(None, Hosts(), account_type) == f"https://api.{account_type}.githubcopilot.com"


def test_a_host_that_is_set_wins() -> None:
    hosts = Hosts(copilot="https://copilot-api.octocorp.ghe.com")
    offered = "https://api.githubcopilot.com"
    assert allowed_copilot_base(offered, hosts, "individual") == "https://copilot-api.octocorp.ghe.com"


def test_a_loopback_offer_counts_where_github_is_on_loopback() -> None:
    assert allowed_copilot_base("http://127.0.0.1:8788/", TWIN, "individual") == "http://127.0.0.1:8788"


def test_a_twin_cannot_send_the_bearer_elsewhere() -> None:
    offered = "http://evil.com"
    assert allowed_copilot_base(offered, TWIN, "individual") == "https://api.individual.githubcopilot.com"


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost.evil.com", False),
        ("127.0.0.1.evil.com", False),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("", False),
        (None, False),
    ],
)
def test_loopback_is_this_machine_only(host: str | None, answer: bool) -> None:
    assert is_loopback(host) is answer


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://copilot.corp.example/", "https://copilot.corp.example"),
        ("https://copilot.corp.example:8443/base/", "https://copilot.corp.example:8443/base"),
        ("http://127.0.0.1:8788", "http://127.0.0.1:8788"),
        ("http://localhost:8788/", "http://localhost:8788"),
        ("http://[::1]:8788", "http://[::1]:8788"),
    ],
)
def test_a_base_url_loses_its_closing_slash(url: str, base: str) -> None:
    assert check_base_url(url) == base


@pytest.mark.parametrize(
    "url",
    [
        "copilot.corp.example",
        "ftp://h",
        "https://",
        "https://user:pw@h",
        "https://h/?q=1",
        "https://h/#f",
        "http://h",
        "https://h:x",
        "https://h:99999",
    ],
)
def test_a_bad_base_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        check_base_url(url)


GHES = enterprise_hosts("https://github.octocorp.example/login")


def test_an_enterprise_server_says_itself_where_copilot_is() -> None:
    assert Hosts("https://github.octocorp.example", "https://api.github.octocorp.example", None) == GHES


@pytest.mark.parametrize(
    ("offered", "base"),
    [
        ("https://copilot.github.octocorp.example", "https://copilot.github.octocorp.example"),
        ("https://api.enterprise.githubcopilot.com", "https://api.enterprise.githubcopilot.com"),
        (None, "https://copilot-api.github.octocorp.example"),
        ("https://octocorp.example.attacker.test", "https://copilot-api.github.octocorp.example"),
        ("https://evilgithub.octocorp.example", "https://copilot-api.github.octocorp.example"),
        ("http://copilot.github.octocorp.example", "https://copilot-api.github.octocorp.example"),
    ],
)
def test_an_enterprise_servers_bearer_stays_in_its_domain(offered: str | None, base: str) -> None:
    assert allowed_copilot_base(offered, GHES, "enterprise") == base


def test_a_server_of_ones_own_opens_no_other_domain() -> None:
    offered = "https://copilot.github.octocorp.example"
    assert allowed_copilot_base(offered, Hosts(), "business") == "https://api.business.githubcopilot.com"
