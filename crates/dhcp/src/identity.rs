//! Who a client is and where: by what a pool knows the holder of a lease, and what is known of its hardware, its line
//! and its relay agent.
//!
//! A DUID is what a client says of itself. It changes when a machine is set up anew, a second operating system has
//! another, and clones of one image share theirs. A pool may therefore know its holders by their hardware address, or by
//! the line at whose end they are ([`Key`]).

mod text;

pub use text::IdentityError;

use sixgate_wire::dhcpv6::{DhcpOption, Duid, DuidKind, OptionCode, Options};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::Ipv6Addr;

/// By what a pool knows who holds something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Key {
    /// The client's DUID (RFC 9915 section 4.2).
    #[default]
    Duid,
    /// The client's hardware address.
    Mac,
    /// The line that the client is on, as a relay agent names it.
    Line,
}

impl Key {
    const ALL: [Self; 3] = [Self::Duid, Self::Mac, Self::Line];

    /// The word for it, as in configurations, stores and views.
    pub fn name(self) -> &'static str {
        match self {
            Self::Duid => "duid",
            Self::Mac => "mac",
            Self::Line => "line",
        }
    }

    /// The key with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.name() == name)
    }
}

/// How the server came to know a hardware address. What sorts first is believed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Learnt {
    /// From the link itself: frames came from it, or neighbour discovery found it.
    Link,
    /// From the relay agent on the client's link (RFC 6939).
    Relay,
    /// From a link-local address that was made of it (RFC 4291, Appendix A). Anybody may call himself so.
    Eui64,
    /// From the client's DUID. It was an address of the machine when the DUID was made, perhaps of another interface.
    Duid,
}

impl Learnt {
    /// Every way, the most trusted first.
    pub const ALL: [Self; 4] = [Self::Link, Self::Relay, Self::Eui64, Self::Duid];

    /// The word for it, as in configurations, stores and views.
    pub fn name(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Relay => "relay",
            Self::Eui64 => "eui-64",
            Self::Duid => "duid",
        }
    }

    /// The way with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|learnt| learnt.name() == name)
    }
}

impl fmt::Display for Learnt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Longest hardware address: that of IP over InfiniBand.
const LONGEST_MAC: usize = 20;

/// A hardware (link-layer) address: 1 to 20 octets, of Ethernet in nearly every case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac {
    length: u8,
    /// Zero beyond the length, so that derived comparisons hold.
    octets: [u8; LONGEST_MAC],
}

impl Mac {
    /// Takes an address; none where it is empty, longer than 20 octets, or all zeros (which stands for "not known").
    pub fn new(address: &[u8]) -> Option<Self> {
        let mut octets = [0; LONGEST_MAC];
        octets.get_mut(..address.len())?.copy_from_slice(address);
        let length = u8::try_from(address.len()).ok()?;
        address.iter().any(|&octet| octet != 0).then_some(Self { length, octets })
    }

    /// The Ethernet address that a link-local address was made of (RFC 4291, Appendix A).
    pub fn of_link_local(address: Ipv6Addr) -> Option<Self> {
        let octets = address.octets();
        let made = octets[..8] == [0xfe, 0x80, 0, 0, 0, 0, 0, 0] && octets[11..13] == [0xff, 0xfe];
        let mac = [octets[8] ^ 2, octets[9], octets[10], octets[13], octets[14], octets[15]];
        if made { Self::new(&mac) } else { None }
    }

    /// The address in a DUID-LLT or DUID-LL.
    pub fn of_duid(duid: &Duid) -> Option<Self> {
        match duid.kind() {
            DuidKind::LinkLayer { address, .. } | DuidKind::LinkLayerTime { address, .. } => {
                Self::new(address)
            }
            DuidKind::Enterprise { .. } | DuidKind::Uuid(_) | DuidKind::Unknown { .. } => None,
        }
    }

    /// The address.
    pub fn as_bytes(&self) -> &[u8] {
        self.octets.get(..usize::from(self.length)).unwrap_or_default()
    }
}

/// As pairs of digits with colons between them.
impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, octet) in self.as_bytes().iter().enumerate() {
            write!(f, "{}{octet:02x}", if i > 0 { ":" } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mac({self})")
    }
}

/// A client's hardware address, and how much it is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkLayer {
    /// The address.
    pub mac: Mac,
    /// How the server came to know it.
    pub learnt: Learnt,
}

