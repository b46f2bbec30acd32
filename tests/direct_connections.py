"""An account's proxy is down: the server's every connect(), as strace sees them.

    cd tests && PYTHONPATH=.. python direct_connections.py

Runs ``copilot-trio start`` over the twin under strace (apt-get install strace), once with tinyproxy as the account's
proxy, once after that has been ended. Fails where anything was connected to but the proxy, or the error is not clear.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from processes import call, environment, twin
from proxy_servers import tinyproxy

from copilot_trio.accounts.account import AccountRecord
from copilot_trio.accounts.store import Store, with_account
from copilot_trio.twin import sample_accounts

CHAT = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "SCENARIO:text REPLY=arrived"}]}
CONNECT = re.compile(r"connect\(\d+, \{sa_family=AF_INET6?, sin6?_port=htons\((\d+)\)")


@contextmanager
def traced(variables: dict[str, str], trace: Path) -> Iterator[str]:
    """The server under strace, and nothing else. Yields its base URL."""
    command = ["strace", "-D", "-f", "-e", "trace=connect", "-o", str(trace)]
    command += [sys.executable, "-m", "copilot_trio", "start", "--port", "0"]
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = (re.search(r"listening +(http://\S+)", line) for line in process.stdout)
            yield next(match[1] for match in found if match)
        finally:
            process.terminate()  # with -D that is the server itself
            process.wait()
            while f"{process.pid} +++ exited" not in trace.read_text():
                os.sched_yield()


def targets(trace: Path) -> Counter[int]:
    return Counter(map(int, CONNECT.findall(trace.read_text())))


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        with twin(home) as (base, control), tinyproxy(home) as proxy:
            account = next(iter(sample_accounts()))
            record = AccountRecord(
                id="a1", label="work", github_token=account.token, proxy=proxy.url("http"), machine_id="m" * 64
            )
            Store(home / "data" / "accounts.json").update(lambda file: with_account(file, record))
            variables = environment(home, COPILOT_TRIO_GITHUB_URL=base, COPILOT_TRIO_GITHUB_API_URL=base)
            upstream = int(base.rpartition(":")[2])
            for state in ("up", "down"):
                if state == "down":
                    proxy.kill()
                call(f"{control}/records", "DELETE")
                trace = home / f"{state}.txt"
                with traced(variables, trace) as address:
                    status, _, body = call(f"{address}/v1/chat/completions", "POST", CHAT)
                seen = targets(trace)
                records = len(json.loads(call(f"{control}/records")[2])["records"])
                print(f"proxy {state}: {status} {body.decode()[:400]}")
                print(f"  connect(): {seen[proxy.port]} to the proxy, {seen[upstream]} to upstream,", end=" ")
                print(
                    f"{seen.total() - seen[proxy.port] - seen[upstream]} elsewhere; upstream was asked {records} times"
                )
                assert set(seen) == {proxy.port}, seen
                if state == "up":
                    assert status == 200, body
                    assert records
                else:
                    assert status == 502, body
                    assert f"the proxy 127.0.0.1:{proxy.port} cannot be reached: Connection refused" in body.decode()
                    assert not records
    return 0


if __name__ == "__main__":
    sys.exit(main())
