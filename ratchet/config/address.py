"""`host:port` as a server binds it, IPv6 in brackets."""

import ipaddress
from typing import Annotated, NamedTuple

from pydantic import AfterValidator

_EXAMPLES = "such as 127.0.0.1:8090, localhost:8090 or [::1]:8090"


class Address(NamedTuple):
    """Where a server listens; port 0 lets the system choose."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether nobody but this machine can reach it. A name other than localhost may lead anywhere."""
        if self.host.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_address(text: str) -> Address:
    """The parts of `host:port`.

    Raises:
        ValueError: The text is no address.
    """
    host, separator, port = text.strip().rpartition(":")
    if not separator or not host:
        raise ValueError(f"must be host:port, {_EXAMPLES}")
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"the port must be a number from 0 (any free port) to 65535, {_EXAMPLES}")
    return Address(_host(host), int(port))


def _host(host: str) -> str:
    bracketed = host.startswith("[") and host.endswith("]")
    name = host[1:-1] if bracketed else host
    if bracketed or ":" in name:
        return _ipv6(name, bracketed=bracketed)
    if any(character.isspace() or character in "[]/@" for character in name):
        raise ValueError(f"the host must be a name or an IP address, {_EXAMPLES}")
    return name


def _ipv6(name: str, *, bracketed: bool) -> str:
    try:
        ipaddress.IPv6Address(name)
    except ValueError:
        raise ValueError(f"the host is no IPv6 address, {_EXAMPLES}") from None
    if not bracketed:
        raise ValueError("an IPv6 address needs brackets, such as [::1]:8090")
    return name


def _checked(text: str) -> str:
    parse_address(text)
    return text.strip()


BindAddress = Annotated[str, AfterValidator(_checked)]
"""Text that `parse_address` takes."""
