"""Credentials leave a text whole; words of people stay."""

from __future__ import annotations

import pytest

from watchtower.scoring.redaction import redact, redactor

AWS = "AKIA" + "IOSFODNN7EXAMPLE"
GITHUB = "ghp_" + "wWPw5k4aXcaT4fNP0UcnZwJUVFk6LO0pINUx"
JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"Why does {AWS} not work?", AWS),
        (f"{GITHUB} is my token", GITHUB),
        (f"decode {JWT}", JWT),
        ("password = 'hunter2-horse'", "hunter2-horse"),
        ("fetch https://bob:s3cretpw@host/x", "s3cretpw"),
        ("a\n-----BEGIN RSA PRIVATE KEY-----\nMIIabcdef\n-----END RSA PRIVATE KEY-----\nb", "MIIabcdef"),
    ],
)
def test_a_credential_is_taken_out_whole(text: str, secret: str) -> None:
    pytest.importorskip("detect_secrets", reason="the extra 'retention' is not installed")
    said, count = redactor()(text)

    assert count >= 1
    assert secret not in said
    assert secret[-8:] not in said
    assert "[redacted]" in said


def test_ordinary_sentences_stay_as_they_are() -> None:
    pytest.importorskip("detect_secrets", reason="the extra 'retention' is not installed")
    text = "Explain the tides to a child.\nThen write 'bread' twice; call me at 10."

    assert redactor()(text) == (text, 0)


def test_a_finding_takes_the_token_around_it_along() -> None:
    said, count = redact("is tok_abc-secret-9/x= mine", lambda line: {"secret"})

    assert (said, count) == ("is [redacted] mine", 1)


def test_a_private_key_goes_to_its_last_line_and_without_one_to_the_end() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nabc\n"

    assert redact(f"a\n{key}-----END PRIVATE KEY-----\nb", lambda line: set()) == ("a\n[redacted]\nb", 1)
    assert redact(f"a\n{key}def", lambda line: set()) == ("a\n[redacted]\n", 1)
