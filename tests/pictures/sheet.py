"""The messages of two incidents on one sheet, to be looked at as the engineer on call: at three in the morning.

python -m tests.pictures.sheet DIR      one picture a receiver, and docs/alerts.png anew
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Sequence
from html import escape
from pathlib import Path

from tests.pictures import faces
from tests.pictures.story import HTTP, cured, escalated, mailed, posted
from watchtower.sinks.message import message_of
from watchtower.vocabulary.incidents import Notice, NoticeKind

CHROMIUM = shutil.which("chromium")
COMPOSITE = Path(__file__).resolve().parents[2] / "docs" / "alerts.png"
WIDTH = 1500
COMPOSITE_SCALE = 0.8
"""Keeps the file below 200 kB."""
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
STYLE = """
body{margin:0;padding:16px;background:#e9ebef;color:#1d1c1d;font:14px "Helvetica Neue",Arial,"DejaVu Sans",sans-serif}
h1{font-size:19px;margin:4px 0 10px} h2{font-size:13px;color:#555;margin:10px 2px 5px;font-weight:600}
h3{font-size:15px;margin:6px 0} a{color:#1264a3;text-decoration:none} i{color:#666;font-style:normal;font-size:12px}
pre{font:12px "DejaVu Sans Mono",monospace;background:#f5f5f5;border:1px solid #ddd;border-radius:3px;padding:7px;
margin:4px 0;white-space:pre-wrap;overflow-wrap:anywhere}
.grid{display:grid;grid-template-columns:1fr 1fr;gap:14px 18px;align-items:start}
.slack,.teams,.pager,.mail{background:#fff;border-radius:6px;padding:11px 13px;box-shadow:0 1px 2px #0003}
.slack .who i{background:#ddd;border-radius:2px;padding:0 3px;font-size:10px}
.bar{border-left:4px solid;padding:1px 0 1px 11px;margin:6px 0 0} .section{margin:5px 0}
.fields{display:grid;grid-template-columns:1fr 1fr;gap:6px 14px} .context{font-size:12px}
.teams .bolder{font-weight:700} .teams .medium{font-size:16px;margin-bottom:6px}
.teams .monospace{font:12.5px "DejaVu Sans Mono",monospace;margin:8px 0}
.teams .actions a{display:inline-block;border:1px solid #bbb;border-radius:4px;padding:4px 12px;margin-top:4px}
table{border-collapse:collapse}
td{vertical-align:top;padding:2px 12px 2px 0} td:first-child{color:#666;white-space:nowrap}
.teams td:first-child{font-weight:700;color:#242424}
.triggered{background:#c4314b;color:#fff;border-radius:3px;padding:1px 6px;font-size:12px}
.resolved{background:#237b4b;color:#fff;border-radius:3px;padding:1px 6px;font-size:12px}
.mail pre{border:0;background:none;padding:6px 0;font-size:12.5px} .heads{color:#666;font-size:12px}
.urgent{color:#c4314b;font-weight:800}
.phone{background:#20242c;color:#fff;border-radius:14px;padding:10px 14px;width:350px;font-size:14px;line-height:19px}
.phone b{font-size:12px;color:#aab} .phone div{max-height:76px;overflow:hidden}
"""


def page(title: str, cells: Sequence[tuple[str, str]]) -> str:
    """``cells``: caption and HTML, two a row."""
    inner = "".join(f"<div><h2>{escape(caption)}</h2>{html}</div>" for caption, html in cells)
    head = f"<!doctype html><meta charset=utf-8><style>{STYLE}</style><h1>{escape(title)}</h1>"
    return f'{head}<div class="grid">{inner}</div>'


def caption(notice: Notice) -> str:
    return f"{notice.kind.value.replace('_', ' ')} · {notice.state.value}"


async def faces_of(notices: Sequence[Notice]) -> dict[str, list[str]]:
    """Receiver → HTML of each notice; "" where it gets nothing."""
    notices = list(notices)
    found = {"smtp": [faces.mail(message) for message in await mailed(notices)]}
    for kind in HTTP:
        draw = getattr(faces, kind)
        found[kind] = [draw(requests) if requests else "" for requests in await posted(kind, notices)]
    return found


def shot(html: str, to: Path, *, width: int = WIDTH, height: int, scale: float = 1.0) -> None:
    """Write ``to`` (PNG) and the page beside it."""
    assert CHROMIUM is not None
    source = to.with_suffix(".html")
    source.write_text(html, encoding="utf-8")
    profile = to.parent / f"chromium-{to.stem}"
    command = [CHROMIUM, *QUIET, f"--force-device-scale-factor={scale:g}", f"--user-data-dir={profile}"]
    command += [f"--window-size={width},{height}", f"--screenshot={to}", source.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    shutil.rmtree(profile, ignore_errors=True)


HEIGHTS = {"smtp": 1050, "slack": 850, "teams": 1000, "pagerduty": 1150, "opsgenie": 1100}
"""Pixels of each sheet."""


def main(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    notices = [*cured(), *(notice for notice in escalated() if notice.kind is NoticeKind.ESCALATED)]
    drawn = asyncio.run(faces_of(notices))
    for kind, htmls in drawn.items():
        cells = [(caption(notice), html) for notice, html in zip(notices, htmls, strict=True)]
        shot(page(f"As {kind} shows it", cells), directory / f"{kind}.png", height=HEIGHTS[kind])
    opened, acting, result, _, person = range(len(notices))
    lock = "<br>".join(faces.phone(message_of(notices[which]).headline) for which in (opened, person))
    composite = [
        ("What a phone shows: opened, and escalated", lock),
        ("Slack, when the cure begins", drawn["slack"][acting]),
        ("E-mail, when the cure was proven", drawn["smtp"][result]),
        ("Slack, when a person is needed", drawn["slack"][person]),
        ("Teams, when a person is needed", drawn["teams"][person]),
        ("PagerDuty, when a person is needed", drawn["pagerduty"][person]),
    ]
    shot(page("What people get", composite), directory / "alerts.png", height=1000, scale=COMPOSITE_SCALE)
    shutil.copyfile(directory / "alerts.png", COMPOSITE)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
