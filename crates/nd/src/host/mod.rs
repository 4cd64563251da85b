//! The uplink side: what a host learns from routers.
