"""Which network addresses are public. What fetches an address that somebody else named asks here, so that nobody can send it to
machines that only it can reach: this one, its neighbours, a cloud's metadata service.

Knows nothing of HTTP. An address inside another (IPv4-mapped, NAT64, 6to4, Teredo) counts as what it leads to.
"""

from __future__ import annotations

import ipaddress
import socket

from yearling.errors import BadInput, Unavailable

_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
_LOW_32_BITS = (1 << 32) - 1


def is_public(address: str) -> bool:
    """Whether an IP address, in any of its spellings, is one that everybody can reach. Other words are not."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0].strip("[]"))
    except ValueError:
        return False
    leads_to = _embedded_ipv4_addresses(ip) if isinstance(ip, ipaddress.IPv6Address) else []
    return all(one.is_global and not one.is_multicast and not one.is_reserved for one in leads_to or (ip,))


def resolve_public_addresses(host: str, port: int) -> list[str]:
    """The addresses of a host, all of them public. Waits for the resolver: call in a thread.

    Raises BadInput when any of them is not (a name that leads to both kinds leads wherever its owner wants), Unavailable when
    there are none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unavailable(f"The name {host!r} does not resolve: {error}.") from None
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    if not addresses or not all(is_public(address) for address in addresses):
        raise BadInput(f"{host} leads to an address that is not public.", advice="Only public addresses are fetched.")
    return addresses


def _embedded_ipv4_addresses(ip: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """The IPv4 addresses to which a packet for this one goes in the end."""
    if ip.ipv4_mapped is not None:
        return [ip.ipv4_mapped]
    if ip.sixtofour is not None:
        return [ip.sixtofour]
    if ip.teredo is not None:
        return list(ip.teredo)
    low = int(ip) & _LOW_32_BITS
    if any(ip in network for network in _NAT64) or int(ip) >> 32 == 0:  # the last: IPv4-compatible, `::a.b.c.d`
        return [ipaddress.IPv4Address(low)]
    return []
