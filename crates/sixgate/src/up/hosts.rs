//! Which names the hosts of the LANs have, out of all that is known of them.
//!
//! A host is what has one DUID, or one Ethernet address on a LAN: its DHCPv6 leases, its DHCPv4 lease, the addresses it
//! registered (RFC 9686) and those it was seen with belong together under one name.
//! - **Its name** is the one that it asked for by DHCPv6, else by DHCPv4, else when it registered. Who never told a name has
//!   none: one that we made up would be remembered by nobody, and would have to be kept for ever.
//! - **Two that want one name**: who was first keeps it, the next is `-2`, and so on, for as long as each is known.
//! - **Its addresses** are those leased and registered, of either family; without any of IPv6 among them, the few that it was
//!   last seen with. All that it was seen with have a reverse name: privacy addresses come and go daily (RFC 8981), and a log
//!   with a name in it is worth more than one with a number.
//! - What was leased ends with its lease, what was registered with its lifetime, what was seen a day after it was last seen.
//!   What was seen never joins hosts, and never takes an address from whom it is leased to: anybody can claim it.

use super::engine::Engine;
use super::neighbours::Mac;
use sixgate_dhcp::lease::{Lease, LeaseChange, LeaseState, Resource};
use sixgate_dhcp::v4;
use sixgate_dns::NameError;
use sixgate_wire::dhcpv4::ClientIdKind;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// Least time between two times that all names are worked out because of what was seen. A lease has its name at once.
const PAUSE: Duration = Duration::from_millis(250);
/// Where working them out takes longer than this, because thousands are known, it takes a tenth of the time at most: a
/// flood of leases must not leave time for nothing else.
const CHEAP: Duration = Duration::from_millis(3);
/// Seen addresses that are told as a host's own, where it has no better; the last first.
const TOLD: usize = 4;

/// By what a host is told from others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Id {
    /// On every LAN.
    Duid(Box<[u8]>),
    /// On one LAN.
    Mac(usize, Mac),
    /// A DHCPv4 client that tells neither.
    Client(Box<[u8]>),
}

/// Where a name comes from: the first that there is counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    Dhcp6,
    Dhcp4,
    Registered,
}

/// What a client told a server of one address.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fact {
    origin: Origin,
    ids: Vec<Id>,
    lan: Option<usize>,
    /// The address by which its Ethernet address can be found, if it is not among `ids`.
    peer: Option<Ipv6Addr>,
    hostname: Option<String>,
    since: Duration,
}

/// A host, worked out.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Host {
    id: Id,
    hostname: String,
    since: Duration,
    addresses: Vec<IpAddr>,
    behind: Vec<IpAddr>,
}

/// What is known of hosts, and what was made of it.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    /// At most as many as there are leases and registrations, which have their caps.
    facts: BTreeMap<IpAddr, Fact>,
    named: BTreeMap<Vec<u8>, Host>,
    /// When names are to be worked out.
    due: Option<Duration>,
    last: Duration,
    /// And not before.
    rest: Duration,
}

impl Hosts {
    /// When [`Engine::settle_hosts`] has something to do.
    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        self.due
    }

    fn learn(&mut self, now: Duration, address: IpAddr, fact: Option<Fact>) {
        if self.facts.get(&address) == fact.as_ref() {
            return;
        }
        match fact {
            Some(fact) => self.facts.insert(address, fact),
            None => self.facts.remove(&address),
        };
        self.due = Some(now.max(self.rest));
    }

    /// Somebody was seen, or the LANs' prefixes are others.
    pub(crate) fn changed(&mut self, now: Duration) {
        let earliest = now.max(self.rest).max(self.last.saturating_add(PAUSE));
        self.due = self.due.or(Some(earliest));
    }
}

/// What belongs together: its IDs, and what was told under them.
type Group<'a> = (BTreeSet<Id>, Vec<(IpAddr, &'a Fact)>);