/// Most octets of one name of a line: what is longer is left out.
const LONGEST_NAME: usize = 255;

/// What relay agents said of the line that a client is on. Opaque octets, compared and never interpreted; at least one
/// of the names is there.
///
/// Inside it is a run of DHCPv6 options, each at most once and in the order of their codes, so that equal lines are
/// equal octets.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Line(Box<[u8]>);

/// The names that a [`Line`] may have, by the codes of their options.
const NAMES: [OptionCode; 3] = [OptionCode::INTERFACE_ID, OptionCode::REMOTE_ID, OptionCode::SUBSCRIBER_ID];

impl Line {
    /// A line by the contents of the options Interface-Id (RFC 9915 section 21.18), Remote-ID (RFC 4649 section 3, its
    /// enterprise number in front) and Subscriber-ID (RFC 4580 section 2). A name that is empty, or longer than 255
    /// octets, is left out; none where no name is left.
    pub fn new(
        interface_id: Option<&[u8]>,
        remote_id: Option<&[u8]>,
        subscriber_id: Option<&[u8]>,
    ) -> Option<Self> {
        let remote_id = remote_id.filter(|name| name.len() > 4);
        let mut octets = Vec::new();
        for (code, name) in NAMES.into_iter().zip([interface_id, remote_id, subscriber_id]) {
            let fits = |name: &&[u8]| (1..=LONGEST_NAME).contains(&name.len());
            if let Some(name) = name.filter(fits) {
                octets.extend_from_slice(&code.0.to_be_bytes());
                octets.extend_from_slice(&[0, name.len() as u8]);
                octets.extend_from_slice(name);
            }
        }
        (!octets.is_empty()).then(|| Self(octets.into()))
    }

    fn name(&self, code: OptionCode) -> Option<&[u8]> {
        Options::parse(&self.0).ok()?.get(code)
    }

    /// Where at the relay agent the client is: of no meaning elsewhere.
    pub fn interface_id(&self) -> Option<&[u8]> {
        self.name(OptionCode::INTERFACE_ID)
    }

    /// The Remote-ID option's content: IANA's private enterprise number of who gives the names, in 4 octets, and then
    /// the name.
    pub fn remote_id(&self) -> Option<&[u8]> {
        self.name(OptionCode::REMOTE_ID)
    }

    /// The Remote-ID's enterprise number and name.
    pub fn remote(&self) -> Option<(u32, &[u8])> {
        match DhcpOption::decode(OptionCode::REMOTE_ID, self.remote_id()?) {
            DhcpOption::RemoteId(remote) => Some((remote.enterprise, remote.data)),
            _ => None,
        }
    }

    /// The subscriber, wherever he is.
    pub fn subscriber_id(&self) -> Option<&[u8]> {
        self.name(OptionCode::SUBSCRIBER_ID)
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Line({self})")
    }
}

/// As `interface:eth3 remote:4491:0x612062 subscriber:ada`.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        if let Some(name) = self.interface_id() {
            write!(f, "interface:{}", Name(name))?;
            between = " ";
        }
        if let Some((enterprise, name)) = self.remote() {
            write!(f, "{between}remote:{enterprise}:{}", Name(name))?;
            between = " ";
        }
        if let Some(name) = self.subscriber_id() {
            write!(f, "{between}subscriber:{}", Name(name))?;
        }
        Ok(())
    }
}

/// A name of a line for people: its octets as they stand where all of them are printable ASCII without blanks, quotes or
/// backslashes, and hexadecimal digits after `0x` otherwise. What itself begins with `0x` is written in digits too, so
/// that different names never look the same.
#[derive(Debug, Clone, Copy)]
pub struct Name<'a>(pub &'a [u8]);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |octet: &u8| octet.is_ascii_graphic() && !b"\"'\\".contains(octet);
        match std::str::from_utf8(self.0) {
            Ok(text) if self.0.iter().all(plain) && !text.starts_with("0x") => f.write_str(text),
            _ => {
                f.write_str("0x")?;
                self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
            }
        }
    }
}

