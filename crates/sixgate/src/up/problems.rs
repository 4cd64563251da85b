//! What is not as it should be, now: each matter stands until it is settled, and is then gone.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

/// Most matters that stand at one time before addresses and interfaces, of which there can be any number, are left out.
const MOST: usize = 64;

/// What a problem is about. A new word on the same matter replaces the old one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Matter {
    /// The file was read again and has mistakes.
    Configuration,
    Store,
    /// A part of the leases' log was garbled.
    Log,
    /// The database does not take up what is in the log.
    Database,
    /// It was, under an earlier process.
    LogBefore,
    /// Addresses and routes.
    Kernel,
    Firewall,
    Census,
    Counters,
    ResolvConf,
    Hosts,
    /// Reservations that clash.
    Reservations,
    /// Updates of a DNS server's zones.
    Ddns,
    /// What the kernel refuses of the island.
    Island,
    /// What the kernel refuses of the queues before the uplink and LANs.
    Shape,
    /// What runs plug-ins.
    Plugins,
    Interface(String),
    Address(Ipv6Addr),
}

/// All that stands.
#[derive(Debug, Default)]
pub(crate) struct Problems(BTreeMap<Matter, Vec<String>>);

impl Problems {
    /// Says what is wrong with a matter, as a sentence.
    pub(crate) fn put(&mut self, matter: Matter, sentence: String) {
        self.replace(matter, vec![sentence]);
    }

    /// Says all that is wrong with a matter; nothing settles it.
    pub(crate) fn replace(&mut self, matter: Matter, sentences: Vec<String>) {
        if sentences.is_empty() {
            self.0.remove(&matter);
        } else if self.0.len() < MOST
            || self.0.contains_key(&matter)
            || !matches!(matter, Matter::Address(_) | Matter::Interface(_))
        {
            self.0.insert(matter, sentences);
        }
    }

    /// The matter is settled.
    pub(crate) fn settled(&mut self, matter: &Matter) {
        self.0.remove(matter);
    }

    pub(crate) fn about(&self, matter: &Matter) -> &[String] {
        self.0.get(matter).map_or(&[], Vec::as_slice)
    }

    /// Everything, as sentences.
    pub(crate) fn sentences(&self) -> impl Iterator<Item = &String> {
        self.0.values().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matter_stands_until_it_is_settled() {
        let mut problems = Problems::default();
        problems.put(Matter::Store, "full".to_owned());
        problems.put(Matter::Store, "broken".to_owned());
        problems.put(Matter::Hosts, "odd".to_owned());
        assert_eq!(problems.sentences().collect::<Vec<_>>(), ["broken", "odd"]);
        problems.settled(&Matter::Store);
        problems.replace(Matter::Hosts, Vec::new());
        assert_eq!(problems.sentences().count(), 0);
    }

    #[test]
    fn problems_are_bounded() {
        let mut problems = Problems::default();
        for number in 0..1000_u32 {
            problems.put(Matter::Address(Ipv6Addr::from(u128::from(number))), "in use".to_owned());
        }
        assert_eq!(problems.sentences().count(), MOST);
        // A stranger who claims all our addresses does not hide what else is wrong.
        problems.put(Matter::Store, "full".to_owned());
        assert_eq!(problems.about(&Matter::Store), ["full"]);
    }
}
