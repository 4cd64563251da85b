//! A caching DNS forwarder and the names of the local network, sans-I/O.
