from __future__ import annotations

import stat
import threading
from functools import partial
from pathlib import Path

import msgspec
import pytest

from copilot_trio.accounts.lock import StoreBusy, locked
from copilot_trio.config import Config, DamagedFile, ProxySettings, load_config
from copilot_trio.config_file import update_config

PROXY = ProxySettings(http_proxy="http://user:s3cret@proxy.example:3128")


def with_limit(config: Config, model: str, number: int) -> Config:
    return msgspec.structs.replace(config, concurrency={**config.concurrency, model: number})


def test_a_first_change_makes_a_private_file_without_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config.json"
    stored = update_config(path, lambda config: with_limit(config, "gpt-4.1", 2))
    assert stored.concurrency == {"gpt-4.1": 2}
    assert load_config(path) == stored
    assert msgspec.json.decode(path.read_bytes()) == {"concurrency": {"gpt-4.1": 2}}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_what_is_not_changed_keeps_its_text(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"timeouts": {"silence": 9.50}, "model_mapping": {"b*": "x", "a*": "y"}, "auto_thinking": true}')
    update_config(path, lambda config: msgspec.structs.replace(config, auto_thinking=False))
    text = path.read_text()
    assert "9.50" in text
    assert text.index('"b*"') < text.index('"a*"') < text.index('"auto_thinking": false')
    assert set(msgspec.json.decode(text)) == {"timeouts", "model_mapping", "auto_thinking"}


def test_no_change_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    assert update_config(path, lambda config: config) == Config()
    assert not path.exists()


def test_a_value_can_be_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    update_config(path, lambda config: msgspec.structs.replace(config, proxy=PROXY))
    assert load_config(path).proxy == PROXY
    update_config(path, lambda config: msgspec.structs.replace(config, proxy=None))
    assert load_config(path).proxy is None
    assert "s3cret" not in path.read_text()


def test_a_damaged_file_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"timeouts": {"silence": "long"}}')
    with pytest.raises(DamagedFile, match=r"timeouts\.silence"):
        update_config(path, lambda config: with_limit(config, "x", 1))
    assert path.read_text() == '{"timeouts": {"silence": "long"}}'


def test_a_change_that_is_no_valid_setting_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    update_config(path, lambda config: with_limit(config, "x", 1))
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"concurrency"):
        update_config(path, lambda config: with_limit(config, "x", 0))
    with pytest.raises(KeyError):
        update_config(path, lambda config: with_limit(config, "x", config.concurrency["nothing"]))
    assert path.read_bytes() == before


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "config.json"

    def write(number: int) -> None:
        for step in range(5):
            update_config(path, partial(with_limit, model=f"m{number}-{step}", number=1))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(load_config(path).concurrency) == 30


def test_a_writer_that_hangs_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    with locked(tmp_path / "config.json.lock", 1), pytest.raises(StoreBusy):
        update_config(path, lambda config: with_limit(config, "x", 1), patience=0)


def test_what_a_link_points_to_is_changed(tmp_path: Path) -> None:
    real, link = tmp_path / "real.json", tmp_path / "config.json"
    real.write_text("{}")
    link.symlink_to(real)
    update_config(link, lambda config: with_limit(config, "x", 1))
    assert link.is_symlink()
    assert load_config(real).concurrency == {"x": 1}
