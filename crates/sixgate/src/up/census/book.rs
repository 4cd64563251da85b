//! What DNS told each host: without it, an address that a host connects to could be any.

use crate::up::neighbours::Mac;
use sixgate_dns::Told;
use sixgate_endpoint::Endpoint;
use sixgate_endpoint::nat64::Prefix;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Duration;

/// Names remembered of one host; the one not asked for the longest time gives way.
const MOST_OF_ONE: usize = 256;
/// Names remembered of all; whole hosts give way, the one that asked nothing for the longest time first.
const MOST: usize = 32_768;

/// What a name was found to have in IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Ipv6 {
    /// Nobody asked, or the answer is not there yet.
    #[default]
    Unknown,
    /// Addresses of its own.
    Native,
    /// Addresses through a NAT64 alone (RFC 6147).
    Synthesised,
    /// None.
    Nothing,
}

/// A name that a host asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Page {
    pub(crate) name: String,
    /// Whether the host asked for an IPv6 address.
    pub(crate) asked_ipv6: bool,
    pub(crate) ipv6: Ipv6,
    /// The IPv4 addresses that it was given, and those that it was given through a NAT64.
    plain: Vec<IpAddr>,
    translated: Vec<IpAddr>,
    asked: Duration,
}

#[derive(Debug, Default)]
struct Host {
    pages: Vec<Page>,
    asked: Duration,
}

/// The names of all hosts, in memory alone.
#[derive(Debug, Default)]
pub(crate) struct Book {
    hosts: HashMap<Mac, Host>,
    idle: BTreeSet<(Duration, Mac)>,
    pages: usize,
    evicted: u64,
}

impl Book {
    /// A host asked something, or was told.
    pub(crate) fn hear(&mut self, now: Duration, mac: Mac, told: &Told, prefix: Option<Prefix>) {
        if !told.asks_ipv4() && !told.asks_ipv6() {
            return;
        }
        let host = self.hosts.entry(mac).or_default();
        self.idle.remove(&(host.asked, mac));
        self.idle.insert((now, mac));
        host.asked = now;
        let at = host.pages.iter().position(|page| page.name == told.name);
        let page = if let Some(page) = at.and_then(|at| host.pages.get_mut(at)) {
            page
        } else {
            if host.pages.len() >= MOST_OF_ONE
                && let Some(oldest) =
                    host.pages.iter().enumerate().min_by_key(|(_, page)| page.asked).map(|(at, _)| at)
            {
                host.pages.swap_remove(oldest);
                self.pages -= 1;
            }
            self.pages += 1;
            host.pages.push(Page { name: told.name.clone(), ..Page::default() });
            let Some(page) = host.pages.last_mut() else { return };
            page
        };
        page.asked = now;
        page.asked_ipv6 |= told.asks_ipv6();
        if told.exists && told.asks_ipv6() {
            let through = |address: &IpAddr| embedded(*address, prefix);
            let translated: Vec<IpAddr> = told.addresses.iter().filter_map(through).collect();
            page.ipv6 = match (told.addresses.len(), translated.len()) {
                (0, _) => Ipv6::Nothing,
                (all, through) if all == through => Ipv6::Synthesised,
                _ => Ipv6::Native,
            };
            page.translated = translated;
        } else if told.exists && !told.addresses.is_empty() {
            page.plain.clone_from(&told.addresses);
        }
        while self.pages > MOST
            && let Some((_, oldest)) = self.idle.pop_first()
        {
            let gone = self.hosts.remove(&oldest).map_or(0, |host| host.pages.len());
            self.pages -= gone;
            self.evicted = self.evicted.saturating_add(gone as u64);
        }
    }

    /// The name for which a host was given this IPv4 address, the one asked for last.
    pub(crate) fn name_of(&self, mac: Mac, address: IpAddr) -> Option<&Page> {
        self.latest(mac, |page| page.plain.contains(&address))
    }

    /// The name for which a host was given this IPv4 address through a NAT64.
    pub(crate) fn name_through(&self, mac: Mac, address: IpAddr) -> Option<&Page> {
        self.latest(mac, |page| page.translated.contains(&address))
    }

