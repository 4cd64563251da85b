//! ICMPv6 Neighbour Discovery (RFC 4861).
