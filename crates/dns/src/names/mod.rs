//! The names that the gateway answers itself, and the table of the hosts among them.

mod authority;
mod reserved;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use hickory_proto::rr::Name;
use ipnet::IpNet;

pub(crate) use authority::{Local, soa};
pub(crate) use reserved::{address_of, is_reserved};

/// Names held at most. The lease table that feeds this one has its own, smaller cap.
const MAX_NAMES: usize = 4_096;
/// Addresses of one name at most: more would not fit one datagram.
const MAX_ADDRESSES: usize = 16;
/// Octets of one label at most (RFC 1035 section 2.3.4).
const MAX_LABEL: usize = 63;
/// The gateway's own label.
const GATEWAY: &str = "gateway";
/// Labels that no client gets: the gateway's own, the one that means each host itself (RFC 6761 section 6.3),
/// and two by which hosts look for a proxy or a tunnel, so that whoever held them could take over their
/// traffic.
const RESERVED: [&str; 4] = [GATEWAY, "localhost", "wpad", "isatap"];

/// Why a name was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing of the name can stand in a host name.
    #[error("the host name {name:?} has no letter or digit; the host stays reachable by its address")]
    Unusable {
        /// What the client sent.
        name: String,
    },
    /// The table is full.
    #[error("the name {name:?} is not added: {MAX_NAMES} names are held, which is the most; end some leases")]
    Full {
        /// What the client sent.
        name: String,
    },
    /// Not a domain name.
    #[error("{zone:?} is not a domain name; write labels of at most 63 octets with dots between")]
    BadZone {
        /// What was given.
        zone: String,
    },
}

#[derive(Debug, Clone)]
struct Held {
    /// What the host asked for, cleaned.
    asked: String,
    /// What it got.
    label: String,
    addresses: Vec<IpAddr>,
    /// What has its name, but is not told as its address.
    behind: Vec<IpAddr>,
}

/// The hosts under `home.arpa.`, their reverse names, and what else is answered without an upstream.
///
/// Answered here and never forwarded:
/// - `home.arpa.` and all below it (RFC 8375 section 4), but for the one question that section excepts: DS of
///   `home.arpa.` itself with DO set, whose signed denial only the parent can give;
/// - reverse names within the prefixes of the LAN;
/// - `localhost.`, `invalid.`, `test.` (RFC 6761), `local.` (RFC 6762), `onion.` (RFC 7686), `alt.` (RFC
///   9476), `resolver.arpa.` (RFC 9462 section 6.4);
/// - reverse names of private, link-local, loopback and documentation addresses (RFC 6303, RFC 7793), unless
///   [`forward_zone`](Self::forward_zone) says that an upstream serves them.
#[derive(Debug, Clone, Default)]
pub struct Names {
    prefixes: Vec<IpNet>,
    gateway: Vec<IpAddr>,
    forwarded: Vec<Name>,
    /// Names of any zone whose addresses the owner of the network wrote down, in lower case.
    hosts: BTreeMap<Name, Vec<IpAddr>>,
    holders: HashMap<Box<[u8]>, Held>,
    /// Who holds a label.
    labels: BTreeMap<String, Box<[u8]>>,
    reverse: BTreeMap<IpAddr, String>,
    serial: u32,
    zones: u64,
    translated: bool,
    refused: u64,
}

impl Names {
    /// No host yet; reverse names are answered for `prefixes`, those of the LANs.
    pub fn new(prefixes: &[IpNet]) -> Self {
        Self { prefixes: prefixes.to_vec(), serial: 1, ..Self::default() }
    }

    /// Replaces the prefixes whose reverse names are answered here, when the LANs are renumbered.
    pub fn set_prefixes(&mut self, prefixes: &[IpNet]) {
        if self.prefixes != prefixes {
            self.prefixes = prefixes.to_vec();
            self.zones_changed();
        }
    }

    /// Changes when what is answered here, and not by upstreams, may have become something else: another zone, or
    /// another name that the owner of the network wrote down. Hosts that come and go do not change it.
    pub fn zones(&self) -> u64 {
        self.zones
    }

    /// Says whether the NAT64, if there is one, leads to IPv4 hosts of ours: then DNS64 gives those that have IPv4 alone
    /// addresses behind it. At first it does not: an address that leads nowhere is worse than none.
    pub fn set_translated(&mut self, translated: bool) {
        self.translated = translated;
    }

    /// See [`set_translated`](Self::set_translated).
    pub(crate) fn are_translated(&self) -> bool {
        self.translated
    }

    /// The addresses of `gateway.home.arpa.`, at most 16.
    pub fn set_gateway(&mut self, addresses: &[IpAddr]) {
        self.gateway = addresses.iter().copied().take(MAX_ADDRESSES).collect();
        self.changed();
    }

