from __future__ import annotations

import pytest
from pydantic import ValidationError

from services.core.settings import HomeSettings, ServiceSettings


def test_environment_and_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHUTDOWN_SECONDS", "7")
    monkeypatch.setenv("LOG_LEVEL", "")
    settings = ServiceSettings.load()
    assert (settings.shutdown_seconds, settings.log_level) == (7, "info")


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        ServiceSettings(host="0.0.0.0").host = "x"  # type: ignore[misc]  # noqa: S104


def test_a_bad_value_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DEADLINE_SECONDS", "soon")
    with pytest.raises(SystemExit) as stopped:
        ServiceSettings.load()
    assert stopped.value.code == 2
    assert "DEADLINE_SECONDS" in capsys.readouterr().err


def test_folders_stand_below_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGLINE_HOME", "~/x")
    home = HomeSettings.load()
    assert home.root.is_absolute()
    assert {home.models.parent, home.data.parent, home.run.parent} == {home.root}


def test_a_field_is_read_from_its_variable_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAGLINE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/somebody")
    monkeypatch.setenv("MAX_BODY_BYTES", "11")
    assert str(HomeSettings.load().home) == "~/.ragline"
    assert ServiceSettings.load().max_body_bytes == 11
    assert ServiceSettings(max_body_bytes=13).max_body_bytes == 13
