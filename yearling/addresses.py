"""Network addresses: tells public ones from private ones, as a guard against server-side request forgery, and clients apart.

Code that fetches an address chosen by somebody else checks it here first. Otherwise a caller could make the server connect to
machines that only the server can reach: itself, its neighbours, or a cloud's metadata service.

This module is independent of HTTP. An address that embeds another one (IPv4-mapped, NAT64, 6to4, Teredo) counts as the embedded
address.
"""

from __future__ import annotations

import ipaddress
import socket

from yearling.errors import BadInput, Unavailable

_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
_LOW_32_BITS = (1 << 32) - 1


def is_public(address: str) -> bool:
    """Return whether `address` is a globally reachable IP address, in any spelling. Other text, such as a host name, is not."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0].strip("[]"))
    except ValueError:
        return False
    embedded = _embedded_ipv4_addresses(ip) if isinstance(ip, ipaddress.IPv6Address) else []
    return all(target.is_global and not target.is_multicast and not target.is_reserved for target in embedded or (ip,))


def resolve_public_addresses(host: str, port: int) -> list[str]:
    """Return the addresses of a host, all of them public. Blocks while the resolver works, so call it in a thread.

    Raises BadInput if any address is private, because the owner of the name could then direct a request to it. Raises
    Unavailable if the name does not resolve.
    """
    try:
        records = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unavailable(f"The name {host!r} does not resolve: {error}.") from None
    addresses = list(dict.fromkeys(str(record[4][0]) for record in records))
    if not addresses or not all(is_public(address) for address in addresses):
        raise BadInput(f"{host} resolves to an address that is not public.", advice="Use a public address.")
    return addresses


def network_of(address: str) -> str:
    """What one client can be assumed to hold: an IPv4 address, or the /64 network of an IPv6 address. Other text as it is."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(ip) >> 64 << 64, 64)))


def _embedded_ipv4_addresses(ip: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Return the IPv4 addresses to which packets for this IPv6 address are finally routed."""
    if ip.ipv4_mapped is not None:
        return [ip.ipv4_mapped]
    if ip.sixtofour is not None:
        return [ip.sixtofour]
    if ip.teredo is not None:
        return list(ip.teredo)
    if any(ip in network for network in _NAT64) or int(ip) >> 32 == 0:  # the last: IPv4-compatible, `::a.b.c.d`
        return [ipaddress.IPv4Address(int(ip) & _LOW_32_BITS)]
    return []
