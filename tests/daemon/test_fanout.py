"""One message to many, in order."""

from __future__ import annotations

from watchtower.daemon.fanout import Fanout


def test_every_subscriber_hears_every_message_in_the_order_of_subscription() -> None:
    heard: list[str] = []
    fanout = Fanout[str]()
    fanout.publish("before anybody listens")
    fanout.subscribe(
        lambda message: heard.append(f"first {message}"), lambda message: heard.append(f"second {message}")
    )
    fanout.publish("a")
    fanout.subscribe(lambda message: heard.append(f"third {message}"))
    fanout.publish("b")
    assert heard == ["first a", "second a", "first b", "second b", "third b"]
