//! The DHCPv4 server: datagrams of several clients, commits that succeed and fail, time, crashes, other
//! pools, another pilot.

use crate::cores::{START, Script};
use sixgate_dhcp::lease::LeaseState;
use sixgate_dhcp::v4::census::{self, Census, Privacy};
use sixgate_dhcp::v4::{
    Action, Actions, Datagram, Ipv6Mostly, LeaseChange, LeaseTable, Limits, Link, Pilot, Place, Roster,
    RosterChange, Server, ServerConfig,
};
use sixgate_wire::dhcpv4::{Message, MessageType, OptionCode};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::time::Duration;

fn links(which: u8) -> Vec<Link> {
    let link = Link::new("lan", "192.0.2.1/24".parse().expect("a subnet")).expect("a link");
    // Small, so that it runs out.
    let first = if which & 1 == 0 { 10 } else { 14 };
    let address = |last: u8| Ipv4Addr::new(192, 0, 2, last);
    let link = link.with_pool(address(first), address(first + 6)).expect("a pool");
    let mostly = Ipv6Mostly::new("64:ff9b::/96".parse().ok(), Duration::from_mins(30)).expect("a prefix");
    let relays = vec![address(2)];
    let search = vec!["home.arpa".to_owned()];
    let captive_portal = Some("https://portal.example/api".to_owned());
    vec![Link { ipv6_mostly: (which & 2 == 0).then_some(mostly), relays, search, captive_portal, ..link }]
}

/// What a store holds: commits that failed are forgotten, or kept and written before any other.
#[derive(Default)]
struct Disk {
    leases: LeaseTable,
    roster: BTreeMap<Place, bool>,
    unwritten: Vec<LeaseChange>,
}

impl Disk {
    fn write(&mut self, changes: Vec<LeaseChange>) {
        for change in self.unwritten.drain(..).chain(changes) {
            self.leases.apply(change);
        }
    }

    fn keep(&mut self, changes: Vec<RosterChange>) {
        for change in changes {
            match change {
                RosterChange::Put { place, member } => drop(self.roster.insert(place, member)),
                RosterChange::Remove(place) => drop(self.roster.remove(&place)),
            }
        }
    }

    /// What an Ack tells is on the disk, for as long as it tells.
    fn vouch(&self, reply: &[u8], asked_v6only: bool) {
        let message = Message::parse(reply).expect("a reply can be read");
        let options = message.options();
        assert!(options.address(OptionCode::SERVER_ID).is_some(), "nobody says it");
        let v6only = options.u32(OptionCode::IPV6_ONLY_PREFERRED);
        assert!(v6only.is_none() || asked_v6only, "told what was not asked for");
        let address = message.header().yiaddr;
        match (message.kind(), options.u32(OptionCode::LEASE_TIME)) {
            (MessageType::ACK, Some(_)) => {
                let lease =
                    self.leases.get(address).unwrap_or_else(|| panic!("{address} is not on the disk"));
                assert_eq!(lease.state, LeaseState::Bound, "{address}");
                assert_eq!(lease.hardware, message.header().hardware, "{address} is another's");
            }
            (_, Some(_)) => assert!(!address.is_unspecified()),
            (_, None) => assert!(address.is_unspecified(), "{address} without a time"),
        }
    }
}

