//! DHCP Unique Identifiers (RFC 9915 section 11, RFC 6355).

use crate::few::Few;
use std::fmt::{self, Write as _};
use std::str::FromStr;

/// Most octets that a DUID holds after its type (RFC 9915 section 11.1).
const MAX_CONTENT: usize = 128;
/// Octets of a DUID that are kept without an allocation: all kinds but long ones of vendors.
const HERE: usize = 22;
/// Seconds between the Unix epoch and the DUID epoch, midnight UTC of 1 January 2000.
const DUID_EPOCH: u64 = 946_684_800;

/// A DUID: 1 to 128 octets behind a two-octet type. It is compared as a whole and never interpreted to decide
/// anything (RFC 9915 section 11); [`Duid::kind`] is for people who read it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Duid(Few<HERE>);

/// Why octets or text are not a DUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DuidError {
    /// Fewer than 3 or more than 130 octets, type included.
    #[error("a DUID has a type of 2 octets and then 1 to 128 more; this one has {length} octets in all")]
    Length {
        /// Octets given, type included.
        length: usize,
    },
    /// The text is not pairs of hexadecimal digits.
    #[error(
        "a DUID is written as pairs of hexadecimal digits, with or without colons between them; column {column} is not"
    )]
    Text {
        /// Where the text stops being a DUID, counted from 1.
        column: usize,
    },
}

/// What a DUID is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DuidKind<'a> {
    /// DUID-LLT: a link-layer address and the time at which the DUID was made.
    LinkLayerTime {
        /// IANA's ARP hardware type; 1 is Ethernet.
        hardware: u16,
        /// Seconds since midnight UTC of 1 January 2000, modulo 2^32.
        time: u32,
        /// The link-layer address.
        address: &'a [u8],
    },
    /// DUID-EN: given by a vendor.
    Enterprise {
        /// IANA's private enterprise number.
        number: u32,
        /// The vendor's identifier.
        identifier: &'a [u8],
    },
    /// DUID-LL: a link-layer address.
    LinkLayer {
        /// IANA's ARP hardware type; 1 is Ethernet.
        hardware: u16,
        /// The link-layer address.
        address: &'a [u8],
    },
    /// DUID-UUID (RFC 6355).
    Uuid(&'a [u8; 16]),
    /// A type this crate does not know, or one whose content does not have its type's form.
    Unknown {
        /// The type.
        kind: u16,
        /// What follows it.
        content: &'a [u8],
    },
}

impl Duid {
    /// Takes the octets of a DUID, its type included.
    ///
    /// # Errors
    /// [`DuidError::Length`] outside 3 to 130 octets.
    pub fn new(octets: &[u8]) -> Result<Self, DuidError> {
        if (3..=2 + MAX_CONTENT).contains(&octets.len()) {
            Ok(Self(octets.into()))
        } else {
            Err(DuidError::Length { length: octets.len() })
        }
    }

    /// A DUID-LLT for an Ethernet address, made at `unix_seconds` (seconds since the Unix epoch).
    pub fn link_layer_time(address: [u8; 6], unix_seconds: u64) -> Self {
        let time = (unix_seconds.saturating_sub(DUID_EPOCH) & 0xffff_ffff) as u32;
        let mut octets = vec![0, 1, 0, 1];
        octets.extend_from_slice(&time.to_be_bytes());
        octets.extend_from_slice(&address);
        Self(octets[..].into())
    }

    /// A DUID-LL for an Ethernet address.
    pub fn link_layer(address: [u8; 6]) -> Self {
        let mut octets = vec![0, 3, 0, 1];
        octets.extend_from_slice(&address);
        Self(octets[..].into())
    }

    /// A DUID-UUID.
    pub fn uuid(uuid: [u8; 16]) -> Self {
        let mut octets = vec![0, 4];
        octets.extend_from_slice(&uuid);
        Self(octets[..].into())
    }

    /// A DUID-EN.
    ///
    /// # Errors
    /// [`DuidError::Length`] where the identifier is longer than 124 octets.
    pub fn enterprise(number: u32, identifier: &[u8]) -> Result<Self, DuidError> {
        let mut octets = vec![0, 2];
        octets.extend_from_slice(&number.to_be_bytes());
        octets.extend_from_slice(identifier);
        Self::new(&octets)
    }

