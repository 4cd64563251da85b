//! Datagrams before tshark.

#[allow(dead_code, reason = "shared with the tests of the wire formats")]
#[path = "../../../wire/tests/common/dissect.rs"]
mod packets;

use packets::{capture, tshark, udp6};
use std::io::Write as _;
use std::net::Ipv6Addr;

/// The fields that say what is wrong with a message, behind its type.
#[allow(dead_code, reason = "some tests look at other fields too")]
pub(crate) const COMPLAINTS: [&str; 5] =
    ["dhcpv6.msgtype", "udp.checksum.status", "_ws.malformed", "_ws.expert.severity", "_ws.expert.message"];

/// A UDP datagram over IPv6, from `fe80::1`.
pub(crate) struct Datagram<'a> {
    pub(crate) to: Ipv6Addr,
    /// From and to.
    pub(crate) ports: (u16, u16),
    pub(crate) bytes: &'a [u8],
}

/// What tshark makes of the datagrams: for each a line with its values for these fields.
pub(crate) fn dissect(datagrams: &[Datagram<'_>], fields: &[&str]) -> Vec<Vec<String>> {
    let from: Ipv6Addr = "fe80::1".parse().unwrap();
    let packets: Vec<Vec<u8>> =
        datagrams.iter().map(|datagram| udp6((from, datagram.to), datagram.ports, datagram.bytes)).collect();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&capture(&packets)).unwrap();
    let mut arguments = vec!["-o", "udp.check_checksum:TRUE", "-T", "fields", "-E", "separator=|"];
    arguments.extend(fields.iter().flat_map(|field| ["-e", field]));
    let text = tshark(file.path(), &arguments);
    let lines: Vec<_> = text.lines().map(|line| line.split('|').map(str::to_owned).collect()).collect();
    assert_eq!(lines.len(), datagrams.len(), "{text}");
    lines
}
