"""Where a request comes from, as coarse as limits need it."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from fastapi import Request

_IPV4, _IPV4_BITS, _IPV6_BITS = 4, 24, 48


def network_of(request: Request) -> str:
    """The network a request comes from: the first 24 bits of IPv4, 48 of IPv6."""
    try:
        address = ip_address(request.client.host if request.client else "")
    except ValueError:
        return ""
    mapped = getattr(address, "ipv4_mapped", None) or address
    bits = _IPV4_BITS if mapped.version == _IPV4 else _IPV6_BITS
    return str(ip_network((mapped, bits), strict=False))
