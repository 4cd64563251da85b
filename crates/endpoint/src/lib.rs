//! One value for an IPv4 or IPv6 address, its zone and port: parsed and printed one way.
