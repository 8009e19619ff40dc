import base64
import hashlib
import hmac
import json

import httpx

from watchtower.lab.demonstration.receiver import Notices, receiving

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
BODY = json.dumps({"type": "incident.opened", "timestamp": "t", "data": {"title": "slow tokens"}}).encode()


def headers(id: str = "msg-1", body: bytes = BODY, key: bytes = b"k" * 32) -> dict[str, str]:
    mac = hmac.digest(key, b".".join((id.encode(), b"17", body)), hashlib.sha256)
    return {
        "webhook-id": id,
        "webhook-timestamp": "17",
        "webhook-signature": "v1,bm9uc2Vuc2U= v1," + base64.b64encode(mac).decode(),
    }


def test_a_notice_with_a_valid_signature_is_taken_once_whatever_is_retried() -> None:
    notices = Notices(SECRET)
    with receiving(notices) as url, httpx.Client(verify=False) as http:
        for _ in range(2):
            assert http.post(url, content=BODY, headers=headers()).status_code == 204
    assert notices.all() == [{"id": "msg-1", "type": "incident.opened", "title": "slow tokens"}]


def test_a_notice_that_was_not_signed_by_us_is_refused() -> None:
    notices = Notices(SECRET)
    with receiving(notices) as url, httpx.Client(verify=False) as http:
        assert http.post(url, content=BODY, headers=headers(key=b"x" * 32)).status_code == 401
        assert http.post(url, content=BODY + b" ", headers=headers()).status_code == 401
        assert http.post(url, content=BODY).status_code == 401
    assert notices.all() == [] and notices.refused == 3


def test_a_signed_body_that_is_no_event_is_refused() -> None:
    assert not Notices(SECRET).take("a", "17", headers("a", b"{")["webhook-signature"], b"{")