    /// Replaces the names that are answered with addresses that the owner of the network wrote down. They may stand in any
    /// zone, and come before everything else.
    ///
    /// # Errors
    /// [`NameError::BadZone`] for the first that is not a domain name; then nothing changes.
    pub fn set_hosts<'a>(
        &mut self,
        hosts: impl IntoIterator<Item = (&'a str, &'a [IpAddr])>,
    ) -> Result<(), NameError> {
        let mut read = BTreeMap::new();
        for (text, addresses) in hosts {
            let mut name =
                Name::from_ascii(text).map_err(|_| NameError::BadZone { zone: text.to_owned() })?;
            name.set_fqdn(true);
            read.insert(name.to_lowercase(), addresses.iter().copied().take(MAX_ADDRESSES).collect());
        }
        self.hosts = read;
        self.zones_changed();
        Ok(())
    }

    /// Forwards `zone` (such as `d.f.ip6.arpa`) although RFC 6303 would have it answered here: an upstream
    /// serves it. `home.arpa.` and the LANs' prefixes stay local all the same.
    pub fn forward_zone(&mut self, zone: &str) -> Result<(), NameError> {
        let mut name = Name::from_ascii(zone).map_err(|_| NameError::BadZone { zone: zone.to_owned() })?;
        name.set_fqdn(true);
        if !self.forwarded.contains(&name) {
            self.forwarded.push(name);
            self.zones_changed();
        }
        Ok(())
    }

    /// Gives `holder` (the identity that its lease has) a name made of `hostname`, with these addresses, at
    /// most 16; returns the label it got, which stands under `home.arpa.`.
    ///
    /// Of the name, the first label counts; what cannot stand in a host name (RFC 952, RFC 1123 section 2.1)
    /// becomes a hyphen. The first holder gets the plain label, later ones `-2`, `-3` and so on, and each
    /// keeps its own until it asks for another or is removed, so that a name never moves to another host
    /// behind a client's back.
    pub fn set(&mut self, holder: &[u8], hostname: &str, addresses: &[IpAddr]) -> Result<&str, NameError> {
        self.set_with(holder, hostname, addresses, &[])
    }

    /// As [`set`](Self::set), with further addresses, at most 16, whose reverse names lead to the holder while its own
    /// name does not lead to them: those that a host makes up for a day and drops again (RFC 8981).
    pub fn set_with(
        &mut self,
        holder: &[u8],
        hostname: &str,
        addresses: &[IpAddr],
        behind: &[IpAddr],
    ) -> Result<&str, NameError> {
        let Some(asked) = sanitise(hostname) else {
            self.refused = self.refused.saturating_add(1);
            return Err(NameError::Unusable { name: hostname.to_owned() });
        };
        let kept = match self.holders.get(holder) {
            Some(held) if held.asked == asked => Some(held.label.clone()),
            None if self.holders.len() >= MAX_NAMES => {
                self.refused = self.refused.saturating_add(1);
                return Err(NameError::Full { name: hostname.to_owned() });
            }
            Some(_) | None => None,
        };
        self.remove(holder);
        let label = kept.unwrap_or_else(|| self.free_label(&asked));
        let addresses: Vec<_> = addresses.iter().copied().take(MAX_ADDRESSES).collect();
        let behind: Vec<_> = behind.iter().copied().take(MAX_ADDRESSES).collect();
        for address in addresses.iter().chain(&behind) {
            self.reverse.insert(*address, label.clone());
        }
        self.labels.insert(label.clone(), holder.into());
        self.changed();
        let held = Held { asked, label, addresses, behind };
        Ok(self.holders.entry(holder.into()).insert_entry(held).into_mut().label.as_str())
    }

    /// Takes the name of `holder` away; whether it had one.
    pub fn remove(&mut self, holder: &[u8]) -> bool {
        let Some(held) = self.holders.remove(holder) else { return false };
        for address in held.addresses.iter().chain(&held.behind) {
            if self.reverse.get(address) == Some(&held.label) {
                self.reverse.remove(address);
            }
        }
        self.labels.remove(&held.label);
        self.changed();
        true
    }

    /// The label that `holder` has.
    pub fn label(&self, holder: &[u8]) -> Option<&str> {
        self.holders.get(holder).map(|held| held.label.as_str())
    }

    /// Each host's label and addresses, by label; without the gateway.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[IpAddr])> {
        self.labels.iter().filter_map(|(label, holder)| {
            Some((label.as_str(), self.holders.get(holder)?.addresses.as_slice()))
        })
    }

    /// How often a name was not taken: see [`NameError`].
    pub fn refused(&self) -> u64 {
        self.refused
    }

    fn free_label(&self, asked: &str) -> String {
        let free = |label: &str| !RESERVED.contains(&label) && !self.labels.contains_key(label);
        if free(asked) {
            return asked.to_owned();
        }
        let mut number = 2_u32;
        // Ends: fewer labels are held than there are numbers.
        loop {
            let suffix = format!("-{number}");
            let room = MAX_LABEL.saturating_sub(suffix.len());
            let stem = asked.get(..room).unwrap_or(asked);
            let label = format!("{stem}{suffix}");
            if free(&label) {
                return label;
            }
            number = number.saturating_add(1);
        }
    }

    fn zones_changed(&mut self) {
        self.zones = self.zones.wrapping_add(1);
        self.changed();
    }

    fn changed(&mut self) {
        // Serial number arithmetic wraps (RFC 1982).
        self.serial = self.serial.wrapping_add(1);
    }

    /// The addresses behind a label, or nothing when no host has it.
    fn addresses(&self, label: &str) -> Option<&[IpAddr]> {
        if label == GATEWAY {
            return Some(&self.gateway);
        }
        Some(&self.holders.get(self.labels.get(label)?)?.addresses)
    }

    /// The label of the host that has this address.
    fn label_of(&self, address: IpAddr) -> Option<&str> {
        if self.gateway.contains(&address) {
            return Some(GATEWAY);
        }
        self.reverse.get(&address).map(String::as_str)
    }

    /// Whether an address in this range has a name.
    fn any_within(&self, first: IpAddr, last: IpAddr) -> bool {
        self.reverse.range(first..=last).next().is_some()
            || self.gateway.iter().any(|address| (first..=last).contains(address))
    }
}