/// Plays events and asserts that no two clients have one address, that no client has two, that nothing lies
/// outside of the pools, that what grows is bounded, and that what is told is on the disk.
pub fn server_v4(bytes: &[u8]) {
    let limits = Limits { leases: 12, offers: 4, declined: 2, commits: 6, roster: 5, ..Limits::default() };
    let config = |which: u8, pilot: Pilot| ServerConfig {
        links: links(which),
        rapid_commit: true,
        authoritative: true,
        hash_key: [5; 16],
        pilot,
        limits,
    };
    let mut pilot = Pilot { percent: 50, ..Pilot::everybody([7; 16]) };
    let mut which = 0;
    let mut server = Server::new(config(which, pilot.clone()), Vec::new(), Roster::default());
    let caps = census::Limits { clients: 4, ..census::Limits::default() };
    let mut census = Census::new([8; 16], Privacy::Named, caps);
    let mut disk = Disk::default();
    let mut now = Duration::from_secs(START);
    let mut flight: VecDeque<(u64, Vec<LeaseChange>)> = VecDeque::new();
    // Replies that are held back do not say what their question asked for.
    let mut asked_v6only = false;
    let mut script = Script { rest: bytes };
    while let Some((what, how)) = script.event() {
        let mut actions = Actions::new();
        match what % 7 {
            0 | 1 => {
                let bytes = script.content();
                if let Ok(message) = Message::parse(bytes) {
                    asked_v6only |= message.options().requests(OptionCode::IPV6_ONLY_PREFERRED);
                    census.message(now, &message);
                }
                let source = Ipv4Addr::new(192, 0, 2, how);
                server.handle(now, &Datagram { link: "lan", source, bytes }, &mut actions);
            }
            2 => {
                now += Duration::from_secs(u64::from(how) * 30);
                server.handle_timeout(now, &mut actions);
            }
            3 => {
                if let Some((ticket, changes)) = flight.pop_front() {
                    disk.write(changes);
                    server.committed(ticket, &mut actions);
                }
            }
            4 => {
                if let Some((ticket, changes)) = flight.pop_front() {
                    if how & 1 != 0 {
                        disk.unwritten.extend(changes);
                    }
                    server.commit_failed(now, ticket);
                }
            }
            5 if how & 0x80 != 0 => {
                // A crash; the kept failures may have been written.
                flight.clear();
                if how & 1 != 0 {
                    disk.write(Vec::new());
                }
                disk.unwritten.clear();
                let roster = Roster::restored(disk.roster.iter().map(|(place, member)| (*place, *member)));
                server =
                    Server::new(config(which, pilot.clone()), disk.leases.iter().cloned().collect(), roster);
                assert_eq!(server.counters().snapshot_conflicts, 0);
            }
            5 => {
                which = how;
                server.set_links(links(which));
            }
            _ => {
                pilot = Pilot { percent: how, ..pilot };
                server.set_pilot(pilot.clone(), &mut actions);
            }
        }
        for action in actions {
            match action {
                Action::Commit { ticket, changes } => {
                    assert!(!changes.is_empty(), "a commit of nothing");
                    let busy: BTreeSet<_> =
                        flight.iter().flat_map(|(_, changes)| changes).map(LeaseChange::address).collect();
                    let again = changes.iter().find(|change| busy.contains(&change.address()));
                    assert!(again.is_none(), "two changes on their way: {again:?}");
                    flight.push_back((ticket, changes));
                }
                Action::Reply(reply) => {
                    disk.vouch(&reply.bytes, asked_v6only);
                    census.answer(now, &Message::parse(&reply.bytes).expect("a reply"));
                }
                Action::Roster(changes) => disk.keep(changes),
            }
        }
        assert!(flight.len() <= limits.commits && server.leases().len() <= limits.leases);
        assert!(server.leases().declined().count() <= limits.declined + 1);
        assert!(census.len() <= caps.clients && disk.roster.len() <= limits.roster);
        assert_eq!(server.roster().iter().collect::<BTreeMap<_, _>>(), disk.roster);
        one_each(server.leases());
        if disk.unwritten.is_empty() {
            one_each(&disk.leases);
        }
    }
    for row in census.rows(now) {
        assert!((0.0..=1.0).contains(&row.score.low) && row.score.low <= row.score.best + 1e-9, "{row:?}");
    }
}

fn one_each(leases: &LeaseTable) {
    let mut holders = BTreeSet::new();
    for lease in leases.iter() {
        let [192, 0, 2, last] = lease.address.octets() else { panic!("{} is in no pool", lease.address) };
        assert!((10..=20).contains(&last), "{} is in no pool", lease.address);
        assert!(
            lease.state != LeaseState::Bound || holders.insert(&lease.client),
            "{} has two",
            lease.client
        );
    }
}
