//! What a requestor asks: read from its message, and held against a lease.

use super::super::Server;
use crate::lease::{Lease, LeaseState, LinkId, Resource};
use sixgate_wire::dhcpv6::leasequery::{BASE_EPOCH, LeaseQuery, QueryType};
use sixgate_wire::dhcpv6::{DhcpOption, Duid, Message, OptionCode, StatusCode, TransactionId};
use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::time::Duration;

/// By what bindings are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum By {
    Address(Ipv6Addr),
    Client(Duid),
    RelayId(Duid),
    /// The Remote-ID's content, its enterprise number in front.
    RemoteId(Vec<u8>),
    Link,
}

/// The queries that are answered over TCP only (RFC 5460).
const BULK: [QueryType; 3] = [QueryType::BY_RELAY_ID, QueryType::BY_LINK_ADDRESS, QueryType::BY_REMOTE_ID];

/// One query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) transaction: TransactionId,
    /// The requestor's DUID.
    pub(super) requestor: Duid,
    by: By,
    /// The links that are asked about; none stands for all of them.
    links: Option<BTreeSet<LinkId>>,
    link_address: Ipv6Addr,
    /// Only bindings whose client was heard from this time on, and up to this time.
    pub(super) since: Option<Duration>,
    until: Option<Duration>,
    /// Whether the requestor is to know our time: it asks for it, or by times, which are ours (RFC 7653).
    pub(super) base_time: bool,
    /// Whether the relay agent's words are asked for, and the client's name.
    pub(super) relay_data: bool,
    pub(super) fqdn: bool,
}

/// Why there is no answer but a status.
pub(super) type Refusal = (StatusCode, &'static str);

/// Over what a query came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    Udp,
    Tcp,
}

/// Who asks, and by which number: what every answer needs. None where the message must be discarded (RFC 5007 section
/// 4.2.1): it is no query, names no requestor, or is meant for another server.
pub(super) fn head(message: &Message<'_>, server: &Duid) -> Option<(TransactionId, Duid)> {
    let options = message.options();
    if options.get(OptionCode::SERVER_ID).is_some_and(|named| named != server.as_bytes()) {
        return None;
    }
    Some((message.transaction(), Duid::new(options.get(OptionCode::CLIENT_ID)?).ok()?))
}

impl Query {
    /// Reads a Leasequery or an Activeleasequery whose head was read.
    pub(super) fn read(
        message: &Message<'_>,
        (transaction, requestor): (TransactionId, Duid),
        server: &Server,
        over: Over,
    ) -> Result<Self, Refusal> {
        let malformed = |words| (StatusCode::MALFORMED_QUERY, words);
        let query = match message.options().find(OptionCode::LQ_QUERY) {
            Some(DhcpOption::LeaseQuery(query)) => query,
            Some(_) => return Err(malformed("the query option cannot be read")),
            None => return Err(malformed("there is no query option")),
        };
        // Before anything else of it is looked at (RFC 5460): it is the transport that is wrong.
        if over == Over::Udp && BULK.contains(&query.kind) {
            return Err((StatusCode::NOT_ALLOWED, "that query is answered over TCP only"));
        }
        let by = Self::by(&query)?;
        let link_address = query.link_address;
        let links = if link_address.is_unspecified() {
            None
        } else {
            let links = links_of(server, link_address);
            if links.is_empty() && !server.table.from(0).any(|(_, lease)| is_behind(&lease, link_address)) {
                return Err((StatusCode::NOT_CONFIGURED, "no link has this link-address"));
            }
            Some(links)
        };
        let time = |seconds: u32| BASE_EPOCH.saturating_add(Duration::from_secs(seconds.into()));
        // They stand beside the query as well as in it (RFC 7653).
        let find = |code| query.options.find(code).or_else(|| message.options().find(code));
        let since = match find(OptionCode::LQ_START_TIME) {
            Some(DhcpOption::LqStartTime(seconds)) => Some(time(seconds)),
            _ => None,
        };
        let until = match find(OptionCode::LQ_END_TIME) {
            Some(DhcpOption::LqEndTime(seconds)) => Some(time(seconds)),
            _ => None,
        };
        let wants = |code| query.options.requests(code);
        let (relay_data, fqdn) = (wants(OptionCode::LQ_RELAY_DATA), wants(OptionCode::CLIENT_FQDN));
        let beside = || message.options().requests(OptionCode::LQ_BASE_TIME);
        let base_time = since.or(until).is_some() || wants(OptionCode::LQ_BASE_TIME) || beside();
        Ok(Self {
            transaction,
            requestor,
            by,
            links,
            link_address,
            since,
            until,
            base_time,
            relay_data,
            fqdn,
        })
    }

