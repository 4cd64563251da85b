//! Durable leases: group commit, snapshot at start.
