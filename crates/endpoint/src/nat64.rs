//! NAT64: IPv4 addresses inside IPv6 ones (RFC 6052), and how a host learns the prefix of its network (RFC
//! 7050).
//!
//! On an IPv6-only network with NAT64, IPv4-only servers are reached by *name*, through DNS64, and a program
//! need not know of any of this. It does need to know where it is given an IPv4 *literal*: then it builds the
//! address itself.
//!
//! ```no_run
//! # #[cfg(not(feature = "net"))]
//! # fn main() {}
//! # #[cfg(feature = "net")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use sixgate_endpoint::{Endpoint, nat64, resolve::SystemResolver};
//!
//! let literal = "192.0.2.33:80".parse::<Endpoint>()?;
//! // On an IPv6-only network: the same server as IPv6 reaches it.
//! for prefix in nat64::discover(&SystemResolver)? {
//!     println!("{}", prefix.synthesise_endpoint(literal));
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A prefix that was discovered is as good as the resolver that told it (RFC 7050 section 7): whoever answers
//! for the resolver can make IPv4 literals lead to himself, as he can for every name. What runs over it has
//! to be authenticated by other means, as always.

use crate::resolve::{Resolve, ResolveError};
use crate::{Endpoint, Family};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The name that has only IPv4 addresses (RFC 7050 section 8.1). Its AAAA records are a DNS64's work.
pub const WELL_KNOWN_NAME: &str = "ipv4only.arpa";

/// The addresses of [`WELL_KNOWN_NAME`] (RFC 7050 section 8.2).
pub const WELL_KNOWN_ADDRESSES: [Ipv4Addr; 2] =
    [Ipv4Addr::new(192, 0, 0, 170), Ipv4Addr::new(192, 0, 0, 171)];

/// Prefixes of one network that are kept; RFC 7050 section 3 expects one, or a few.
const MAX_PREFIXES: usize = 8;

/// The prefix of a translator (RFC 6052 section 2.2): 32, 40, 48, 56, 64 or 96 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix {
    octets: [u8; 16],
    length: u8,
}

/// What is no prefix of a translator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrefixError {
    /// Not one of the six lengths.
    #[error("a NAT64 prefix has 32, 40, 48, 56, 64 or 96 bits, not {0} (RFC 6052 section 2.2)")]
    Length(u8),
    /// Bits are set behind the prefix, or bits 64 to 71 of a /96, which are zero in each address (RFC 6052
    /// section 2.2).
    #[error("{0}/{1} has bits set where a NAT64 prefix has none (RFC 6052 section 2.2); write {2}/{1}")]
    Bits(Ipv6Addr, u8, Ipv6Addr),
}

impl Prefix {
    /// `64:ff9b::/96` (RFC 6052 section 2.1).
    pub const WELL_KNOWN: Self =
        Self { octets: [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], length: 96 };

    /// A prefix of the network.
    ///
    /// # Errors
    /// Where the length is not one of the six, or bits are set that must be zero.
    pub fn new(address: Ipv6Addr, length: u8) -> Result<Self, PrefixError> {
        if !matches!(length, 32 | 40 | 48 | 56 | 64 | 96) {
            return Err(PrefixError::Length(length));
        }
        let given = address.octets();
        let mut octets = [0; 16];
        let kept = usize::from(length / 8);
        octets[..kept].copy_from_slice(&given[..kept]);
        octets[8] = 0;
        if octets != given {
            return Err(PrefixError::Bits(address, length, octets.into()));
        }
        Ok(Self { octets, length })
    }

    /// Its address.
    pub fn address(&self) -> Ipv6Addr {
        self.octets.into()
    }

    /// Its length in bits.
    pub fn length(&self) -> u8 {
        self.length
    }

