"""Send schemathesis' cases to every service: `make test-fuzz`.

The services run in one process of the environment that has Ragline (`RAGLINE_PYTHON`), schemathesis in this one, service
by service. Cases come from each service's own `/openapi.json`, are the same at every run, and are counted: fewer than
`LEAST` fail the run as an error of a service does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.fuzz.schemas import ADMIN, MCP, MCP_PATHS

ROOT = Path(__file__).parents[2]
PYTHON = os.environ.get("RAGLINE_PYTHON", sys.executable)
"""The interpreter that has Ragline; the one that runs this has schemathesis."""
LEAST = 5000
"""The fewest cases of a whole run."""
EXAMPLES = int(os.environ.get("EXAMPLES") or 40)
"""Cases per operation that are drawn at random, besides those that follow from the schema's bounds."""
SECONDS = 1800
"""The longest that one service may take."""
CHECKS = "no_server_error,no_hang,one_error_body,kept_out"
BY_HAND = {"admin": ADMIN, "mcp": MCP}
"""The schemas that no service tells."""


@dataclass(frozen=True, slots=True)
class Target:
    """A service to send cases to, and where its schema is; `key` is sent where there is one."""

    name: str
    url: str
    schema: Path
    key: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of the cases of one service."""

    statuses: Counter[int]
    longest: float
    longest_of: str
    failed: bool


@contextmanager
def started(home: Path) -> Iterator[dict[str, object]]:
    """Start the services and give what `tests.fuzz.services` says of them."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith(("_URL", "_PORT"))}
    log = home / "services.log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [PYTHON, "-m", "tests.fuzz.services"],
            cwd=ROOT,
            env={**environment, "RAGLINE_HOME": str(home)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line:
                raise SystemExit(f"the services did not start:\n{log.read_text()}")
            yield json.loads(line)
        finally:
            process.stdin.close()
            process.wait(timeout=120)


def write_schema(name: str, services: dict[str, str], file: Path) -> Path:
    """Write a target's schema to a file: schemathesis itself would wait no longer than ten seconds for it."""
    if name in BY_HAND:
        file.write_text(json.dumps(BY_HAND[name]))
        return file
    # a tenant's key does not open the page of schemas, which is the same without keys
    url = services["gateway" if name.startswith("gateway") else name]
    reply = requests.get(f"{url}/openapi.json", timeout=120)
    reply.raise_for_status()
    schema = reply.json()
    if name == "gateway-locked":
        schema["paths"] |= MCP_PATHS
    file.write_text(json.dumps(schema))
    return file


def send_cases(target: Target, names: dict[str, object], counts: Path) -> Outcome:
    """Run schemathesis over one service, and read what its hooks counted."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", str(target.schema), "--url", target.url]
    command += ["--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--mode", "all"]
    command += ["--max-examples", str(EXAMPLES), "--seed", "1", "--generation-deterministic"]
    command += ["--suppress-health-check", "all", "--warnings", "off"]
    command += ["--request-timeout", "30", "--continue-on-failure", "--no-color", "--workers", "1"]
    command += ["--output-sanitize", "false", "--generation-unique-inputs"]
    if target.key:
        command += ["--header", f"Authorization: Bearer {target.key}"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "SCHEMATHESIS_HOOKS": "tests.fuzz.hooks",
        "FUZZ_SERVICE": target.name,
        "FUZZ_NAMES": json.dumps(names),
        "FUZZ_COUNTS": str(counts),
    }
    counts.unlink(missing_ok=True)
    try:
        status = subprocess.run(
            command, cwd=counts.parent, env=environment, timeout=SECONDS, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        print(f"{target.name}: not done after {SECONDS} s", flush=True)
        status = 1
    if not counts.exists():
        return Outcome(Counter(), 0.0, "", failed=True)
    counted = json.loads(counts.read_text())
    statuses = Counter({int(code): count for code, count in counted["statuses"].items()})
    return Outcome(statuses, *counted["longest"], failed=status != 0)


def main() -> int:
    """Send all cases, print what was counted, and return the exit status."""
    chosen = set(sys.argv[1:])
    outcomes: dict[str, Outcome] = {}
    with tempfile.TemporaryDirectory() as folder, started(Path(folder)) as stack:
        services, key = stack["services"], stack["key"]
        assert isinstance(services, dict)
        names = {name: stack[name] for name in ("documents", "passages", "jobs")}
        for name, url in services.items():
            if not chosen or name in chosen:
                schema = write_schema(name, services, Path(folder) / f"{name}.json")
                target = Target(name, url, schema, str(key) if name == "gateway-keys" else "")
                outcomes[name] = send_cases(target, names, Path(folder) / "counts.json")
    for name, outcome in outcomes.items():
        by_status = " ".join(f"{status}:{count}" for status, count in sorted(outcome.statuses.items()))
        said = "FAILED" if outcome.failed else "ok"
        print(f"{name:14} {outcome.statuses.total():6} cases, {said}: {by_status}")
        print(f"{'':14} longest {outcome.longest:.2f} s ({outcome.longest_of})")
    total = sum(outcome.statuses.total() for outcome in outcomes.values())
    print(f"{total} cases over {len(outcomes)} targets")
    if not chosen and total < LEAST:
        print(f"fewer than {LEAST} cases")
        return 1
    return int(any(outcome.failed for outcome in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())