    fn latest(&self, mac: Mac, has: impl Fn(&Page) -> bool) -> Option<&Page> {
        self.hosts.get(&mac)?.pages.iter().filter(|page| has(page)).max_by_key(|page| page.asked)
    }

    /// Forgets what a host asked.
    pub(crate) fn forget(&mut self, mac: Mac) {
        if let Some(host) = self.hosts.remove(&mac) {
            self.idle.remove(&(host.asked, mac));
            self.pages -= host.pages.len();
        }
    }

    /// Names that are remembered, and how many were forgotten for want of room.
    pub(crate) fn counters(&self) -> (u64, u64) {
        (self.pages as u64, self.evicted)
    }
}

/// The IPv4 address that an IPv6 address of this prefix stands for (RFC 6052).
pub(crate) fn embedded(address: IpAddr, prefix: Option<Prefix>) -> Option<IpAddr> {
    prefix?.extract(Endpoint::new(address).ipv6()?).map(IpAddr::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = [2, 0, 0, 0, 0, 1];

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn reply(name: &str, kind: u16, addresses: &[&str]) -> Told {
        let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        Told { reply: true, exists: true, name: name.to_owned(), kind, addresses }
    }

    #[test]
    fn a_name_is_found_by_its_addresses() {
        let mut book = Book::default();
        let prefix = Some(Prefix::WELL_KNOWN);
        let far = "198.51.100.10".parse().unwrap();
        book.hear(secs(1), MAC, &reply("both.example", 1, &["198.51.100.10"]), prefix);
        assert_eq!(
            book.name_of(MAC, far).map(|page| (page.asked_ipv6, page.ipv6)),
            Some((false, Ipv6::Unknown))
        );
        // Asked, not answered yet.
        let asked = Told { reply: false, exists: false, ..reply("both.example", 28, &[]) };
        book.hear(secs(1), MAC, &asked, prefix);
        assert_eq!(
            book.name_of(MAC, far).map(|page| (page.asked_ipv6, page.ipv6)),
            Some((true, Ipv6::Unknown))
        );
        for (addresses, found) in [
            (&["2001:db8::1"][..], Ipv6::Native),
            (&["64:ff9b::c633:640a"], Ipv6::Synthesised),
            (&["64:ff9b::c633:640a", "2001:db8::1"], Ipv6::Native),
            (&[], Ipv6::Nothing),
        ] {
            book.hear(secs(2), MAC, &reply("both.example", 28, addresses), prefix);
            assert_eq!(book.name_of(MAC, far).map(|page| page.ipv6), Some(found));
        }
        book.hear(secs(3), MAC, &reply("other.example", 28, &["64:ff9b::c633:640a"]), prefix);
        assert_eq!(book.name_through(MAC, far).map(|page| page.name.as_str()), Some("other.example"));
        assert!(book.name_of([2; 6], far).is_none(), "another host was not told");
        book.forget(MAC);
        assert!(book.name_of(MAC, far).is_none());
        assert_eq!((book.counters(), book.idle.len()), ((0, 0), 0));
    }

    #[test]
    fn it_is_bounded_and_nobody_pushes_out_others_names_alone() {
        let mut book = Book::default();
        book.hear(secs(0), MAC, &reply("mine.example", 1, &["198.51.100.10"]), None);
        for n in 0..5_000 {
            book.hear(secs(1), [2, 0, 0, 0, 9, 9], &reply(&format!("{n}.example"), 28, &[]), None);
        }
        assert_eq!(book.pages, MOST_OF_ONE + 1);
        assert!(book.name_of(MAC, "198.51.100.10".parse().unwrap()).is_some());
        for host in 0..200 {
            for n in 0..MOST_OF_ONE {
                book.hear(secs(2), [2, 0, 0, 1, 0, host], &reply(&format!("{n}.example"), 28, &[]), None);
            }
        }
        assert!(book.pages <= MOST && book.evicted > 0);
        assert_eq!(book.pages, book.hosts.values().map(|host| host.pages.len()).sum::<usize>());
    }
}
