//! Leasequery: what is asked of a server about bindings, and how it answers (RFC 5007; in bulk over TCP, RFC 5460; for as
//! long as the connection stands, RFC 7653).

use super::{Builder, Duid, OptionCode, Options};
use crate::WireError;
use crate::bytes::{addr_at, take, u16_at};
use crate::registry::registry;
use std::net::Ipv6Addr;
use std::time::Duration;

/// The time that base, start and end times count from: 2000-01-01T00:00:00Z (RFC 7653), since the Unix epoch.
pub const BASE_EPOCH: Duration = Duration::from_hours(10_957 * 24);

registry! {
    /// What a query asks by (RFC 5007 section 4.1.2.1). Any 8-bit number is a value.
    QueryType(u8), "query type":
    1 BY_ADDRESS "by address" "RFC 5007";
    2 BY_CLIENT_ID "by client-id" "RFC 5007";
    3 BY_RELAY_ID "by relay-id" "RFC 5460";
    4 BY_LINK_ADDRESS "by link-address" "RFC 5460";
    5 BY_REMOTE_ID "by remote-id" "RFC 5460";
}

/// The Leasequery Query option.
///
/// ```text
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |  query-type   |                                               |
/// +-+-+-+-+-+-+-+-+           link-address (16 octets)            |
/// .                                                               .
/// |               |                query-options                  .
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// ```
/// RFC 5007 section 4.1.2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseQuery<'a> {
    /// What is asked by.
    pub kind: QueryType,
    /// The link that is asked about; unspecified stands for every link.
    pub link_address: Ipv6Addr,
    /// What is asked for: an address, a DUID, and which options the answer should hold.
    pub options: Options<'a>,
}

impl<'a> LeaseQuery<'a> {
    pub(super) fn decode(data: &'a [u8]) -> Option<Self> {
        Some(Self {
            kind: QueryType(*data.first()?),
            link_address: addr_at(data, 1),
            options: Options::parse(data.get(17..)?).ok()?,
        })
    }
}

/// The message from a relay agent by which a client was last heard, without what it relayed (RFC 5007 section 4.1.2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayData<'a> {
    /// From where the server had it.
    pub peer_address: Ipv6Addr,
    /// The Relay-forward; [`super::Packet::parse`] reads it.
    pub message: &'a [u8],
}

impl<'a> RelayData<'a> {
    pub(super) fn decode(data: &'a [u8]) -> Option<Self> {
        Some(Self { message: data.get(16..)?, peer_address: addr_at(data, 0) })
    }
}

impl Builder<'_> {
    /// Leasequery Query; `content` adds the query's options.
    pub fn lease_query(
        &mut self,
        kind: QueryType,
        link_address: Ipv6Addr,
        content: impl FnOnce(&mut Self),
    ) -> &mut Self {
        self.container(OptionCode::LQ_QUERY, |b| {
            b.octets(&[kind.0]).octets(&link_address.octets());
            content(b);
        })
    }

    /// Client Data; `content` adds what is told of one client on one link.
    pub fn client_data(&mut self, content: impl FnOnce(&mut Self)) -> &mut Self {
        self.container(OptionCode::CLIENT_DATA, content)
    }

    /// Leasequery Relay Data, from the Relay-forward without what it relayed.
    pub fn relay_data(&mut self, peer_address: Ipv6Addr, message: &[u8]) -> &mut Self {
        self.container(OptionCode::LQ_RELAY_DATA, |b| {
            b.octets(&peer_address.octets()).octets(message);
        })
    }

    /// Relay-ID.
    pub fn relay_id(&mut self, duid: &Duid) -> &mut Self {
        self.option(OptionCode::RELAY_ID, duid.as_bytes())
    }

    /// Base, start or end time of a query, by `code`; what lies beyond the field is cut to it.
    pub fn lease_query_time(&mut self, code: OptionCode, since_unix_epoch: Duration) -> &mut Self {
        let seconds = since_unix_epoch.saturating_sub(BASE_EPOCH).as_secs();
        self.number(code, u32::try_from(seconds).unwrap_or(u32::MAX))
    }
}

/// Longest message on a TCP connection, with its length in front, in octets.
pub const LONGEST_FRAME: usize = 2 + 65_535;

/// The first message of what came on a TCP connection: two octets of length, then that many (RFC 5460 section 5.1). `None`
/// where it has not come whole yet. The rest of `stream` begins 2 octets after its length.
pub fn frame(stream: &[u8]) -> Option<&[u8]> {
    stream.get(2..2 + usize::from(u16_at(stream.get(..2)?, 0)))
}

/// A message with its length in front, as it goes over a TCP connection.
///
/// # Errors
/// [`WireError::NoRoom`] where it is longer than 65,535 octets.
pub fn framed(message: &[u8]) -> Result<Vec<u8>, WireError> {
    let length = u16::try_from(message.len()).map_err(|_| WireError::NoRoom { capacity: 65_535 })?;
    Ok([&length.to_be_bytes()[..], message].concat())
}