    fn by(query: &LeaseQuery<'_>) -> Result<By, Refusal> {
        let malformed = |words| (StatusCode::MALFORMED_QUERY, words);
        let duid = |code| query.options.get(code).and_then(|octets| Duid::new(octets).ok());
        match query.kind {
            QueryType::BY_ADDRESS => match query.options.find(OptionCode::IA_ADDR) {
                Some(DhcpOption::IaAddress(address)) => Ok(By::Address(address.address)),
                _ => Err(malformed("a query by address names one in an IA Address option")),
            },
            QueryType::BY_CLIENT_ID => duid(OptionCode::CLIENT_ID)
                .map(By::Client)
                .ok_or(malformed("a query by client names it in a Client Identifier option")),
            QueryType::BY_RELAY_ID => duid(OptionCode::RELAY_ID)
                .map(By::RelayId)
                .ok_or(malformed("a query by relay agent names it in a Relay-ID option")),
            QueryType::BY_REMOTE_ID => match query.options.find(OptionCode::REMOTE_ID) {
                Some(DhcpOption::RemoteId(_)) => {
                    Ok(By::RemoteId(query.options.get(OptionCode::REMOTE_ID).unwrap_or_default().to_vec()))
                }
                _ => Err(malformed("a query by line names it in a Remote-ID option")),
            },
            QueryType::BY_LINK_ADDRESS => Ok(By::Link),
            _ => Err((StatusCode::UNKNOWN_QUERY_TYPE, "this server does not know that query type")),
        }
    }

    /// Whether all bindings have to be looked at.
    pub(super) fn is_scan(&self) -> bool {
        !matches!(self.by, By::Address(_) | By::Client(_))
    }

    /// Whether a lease is one that is asked for, its time apart.
    pub(super) fn is_about(&self, lease: &Lease) -> bool {
        let on_link = self
            .links
            .as_ref()
            .is_none_or(|links| links.contains(&lease.link) || is_behind(lease, self.link_address));
        on_link
            && is_told(lease)
            && match &self.by {
                By::Address(address) => lease.resource.net().contains(address),
                By::Client(duid) => lease.duid == *duid,
                By::RelayId(id) => lease.relay.as_ref().is_some_and(|relay| relay.id.as_ref() == Some(id)),
                By::RemoteId(id) => {
                    lease.line.as_ref().and_then(|line| line.remote_id()) == Some(id.as_slice())
                }
                By::Link => true,
            }
    }

    /// Whether the lease's time is within what is asked for (RFC 7653).
    pub(super) fn is_within(&self, lease: &Lease) -> bool {
        self.since.is_none_or(|since| lease.renewed_at >= since)
            && self.until.is_none_or(|until| lease.renewed_at <= until)
    }

    /// What one that is no scan finds.
    pub(super) fn find(&self, server: &Server) -> Vec<Lease> {
        let found: BTreeSet<Resource> = match &self.by {
            By::Address(address) => {
                let mut covering: Vec<Lease> = server.table.overlaps((*address).into()).collect();
                // An address that somebody has, or else the smallest prefix in which it is.
                covering.sort_by_key(|lease| std::cmp::Reverse(lease.resource.net().prefix_len()));
                covering.into_iter().map(|lease| lease.resource).take(1).collect()
            }
            By::Client(duid) => {
                let held = server.table.of_duid(duid).map(|lease| lease.resource);
                held.chain(server.table.registered_by(duid)).collect()
            }
            By::RelayId(_) | By::RemoteId(_) | By::Link => BTreeSet::new(),
        };
        let durable = found.into_iter().filter_map(|resource| server.durable(resource));
        durable.filter(|lease| self.is_about(lease) && self.is_within(lease)).collect()
    }
}

/// Whether a lease is of interest to others: somebody uses it.
pub(super) fn is_told(lease: &Lease) -> bool {
    matches!(lease.state, LeaseState::Bound | LeaseState::Registered)
}

/// The links that a link-address stands for.
fn links_of(server: &Server, address: Ipv6Addr) -> BTreeSet<LinkId> {
    let inside = |nets: &[ipnet::Ipv6Net]| nets.iter().any(|net| net.contains(&address));
    server
        .links
        .values()
        .filter(|link| inside(&link.prefixes) || inside(&link.selected_by))
        .map(|link| link.name.clone())
        .collect()
}

/// Whether the lease's relay agent gave this link-address.
fn is_behind(lease: &Lease, address: Ipv6Addr) -> bool {
    lease.relay.as_ref().is_some_and(|relay| relay.link == address)
}

/// An address by which a link is told: that of the relay agent, else the first of its networks.
pub(super) fn link_address(server: &Server, lease: &Lease) -> Ipv6Addr {
    let relay = lease.relay.as_ref().map(|relay| relay.link).filter(|link| !link.is_unspecified());
    let net = server.links.get(&lease.link).and_then(|link| link.prefixes.first());
    relay.or(net.map(ipnet::Ipv6Net::network)).unwrap_or(Ipv6Addr::UNSPECIFIED)
}