/// The relay agent through which a client was last heard. Few of them for many leases: they share it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Relay {
    /// From which address the relay agent sends to the server: of several in a row, the one nearest to the server.
    pub address: Ipv6Addr,
    /// The link-address that said where the client is.
    pub link: Ipv6Addr,
    /// The identifier of the relay agent nearest to the client that gives one (RFC 5460 section 5.4.1).
    pub id: Option<Duid>,
}

/// Who holds a lease, as far as its pool cares.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Identity {
    /// A client by its DUID.
    Duid(Duid),
    /// A machine by its hardware address.
    Mac(Mac),
    /// A line.
    Line(LineName),
}

/// The one name of a line that tells it from all others of a server: the Subscriber-ID, which stays when the subscriber
/// moves; else the Remote-ID, which is unique in the world; else the Interface-Id together with the link-address of the
/// relay agent, for which alone it means something.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LineName(Box<[u8]>);

impl LineName {
    pub(crate) fn new(line: &Line, link: Ipv6Addr) -> Option<Self> {
        let name = |code: OptionCode, parts: [&[u8]; 2]| {
            let head = code.0.to_be_bytes();
            Self([&head[..], parts[0], parts[1]].concat().into())
        };
        if let Some(subscriber) = line.subscriber_id() {
            return Some(name(OptionCode::SUBSCRIBER_ID, [subscriber, &[]]));
        }
        if let Some(remote) = line.remote_id() {
            return Some(name(OptionCode::REMOTE_ID, [remote, &[]]));
        }
        line.interface_id().map(|interface| name(OptionCode::INTERFACE_ID, [&link.octets(), interface]))
    }

    /// Octets that are equal for the same line only.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for LineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LineName({})", Name(&self.0))
    }
}

impl Identity {
    /// Who somebody is by this key; none where what the key needs is not known.
    pub fn of(
        key: Key,
        duid: &Duid,
        mac: Option<Mac>,
        line: Option<&Line>,
        relay: Option<&Relay>,
    ) -> Option<Self> {
        match key {
            Key::Duid => Some(Self::Duid(duid.clone())),
            Key::Mac => mac.map(Self::Mac),
            Key::Line => {
                let link = relay.map_or(Ipv6Addr::UNSPECIFIED, |relay| relay.link);
                line.and_then(|line| LineName::new(line, link)).map(Self::Line)
            }
        }
    }

    /// By what.
    pub fn key(&self) -> Key {
        match self {
            Self::Duid(_) => Key::Duid,
            Self::Mac(_) => Key::Mac,
            Self::Line(_) => Key::Line,
        }
    }

    /// Octets for a hash of it. Those of two keys may be equal: write [`Identity::key`] too.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Duid(duid) => duid.as_bytes(),
            Self::Mac(mac) => mac.as_bytes(),
            Self::Line(name) => name.as_bytes(),
        }
    }
}