/// Octets of a Relay-forward without its Relay Message option: what [`Builder::relay_data`] takes.
///
/// # Errors
/// [`WireError`] where they are not a relay agent's message.
pub fn without_relayed(relay: &[u8]) -> Result<Vec<u8>, WireError> {
    let (header, _) = take::<{ super::RelayMessage::HEADER }>(relay, "DHCPv6 relay header")?;
    let options = super::RelayMessage::parse(relay)?.options();
    let mut out = header.to_vec();
    for (code, data) in options.raw().filter(|(code, _)| *code != OptionCode::RELAY_MSG) {
        out.extend(code.0.to_be_bytes());
        out.extend(u16::try_from(data.len()).unwrap_or_default().to_be_bytes());
        out.extend(data);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::super::{DhcpOption, Message, MessageType, Packet, TransactionId};
    use super::*;

    const XID: TransactionId = TransactionId([1, 2, 3]);

    #[test]
    fn a_query_by_its_octets() {
        let mut buffer = [0; 128];
        let mut b = Builder::message(&mut buffer, MessageType::LEASEQUERY, XID);
        b.lease_query(QueryType::BY_ADDRESS, Ipv6Addr::UNSPECIFIED, |b| {
            b.ia_address("2001:db8::9".parse().unwrap(), 0, 0, |_| ()).oro(&[OptionCode::LQ_RELAY_DATA]);
        });
        let octets = b.finish().unwrap();
        assert_eq!(octets[..9], [14, 1, 2, 3, 0, 44, 0, 51, 1]);
        let message = Message::parse(octets).unwrap();
        let Some(DhcpOption::LeaseQuery(query)) = message.options().find(OptionCode::LQ_QUERY) else {
            panic!("{message:?}")
        };
        assert_eq!((query.kind, query.link_address), (QueryType::BY_ADDRESS, Ipv6Addr::UNSPECIFIED));
        assert!(query.options.requests(OptionCode::LQ_RELAY_DATA));
        assert!(matches!(query.options.find(OptionCode::IA_ADDR), Some(DhcpOption::IaAddress(_))));
        // Cut short anywhere, it is none.
        for length in 0..17 {
            let data = vec![1; length];
            let read = DhcpOption::decode(OptionCode::LQ_QUERY, &data);
            assert!(matches!(read, DhcpOption::Malformed { .. }), "{length}");
        }
    }

    #[test]
    fn what_a_relay_said_is_kept_without_what_it_relayed() {
        let mut buffer = [0; 256];
        let (link, peer) = ("2001:db8::1".parse().unwrap(), "fe80::9".parse().unwrap());
        let mut b = Builder::relay(&mut buffer, MessageType::RELAY_FORWARD, 0, link, peer);
        b.option(OptionCode::INTERFACE_ID, b"port7")
            .option(OptionCode::RELAY_MSG, &[1, 0, 0, 0])
            .option(OptionCode::REMOTE_ID, &[0, 0, 0, 9, 1]);
        let kept = without_relayed(b.finish().unwrap()).unwrap();
        let mut buffer = [0; 256];
        let mut b = Builder::message(&mut buffer, MessageType::LEASEQUERY_REPLY, XID);
        b.client_data(|b| {
            b.relay_data(peer, &kept);
        });
        let octets = b.finish().unwrap();
        let message = Message::parse(octets).unwrap();
        let Some(DhcpOption::ClientData(data)) = message.options().iter().next() else {
            panic!("{message:?}")
        };
        let Some(DhcpOption::LqRelayData(relay)) = data.iter().next() else { panic!("{data:?}") };
        assert_eq!(relay.peer_address, peer);
        let Ok(Packet::Relay(read)) = Packet::parse(relay.message) else { panic!("{relay:?}") };
        assert_eq!((read.link_address(), read.peer_address(), read.relayed()), (link, peer, None));
        assert_eq!(read.options().get(OptionCode::INTERFACE_ID), Some(&b"port7"[..]));
        assert!(without_relayed(&[12; 33]).is_err() && without_relayed(&[1; 40]).is_err());
        assert!(matches!(
            DhcpOption::decode(OptionCode::LQ_RELAY_DATA, &[0; 15]),
            DhcpOption::Malformed { .. }
        ));
    }

    #[test]
    fn a_stream_is_cut_where_its_lengths_say() {
        let stream = [framed(b"one").unwrap(), framed(b"").unwrap(), framed(b"three").unwrap()].concat();
        let mut rest = &stream[..];
        let mut read = Vec::new();
        while let Some(message) = frame(rest) {
            read.push(message.to_vec());
            rest = &rest[2 + message.len()..];
        }
        assert_eq!(read, [&b"one"[..], b"", b"three"]);
        for length in 0..5 {
            assert_eq!(frame(&stream[..length]), None);
        }
        assert!(framed(&vec![0; 65_536]).is_err());
    }

    #[test]
    fn times_count_from_the_year_2000() {
        let mut buffer = [0; 64];
        let mut b = Builder::message(&mut buffer, MessageType::LEASEQUERY_REPLY, XID);
        b.lease_query_time(OptionCode::LQ_BASE_TIME, BASE_EPOCH + Duration::from_millis(7_900))
            .lease_query_time(OptionCode::LQ_START_TIME, Duration::ZERO)
            .lease_query_time(OptionCode::LQ_END_TIME, Duration::MAX);
        let octets = b.finish().unwrap();
        let options: Vec<_> = Message::parse(octets).unwrap().options().iter().collect();
        let want = [DhcpOption::LqBaseTime(7), DhcpOption::LqStartTime(0), DhcpOption::LqEndTime(u32::MAX)];
        assert_eq!(options, want);
    }
}
