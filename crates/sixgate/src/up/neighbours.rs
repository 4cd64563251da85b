//! Who is on the LANs: which host, told by its Ethernet address, has which IPv6 addresses. Hosts that form addresses
//! themselves (SLAAC) tell nobody; this is how they are seen nevertheless.
//!
//! The kernel resolves every host that it sends something to (RFC 4861 section 7.2), and learns those that solicit us:
//! its news of neighbours are the first source. Solicitations that reach us are the second.

use super::engine::Engine;
use super::event::Side;
use sixgate_linux::route::{self, NeighbourState};
use sixgate_wire::ndp::{self, Message, NdOption};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv6Addr;
use std::time::Duration;

/// An Ethernet address.
pub(crate) type Mac = [u8; 6];

/// Most addresses that are remembered; the one not seen for the longest time gives way.
const MOST: usize = 16_384;
/// Most addresses of one host: with privacy extensions a host has a new one each day and keeps some old (RFC 8981);
/// one that makes up more pushes out its own.
const MOST_OF_ONE: usize = 32;
/// How long an address is remembered that is not seen any more: a host that sleeps for a night is still known.
const REMEMBERED: Duration = Duration::from_hours(24);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    mac: Mac,
    seen: Duration,
}

/// The addresses that were seen on the LANs.
#[derive(Debug, Default)]
pub(crate) struct Neighbours {
    known: HashMap<(usize, Ipv6Addr), Known>,
    /// The same, each host's own together, those first that were not seen for the longest time.
    hosts: BTreeSet<(usize, Mac, Duration, Ipv6Addr)>,
    /// The same by age alone.
    ages: BTreeSet<(Duration, usize, Ipv6Addr)>,
    evicted: u64,
}

impl Neighbours {
    /// A host showed that it has an address. Whether that is news: the address was not known, or another host had it.
    pub(crate) fn saw(&mut self, now: Duration, lan: usize, address: Ipv6Addr, mac: Mac) -> bool {
        self.expire(now);
        let before = self.forget(lan, address);
        if before.is_none() {
            let theirs: Vec<Ipv6Addr> = self.of(lan, mac).collect();
            for oldest in theirs.iter().take((theirs.len() + 1).saturating_sub(MOST_OF_ONE)) {
                self.evict(lan, *oldest);
            }
            while self.known.len() >= MOST
                && let Some(&(_, lan, oldest)) = self.ages.first()
            {
                self.evict(lan, oldest);
            }
        }
        self.known.insert((lan, address), Known { mac, seen: now });
        self.hosts.insert((lan, mac, now, address));
        self.ages.insert((now, lan, address));
        before.is_none_or(|before| before.mac != mac)
    }

    /// The host that has an address.
    pub(crate) fn host(&self, lan: usize, address: Ipv6Addr) -> Option<Mac> {
        self.known.get(&(lan, address)).map(|known| known.mac)
    }

    /// The addresses of a host, link-local ones among them, the one seen last at the end.
    pub(crate) fn of(&self, lan: usize, mac: Mac) -> impl Iterator<Item = Ipv6Addr> {
        let first = (lan, mac, Duration::ZERO, Ipv6Addr::UNSPECIFIED);
        let all = self.hosts.range(first..).take_while(move |(at, host, ..)| (*at, *host) == (lan, mac));
        all.map(|(_, _, _, address)| *address)
    }

    /// Addresses that are known, and how many were forgotten to make room.
    pub(crate) fn counters(&self) -> BTreeMap<String, u64> {
        let known = self.known.len() as u64;
        [("known", known), ("evicted", self.evicted)].map(|(name, value)| (name.to_owned(), value)).into()
    }

    /// Forgets what was not seen for too long.
    pub(crate) fn expire(&mut self, now: Duration) {
        while let Some(&(seen, lan, address)) = self.ages.first()
            && seen.saturating_add(REMEMBERED) <= now
        {
            self.forget(lan, address);
        }
    }

    fn evict(&mut self, lan: usize, address: Ipv6Addr) {
        self.forget(lan, address);
        self.evicted = self.evicted.saturating_add(1);
    }

    fn forget(&mut self, lan: usize, address: Ipv6Addr) -> Option<Known> {
        let known = self.known.remove(&(lan, address))?;
        self.hosts.remove(&(lan, known.mac, known.seen, address));
        self.ages.remove(&(known.seen, lan, address));
        Some(known)
    }
}

impl Engine {
    /// What the kernel knows of a neighbour changed.
    pub(crate) fn kernel_neighbour(&mut self, neighbour: &route::Neighbour) {
        let Some(lan) = self.lans.iter().position(|lan| lan.interface == neighbour.interface) else { return };
        let Some(mac) = neighbour.mac else { return };
        match neighbour.state {
            // It answered, or its upper layers did.
            NeighbourState::Reachable => self.neighbour(lan, neighbour.address, mac),
            // So it begins when a neighbour solicits us, and so it ends when nobody asks for it any more: only the first
            // says that it is there.
            NeighbourState::Stale if self.neighbours.host(lan, neighbour.address) != Some(mac) => {
                self.neighbour(lan, neighbour.address, mac);
            }
            _ => {}
        }
    }