/// Puts together what belongs together. `mac_of` tells who was seen with an address on a LAN, `seen` with which addresses
/// somebody was seen, the last one last.
fn work_out(
    facts: &BTreeMap<IpAddr, Fact>,
    mac_of: impl Fn(usize, Ipv6Addr) -> Option<Mac>,
    seen: impl Fn(usize, Mac) -> Vec<Ipv6Addr>,
) -> Vec<Host> {
    let with_ids = facts.iter().map(|(address, fact)| {
        let mut ids = fact.ids.clone();
        if !ids.iter().any(|id| matches!(id, Id::Mac(..)))
            && let (Some(lan), Some(peer)) = (fact.lan, fact.peer)
        {
            ids.extend(mac_of(lan, peer).map(|mac| Id::Mac(lan, mac)));
        }
        (*address, fact, ids)
    });
    // Each ID leads to a group; where a fact has IDs of several, these become one. They join the largest: whoever shows itself
    // under ever new IDs must not have all of them put together anew for each.
    let mut groups: BTreeMap<usize, Group<'_>> = BTreeMap::new();
    let mut group_of: BTreeMap<Id, usize> = BTreeMap::new();
    for (number, (address, fact, ids)) in with_ids.enumerate() {
        let known: BTreeSet<usize> = ids.iter().filter_map(|id| group_of.get(id).copied()).collect();
        let size = |group: &usize| groups.get(group).map_or(0, |(_, facts)| facts.len());
        let into = known.iter().copied().max_by_key(size).unwrap_or(number);
        let (mut ids, mut theirs): Group<'_> = (ids.into_iter().collect(), vec![(address, fact)]);
        for other in known.into_iter().filter(|other| *other != into) {
            let (other_ids, other_facts) = groups.remove(&other).unwrap_or_default();
            ids.extend(other_ids);
            theirs.extend(other_facts);
        }
        group_of.extend(ids.iter().map(|id| (id.clone(), into)));
        let group = groups.entry(into).or_default();
        // Not `append`, which goes through both.
        group.0.extend(ids);
        group.1.extend(theirs);
    }
    let mut hosts: Vec<Host> = groups
        .into_values()
        .filter_map(|(ids, mut theirs)| {
            theirs.sort_by_key(|(address, fact)| (fact.origin, *address));
            let named = theirs.iter().filter(|(_, fact)| fact.hostname.is_some());
            let since = named.clone().map(|(_, fact)| fact.since).min()?;
            let hostname = named.clone().find_map(|(_, fact)| fact.hostname.clone())?;
            let mut addresses: Vec<IpAddr> = theirs.iter().map(|(address, _)| *address).collect();
            let macs = ids.iter().filter_map(|id| match id {
                Id::Mac(lan, mac) => Some((*lan, *mac)),
                _ => None,
            });
            let mut behind: Vec<IpAddr> = macs
                .flat_map(|(lan, mac)| seen(lan, mac).into_iter().rev())
                .map(IpAddr::from)
                .filter(|address| !facts.contains_key(address))
                .collect();
            if theirs.iter().all(|(_, fact)| fact.origin == Origin::Dhcp4) {
                addresses.extend(behind.drain(..behind.len().min(TOLD)));
            }
            Some(Host { id: ids.into_iter().next()?, hostname, since, addresses, behind })
        })
        .collect();
    hosts.sort_by(|a, b| (a.since, &a.id).cmp(&(b.since, &b.id)));
    hosts
}

impl Engine {
    /// Lets names follow a DHCPv6 lease or registration that is on the disk.
    pub(crate) fn host_of(&mut self, change: &LeaseChange) {
        let now = self.now();
        let Resource::Address(address) = change.resource() else { return };
        let fact = match change {
            LeaseChange::Put(lease) => self.fact(lease),
            LeaseChange::Remove(_) => None,
        };
        self.hosts.learn(now, address.into(), fact);
    }

