//! The packets of one interface led through a program, and back to where they were.

use super::encode::{Base, Batch, Compare, Meta, NFPROTO_NETDEV, Rule};
use super::socket::Netlink;
use super::{Error, firewall};

const ARRIVING: &str = "arriving";
const LEAVING: &str = "leaving";
/// `NF_NETDEV_INGRESS` and `NF_NETDEV_EGRESS`; the latter since Linux 5.16.
const INGRESS: u32 = 0;
const EGRESS: u32 = 1;
/// Behind others' rules at the same hook, so that what they drop makes no detour.
const PRIORITY: i32 = 300;

/// Packets that have made the detour carry this mark, by which they are not led round again. On what arrives it is taken off
/// before anybody else looks.
pub const DETOUR_MARK: u32 = 0x0053_5158;

/// IPv4 and IPv6 packets that leave by an interface, or arrive on it for this machine or to be forwarded, go out of
/// another interface instead: that of a program, which gives them back marked [`DETOUR_MARK`].
///
/// Neighbour discovery (RFC 4861) never makes the detour, nor does what is not IP, nor what arrives by multicast and broadcast: a
/// program that is slow does not cost the link.
///
/// It goes when this is dropped, or with the process, however that ends.
#[derive(Debug)]
pub struct Detour {
    /// The owner of the table.
    _netlink: Netlink,
}

impl Detour {
    /// Makes the table `netdev NAME` for `interface`: what leaves goes to the interface of number `leaving`, what arrives to
    /// `arriving`; `None` leaves a direction alone.
    ///
    /// # Errors
    /// [`Error::Interface`] for a name that no interface can have; otherwise what the kernel says, also where the table exists.
    pub fn new(
        table: &str,
        interface: &str,
        leaving: Option<u32>,
        arriving: Option<u32>,
    ) -> Result<Self, Error> {
        firewall::check_interface(interface)?;
        let mut netlink = Netlink::open()?;
        let mut batch = Batch::of(NFPROTO_NETDEV);
        batch.owned_table(table);
        if let Some(to) = leaving {
            batch.base_chain(table, LEAVING, EGRESS, PRIORITY, Some(interface));
            for rule in leaving_rules(to) {
                rule.push(&mut batch, table);
            }
        }
        if let Some(to) = arriving {
            batch.base_chain(table, ARRIVING, INGRESS, PRIORITY, Some(interface));
            for rule in arriving_rules(to) {
                rule.push(&mut batch, table);
            }
        }
        netlink.commit(batch)?;
        Ok(Self { _netlink: netlink })
    }
}

const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];

fn discovery(chain: &'static str) -> Rule {
    const ICMPV6: u8 = 58;
    let rule =
        Rule::new(chain, "RFC 4861: neighbour discovery").meta(Meta::LinkProtocol, &IPV6).protocol(ICMPV6);
    let kind = |rule: Rule, how, value| rule.payload(Base::Transport, 0, how, &[value]);
    kind(kind(rule, Compare::AtLeast, 133), Compare::AtMost, 137).accept()
}

fn leaving_rules(to: u32) -> [Rule; 4] {
    let rule = |comment: &str| Rule::new(LEAVING, comment);
    [
        rule("back from the detour").meta(Meta::Mark, &DETOUR_MARK.to_ne_bytes()).accept(),
        discovery(LEAVING),
        rule("IPv6").meta(Meta::LinkProtocol, &IPV6).forward_to(to),
        rule("IPv4").meta(Meta::LinkProtocol, &IPV4).forward_to(to),
    ]
}

fn arriving_rules(to: u32) -> [Rule; 4] {
    /// `PACKET_HOST`.
    const HERE: [u8; 1] = [0];
    let rule = |comment: &str| Rule::new(ARRIVING, comment);
    let marked = rule("back from the detour").meta(Meta::Mark, &DETOUR_MARK.to_ne_bytes());
    let here = |comment| rule(comment).meta(Meta::Addressee, &HERE);
    [
        marked.set_mark(0).accept(),
        discovery(ARRIVING),
        here("IPv6").meta(Meta::LinkProtocol, &IPV6).forward_to(to),
        here("IPv4").meta(Meta::LinkProtocol, &IPV4).forward_to(to),
    ]
}
