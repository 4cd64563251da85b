//! `[uplink]`: the side that the ISP is on.

use super::{DELEGATED, Located, Reader, Shape, file, shape};
use crate::shape::Facing;
use std::path::PathBuf;

/// The side that the ISP is on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Uplink {
    pub(crate) interface: Located,
    /// Whether to ask for an address by DHCPv6 (IA_NA).
    pub(crate) address: bool,
    /// Whether to ask for a prefix (IA_PD).
    pub(crate) prefix: bool,
    /// Length to ask for, in bits.
    pub(crate) prefix_length: Option<u8>,
    pub(crate) rapid_commit: bool,
    /// Whether Reconfigure messages are accepted (only authenticated ones ever are).
    pub(crate) reconfigure: bool,
    /// Whether a clean stop gives the leases back.
    pub(crate) release: bool,
    /// A resolv.conf to keep up to date with the resolvers learnt here.
    pub(crate) resolv_conf: Option<PathBuf>,
    /// Name told to the server (RFC 4704).
    pub(crate) hostname: Option<String>,
    /// Classes that it says it belongs to (RFC 9915 section 21.15).
    pub(crate) user_class: Vec<Vec<u8>>,
    /// None: packets wait where the link has its queue.
    pub(crate) shape: Option<Shape>,
}

impl Uplink {
    /// The keys by which the two differ.
    pub(super) fn differences(&self, new: &Self) -> Vec<&'static str> {
        [
            ("uplink.interface", self.interface != new.interface),
            ("uplink.address", self.address != new.address),
            ("uplink.prefix", self.prefix != new.prefix),
            ("uplink.prefix-length", self.prefix_length != new.prefix_length),
            ("uplink.rapid-commit", self.rapid_commit != new.rapid_commit),
            ("uplink.reconfigure", self.reconfigure != new.reconfigure),
            ("uplink.release", self.release != new.release),
            ("uplink.resolv-conf", self.resolv_conf != new.resolv_conf),
            ("uplink.hostname", self.hostname != new.hostname),
            ("uplink.user-class", self.user_class != new.user_class),
            ("uplink.shape", !shape::only_rates_differ(self.shape.as_ref(), new.shape.as_ref())),
        ]
        .into_iter()
        .filter_map(|(key, differs)| differs.then_some(key))
        .collect()
    }
}

impl Reader<'_> {
    pub(super) fn uplink(&mut self, uplink: file::Uplink, host: bool) -> Uplink {
        let interface = self.interface(uplink.interface, "uplink.interface");
        let prefix_length = uplink.prefix_length.and_then(|length| {
            let span = length.span();
            let value = *length.get_ref();
            if !DELEGATED.contains(&value) {
                self.error(
                    span,
                    "uplink.prefix-length",
                    format!("a prefix of {value} bits cannot be delegated to a gateway"),
                    "ask for 48 to 64; 56 is what most ISPs give a home",
                );
                return None;
            }
            Some(value)
        });
        let shape = uplink.shape.and_then(|shape| self.shape(shape, "uplink.shape", Facing::Internet));
        let classes = uplink.user_class.unwrap_or_default();
        let user_class = classes
            .into_iter()
            .filter_map(|class| self.identifier(Some(class), "uplink.user-class"))
            .collect();
        Uplink {
            interface,
            shape,
            address: uplink.address.unwrap_or(true),
            prefix: uplink.prefix.unwrap_or(!host),
            prefix_length,
            rapid_commit: uplink.rapid_commit.unwrap_or(false),
            reconfigure: uplink.reconfigure.unwrap_or(true),
            release: uplink.release.unwrap_or(false),
            resolv_conf: uplink.resolv_conf,
            hostname: uplink.hostname,
            user_class,
        }
    }
}
