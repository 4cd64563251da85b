//! What `sixgate clat` says: a line whenever what it does changes.

use crate::print;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

/// From where the prefix is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Learnt {
    /// `--prefix`.
    Argument,
    /// A router advertisement (RFC 8781).
    Pref64,
    /// The addresses of ipv4only.arpa (RFC 7050).
    Dns,
}

/// What a CLAT does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub(super) enum State {
    /// Something is missing.
    Waiting { interface: Option<String>, reason: Reason, detail: String },
    /// The machine has IPv4 of its own.
    Off { interface: String, detail: String },
    /// Programs reach IPv4.
    On { interface: String, prefix: String, learnt: Learnt, address: Ipv6Addr, ipv4: Ipv4Addr, mtu: u32 },
    /// It has ended.
    Stopped { counters: BTreeMap<String, u64>, discarded: BTreeMap<String, u64> },
}

/// What is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Reason {
    Interface,
    Address,
    Prefix,
    Failed,
}

impl State {
    fn sentence(&self) -> String {
        match self {
            Self::Waiting { detail, .. } => format!("waiting: {detail}"),
            Self::Off { detail, .. } => format!("off: {detail}"),
            Self::On { interface, prefix, learnt, address, ipv4, mtu } => {
                let learnt = match learnt {
                    Learnt::Argument => "as told",
                    Learnt::Pref64 => "from the router",
                    Learnt::Dns => "from DNS",
                };
                format!(
                    "on: {ipv4} leaves as {address} by {interface} to the NAT64 {prefix} ({learnt}), MTU {mtu}"
                )
            }
            Self::Stopped { counters, .. } => {
                let count = |name| counters.get(name).copied().unwrap_or(0);
                format!(
                    "stopped: {} packets out, {} in, {} not sent",
                    count("to-ipv6"),
                    count("to-ipv4"),
                    count("not-sent")
                )
            }
        }
    }
}

/// Says what is new.
#[derive(Debug)]
pub(super) struct Reporter {
    json: bool,
    last: Option<State>,
}

impl Reporter {
    pub(super) fn new(json: bool) -> Self {
        Self { json, last: None }
    }

    pub(super) fn say(&mut self, state: State) {
        if self.last.as_ref() == Some(&state) {
            return;
        }
        let line = if self.json { serde_json::to_string(&state).ok() } else { Some(state.sentence()) };
        if let Some(line) = line {
            // Nobody reads any more: that is no reason to cut programs off.
            let _ = print(&format!("{line}\n"));
        }
        self.last = Some(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_one_line_each() {
        let on = State::On {
            interface: "eth0".to_owned(),
            prefix: "64:ff9b::/96".to_owned(),
            learnt: Learnt::Pref64,
            address: "2001:db8::c1a7".parse().unwrap(),
            ipv4: "192.0.0.1".parse().unwrap(),
            mtu: 1480,
        };
        assert_eq!(
            on.sentence(),
            "on: 192.0.0.1 leaves as 2001:db8::c1a7 by eth0 to the NAT64 64:ff9b::/96 (from the router), MTU 1480"
        );
        assert_eq!(
            serde_json::to_string(&on).unwrap(),
            r#"{"state":"on","interface":"eth0","prefix":"64:ff9b::/96","learnt":"pref64","address":"2001:db8::c1a7","ipv4":"192.0.0.1","mtu":1480}"#
        );
        let waiting =
            State::Waiting { interface: None, reason: Reason::Interface, detail: "no link".to_owned() };
        assert_eq!(
            serde_json::to_string(&waiting).unwrap(),
            r#"{"state":"waiting","interface":null,"reason":"interface","detail":"no link"}"#
        );
    }
}
