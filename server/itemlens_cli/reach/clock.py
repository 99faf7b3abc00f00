"""The clock of the server, which its HTTP port of the setting `monitoring` tells in each answer."""

from __future__ import annotations

import http.client
import time
from email.utils import parsedate_to_datetime

from itemlens_cli.reach.rows import Row

MOST_SECONDS = 60.0


def check(monitoring: str, timeout: float) -> Row:
    """Compare the clocks. monitoring: host and port"""
    connection = None
    try:
        connection = http.client.HTTPConnection(monitoring, timeout=timeout)
        connection.request("HEAD", "/live")
        told = parsedate_to_datetime(connection.getresponse().headers["Date"]).timestamp()
    except (OSError, http.client.HTTPException, TypeError, ValueError) as error:
        why = f"{monitoring} does not tell the server's: {error}"
        return "clock", why, "give the server's setting `monitoring` with --monitoring, or leave it out"
    finally:
        if connection is not None:
            connection.close()
    # The header has whole seconds.
    ahead = time.time() - (told + 0.5)
    if abs(ahead) <= 1.5:
        return "clock", "within a second of the server's", ""
    state = f"{abs(ahead):,.0f} s {'ahead of' if ahead > 0 else 'behind'} the server's"
    return "clock", state, "set both clocks, as with NTP" if abs(ahead) > MOST_SECONDS else ""
