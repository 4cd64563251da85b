//! Our IPv4 addresses on the LANs. The kernel makes the route to the subnet, and takes it away with the address.

use ipnet::Ipv4Net;
use sixgate_linux::route::{Error, Netlink};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Setting that holds the addresses that `up` added.
pub(crate) const SETTING: &str = "before.addresses-v4";

/// An interface's number and our address there, with the subnet's length.
type Key = (u32, Ipv4Net);

/// What stands.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    /// Whether it is ours to take away: one that was there before is somebody else's.
    installed: BTreeMap<Key, bool>,
}

impl Addresses {
    /// Takes addresses that an earlier run left when it was killed for our own.
    pub(crate) fn adopt(&mut self, record: &[u8], epoch: &str) {
        let text = String::from_utf8_lossy(record);
        let mut lines = text.lines();
        if lines.next() != Some(epoch) {
            return;
        }
        let left = lines.filter_map(|line| {
            let (interface, net) = line.split_once(' ')?;
            Some(((interface.parse().ok()?, net.parse().ok()?), true))
        });
        self.installed.extend(left);
    }

    /// What the next run is to take away if this one cannot; see [`Addresses::adopt`].
    pub(crate) fn record(&self, epoch: &str) -> Vec<u8> {
        let mut text = format!("{epoch}\n");
        for ((interface, net), _) in self.installed.iter().filter(|(_, ours)| **ours) {
            let _ = writeln!(text, "{interface} {net}");
        }
        text.into_bytes()
    }

    /// Whether this one stands.
    pub(crate) fn has(&self, key: &Key) -> bool {
        self.installed.contains_key(key)
    }

    /// Writes the difference between `desired` and what stands. What fails is told as a sentence, and tried again at the next call.
    pub(crate) fn apply(&mut self, netlink: &mut Netlink, desired: &[Key]) -> Vec<String> {
        let mut problems = self.withdraw(desired, |(interface, net)| {
            netlink.remove_address_v4(interface, net).map(drop).map_err(|error| error.to_string())
        });
        for key in desired.iter().filter(|key| !self.installed.contains_key(key)).copied().collect::<Vec<_>>()
        {
            match add(netlink, key) {
                Ok(ours) => drop(self.installed.insert(key, ours)),
                Err(error) => problems.push(error.to_string()),
            }
        }
        problems
    }

    /// Takes away what is desired no longer. What could not be taken away still stands: it stays known, for the next time.
    fn withdraw(
        &mut self,
        desired: &[Key],
        mut remove: impl FnMut(Key) -> Result<(), String>,
    ) -> Vec<String> {
        let mut problems = Vec::new();
        self.installed.retain(|key, ours| {
            desired.contains(key) || (*ours && remove(*key).map_err(|error| problems.push(error)).is_err())
        });
        problems
    }

    /// Compares with the kernel's table; whether one is gone, and is to be put back.
    pub(crate) fn look(&mut self, netlink: &mut Netlink) -> Result<bool, Error> {
        if self.installed.is_empty() {
            return Ok(false);
        }
        let there = netlink.addresses_v4(None)?;
        let before = self.installed.len();
        self.installed.retain(|key, _| there.iter().any(|address| (address.interface, address.net) == *key));
        Ok(self.installed.len() < before)
    }
}

/// Gives an address to an interface; whether it was not there before.
fn add(netlink: &mut Netlink, (interface, net): Key) -> Result<bool, Error> {
    if netlink.addresses_v4(Some(interface))?.iter().any(|address| address.net == net) {
        return Ok(false);
    }
    netlink.set_address_v4(interface, net)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_holds_within_one_boot_and_names_what_is_ours() {
        let net = |text: &str| text.parse::<Ipv4Net>().unwrap();
        let installed = [((3, net("192.168.7.1/24")), true), ((4, net("10.0.0.1/8")), false)].into();
        let record = Addresses { installed }.record("boot-1");
        assert_eq!(String::from_utf8_lossy(&record), "boot-1\n3 192.168.7.1/24\n");
        let adopted = |epoch: &str| {
            let mut addresses = Addresses::default();
            addresses.adopt(&record, epoch);
            addresses.installed
        };
        assert_eq!(adopted("boot-1"), [((3, net("192.168.7.1/24")), true)].into());
        assert!(adopted("boot-2").is_empty());
        let mut odd = Addresses::default();
        odd.adopt(b"boot-1\n3\nx 10.0.0.1/8\n3 10.0.0.1\n\xff", "boot-1");
        assert!(odd.installed.is_empty());
    }

    #[test]
    fn what_could_not_be_taken_away_is_tried_again() {
        let [ours, theirs]: [Key; 2] =
            ["192.0.2.1/24", "198.51.100.1/24"].map(|net| (3, net.parse().unwrap()));
        let mut addresses = Addresses { installed: [(ours, true), (theirs, false)].into() };
        let refused = addresses.withdraw(&[], |key| Err(format!("{} is busy", key.1)));
        assert_eq!(refused, ["192.0.2.1/24 is busy"]);
        assert!(addresses.has(&ours) && !addresses.has(&theirs));
        let mut asked = Vec::new();
        let refused = addresses.withdraw(&[], |key| {
            asked.push(key);
            Ok(())
        });
        assert_eq!((asked, addresses.has(&ours), refused.len()), (vec![ours], false, 0));
    }
}