/// What tables of clients are asked by, several times for each message: in as few writes as tell everything.
impl Hash for Identity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let octets = self.as_bytes();
        state.write(octets);
        state.write_usize(octets.len() << 8 | self.key() as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for key in Key::ALL {
            assert_eq!(Key::from_name(key.name()), Some(key));
        }
        for learnt in Learnt::ALL {
            assert_eq!(Learnt::from_name(learnt.name()), Some(learnt));
        }
        assert_eq!((Key::from_name(""), Learnt::from_name("DUID")), (None, None));
    }

    #[test]
    fn hardware_addresses_are_bounded() {
        for length in [1, 6, 8, 20] {
            let mac = Mac::new(&vec![2; length]).unwrap();
            assert_eq!(mac.as_bytes(), vec![2; length]);
        }
        for octets in [&[][..], &[0; 6], &[2; 21]] {
            assert_eq!(Mac::new(octets), None);
        }
        assert_eq!(Mac::new(&[2, 0, 0, 0, 0, 0xff]).unwrap().to_string(), "02:00:00:00:00:ff");
        assert_ne!(Mac::new(&[2, 0]), Mac::new(&[2]));
    }

    #[test]
    fn hardware_addresses_are_found_where_they_were_put() {
        let mac = Mac::new(&[0x52, 0x54, 0, 1, 2, 3]);
        assert_eq!(Mac::of_link_local("fe80::5054:ff:fe01:203".parse().unwrap()), mac);
        for other in
            ["fe80::1", "fe80::5054:ff:fd01:203", "2001:db8::5054:ff:fe01:203", "fe80:0:0:1:5054:ff:fe01:203"]
        {
            assert_eq!(Mac::of_link_local(other.parse().unwrap()), None, "{other}");
        }
        assert_eq!(Mac::of_duid(&Duid::link_layer([0x52, 0x54, 0, 1, 2, 3])), mac);
        assert_eq!(Mac::of_duid(&Duid::link_layer_time([0x52, 0x54, 0, 1, 2, 3], 1 << 30)), mac);
        assert_eq!(Mac::of_duid(&Duid::uuid([7; 16])), None);
        assert_eq!(Mac::of_duid(&Duid::link_layer([0; 6])), None);
    }

    #[test]
    fn a_line_keeps_its_names_apart() {
        let remote = [0, 0, 0x11, 0x8b, b'a', b' ', b'b'];
        let line = Line::new(Some(b"eth3"), Some(&remote), Some(&[0, 0xff])).unwrap();
        assert_eq!(line.interface_id(), Some(&b"eth3"[..]));
        assert_eq!(line.remote(), Some((4491, &b"a b"[..])));
        assert_eq!(line.subscriber_id(), Some(&[0, 0xff][..]));
        assert_eq!(line.to_string(), "interface:eth3 remote:4491:0x612062 subscriber:0x00ff");
        // Left out: empty, an enterprise number alone, too long.
        assert_eq!(Line::new(Some(b""), Some(&[0, 0, 0, 9]), Some(&[1; 256])), None);
        assert_eq!(Line::new(None, None, None), None);
        let alone = Line::new(None, None, Some(&[b'x'; 255])).unwrap();
        assert_eq!((alone.interface_id(), alone.remote()), (None, None));
    }

    #[test]
    fn names_that_differ_look_different() {
        for (octets, text) in [
            (&b"port-7/0.3"[..], "port-7/0.3"),
            (b"0x41", "0x30783431"),
            (b"A", "A"),
            (b"a\x1b[2J", "0x611b5b324a"),
            (b"a b", "0x612062"),
            ("ü".as_bytes(), "0xc3bc"),
        ] {
            assert_eq!(Name(octets).to_string(), text);
        }
    }

    #[test]
    fn identities_are_by_the_key_alone() {
        let duid = |last| Duid::link_layer([2, 0, 0, 0, 0, last]);
        let mac = |last| Mac::new(&[2, 0, 0, 0, 0, last]);
        let relay = |last: u16| Relay {
            address: "2001:db8::1".parse().unwrap(),
            link: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last),
            id: None,
        };
        let by_port = Line::new(Some(b"eth3"), None, None);
        let by_remote = Line::new(Some(b"eth3"), Some(&[0, 0, 0, 9, 1]), None);
        let by_subscriber = Line::new(Some(b"eth3"), Some(&[0, 0, 0, 9, 1]), Some(b"s"));
        let of = |key, d, m, line: &Option<Line>, r| {
            Identity::of(key, &duid(d), mac(m), line.as_ref(), Some(&relay(r)))
        };
        assert_eq!(of(Key::Duid, 1, 1, &None, 1), of(Key::Duid, 1, 2, &by_port, 2));
        assert_eq!(of(Key::Mac, 1, 1, &None, 1), of(Key::Mac, 2, 1, &by_port, 2));
        assert_ne!(of(Key::Mac, 1, 1, &None, 1), of(Key::Mac, 1, 2, &None, 1));
        assert_ne!(of(Key::Duid, 1, 1, &None, 1), of(Key::Mac, 1, 1, &None, 1));
        // A port means nothing at another relay agent; a remote and a subscriber are the same everywhere.
        assert_ne!(of(Key::Line, 1, 1, &by_port, 1), of(Key::Line, 1, 1, &by_port, 2));
        assert_eq!(of(Key::Line, 1, 1, &by_remote, 1), of(Key::Line, 2, 2, &by_remote, 2));
        assert_eq!(of(Key::Line, 1, 1, &by_subscriber, 1), of(Key::Line, 2, 2, &by_subscriber, 2));
        assert_ne!(of(Key::Line, 1, 1, &by_remote, 1), of(Key::Line, 1, 1, &by_subscriber, 1));
        assert_eq!(Identity::of(Key::Mac, &duid(1), None, None, None), None);
        assert_eq!(Identity::of(Key::Line, &duid(1), mac(1), None, None), None);
    }
}
