//! What a client must be to be a member of a class.

use super::pattern::{Macs, Patterns};
use super::{Asking, ClassId, ClassSet};
use ipnet::Ipv6Net;
use sixgate_wire::dhcpv6::{Counted, DhcpOption, OptionCode, RelayMessage};
use std::net::Ipv6Addr;

/// A condition, and what must hold for it. Made by [`super::Policy::new`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition(pub(super) Test);

/// Lists are short, or sets: see [`Patterns`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Test {
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
    Mac(Macs),
    Duid(Patterns),
    DuidType(Vec<u16>),
    DuidEnterprise(Vec<u32>),
    /// One vendor class option with one of these numbers, where there are any, and one of these texts, likewise.
    Vendor {
        enterprises: Vec<u32>,
        texts: Option<Patterns>,
    },
    UserClass(Patterns),
    InterfaceId(Patterns),
    RemoteEnterprise(Vec<u32>),
    RemoteId(Patterns),
    SubscriberId(Patterns),
    Relay(Vec<Ipv6Net>),
    Link(Vec<String>),
    Class(Vec<ClassId>),
    Reserved(bool),
}

impl Condition {
    pub(super) fn holds(&self, asking: &Asking<'_>, classes: ClassSet, reserved: bool) -> bool {
        self.0.holds(asking, classes, reserved)
    }
}

impl Test {
    /// `classes` are those of earlier classes that it is a member of.
    fn holds(&self, asking: &Asking<'_>, classes: ClassSet, reserved: bool) -> bool {
        let of = |octets: Option<&[u8]>, patterns: &Patterns| octets.is_some_and(|o| patterns.matches(o));
        match self {
            Self::All(tests) => tests.iter().all(|test| test.holds(asking, classes, reserved)),
            Self::Any(tests) => tests.iter().any(|test| test.holds(asking, classes, reserved)),
            Self::Not(test) => !test.holds(asking, classes, reserved),
            Self::Mac(macs) => asking.mac.is_some_and(|mac| macs.matches(mac.as_bytes())),
            Self::Duid(patterns) => of(asking.duid, patterns),
            Self::DuidType(types) => number16(asking.duid, 0).is_some_and(|kind| types.contains(&kind)),
            Self::DuidEnterprise(numbers) => {
                number16(asking.duid, 0) == Some(2)
                    && number32(asking.duid, 2).is_some_and(|number| numbers.contains(&number))
            }
            Self::Vendor { enterprises, texts } => asking.options.iter().any(|option| match option {
                DhcpOption::VendorClass(class) => {
                    (enterprises.is_empty() || enterprises.contains(&class.enterprise))
                        && texts.as_ref().is_none_or(|texts| any_of(class.data, texts))
                }
                _ => false,
            }),
            Self::UserClass(patterns) => {
                asking.options.get(OptionCode::USER_CLASS).is_some_and(|classes| any_of(classes, patterns))
            }
            Self::InterfaceId(patterns) => of(asking.interface_id, patterns),
            Self::RemoteEnterprise(numbers) => {
                number32(asking.remote_id, 0).is_some_and(|number| numbers.contains(&number))
            }
            Self::RemoteId(patterns) => of(asking.remote_id.and_then(|id| id.get(4..)), patterns),
            Self::SubscriberId(patterns) => of(asking.subscriber_id, patterns),
            Self::Relay(nets) => {
                let within = |address: Ipv6Addr| nets.iter().any(|net| net.contains(&address));
                // Each agent in a row says from whom it has the message; the innermost has it from the client.
                let inner = asking.hops.iter().rev().skip(1).map(RelayMessage::peer_address);
                let mut links = asking.hops.iter().map(RelayMessage::link_address);
                asking.agent.is_some_and(within) || links.any(within) || inner.into_iter().any(within)
            }
            Self::Link(links) => links.iter().any(|link| link == asking.link),
            Self::Class(ids) => ids.iter().any(|id| classes.contains(*id)),
            Self::Reserved(wanted) => *wanted == reserved,
        }
    }
}

/// Whether one of the length-prefixed texts matches. What is not well-formed matches nothing.
fn any_of(data: &[u8], patterns: &Patterns) -> bool {
    Counted::new(data).is_some_and(|texts| texts.iter().any(|text| patterns.matches(text)))
}

fn number16(octets: Option<&[u8]>, at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*octets?.get(at..)?.first_chunk()?))
}

fn number32(octets: Option<&[u8]>, at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*octets?.get(at..)?.first_chunk()?))
}