    /// The IPv6 address of an IPv4 node (RFC 6052 section 2.3). The octet at bits 64 to 71 and the suffix are
    /// zero.
    pub fn synthesise(&self, node: Ipv4Addr) -> Ipv6Addr {
        let mut octets = self.octets;
        for (at, octet) in places(self.length).into_iter().zip(node.octets()) {
            octets[at] = octet;
        }
        octets.into()
    }

    /// The IPv4 node of an IPv6 address; `None` where it is not of this prefix, or its octet at bits 64 to 71
    /// is not zero. A suffix is not looked at (RFC 6052 section 2.3).
    pub fn extract(&self, address: Ipv6Addr) -> Option<Ipv4Addr> {
        let octets = address.octets();
        let kept = usize::from(self.length / 8);
        let ours = octets[..kept] == self.octets[..kept] && octets[8] == 0;
        ours.then(|| places(self.length).map(|at| octets[at]).into())
    }

    /// The same endpoint as IPv6 reaches it through the translator; what is IPv6 stays as it is.
    #[must_use]
    pub fn synthesise_endpoint(&self, endpoint: Endpoint) -> Endpoint {
        let IpAddr::V4(node) = endpoint.address() else { return endpoint };
        let translated = Endpoint::new(self.synthesise(node));
        endpoint.port().map_or(translated, |port| translated.with_port(port))
    }
}

