//! Whether this process may do what `up` does, asked before anything is touched.

/// What is needed and what for, with the number of the capability (`linux/capability.h`).
const NEEDED: [(&str, u32, &str); 3] = [
    ("CAP_NET_ADMIN", 12, "to set addresses, routes and firewall rules"),
    ("CAP_NET_RAW", 13, "to send router advertisements, and DHCPv4 to hosts without an address"),
    ("CAP_NET_BIND_SERVICE", 10, "to listen on the ports 53, 67, 546 and 547"),
];

/// Capabilities that are missing.
#[derive(Debug, thiserror::Error)]
#[error("not permitted: this process lacks {}; run as root, or give it the capabilities: setcap cap_net_admin,cap_net_raw,cap_net_bind_service=ep on the program, or AmbientCapabilities= in its systemd unit", .0.join(", "))]
pub(crate) struct Lacking(Vec<String>);

/// Looks at the capabilities in effect (`CapEff` in proc_pid_status(5)). Where /proc does not tell, the first refused call will.
pub(crate) fn require() -> Result<(), Lacking> {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    match effective.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()) {
        Some(mask) => check(mask),
        None => Ok(()),
    }
}

fn check(mask: u64) -> Result<(), Lacking> {
    let lacking: Vec<String> = (NEEDED.iter())
        .filter(|(_, number, _)| mask & (1 << number) == 0)
        .map(|(name, _, purpose)| format!("{name} ({purpose})"))
        .collect();
    if lacking.is_empty() { Ok(()) } else { Err(Lacking(lacking)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_missing_and_nothing_else() {
        assert!(check(u64::MAX).is_ok());
        assert!(check(1 << 12 | 1 << 13 | 1 << 10).is_ok());
        let sentence = check(1 << 12 | 1 << 10).unwrap_err().to_string();
        assert!(
            sentence.contains("lacks CAP_NET_RAW (") && !sentence.contains("CAP_NET_ADMIN ("),
            "{sentence}"
        );
    }
}
