"""Install packages into the environment of the Python that runs this, by uv, many times faster than pip.

    .venv/bin/python install.py --constraint constraints.txt --editable '.[dev]'

It takes what `pip install` takes. uv comes from the index that pip is configured for, and is handed what
it does not read by itself: the indexes, certificates and constraints of pip. Where uv is not to be had or
fails, pip installs the same packages, and a line says so.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Mapping

UV = "uv==0.13.9"
SETTINGS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "constraint": "UV_CONSTRAINT",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
}
"""Settings of pip, by the variable that says the same to uv. Spaces divide lists, but for UV_FIND_LINKS."""
TRUE = ("1", "true", "yes", "on")
PIP = (sys.executable, "-m", "pip")


def read_pip_settings(listing: str) -> dict[str, str]:
    """Read what `pip config list` prints; what stands later for pip overrules what stands earlier.

    Args:
        listing: lines such as `global.index-url='https://...'`; `:env:` stands for a variable `PIP_...`.

    Returns:
        The settings of `pip install`, by their names without what they are in.
    """
    found: dict[str, str] = {}
    for place in ("global", "install", ":env:"):
        for line in listing.splitlines():
            key, equals, value = line.partition("=")
            if equals and key.startswith(f"{place}."):
                found[key.removeprefix(f"{place}.")] = str(ast.literal_eval(value))
    return found


def uv_environment(pip: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return `environment` with pip's settings in uv's words; what it says to uv already stays."""
    # pip takes the best version of all indexes; uv by itself takes that of the first that has the package
    words = {"UV_INDEX_STRATEGY": "unsafe-best-match"}
    for setting, variable in SETTINGS.items():
        if values := pip.get(setting, "").split():
            words[variable] = ("," if variable == "UV_FIND_LINKS" else " ").join(values)
    return words | dict(environment)


def install(arguments: list[str]) -> int:
    """Install what `arguments` name, with uv or else with pip, and return the exit code."""
    listing = subprocess.run([*PIP, "config", "list"], capture_output=True, text=True, check=False).stdout
    fetched = subprocess.run([*PIP, "install", "--quiet", "--no-compile", UV], check=False)
    if fetched.returncode == 0:
        uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", sys.executable]
        settings = read_pip_settings(listing)
        uv += ["--no-index"] if settings.get("no-index", "") in TRUE else []
        environment = uv_environment(settings, os.environ)
        if subprocess.run([*uv, *arguments], env=environment, check=False).returncode == 0:
            return 0
    print(f"install.py: {UV} is not to be had or failed; pip installs, which takes minutes", file=sys.stderr)
    return subprocess.run([*PIP, "install", "--quiet", "--no-compile", *arguments], check=False).returncode


if __name__ == "__main__":
    sys.exit(install(sys.argv[1:]))
