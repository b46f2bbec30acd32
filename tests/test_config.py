from __future__ import annotations

from pathlib import Path

import pytest

from copilot_trio.config import AccountSettings, Config, DamagedFile, ProxySettings, data_directory, load_config

KEY = f'{{"label":"x","sha256":"{"a" * 64}"'


def test_a_missing_file_means_the_defaults(tmp_path: Path) -> None:
    assert load_config(tmp_path / "config.json") == Config()


def test_settings_are_read(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"timeouts":{"silence":9},"identity":{"editor_version":"vscode/2"}}')
    config = load_config(path)
    assert (config.timeouts.silence, config.timeouts.connect) == (9, 15)
    assert config.identity.editor_version == "vscode/2"


def test_settings_for_models_are_read(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(
        '{"model_mapping":{"*":"gpt-4.1","claude-*-haiku*":"gpt-5-mini","opus[1m]":"claude-opus-4.6"},'
        '"concurrency":{"default":4,"gpt-4.1":2},"auto_thinking":false,"upstream_websocket":true,"websocket":false,'
        '"web_search_model":"gpt-5-mini"}'
    )
    config = load_config(path)
    assert list(config.model_mapping) == ["*", "claude-*-haiku*", "opus[1m]"]
    assert config.concurrency == {"default": 4, "gpt-4.1": 2}
    assert (config.auto_thinking, config.upstream_websocket, config.websocket) == (False, True, False)
    assert config.web_search_model == "gpt-5-mini"


def test_settings_for_accounts_are_read(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(
        '{"accounts":{"default_group":"work","failover_on_quota":false,"affinity_entries":5,"affinity_seconds":60,'
        '"start_gap":0,"move_delay":[0,2.5],"pool_seconds":60,"pool_jitter":0,"failures_allowed":5,"error_seconds":1,'
        '"quota_seconds":60,"ping_seconds":9},"groups":{"work":["a","b"],"private":["c"]}}'
    )
    config = load_config(path)
    assert config.accounts == AccountSettings(
        default_group="work",
        failover_on_quota=False,
        affinity_entries=5,
        affinity_seconds=60,
        start_gap=0,
        move_delay=(0, 2.5),
        pool_seconds=60,
        pool_jitter=0,
        failures_allowed=5,
        error_seconds=1,
        quota_seconds=60,
        ping_seconds=9,
    )
    assert config.groups == {"work": ("a", "b"), "private": ("c",)}


def test_what_is_said_of_several_accounts_is_what_the_product_promises() -> None:
    settings = Config().accounts
    assert (settings.affinity_entries, settings.affinity_seconds, settings.failures_allowed) == (10_000, 3600, 3)
    assert (settings.start_gap, settings.move_delay, settings.error_seconds) == (1, (1, 5), 60)
    assert (settings.pool_seconds, settings.pool_jitter) == (4 * 3600, 0.25)
    assert (settings.quota_seconds, settings.ping_seconds, settings.failover_on_quota) == (300, 30, True)
    assert Config().groups == {}


@pytest.mark.parametrize(
    ("pin", "group", "account"),
    [("", None, None), (',"group":"work"', "work", None), (',"account":"a"', None, "a")],
)
def test_a_key_may_be_pinned(tmp_path: Path, pin: str, group: str | None, account: str | None) -> None:
    path = tmp_path / "config.json"
    path.write_text(f'{{"keys":[{KEY}{pin}}}]}}')
    (key,) = load_config(path).keys
    assert (key.group, key.account, key.rights) == (group, account, ("inference", "admin"))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('{"timeouts":{"silence":"9"}}', r"\$\.timeouts\.silence"),
        ('{"timeout":{}}', "timeout"),
        ('{"keys":[{"label":"x"}]}', r"\$\.keys\[0\]"),
        ("{", "truncated"),
        ('{"timeouts":{"wait":-1}}', r"\$\.timeouts\.wait"),
        ('{"keys":[{"label":"x","sha256":"no"}]}', r"\$\.keys\[0\]\.sha256"),
        ('{"identity":{"user_agent":"a\\nb"}}', r"\$\.identity\.user_agent"),
        ('{"model_mapping":{"a":5}}', r"\$\.model_mapping\["),
        ('{"model_mapping":{"a":""}}', r"\$\.model_mapping\["),
        ('{"model_mapping":{"a":"gpt-*"}}', r"\$\.model_mapping\["),
        ('{"model_mapping":{"a":"b\\n"}}', r"\$\.model_mapping\["),
        ('{"model_mapping":{"":"b"}}', r"key.*\$\.model_mapping"),
        ('{"model_mapping":{"**":"b"}}', r"key.*\$\.model_mapping"),
        ('{"model_mapping":{"a b":"b"}}', r"key.*\$\.model_mapping"),
        ('{"model_mapping":[]}', r"\$\.model_mapping"),
        ('{"concurrency":{"default":0}}', r"\$\.concurrency\["),
        ('{"concurrency":{"gpt-4.1":-1}}', r"\$\.concurrency\["),
        ('{"concurrency":{"gpt-4.1":1.5}}', r"\$\.concurrency\["),
        ('{"concurrency":{"gpt-4.1":true}}', r"\$\.concurrency\["),
        ('{"concurrency":{"gpt-*":1}}', r"key.*\$\.concurrency"),
        ('{"concurrency":5}', r"\$\.concurrency"),
        ('{"auto_thinking":1}', r"\$\.auto_thinking"),
        ('{"upstream_websocket":"yes"}', r"\$\.upstream_websocket"),
        ('{"websocket":null}', r"\$\.websocket"),
        ('{"web_search_model":""}', r"\$\.web_search_model"),
        ('{"web_search":true}', "web_search"),
        (f'{{"keys":[{KEY},"group":"g","account":"a"}}]}}', r"pinned to a group and to an account.*\$\.keys\[0\]"),
        (f'{{"keys":[{KEY},"group":5}}]}}', r"\$\.keys\[0\]\.group"),
        (f'{{"keys":[{KEY},"pin":"g"}}]}}', "pin"),
        ('{"groups":{"a":["x"],"b":["y","x"]}}', "names the account 'x' more than once"),
        ('{"groups":{"a":["x","x"]}}', "names the account 'x' more than once"),
        ('{"groups":{"":["x"]}}', r"key.*\$\.groups"),
        ('{"groups":{"a":"x"}}', r"\$\.groups"),
        ('{"groups":["x"]}', r"\$\.groups"),
        ('{"accounts":{"move_delay":[5,1]}}', r"the least and the most.*\$\.accounts"),
        ('{"accounts":{"move_delay":[1]}}', r"\$\.accounts\.move_delay"),
        ('{"accounts":{"move_delay":[-1,1]}}', r"\$\.accounts\.move_delay\["),
        ('{"accounts":{"start_gap":-1}}', r"\$\.accounts\.start_gap"),
        ('{"accounts":{"start_gap":61}}', r"\$\.accounts\.start_gap"),
        ('{"accounts":{"affinity_entries":0}}', r"\$\.accounts\.affinity_entries"),
        ('{"accounts":{"affinity_entries":2000000}}', r"\$\.accounts\.affinity_entries"),
        ('{"accounts":{"pool_jitter":1}}', r"\$\.accounts\.pool_jitter"),
        ('{"accounts":{"failures_allowed":0}}', r"\$\.accounts\.failures_allowed"),
        ('{"accounts":{"quota_seconds":0}}', r"\$\.accounts\.quota_seconds"),
        ('{"accounts":{"gap":1}}', "gap"),
    ],
)
def test_an_error_names_the_field_and_the_file_is_left_alone(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(DamagedFile, match=named):
        load_config(path)
    assert path.read_text() == text


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").mkdir()
    with pytest.raises(DamagedFile, match="permissions"):
        load_config(tmp_path / "config.json")


def test_the_data_directory_follows_the_environment() -> None:
    assert data_directory({"COPILOT_TRIO_HOME": "/x"}) == Path("/x")
    assert data_directory({"XDG_DATA_HOME": "/y"}) == Path("/y/copilot-trio")
    assert data_directory({"XDG_DATA_HOME": "relative"}) == Path.home() / ".local/share/copilot-trio"
    assert data_directory({}) == Path.home() / ".local/share/copilot-trio"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"proxy":{"enabled":true}}', "http_proxy, https_proxy or both"),
        ('{"proxy":{"http_proxy":"ftp://u:s3cret@x"}}', "http_proxy: this proxy URL cannot be used"),
        ('{"proxy":{"https_proxy":"http://x","no_proxy":"a\\nb"}}', "no_proxy"),
        ('{"proxy":{"https_proxy":"http://x","colour":1}}', "colour"),
    ],
)
def test_a_saved_proxy_that_cannot_be_used_is_named_without_its_password(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(DamagedFile) as caught:
        load_config(path)
    assert words in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_one_saved_proxy_stands_in_for_the_other() -> None:
    settings = ProxySettings(http_proxy="http://u:s3cret@x:1", no_proxy="a,b")
    url = "http://u:s3cret@x:1"
    assert settings.variables() == {"HTTP_PROXY": url, "HTTPS_PROXY": url, "NO_PROXY": "a,b"}
    assert "s3cret" not in repr(Config(proxy=settings))