/// Where the octets of the IPv4 address stand (RFC 6052 section 2.2): behind the prefix, leaving out bits 64
/// to 71.
fn places(length: u8) -> [usize; 4] {
    let first = usize::from(length / 8);
    [0, 1, 2, 3].map(|number| {
        let at = first + number;
        if first <= 8 && at >= 8 { at + 1 } else { at }
    })
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.address(), self.length))
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The prefixes of this network's translators, as its resolver tells them (RFC 7050 section 3): each once, in
/// the order they were told; none where there is no DNS64. It may block, as the resolver does.
///
/// # Errors
/// Where the resolver cannot tell. That the name has no AAAA record, or does not exist, is an answer: no
/// prefix.
pub fn discover(resolver: &dyn Resolve) -> Result<Vec<Prefix>, ResolveError> {
    match resolver.resolve(WELL_KNOWN_NAME, Family::V6) {
        Ok(answers) => Ok(prefixes(answers.iter().filter_map(|endpoint| match endpoint.address() {
            IpAddr::V6(address) => Some(address),
            IpAddr::V4(_) => None,
        }))),
        Err(error) if error.failure == crate::resolve::ResolveFailure::NoSuchName => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The prefixes in the AAAA records of [`WELL_KNOWN_NAME`] (RFC 7050 section 3): pure.
///
/// A prefix counts where *both* well-known addresses stand behind it at the same place. So an address that
/// happens to hold one of them, and a resolver that answers every name with its own server, tell no prefix;
/// nor does one prefix pass for a longer one.
pub fn prefixes(answers: impl IntoIterator<Item = Ipv6Addr>) -> Vec<Prefix> {
    let answers: Vec<Ipv6Addr> = answers.into_iter().collect();
    let mut found: Vec<Prefix> = Vec::new();
    for candidate in answers.iter().filter_map(|&answer| candidates(answer)) {
        let both = WELL_KNOWN_ADDRESSES.iter().all(|&node| answers.contains(&candidate.synthesise(node)));
        if both && !found.contains(&candidate) && found.len() < MAX_PREFIXES {
            found.push(candidate);
        }
    }
    found
}

/// The IPv4 nodes that `address` may be of, each behind the prefix that would have it (RFC 6052 section 2.2): up
/// to six, for whoever cannot know which prefixes there are.
pub fn possible(address: Ipv6Addr) -> impl Iterator<Item = (Prefix, Ipv4Addr)> {
    [96, 64, 56, 48, 40, 32].into_iter().filter_map(move |length: u8| {
        let mut octets = [0; 16];
        let kept = usize::from(length / 8);
        octets[..kept].copy_from_slice(&address.octets()[..kept]);
        let prefix = Prefix::new(octets.into(), length).ok()?;
        Some((prefix, prefix.extract(address)?))
    })
}

/// The prefixes behind which a well-known address stands in `answer`, the rest being zero (RFC 7050 section
/// 3: at one place only, or it tells nothing).
fn candidates(answer: Ipv6Addr) -> Option<Prefix> {
    let known = |(prefix, node)| WELL_KNOWN_ADDRESSES.contains(&node).then_some(prefix);
    let mut fitting = possible(answer).filter_map(known);
    let first = fitting.next()?;
    fitting.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::ResolveFailure;

    fn prefix(text: &str) -> Prefix {
        let (address, length) = text.split_once('/').unwrap();
        Prefix::new(address.parse().unwrap(), length.parse().unwrap()).unwrap()
    }

    fn v6(text: &str) -> Ipv6Addr {
        text.parse().unwrap()
    }

    #[test]
    fn examples_of_rfc_6052_section_2_4() {
        let node = Ipv4Addr::new(192, 0, 2, 33);
        for (of, expected) in [
            ("2001:db8::/32", "2001:db8:c000:221::"),
            ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
            ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
            ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
            ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"),
            ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"),
            ("64:ff9b::/96", "64:ff9b::192.0.2.33"),
        ] {
            let prefix = prefix(of);
            assert_eq!(prefix.synthesise(node), v6(expected), "{of}");
            assert_eq!(prefix.extract(v6(expected)), Some(node), "{of}");
            assert_eq!(prefix.to_string(), of);
            assert_eq!(prefix.extract(v6("2001:db9::1")), None);
        }
        assert_eq!(prefix("64:ff9b::/96"), Prefix::WELL_KNOWN);
        // RFC 6052 section 2.2: the octet at bits 64 to 71 is zero; a suffix may be anything.
        assert_eq!(prefix("2001:db8::/32").extract(v6("2001:db8:c000:221:100::")), None);
        assert_eq!(prefix("2001:db8::/32").extract(v6("2001:db8:c000:221:7:8:9:a")), Some(node));
    }

    #[test]
    fn a_node_is_found_behind_whatever_prefix() {
        let node = Ipv4Addr::new(192, 0, 2, 33);
        for of in ["2001:db8::/32", "2001:db8:122:300::/56", "2001:db8:122:344::/64", "2001:db8:122:344::/96"]
        {
            let of = prefix(of);
            assert!(possible(of.synthesise(node)).any(|found| found == (of, node)), "{of}");
        }
        assert!(!possible(v6("2001:db8::192.0.2.34")).any(|(_, found)| found == node));
    }

    #[test]
    fn every_address_comes_back() {
        let mut random = fastrand::Rng::with_seed(64);
        for _ in 0..20_000 {
            let length = random.choice([32, 40, 48, 56, 64, 96]).unwrap();
            let mut octets = [0; 16];
            octets[..usize::from(length / 8)].fill_with(|| random.u8(..));
            octets[8] = 0;
            let (prefix, node) =
                (Prefix::new(octets.into(), length).unwrap(), Ipv4Addr::from(random.u32(..)));
            let address = prefix.synthesise(node);
            assert_eq!(prefix.extract(address), Some(node), "{prefix} {node}");
            assert_eq!(address.octets()[8], 0);
        }
    }

    #[test]
    fn what_is_no_prefix_is_refused() {
        assert_eq!(Prefix::new(v6("64:ff9b::"), 95), Err(PrefixError::Length(95)));
        assert_eq!(Prefix::new(v6("64:ff9b::"), 0), Err(PrefixError::Length(0)));
        for (given, length, meant) in [
            ("64:ff9b::1", 96, "64:ff9b::"),
            ("2001:db8:0:0:100::", 96, "2001:db8::"),
            ("2001:db8:1::", 32, "2001:db8::"),
        ] {
            assert_eq!(Prefix::new(v6(given), length), Err(PrefixError::Bits(v6(given), length, v6(meant))));
        }
    }

    #[test]
    fn prefixes_are_found_where_both_addresses_stand() {
        let told = |answers: &[&str]| {
            let answers = answers.iter().map(|text| v6(text));
            prefixes(answers).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let both = |of: &str| WELL_KNOWN_ADDRESSES.map(|node| prefix(of).synthesise(node).to_string());
        for of in [
            "2001:db8::/32",
            "2001:db8:100::/40",
            "2001:db8:122::/48",
            "2001:db8:122:300::/56",
            "2001:db8:122:344::/64",
            "2001:db8:122:344::/96",
            "64:ff9b::/96",
            "64:ff9b:1::/48",
            "64:ff9b:1:fffe::/64",
        ] {
            let [first, second] = both(of);
            assert_eq!(told(&[&first, &second]), [of]);
            assert_eq!(told(&[&second, &first, &first]), [of], "order and duplicates");
            assert!(told(&[&first]).is_empty(), "one address alone is no proof: {of}");
            assert!(told(&[&first, &first]).is_empty());
        }
        let ([a, b], [c, d]) = (both("64:ff9b::/96"), both("2001:db8:64::/96"));
        assert_eq!(told(&[&a, &c, &b, &d]), ["64:ff9b::/96", "2001:db8:64::/96"], "several, in their order");
        assert!(told(&[&a, &d]).is_empty(), "of different prefixes");
        // A resolver that answers everything with one server, or knows nothing.
        assert!(told(&[]).is_empty());
        assert!(told(&["2001:db8::80", "2001:db8::81"]).is_empty());
        // The address at two places: nobody can tell which is meant.
        assert!(told(&["2001:db8:c000:aa:c0:0:aa00:0", "2001:db8:c000:ab:c0:0:ab00:0"]).is_empty());
        // Not more than a few.
        let many: Vec<String> = (0..100).flat_map(|n| both(&format!("2001:db8:{n:x}::/96"))).collect();
        assert_eq!(told(&many.iter().map(String::as_str).collect::<Vec<_>>()).len(), MAX_PREFIXES);
    }

    struct Answers(Result<Vec<Endpoint>, ResolveFailure>);

    impl Resolve for Answers {
        fn resolve(&self, name: &str, family: Family) -> Result<Vec<Endpoint>, ResolveError> {
            assert_eq!((name, family), (WELL_KNOWN_NAME, Family::V6));
            self.0.clone().map_err(|failure| ResolveError::new(name, family, failure, "as told"))
        }
    }

    #[test]
    fn no_name_is_no_prefix_and_no_answer_is_an_error() {
        let both = WELL_KNOWN_ADDRESSES.map(|node| Endpoint::new(Prefix::WELL_KNOWN.synthesise(node)));
        assert_eq!(discover(&Answers(Ok(both.to_vec()))), Ok(vec![Prefix::WELL_KNOWN]));
        assert_eq!(discover(&Answers(Ok(WELL_KNOWN_ADDRESSES.map(Endpoint::new).to_vec()))), Ok(Vec::new()));
        assert_eq!(discover(&Answers(Err(ResolveFailure::NoSuchName))), Ok(Vec::new()));
        let error = discover(&Answers(Err(ResolveFailure::NoAnswer))).unwrap_err();
        assert!(error.is_temporary());
    }

    #[test]
    fn endpoints_keep_their_port() {
        let synthesise =
            |text: &str| Prefix::WELL_KNOWN.synthesise_endpoint(text.parse().unwrap()).to_string();
        assert_eq!(synthesise("192.0.2.33:80"), "[64:ff9b::c000:221]:80");
        assert_eq!(synthesise("192.0.2.33"), "64:ff9b::c000:221");
        assert_eq!(synthesise("[::ffff:192.0.2.33]:80"), "[64:ff9b::c000:221]:80");
        assert_eq!(synthesise("[2001:db8::1]:80"), "[2001:db8::1]:80");
    }
}