    fn fact(&self, lease: &Lease) -> Option<Fact> {
        let origin = match lease.state {
            LeaseState::Bound => Origin::Dhcp6,
            LeaseState::Registered => Origin::Registered,
            LeaseState::Declined | LeaseState::Retired => return None,
        };
        let lan = self.lan_by_name(&lease.link);
        let mac = lease.link_layer.and_then(|found| Mac::try_from(found.mac.as_bytes()).ok());
        let duid = Id::Duid(lease.duid.as_bytes().into());
        Some(Fact {
            origin,
            ids: [duid].into_iter().chain(lan.zip(mac).map(|(lan, mac)| Id::Mac(lan, mac))).collect(),
            lan,
            peer: Some(lease.peer),
            hostname: lease.hostname.clone(),
            since: lease.granted_at,
        })
    }

    /// Lets names follow a DHCPv4 lease that is on the disk.
    pub(crate) fn host_of_v4(&mut self, change: &v4::LeaseChange) {
        let now = self.now();
        let fact = match change {
            v4::LeaseChange::Put(lease) if lease.state == LeaseState::Bound => {
                let lan = self.lan_by_name(&lease.link);
                let mac = Mac::try_from(lease.hardware.address()).ok();
                let mut ids: Vec<Id> = lan.zip(mac).map(|(lan, mac)| Id::Mac(lan, mac)).into_iter().collect();
                match lease.client.kind() {
                    // The same as in DHCPv6 (RFC 4361 section 6.1).
                    ClientIdKind::Duid { duid, .. } => ids.push(Id::Duid(duid.as_bytes().into())),
                    _ if ids.is_empty() => ids.push(Id::Client(lease.client.as_bytes().into())),
                    _ => {}
                }
                let (hostname, since) = (lease.hostname.clone(), lease.granted_at);
                Some(Fact { origin: Origin::Dhcp4, ids, lan, peer: None, hostname, since })
            }
            _ => None,
        };
        self.hosts.learn(now, change.address().into(), fact);
    }

    /// Works the names out, where it is time to.
    pub(crate) fn settle_hosts(&mut self) {
        let now = self.now();
        if self.hosts.due.is_none_or(|due| due > now) {
            return;
        }
        self.hosts.due = None;
        let told = |lan: usize, address: &Ipv6Addr| {
            let prefixes = self.lans.get(lan).map(|lan| &lan.share.prefixes);
            prefixes.is_some_and(|prefixes| prefixes.iter().any(|prefix| prefix.net.contains(address)))
        };
        let hosts = work_out(
            &self.hosts.facts,
            |lan, address| self.neighbours.host(lan, address),
            |lan, mac| self.neighbours.of(lan, mac).filter(|address| told(lan, address)).collect(),
        );
        let hosts: Vec<(Vec<u8>, Host)> = hosts.into_iter().map(|host| (host.id.octets(), host)).collect();
        let left: BTreeSet<&Vec<u8>> = hosts.iter().map(|(holder, _)| holder).collect();
        let gone: Vec<Vec<u8>> =
            self.hosts.named.keys().filter(|holder| !left.contains(holder)).cloned().collect();
        for holder in gone {
            self.names.remove(&holder);
            self.hosts.named.remove(&holder);
        }
        for (holder, host) in hosts {
            if self.hosts.named.get(&holder) == Some(&host) {
                continue;
            }
            match self.names.set_with(&holder, &host.hostname, &host.addresses, &host.behind) {
                Ok(label) => tracing::debug!(name = label, addresses = host.addresses.len(), "named"),
                // There may be room the next time.
                Err(error @ NameError::Full { .. }) => {
                    tracing::debug!(%error, "no name");
                    self.hosts.named.remove(&holder);
                    continue;
                }
                // A name that is none is not tried again until something of its host changes.
                Err(error) => tracing::info!(%error, "no name"),
            }
            self.hosts.named.insert(holder, host);
        }
        self.hosts.last = self.now();
        let took = self.hosts.last.saturating_sub(now);
        self.hosts.rest =
            if took > CHEAP { self.hosts.last.saturating_add(took * 10) } else { Duration::ZERO };
    }
}

