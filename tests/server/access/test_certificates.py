"""The files of TLS: what is wrong with them is said at the start, and a renewal counts at once."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from itemlens_server import followed as following
from itemlens_server.access.certificates import CertificateFiles
from itemlens_server.errors import FailedPrecondition
from itemlens_server.followed import Followed
from support.authority import Authority

ENCRYPTED = """-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGjMF8GCSqGSIb3DQEFDTBSMDEGCSqGSIb3DQEFDDAkBBAgICAgICAgICAgICAg
-----END ENCRYPTED PRIVATE KEY-----
"""


@pytest.fixture(autouse=True)
def always_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "LOOK_SECONDS", 0.0)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_are_read_as_they_are(authority: Authority) -> None:
    files = authority.files(authority.path)
    pem = files.read()
    assert (pem.certificate, pem.key) == (files.certificate.read_bytes(), files.key.read_bytes())
    assert pem.client_ca == authority.path.read_bytes()
    assert CertificateFiles(files.certificate, files.key).read().client_ca is None


def test_a_key_of_another_certificate_is_refused(authority: Authority) -> None:
    files = authority.files()
    _, other = authority.issue("other")
    with pytest.raises(FailedPrecondition, match="the key is not that of the certificate"):
        CertificateFiles(files.certificate, other).read()


def test_files_that_were_swapped_are_refused(authority: Authority) -> None:
    files = authority.files()
    with pytest.raises(FailedPrecondition, match="cannot be used"):
        CertificateFiles(files.key, files.certificate).read()


@pytest.mark.parametrize(
    "text", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_damaged_files_are_refused(authority: Authority, text: str) -> None:
    files = authority.files(authority.path)
    for path, name in ((files.certificate, "tls_certificate"), (authority.path, "tls_client_ca")):
        good = path.read_bytes()
        path.write_text(text)
        with pytest.raises(FailedPrecondition, match=f"{name} .*cannot be used: "):
            files.read()
        path.write_bytes(good)


def test_a_missing_file_is_refused(authority: Authority) -> None:
    files = authority.files()
    with pytest.raises(FailedPrecondition, match="No such file"):
        CertificateFiles(files.certificate, files.key, authority.folder / "none.pem").read()
    files.key.unlink()
    with pytest.raises(FailedPrecondition, match="No such file"):
        files.read()


def test_a_key_with_a_password_is_refused(authority: Authority) -> None:
    files = authority.files()
    files.key.write_text(ENCRYPTED)
    with pytest.raises(FailedPrecondition, match="cannot be used"):
        files.read()


def test_follow_a_renewal(authority: Authority) -> None:
    files = authority.files()
    followed = Followed(files.paths, files.read)
    first = followed.now()
    assert first == files.read() and followed.now() is first
    authority.issue()
    assert followed.now() == files.read() != first


def test_half_a_renewal_leaves_the_old_ones_and_says_so(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    files = authority.files()
    followed = Followed(files.paths, files.read)
    first = followed.now()
    new, key = authority.issue("new")
    files.certificate.write_bytes(new.read_bytes())
    with caplog.at_level(logging.ERROR):
        assert followed.now() is followed.now() is first
    assert caplog.text.count("what was read before stays") == 1
    files.key.write_bytes(key.read_bytes())
    assert followed.now().certificate == new.read_bytes()
