"""The credentials of a server that speaks TLS."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import grpc

from itemlens_server.access.certificates import CertificateFiles, Pem
from itemlens_server.followed import Followed


def server_credentials(files: CertificateFiles) -> grpc.ServerCredentials:
    """Return credentials that follow the files: each new connection uses them as they are then.

    Raises:
        FailedPrecondition: the files cannot be used.
    """
    followed = Followed(files.paths, files.read)
    used = followed.now()

    def changed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal used
        before, used = used, followed.now()
        return None if used is before else _configuration(used)

    # None stands for no change, which gRPC's stubs do not say.
    fetcher = cast("Callable[[], grpc.ServerCertificateConfiguration]", changed)
    return grpc.dynamic_ssl_server_credentials(
        _configuration(used), fetcher, require_client_authentication=files.client_ca is not None
    )


def _configuration(pem: Pem) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(pem.key, pem.certificate)], root_certificates=pem.client_ca
    )