impl Id {
    /// As a holder of names: no two that differ have the same.
    fn octets(&self) -> Vec<u8> {
        match self {
            Self::Duid(duid) => [b"duid ", &**duid].concat(),
            Self::Mac(lan, mac) => [b"mac ", &lan.to_be_bytes()[..], mac].concat(),
            Self::Client(client) => [b"client ", &**client].concat(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = [2, 0, 0, 0, 0, 9];

    fn duid(number: u8) -> Id {
        Id::Duid([0, 3, 0, 1, number].into())
    }

    fn fact(origin: Origin, ids: &[Id], hostname: Option<&str>, since: u64) -> Fact {
        Fact {
            origin,
            ids: ids.to_vec(),
            lan: Some(0),
            peer: None,
            hostname: hostname.map(str::to_owned),
            since: Duration::from_secs(since),
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Name, addresses and those behind of each host, where these addresses were seen with `MAC` on LAN 0.
    fn all(facts: &[(&str, Fact)], seen: &[&str]) -> Vec<(String, Vec<String>, Vec<String>)> {
        let facts = facts.iter().map(|(address, fact)| (ip(address), fact.clone())).collect();
        let seen: Vec<Ipv6Addr> = seen.iter().map(|text| text.parse().unwrap()).collect();
        let texts = |addresses: Vec<IpAddr>| addresses.iter().map(IpAddr::to_string).collect();
        work_out(
            &facts,
            |lan, address| (lan == 0 && seen.contains(&address)).then_some(MAC),
            |lan, mac| if (lan, mac) == (0, MAC) { seen.clone() } else { Vec::new() },
        )
        .into_iter()
        .map(|host| (host.hostname, texts(host.addresses), texts(host.behind)))
        .collect()
    }

    fn one(name: &str, addresses: &[&str], behind: &[&str]) -> (String, Vec<String>, Vec<String>) {
        let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect();
        (name.to_owned(), texts(addresses), texts(behind))
    }

    #[test]
    fn leases_of_both_families_are_one_hosts() {
        let mac = Id::Mac(0, MAC);
        let v4 = || fact(Origin::Dhcp4, std::slice::from_ref(&mac), Some("old-name"), 5);
        let v6 = fact(Origin::Dhcp6, &[duid(1), mac.clone()], Some("laptop"), 7);
        let got = all(&[("192.0.2.9", v4()), ("2001:db8::9", v6)], &["2001:db8::aaaa"]);
        assert_eq!(got, [one("laptop", &["2001:db8::9", "192.0.2.9"], &["2001:db8::aaaa"])]);
        // DHCPv6 knows no Ethernet address, and the neighbours do.
        let v6 = Fact { peer: Some("fe80::9".parse().unwrap()), ..fact(Origin::Dhcp6, &[duid(1)], None, 7) };
        let got = all(&[("192.0.2.9", v4()), ("2001:db8::9", v6)], &["fe80::9"]);
        assert_eq!(got[0].0, "old-name");
        assert_eq!(got[0].1, ["2001:db8::9", "192.0.2.9"]);
        // RFC 4361: one DUID, two interfaces.
        let other = fact(Origin::Dhcp4, &[Id::Mac(1, MAC), duid(1)], None, 5);
        let v6 = fact(Origin::Dhcp6, &[duid(1)], Some("laptop"), 7);
        assert_eq!(all(&[("192.0.2.9", other), ("2001:db8::9", v6)], &[]).len(), 1);
    }

    #[test]
    fn who_forms_addresses_itself_has_the_name_it_has_elsewhere() {
        let v4 = fact(Origin::Dhcp4, &[Id::Mac(0, MAC)], Some("printer"), 5);
        let seen = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4", "2001:db8::5"];
        let last = ["192.0.2.9", "2001:db8::5", "2001:db8::4", "2001:db8::3", "2001:db8::2"];
        assert_eq!(all(&[("192.0.2.9", v4)], &seen), [one("printer", &last, &["2001:db8::1"])]);
        assert!(all(&[], &seen).is_empty(), "and else none");
        let nameless = fact(Origin::Dhcp4, &[Id::Mac(0, MAC)], None, 5);
        assert!(all(&[("192.0.2.9", nameless)], &seen).is_empty());
    }

    #[test]
    fn registrations_name_who_tells_no_other_server() {
        let registered = |name| Fact {
            peer: Some("2001:db8::7".parse().unwrap()),
            ..fact(Origin::Registered, &[duid(3)], name, 5)
        };
        let got = all(&[("2001:db8::7", registered(Some("phone")))], &["2001:db8::7", "2001:db8::8"]);
        assert_eq!(got, [one("phone", &["2001:db8::7"], &["2001:db8::8"])]);
        let v4 = fact(Origin::Dhcp4, &[Id::Mac(0, MAC)], Some("phone-of-bob"), 6);
        let got = all(&[("2001:db8::7", registered(None)), ("192.0.2.9", v4)], &["2001:db8::7"]);
        assert_eq!(got, [one("phone-of-bob", &["192.0.2.9", "2001:db8::7"], &[])]);
    }

    #[test]
    fn one_under_thousands_of_ids_costs_what_thousands_cost() {
        let leases = |mac: fn(u128) -> Mac| -> BTreeMap<IpAddr, Fact> {
            let lease = |n: u128| {
                let ids = [Id::Duid(n.to_be_bytes().into()), Id::Mac(0, mac(n))];
                let address = Ipv6Addr::from((0x2001_0db8 << 96) | n);
                (address.into(), fact(Origin::Dhcp6, &ids, Some("many"), 5))
            };
            (0..8_000).map(lease).collect()
        };
        let timed = |facts: &BTreeMap<IpAddr, Fact>| {
            let begun = std::time::Instant::now();
            let hosts = work_out(facts, |_, _| None, |_, _| Vec::new());
            (hosts.len(), begun.elapsed())
        };
        let (thousands, usual) = timed(&leases(|n| [2, 0, 0, 0, (n >> 8) as u8, n as u8]));
        let (one, took) = timed(&leases(|_| MAC));
        assert_eq!((thousands, one), (8_000, 1));
        // Put together anew for each lease, it was some hundred times as much.
        assert!(took < usual * 20, "{took:?} instead of {usual:?}");
    }

    #[test]
    fn who_belongs_to_two_makes_them_one_whichever_is_larger() {
        let (a, b) = (duid(1), duid(2));
        let of = |ids: &[Id], name| fact(Origin::Dhcp6, ids, Some(name), 5);
        let mac = Id::Mac(0, MAC);
        for both in ["2001:db8::5", "2001:db8::1"] {
            let got = all(
                &[
                    ("2001:db8::2", of(std::slice::from_ref(&a), "a")),
                    ("2001:db8::3", of(&[b.clone(), mac.clone()], "b")),
                    ("2001:db8::4", of(std::slice::from_ref(&mac), "b")),
                    (both, of(&[a.clone(), b.clone()], "c")),
                ],
                &[],
            );
            assert_eq!((got.len(), got[0].1.len()), (1, 4), "{got:?}");
        }
    }

    #[test]
    fn what_was_seen_joins_nobody_and_takes_nothing() {
        // Somebody shows itself with the leased addresses of two others.
        let a = fact(Origin::Dhcp6, &[duid(1), Id::Mac(0, [2; 6])], Some("a"), 2);
        let b = fact(Origin::Dhcp6, &[duid(2), Id::Mac(0, [4; 6])], Some("b"), 1);
        let c = fact(Origin::Dhcp4, &[Id::Mac(0, MAC)], Some("c"), 3);
        let facts = [("2001:db8::a", a), ("2001:db8::b", b), ("192.0.2.3", c)];
        let got = all(&facts, &["2001:db8::a", "2001:db8::b", "2001:db8::c"]);
        let wanted = [
            one("b", &["2001:db8::b"], &[]),
            one("a", &["2001:db8::a"], &[]),
            one("c", &["192.0.2.3", "2001:db8::c"], &[]),
        ];
        assert_eq!(got, wanted, "in the order in which they came");
    }
}
