"""The console loads itself alone."""

from __future__ import annotations

import httpx
import pytest


@pytest.mark.parametrize("path", ["/", "/assets/console.js", "/assets/console.css"])
async def test_the_console_may_load_only_itself(tcp: httpx.AsyncClient, path: str) -> None:
    headers = (await tcp.get(path)).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["form-action"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


async def test_the_console_has_no_inline_script_or_style(tcp: httpx.AsyncClient) -> None:
    page = (await tcp.get("/")).text
    assert "<script src=" in page
    assert "<style" not in page and "style=" not in page and " onclick" not in page
    script = (await tcp.get("/assets/console.js")).text
    assert "innerHTML" not in script and "eval(" not in script


@pytest.mark.parametrize("name", ["nope.js", "application.py", "..%2fapplication.py", "%2e%2e/server.py"])
async def test_only_the_listed_assets_are_served(tcp: httpx.AsyncClient, name: str) -> None:
    assert (await tcp.get(f"/assets/{name}")).status_code == 404
