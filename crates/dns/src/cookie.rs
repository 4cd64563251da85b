//! DNS cookies (RFC 7873) that need no memory: server cookies of version 1 (RFC 9018 section 4).

use core::hash::Hasher as _;
use core::time::Duration;
use std::net::IpAddr;

use siphasher::sip::SipHasher24;

/// The number of the EDNS option (RFC 7873 section 4).
pub(crate) const OPTION: u16 = 10;
/// Octets of a client cookie.
const CLIENT: usize = 8;
/// Octets of a server cookie of ours.
const SERVER: usize = 16;
/// Octets of the option in a reply: code, length, both cookies.
pub(crate) const OPTION_OCTETS: usize = 4 + CLIENT + SERVER;
/// A server cookie is good for an hour, and may be five minutes ahead (RFC 9018 section 4.3).
const PAST: u32 = 3_600;
const AHEAD: u32 = 300;

/// What a client chose.
pub(crate) type ClientCookie = [u8; CLIENT];

/// Whether the option has a length that is allowed: a client cookie, and a server cookie or none (RFC 7873 section 4).
pub(crate) fn is_well_formed(value: &[u8]) -> bool {
    matches!(value.len(), 8 | 16..=40)
}

/// The client cookie of an option, and whether the server cookie with it is one that we gave to this address.
pub(crate) fn read(
    secret: &[u8; 16],
    now: Duration,
    source: IpAddr,
    value: &[u8],
) -> Option<(ClientCookie, bool)> {
    let (client, server) = value.split_first_chunk::<CLIENT>()?;
    let Ok(server) = <[u8; SERVER]>::try_from(server) else { return Some((*client, false)) };
    let [1, _, _, _, a, b, c, d, ..] = server else { return Some((*client, false)) };
    let (then, now) = (u32::from_be_bytes([a, b, c, d]), seconds(now));
    // Serial number arithmetic (RFC 1982), as RFC 9018 section 4.3 has it.
    let fresh = now.wrapping_sub(then) <= PAST || then.wrapping_sub(now) <= AHEAD;
    let fixed = <[u8; 8]>::try_from(&server[..8]).unwrap_or_default();
    let ours = fresh && with_hash(secret, source, *client, fixed) == server;
    Some((*client, ours))
}

/// The option for a reply.
pub(crate) fn write(
    secret: &[u8; 16],
    now: Duration,
    source: IpAddr,
    client: ClientCookie,
) -> [u8; OPTION_OCTETS] {
    let [a, b, c, d] = seconds(now).to_be_bytes();
    let server = with_hash(secret, source, client, [1, 0, 0, 0, a, b, c, d]);
    let mut option = [0; OPTION_OCTETS];
    let (head, cookies) = option.split_at_mut(4);
    let [high, low] = OPTION.to_be_bytes();
    head.copy_from_slice(&[high, low, 0, (CLIENT + SERVER) as u8]);
    let (to_client, to_server) = cookies.split_at_mut(CLIENT);
    to_client.copy_from_slice(&client);
    to_server.copy_from_slice(&server);
    option
}

/// Seconds since the Unix epoch, as 32 bits that wrap.
fn seconds(now: Duration) -> u32 {
    now.as_secs() as u32
}

/// Version, reserved and time, and the hash over them, the client cookie and the address.
fn with_hash(secret: &[u8; 16], source: IpAddr, client: ClientCookie, fixed: [u8; 8]) -> [u8; SERVER] {
    let mut hasher = SipHasher24::new_with_key(secret);
    hasher.write(&client);
    hasher.write(&fixed);
    match source.to_canonical() {
        IpAddr::V6(address) => hasher.write(&address.octets()),
        IpAddr::V4(address) => hasher.write(&address.octets()),
    }
    let mut cookie = [0; SERVER];
    let (head, tail) = cookie.split_at_mut(8);
    head.copy_from_slice(&fixed);
    tail.copy_from_slice(&hasher.finish().to_le_bytes());
    cookie
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    /// RFC 9018 appendix A.1.
    const SECRET: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";
    const CLIENT: &str = "2464c4abcf10c957";
    const SERVER: &str = "010000005cf79f111f8130c3eee29480";
    const THEN: u64 = 1_559_731_985;

    #[test]
    fn cookies_are_those_of_the_rfc() {
        let secret: [u8; 16] = hex(SECRET).try_into().unwrap();
        let client: ClientCookie = hex(CLIENT).try_into().unwrap();
        let source = "198.51.100.100".parse().unwrap();
        let at = |seconds: u64| Duration::from_secs(seconds);
        let option = write(&secret, at(THEN), source, client);
        assert_eq!(option[..4], [0, 10, 0, 24]);
        assert_eq!(option[4..], [hex(CLIENT), hex(SERVER)].concat());
        let value = &option[4..];
        let known = |now, source: &str, value: &[u8]| {
            read(&secret, at(now), source.parse().unwrap(), value).unwrap().1
        };
        assert!(known(THEN, "198.51.100.100", value));
        assert!(known(THEN, "::ffff:198.51.100.100", value), "the same address");
        assert!(known(THEN + 3_600, "198.51.100.100", value) && known(THEN - 300, "198.51.100.100", value));
        assert!(!known(THEN + 3_601, "198.51.100.100", value) && !known(THEN - 301, "198.51.100.100", value));
        assert!(!known(THEN, "198.51.100.101", value));
        for at in 0..value.len() {
            let mut other = value.to_vec();
            other[at] ^= 0x10;
            assert!(!known(THEN, "198.51.100.100", &other), "octet {at}");
        }
        assert!(!known(THEN, "198.51.100.100", &value[..8]), "a client cookie alone");
        assert_eq!(read(&secret, at(THEN), source, &value[..7]), None);
        assert!(!read(&[1; 16], at(THEN), source, value).unwrap().1, "another secret");
    }
}
