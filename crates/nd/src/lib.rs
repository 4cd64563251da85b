//! Router advertisements sent and received: a sans-I/O router and uplink host.