    /// Takes over what the kernel knows, at the start and where its news were lost.
    pub(crate) fn read_neighbours(&mut self) {
        match self.netlink.neighbours(None) {
            Ok(neighbours) => neighbours.iter().for_each(|neighbour| self.kernel_neighbour(neighbour)),
            Err(error) => tracing::error!(%error, "the kernel cannot be asked for neighbours"),
        }
    }

    /// Lets the kernel find out where a host is whose hardware address decides what it gets: by the time that it asks again it is
    /// known. What is sent to it is one solicitation for each message of its own.
    pub(crate) fn ask_for(&self, lan: usize, address: Ipv6Addr) {
        if !address.is_unicast_link_local() {
            return;
        }
        let mut buffer = [0; 64];
        let mut builder = ndp::Builder::neighbor_solicitation(&mut buffer, address);
        if let Some(mac) = self.lans.get(lan).and_then(|lan| lan.link_layer) {
            builder.source_link_layer(&mac);
        }
        if let Ok(bytes) = builder.finish() {
            self.sockets.send_nd(Side::Lan(lan), address, bytes);
        }
    }

    /// A Neighbour Discovery message came in on a LAN: one that solicits us tells where its sender is (RFC 4861 sections
    /// 6.2.6 and 7.2.3).
    pub(crate) fn solicited(&mut self, lan: usize, source: Ipv6Addr, hop_limit: u8, bytes: &[u8]) {
        if hop_limit != ndp::HOP_LIMIT || source.is_unspecified() {
            return;
        }
        let options = match Message::parse(bytes) {
            Ok(Message::NeighborSolicitation(message)) => message.options(),
            Ok(Message::RouterSolicitation(message)) => message.options(),
            _ => return,
        };
        let mac = options.iter().find_map(|option| match option {
            NdOption::SourceLinkLayer(octets) => Mac::try_from(octets).ok(),
            _ => None,
        });
        if let Some(mac) = mac {
            self.neighbour(lan, source, mac);
        }
    }

    /// A host showed that it has an address on a LAN. Those outside of the LAN's prefixes are of no interest: they lead
    /// nowhere.
    pub(crate) fn neighbour(&mut self, lan: usize, address: Ipv6Addr, mac: Mac) {
        let now = self.now();
        let Some(on) = self.lans.get(lan) else { return };
        let inside =
            |address: Ipv6Addr| on.router.advertised().iter().any(|told| told.prefix.contains(&address));
        // A group address is no host's, and our own packets tell nothing.
        if mac[0] & 1 != 0
            || on.link_layer == Some(mac)
            || !(address.is_unicast_link_local() || inside(address))
        {
            return;
        }
        let news = self.neighbours.saw(now, lan, address, mac);
        tracing::trace!(lan, %address, news, "neighbour");
        self.census_neighbour(lan, address, mac);
        if !address.is_unicast_link_local() {
            self.sighted(lan, address, mac);
        }
        if news {
            self.hosts.changed(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mac(n: u16) -> Mac {
        let [a, b] = n.to_be_bytes();
        [2, 0, 0, 0, a, b]
    }

    fn address(n: u32) -> Ipv6Addr {
        (0x2001_0db8 << 96 | u128::from(n)).into()
    }

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn an_address_is_one_hosts_and_moves() {
        let mut neighbours = Neighbours::default();
        assert!(neighbours.saw(secs(1), 0, address(1), mac(1)));
        assert!(!neighbours.saw(secs(2), 0, address(1), mac(1)));
        assert!(neighbours.saw(secs(2), 1, address(1), mac(1)), "another LAN");
        assert!(neighbours.saw(secs(3), 0, address(2), mac(1)));
        assert_eq!(neighbours.of(0, mac(1)).collect::<Vec<_>>(), [address(1), address(2)]);
        assert!(neighbours.saw(secs(4), 0, address(1), mac(2)), "another host");
        assert_eq!(neighbours.host(0, address(1)), Some(mac(2)));
        assert_eq!(neighbours.of(0, mac(1)).collect::<Vec<_>>(), [address(2)]);
        neighbours.expire(secs(3) + REMEMBERED);
        assert_eq!((neighbours.known.len(), neighbours.hosts.len(), neighbours.ages.len()), (1, 1, 1));
        assert_eq!(neighbours.counters()["evicted"], 0);
    }

    #[test]
    fn who_makes_up_addresses_pushes_out_its_own_and_who_makes_up_hosts_the_oldest() {
        let mut neighbours = Neighbours::default();
        neighbours.saw(secs(0), 0, address(0), mac(0));
        for n in 1..=1_000 {
            neighbours.saw(secs(1), 0, address(n), mac(1));
        }
        assert_eq!(neighbours.of(0, mac(1)).count(), MOST_OF_ONE);
        assert_eq!(neighbours.host(0, address(0)), Some(mac(0)));
        assert_eq!(neighbours.counters()["evicted"], 1_000 - MOST_OF_ONE as u64);
        for n in 2_000..22_000 {
            neighbours.saw(secs(2), 0, address(n), mac((n % 5_000) as u16 + 2));
        }
        assert_eq!(neighbours.known.len(), MOST);
        assert_eq!((neighbours.hosts.len(), neighbours.ages.len()), (MOST, MOST));
        assert_eq!(neighbours.host(0, address(0)), None);
    }
}