/// The first label of `hostname` as letters, digits and hyphens, or nothing when none is left.
fn sanitise(hostname: &str) -> Option<String> {
    let first = hostname.split('.').next().unwrap_or_default();
    let mut label: String = first
        .chars()
        // An apostrophe in "Anna's phone" is no gap between words.
        .filter(|c| !matches!(c, '\'' | '\u{2019}'))
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .take(MAX_LABEL)
        .collect();
    while label.contains("--") {
        label = label.replace("--", "-");
    }
    let label = label.trim_matches('-');
    (!label.is_empty()).then(|| label.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: [IpAddr; 1] = [IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 1))];

    #[test]
    fn names_are_made_of_letters_digits_and_hyphens() {
        for (from, to) in [
            ("printer", Some("printer")),
            ("Anna's iPhone", Some("annas-iphone")),
            ("LAPTOP_7.corp.example", Some("laptop-7")),
            ("--x--y--", Some("x-y")),
            ("", None),
            ("...", None),
            ("日本", None),
            ("-", None),
        ] {
            assert_eq!(sanitise(from).as_deref(), to, "{from}");
        }
        assert_eq!(sanitise(&"a".repeat(200)).map(|label| label.len()), Some(MAX_LABEL));
    }

    #[test]
    fn the_first_holder_keeps_the_plain_name() {
        let mut names = Names::new(&[]);
        assert_eq!(names.set(b"a", "tv", &ONE), Ok("tv"));
        assert_eq!(names.set(b"b", "TV", &ONE), Ok("tv-2"));
        assert_eq!(names.set(b"c", "tv", &ONE), Ok("tv-3"));
        assert!(names.remove(b"a"));
        assert_eq!(names.set(b"b", "tv", &ONE), Ok("tv-2"), "a name does not move under its holder");
        assert_eq!(names.set(b"d", "tv", &ONE), Ok("tv"));
        assert_eq!(names.set(b"d", "radio", &ONE), Ok("radio"));
        assert_eq!(names.set(b"e", "gateway", &ONE), Ok("gateway-2"));
        assert_eq!(names.set(b"f", "wpad", &ONE), Ok("wpad-2"));
        let long = "l".repeat(63);
        assert_eq!(names.set(b"g", &long, &ONE), Ok(long.as_str()));
        assert_eq!(names.set(b"h", &long, &ONE).map(str::len), Ok(63));
        assert!(!names.remove(b"a"));
    }

    #[test]
    fn the_table_is_bounded() {
        let mut names = Names::new(&[]);
        for n in 0..MAX_NAMES as u32 {
            names.set(&n.to_be_bytes(), &format!("host{n}"), &ONE).unwrap();
        }
        assert!(matches!(names.set(b"more", "host", &ONE), Err(NameError::Full { .. })));
        assert_eq!(names.refused(), 1);
        assert!(names.set(&0_u32.to_be_bytes(), "again", &ONE).is_ok(), "a holder may still change");
        assert_eq!(names.iter().count(), MAX_NAMES);
    }
}
