//! An address on which the machine itself keeps silent: somebody else here answers for it, past the kernel.

use std::net::Ipv6Addr;

use super::encode::{Base, Batch, Compare, Meta, Rule};
use super::socket::Netlink;
use super::{Error, firewall};

const ARRIVING: &str = "arriving";
const LEAVING: &str = "leaving";

/// Of packets to one address on one interface, the kernel sees neighbour discovery alone (RFC 4861); and what comes from the address is
/// none of its connections (half of which it would not see).
///
/// It goes when this is dropped, or with the process, however that ends (`NFT_TABLE_F_OWNER`, Linux 5.12).
#[derive(Debug)]
pub struct Silence {
    /// The owner of the table.
    _netlink: Netlink,
}

impl Silence {
    /// Makes the table `inet NAME` for it.
    ///
    /// # Errors
    /// [`Error::Interface`] for a name that no interface has; otherwise what the kernel says, also where the table exists.
    pub fn new(table: &str, interface: &str, address: Ipv6Addr) -> Result<Self, Error> {
        firewall::check_interface(interface)?;
        let mut netlink = Netlink::open()?;
        let mut batch = Batch::new();
        batch.owned_table(table);
        for (chain, hook) in [(ARRIVING, 0_u32), (LEAVING, 3)] {
            // Before connection tracking.
            batch.base_chain(table, chain, hook, -300, None);
        }
        for rule in rules(interface, address) {
            rule.push(&mut batch, table);
        }
        netlink.commit(batch)?;
        Ok(Self { _netlink: netlink })
    }
}

fn rules(interface: &str, address: Ipv6Addr) -> [Rule; 3] {
    const ICMPV6: u8 = 58;
    let arriving = |comment: &str| {
        let rule = Rule::new(ARRIVING, comment).interface(Meta::InputName, interface).ipv6();
        rule.destination(address.into())
    };
    let kind = |rule: Rule, how, value| rule.payload(Base::Transport, 0, how, &[value]);
    let discovery = arriving("RFC 4861: neighbour discovery").protocol(ICMPV6);
    let discovery = kind(kind(discovery, Compare::AtLeast, 133), Compare::AtMost, 137);
    [
        discovery.accept(),
        arriving("not for the machine itself").drop(),
        Rule::new(LEAVING, "not of the machine itself").ipv6().source(address.into()).untracked(),
    ]
}
