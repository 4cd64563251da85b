//! What the control socket is told of DHCPv4 and the pilot.

use super::V4;
use crate::up::engine::Engine;
use crate::up::status::left;
use crate::view;
use sixgate_dhcp::v4::{Discard, Ipv6Mostly, Lease};
use sixgate_wire::dhcpv4::ClientIdKind;
use std::collections::{BTreeMap, HashSet};
use std::net::Ipv4Addr;
use std::time::Duration;

/// An answer that says what is wrong.
pub(crate) fn error(sentence: &str) -> String {
    serde_json::json!({ "error": sentence }).to_string()
}

/// What a lease looks like from outside.
pub(crate) fn lease_view(lease: &Lease, now: Duration) -> view::Lease {
    let (duid, iaid) = match lease.client.kind() {
        ClientIdKind::Duid { iaid, duid } => (Some(duid.to_string()), Some(iaid)),
        _ => (None, None),
    };
    let address = lease.hardware.address();
    view::Lease {
        resource: lease.address.to_string(),
        lan: lease.link.to_string(),
        state: lease.state.to_string(),
        duid,
        iaid,
        client_id: Some(lease.client.to_string()),
        hostname: lease.hostname.clone(),
        key: None,
        link_layer: (!address.is_empty()).then(|| lease.hardware.to_string()),
        learnt: None,
        line: None,
        relay: None,
        link_address: None,
        preferred: left(now, lease.valid_until),
        valid: left(now, lease.valid_until),
    }
}

impl V4 {
    /// The leases that clients were told of.
    pub(crate) fn leases(&self, now: Duration) -> impl Iterator<Item = view::Lease> {
        let waiting: HashSet<Ipv4Addr> = (self.committing.values().flatten())
            .map(sixgate_dhcp::v4::LeaseChange::address)
            .filter(|address| !self.holders.contains_key(address))
            .collect();
        let leases = self.server.leases().iter().filter(move |lease| !waiting.contains(&lease.address));
        leases.map(move |lease| lease_view(lease, now))
    }

    /// What the server counted; nothing where none is served.
    pub(crate) fn counters(&self) -> BTreeMap<String, u64> {
        if self.links.is_empty() {
            return BTreeMap::new();
        }
        let c = self.server.counters();
        let mut counters: BTreeMap<String, u64> = [
            ("received", c.received),
            ("discover", c.discover),
            ("request", c.request),
            ("decline", c.decline),
            ("release", c.release),
            ("inform", c.inform),
            ("offer", c.offer),
            ("ack", c.ack),
            ("nak", c.nak),
            ("asked-v6only", c.asked_v6only),
            ("told-v6only", c.told_v6only),
            ("told-again", c.told_again),
            ("granted", c.granted),
            ("expired", c.expired),
            ("conflicts", c.conflicts),
            ("offers-evicted", c.offers_evicted),
            ("declined-evicted", c.declined_evicted),
            ("roster-evicted", c.roster_evicted),
            ("commits-failed", c.commits_failed),
            ("snapshot-conflicts", c.snapshot_conflicts),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        for reason in Discard::ALL {
            counters.insert(format!("discarded-{}", reason.name()), c.discarded(reason));
        }
        counters
    }
}

impl Engine {
    /// IPv4 on a LAN; `None` where it is not served.
    pub(crate) fn lan_view_v4(&self, index: usize) -> Option<view::ServedIpv4> {
        let lan = self.lans.get(index)?;
        let ipv4 = lan.config.ipv4.as_ref()?;
        let mostly = self.mostly(lan);
        Some(view::ServedIpv4 {
            address: ipv4.address.to_string(),
            leases: self.v4.leases_on(&lan.config.name) as u64,
            option_108: mostly.as_ref().ok().map(Ipv6Mostly::wait),
            why_not: mostly.err(),
        })
    }

    /// The pilot and everybody it knows, those that were told first.
    pub(crate) fn pilot_view(&self) -> view::Pilot {
        let now = self.now();
        let wait = self.config.pilot.wait;
        let choice = &self.v4.choice;
        let roster = self.v4.server.roster();
        let client = |client: sixgate_dhcp::v4::RosterClient| {
            let seen = self.v4.seen_at(client.place);
            let held =
                seen.and_then(|seen| self.v4.server.leases().held(&seen.lan.as_str().into(), &seen.client));
            let left = client.told.map(|told| told.saturating_add(wait).saturating_sub(now));
            let left = left.filter(|left| held.is_none() && !left.is_zero());
            view::PilotClient {
                client: seen.map(|seen| seen.selector().to_string()),
                link_layer: seen.map(|seen| seen.hardware.to_string()).filter(|text| !text.is_empty()),
                hostname: seen.and_then(|seen| seen.hostname.clone()),
                lan: seen.map(|seen| seen.lan.clone()),
                chosen: client.member,
                told: client.told.map(|told| now.saturating_sub(told).as_secs()),
                waits: left.map(|left| left.as_secs()),
                ipv4: held.map(|lease| lease.address.to_string()),
            }
        };
        let mut clients: Vec<view::PilotClient> = roster.clients().map(client).collect();
        clients.sort_by(|a, b| b.chosen.cmp(&a.chosen).then_with(|| a.client.cmp(&b.client)));
        view::Pilot {
            percent: choice.now().percent,
            only: choice.now().only.clone(),
            except: choice.now().except.clone(),
            commanded: choice.is_commanded(),
            file_percent: choice.file().percent,
            wait: wait.as_secs(),
            asked: roster.len() as u64,
            chosen: roster.member_count() as u64,
            told: clients.iter().filter(|client| client.told.is_some()).count() as u64,
            waiting: clients.iter().filter(|client| client.waits.is_some()).count() as u64,
            lans: (0..self.lans.len())
                .filter_map(|index| {
                    Some((self.lans.get(index)?.config.name.clone(), self.lan_view_v4(index)?))
                })
                .collect(),
            clients,
        }
    }
}
