//! DHCID: the record by which DHCP servers know whose a name is, without telling who that is (RFC 4701).

use super::name::Name;
use ring::digest::{SHA256, digest};

/// By what a client is known to the zone (RFC 4701 section 3.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Identity<'a> {
    /// Its DUID, of DHCPv6 or out of a DHCPv4 client identifier (RFC 4361): so both families share a name.
    Duid(&'a [u8]),
    /// Its DHCPv4 client identifier, all octets of option 61, where no DUID is in it.
    ClientId(&'a [u8]),
    /// Its hardware type and its hardware address, where it sends no client identifier.
    Hardware(&'a [u8]),
}

impl<'a> Identity<'a> {
    /// The identifier type code and the octets that are hashed.
    fn parts(self) -> (u16, &'a [u8]) {
        match self {
            Self::Hardware(octets) => (0, octets),
            Self::ClientId(octets) => (1, octets),
            Self::Duid(octets) => (2, octets),
        }
    }

    /// The other reading of the same octets: most client identifiers repeat the hardware address.
    pub(super) fn twin(self) -> Self {
        match self {
            Self::Hardware(octets) => Self::ClientId(octets),
            Self::ClientId(octets) => Self::Hardware(octets),
            duid @ Self::Duid(_) => duid,
        }
    }
}

/// The digest is SHA-256 (RFC 4701 section 3.4).
const SHA_256: u8 = 1;

/// The data of a DHCID record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Dhcid([u8; 35]);

impl Dhcid {
    /// Of this client under this name: another name gives another record (RFC 4701 section 3.5).
    pub fn new(identity: Identity<'_>, name: &Name) -> Self {
        let (kind, identity) = identity.parts();
        // The name in wire format, lower case, uncompressed (RFC 4034 section 6.2); `Name` holds no other.
        let hashed = digest(&SHA256, &[identity, name.as_bytes()].concat());
        let mut data = [0; 35];
        let (head, tail) = data.split_at_mut(3);
        head.copy_from_slice(&[kind.to_be_bytes()[0], kind.to_be_bytes()[1], SHA_256]);
        tail.copy_from_slice(hashed.as_ref());
        Self(data)
    }

    /// The record's data.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// From the record's data, as [`Dhcid::as_bytes`] gave it.
    pub fn from_bytes(data: &[u8]) -> Option<Self> {
        data.try_into().ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// RFC 4701 section 3.6.
    #[test]
    fn examples_of_the_rfc() {
        for (kind, identity, name, data) in [
            (
                Identity::Duid as fn(&'static [u8]) -> Identity<'static>,
                &[0, 1, 0, 6, 0x41, 0x2d, 0xf1, 0x66, 1, 2, 3, 4, 5, 6][..],
                "chi6.example.com",
                "000201636fc0b8271c82825bb1ac5c41cf5351aa69b4febd94e8f17cdb95000da48c40",
            ),
            (
                Identity::ClientId,
                &[1, 7, 8, 9, 0x0a, 0x0b, 0x0c],
                "Chi.Example.com.",
                "0001013920fe5d1dceb3fd0ba3379756a70d73b17009f41d58bddbfcd6a2503956d8da",
            ),
            (
                Identity::Hardware,
                // The hardware type before the address (RFC 4701 section 3.5.3).
                &[1, 1, 2, 3, 4, 5, 6],
                "client.example.com",
                "000001c4b9a5b249651343158dde7bcc77169841f7a4243a572b5c283fffedeb3f75e6",
            ),
        ] {
            let made = Dhcid::new(kind(identity), &name.parse().unwrap());
            let digits: Vec<u8> =
                (0..35).map(|at| u8::from_str_radix(&data[at * 2..at * 2 + 2], 16).unwrap()).collect();
            assert_eq!(made.as_bytes(), digits, "{name}");
            assert_eq!(Dhcid::from_bytes(made.as_bytes()), Some(made));
        }
    }
}
