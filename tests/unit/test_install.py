"""`install.py`: uv is asked for what pip would have done, and pip where uv is not to be had."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

SPEC = spec_from_file_location("install", Path(__file__).parents[2] / "install.py")
assert SPEC is not None
assert SPEC.loader is not None
install = module_from_spec(SPEC)
SPEC.loader.exec_module(install)

LISTING = """\
:env:.index-url='https://of-the-shell.example/simple'
:env:.no-index='0'
download.index-url='https://of-downloads.example/simple'
global.extra-index-url='\\nhttps://one.example/simple\\nhttps://two.example/simple'
global.find-links='/wheels /more'
global.index-url='https://of-the-file.example/simple'
install.cert='/etc/company.pem'
"""


def test_pip_s_settings_are_said_in_uv_s_words() -> None:
    pip = install.read_pip_settings(LISTING)
    assert install.uv_environment(pip, {"HOME": "/home"}) == {
        "HOME": "/home",
        "SSL_CERT_FILE": "/etc/company.pem",
        "UV_DEFAULT_INDEX": "https://of-the-shell.example/simple",
        "UV_FIND_LINKS": "/wheels,/more",
        "UV_INDEX": "https://one.example/simple https://two.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


def test_what_uv_was_told_itself_stays() -> None:
    pip = install.read_pip_settings(LISTING)
    own = {"UV_DEFAULT_INDEX": "https://own.example/simple", "UV_INDEX_STRATEGY": "first-index"}
    assert own.items() <= install.uv_environment(pip, own).items()


@pytest.mark.parametrize(
    ("fails", "by_pip"),
    [(None, False), ("uv==", True), ("uv", True)],
    ids=["uv does it", "no uv in the index", "uv fails"],
)
def test_pip_installs_where_uv_does_not_and_says_so(
    fails: str | None, by_pip: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[list[str]] = []

    def run(command: Sequence[str], **_: object) -> subprocess.CompletedProcess[str]:
        ran.append(list(command[2:]))
        failed = fails is not None and any(
            word == fails or ("==" in fails and word.startswith(fails)) for word in command
        )
        return subprocess.CompletedProcess(command, int(failed), stdout="")

    monkeypatch.setattr(subprocess, "run", run)
    assert install.install(["--editable", "."]) == 0
    assert (["pip", "install", "--quiet", "--no-compile", "--editable", "."] in ran) is by_pip
    assert ("pip installs" in capsys.readouterr().err) is by_pip
    if fails != "uv==":
        assert ["uv", "pip", "install", "--quiet", "--python", sys.executable, "--editable", "."] in ran
