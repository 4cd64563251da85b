//! What is told of a client.

use super::query::Query;
use crate::lease::{Lease, Resource};
use sixgate_wire::dhcpv6::{Builder, Fqdn, INFINITY, MessageType, OptionCode, RelayMessage};
use std::time::Duration;

/// Room for the longest message: 64 leases of one client, and what its relay agent said.
pub(super) const ROOM: usize = 8 * 1024;
/// Most leases of one client that are told in one message.
pub(super) const MOST_LEASES: usize = 64;
/// Octets of a relay agent's message, rebuilt: its header, three names of 255 octets, a DUID, an address.
const RELAY_ROOM: usize = 1_200;

/// The Client Data option for leases of one client on one link (RFC 5007 section 4.1.2.2). `gone` tells that they have
/// ended: their lifetimes are 0.
pub(super) fn write(b: &mut Builder<'_>, now: Duration, leases: &[Lease], query: &Query, gone: bool) {
    let Some(first) = leases.first() else { return };
    b.client_data(|b| {
        b.client_id(&first.duid);
        for lease in leases.iter().take(MOST_LEASES) {
            let left = |until: Duration| if gone { 0 } else { seconds_left(now, until) };
            let (preferred, valid) = (left(lease.preferred_until), left(lease.valid_until));
            match lease.resource {
                Resource::Address(address) => {
                    b.ia_address(address, preferred.min(valid), valid, |_| ());
                }
                Resource::Prefix(prefix) => {
                    b.ia_prefix(prefix, preferred.min(valid), valid, |_| ());
                }
            }
        }
        // When the client was last heard, about any of them.
        let heard = leases.iter().map(|lease| lease.renewed_at).max().unwrap_or_default();
        let since = now.saturating_sub(heard).as_secs();
        b.number(OptionCode::CLT_TIME, u32::try_from(since).unwrap_or(u32::MAX));
        if query.relay_data {
            relay_data(b, first);
        }
        if let Some(name) = first.hostname.as_ref().filter(|_| query.fqdn) {
            b.client_fqdn(Fqdn::SERVER_UPDATES, name);
        }
    });
}

/// The Relay-forward by which the client was last heard, as far as it is remembered: who relayed it, and the names of the
/// line.
fn relay_data(b: &mut Builder<'_>, lease: &Lease) {
    let Some(relay) = &lease.relay else { return };
    let mut room = [0; RelayMessage::HEADER + RELAY_ROOM];
    let mut forward = Builder::relay(&mut room, MessageType::RELAY_FORWARD, 0, relay.link, lease.peer);
    if let Some(line) = &lease.line {
        for (code, name) in [
            (OptionCode::INTERFACE_ID, line.interface_id()),
            (OptionCode::REMOTE_ID, line.remote_id()),
            (OptionCode::SUBSCRIBER_ID, line.subscriber_id()),
        ] {
            if let Some(name) = name {
                forward.option(code, name);
            }
        }
    }
    if let Some(id) = &relay.id {
        forward.relay_id(id);
    }
    if let Ok(octets) = forward.finish() {
        b.relay_data(relay.address, octets);
    }
}

/// What is left of a lifetime at `now`, in seconds.
fn seconds_left(now: Duration, until: Duration) -> u32 {
    if until == Duration::MAX {
        return INFINITY;
    }
    u32::try_from(until.saturating_sub(now).as_secs()).unwrap_or(INFINITY - 1).min(INFINITY - 1)
}