    /// All octets, the type included, as they stand in an option.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// What the DUID is made of, for people.
    pub fn kind(&self) -> DuidKind<'_> {
        let (kind, content) = match *self.as_bytes() {
            [a, b, ref content @ ..] => (u16::from_be_bytes([a, b]), content),
            _ => (0, &[][..]),
        };
        match (kind, content) {
            (1, &[h0, h1, t0, t1, t2, t3, ref address @ ..]) if !address.is_empty() => {
                DuidKind::LinkLayerTime {
                    hardware: u16::from_be_bytes([h0, h1]),
                    time: u32::from_be_bytes([t0, t1, t2, t3]),
                    address,
                }
            }
            (2, &[n0, n1, n2, n3, ref identifier @ ..]) => {
                DuidKind::Enterprise { number: u32::from_be_bytes([n0, n1, n2, n3]), identifier }
            }
            (3, &[h0, h1, ref address @ ..]) if !address.is_empty() => {
                DuidKind::LinkLayer { hardware: u16::from_be_bytes([h0, h1]), address }
            }
            (4, uuid) => match uuid.try_into() {
                Ok(uuid) => DuidKind::Uuid(uuid),
                Err(_) => DuidKind::Unknown { kind, content },
            },
            _ => DuidKind::Unknown { kind, content },
        }
    }
}

impl fmt::Display for Duid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, octet) in self.as_bytes().iter().enumerate() {
            if i > 0 {
                f.write_char(':')?;
            }
            write!(f, "{octet:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Duid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Duid({self})")
    }
}

impl FromStr for Duid {
    type Err = DuidError;

    fn from_str(text: &str) -> Result<Self, DuidError> {
        let mut octets = Vec::new();
        let mut high = None;
        let mut after_colon = false;
        for (i, character) in text.char_indices() {
            match (character.to_digit(16), high) {
                (Some(digit), None) => high = Some(digit),
                (Some(digit), Some(h)) => {
                    octets.push((h * 16 + digit) as u8);
                    high = None;
                }
                (None, None) if character == ':' && i > 0 && !after_colon => {}
                _ => return Err(DuidError::Text { column: i + 1 }),
            }
            after_colon = character == ':';
        }
        if high.is_some() || after_colon {
            return Err(DuidError::Text { column: text.len() + 1 });
        }
        Self::new(&octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_back() {
        let text = "00:01:00:01:2c:4e:5f:a0:02:00:5e:10:00:ff";
        let duid: Duid = text.parse().unwrap();
        assert_eq!(duid.to_string(), text);
        assert_eq!(text.replace(':', "").to_uppercase().parse(), Ok(duid));
        for (text, column) in [
            ("0", 2),
            ("00:0", 5),
            ("00:01:", 7),
            (":00:01:02", 1),
            ("00::01:02", 4),
            ("0:00:01", 2),
            ("00:01:0g", 8),
            ("00 01 02", 3),
            ("é0:01:02", 1),
        ] {
            assert_eq!(text.parse::<Duid>(), Err(DuidError::Text { column }), "{text}");
        }
        assert_eq!("00:01".parse::<Duid>(), Err(DuidError::Length { length: 2 }));
        assert_eq!("".parse::<Duid>(), Err(DuidError::Length { length: 0 }));
    }

    #[test]
    fn lengths_are_those_of_the_rfc() {
        for (length, is_one) in [(0, false), (2, false), (3, true), (130, true), (131, false)] {
            assert_eq!(Duid::new(&vec![0; length]).is_ok(), is_one, "{length}");
        }
    }

    #[test]
    fn kinds() {
        // The example of RFC 9915 section 11.3.
        let enterprise = Duid::enterprise(9, &[0x0c, 0xc0, 0x84, 0xd3, 0x03, 0x00, 0x09, 0x12]).unwrap();
        assert_eq!(enterprise.to_string(), "00:02:00:00:00:09:0c:c0:84:d3:03:00:09:12");
        assert!(matches!(enterprise.kind(), DuidKind::Enterprise { number: 9, identifier: &[0x0c, ..] }));
        let mac = [2, 0, 0, 0, 0, 7];
        assert_eq!(
            Duid::link_layer_time(mac, DUID_EPOCH + 5).kind(),
            DuidKind::LinkLayerTime { hardware: 1, time: 5, address: &mac }
        );
        assert!(
            matches!(Duid::link_layer(mac).kind(), DuidKind::LinkLayer { hardware: 1, address } if address == mac)
        );
        assert_eq!(Duid::uuid([7; 16]).kind(), DuidKind::Uuid(&[7; 16]));
        for odd in [&[0, 1, 0, 1, 0, 0, 0, 0][..], &[0, 3, 0, 1], &[0, 4, 1], &[0, 9, 1], &[0xff, 0xff, 0]] {
            assert!(matches!(Duid::new(odd).unwrap().kind(), DuidKind::Unknown { .. }), "{odd:?}");
        }
        // The time wraps after 2^32 seconds, in the year 2136.
        let late = Duid::link_layer_time(mac, DUID_EPOCH + (1 << 32) + 3);
        assert!(matches!(late.kind(), DuidKind::LinkLayerTime { time: 3, .. }));
    }
}
