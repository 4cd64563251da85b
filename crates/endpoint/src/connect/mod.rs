//! Connecting: Happy Eyeballs (RFC 8305).
