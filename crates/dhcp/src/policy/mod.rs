//! Who gets what: classes of clients, lists of who is served, pools and options of classes, reservations.
//!
//! A [`Policy`] is made once, when the configuration is read, and is asked for each message. Asking allocates nothing and
//! takes a bounded number of steps. Membership of a class is judged anew for each message, by what this message says: who
//! is no longer a member keeps nothing of the class's pools beyond its next message.
//!
//! Of an option that several places give, the client gets that of the nearest: its reservation, then its classes in the
//! order of the configuration, then the pool that its lease is from, then its link, then the server.

mod compile;
mod condition;
mod pattern;
#[cfg(test)]
mod tests;

pub use condition::Condition;

use crate::identity::Mac;
use crate::lease::{LinkId, Resource};
use crate::options::OptionSet;
use crate::reservation::Reservations;
use ipnet::Ipv6Net;
use sixgate_wire::dhcpv6::{Options, RelayMessage};
use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv6Addr;
use std::sync::Arc;

/// Most classes of a policy.
pub const MOST_CLASSES: usize = 128;

/// What is known of a client when it asks.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// The link that it is on.
    pub link: &'a str,
    /// Its DUID. An Information-request may have none.
    pub duid: Option<&'a [u8]>,
    /// Its hardware address, as far as it is known.
    pub mac: Option<Mac>,
    /// Interface-Id, as the relay agent nearest to the client gave it.
    pub interface_id: Option<&'a [u8]>,
    /// Remote-ID with its enterprise number in front.
    pub remote_id: Option<&'a [u8]>,
    /// Subscriber-ID.
    pub subscriber_id: Option<&'a [u8]>,
    /// The address of the relay agent nearest to the server.
    pub agent: Option<Ipv6Addr>,
    /// What each relay agent said, the agent nearest to the server first.
    pub hops: &'a [RelayMessage<'a>],
    /// The options of its message.
    pub options: Options<'a>,
}

/// The place of a class in its policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClassId(u8);

/// Classes that somebody is a member of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClassSet(u128);

impl ClassSet {
    /// Whether the class is one of them.
    pub fn contains(self, class: ClassId) -> bool {
        self.0 >> class.0 & 1 != 0
    }

    fn insert(&mut self, class: ClassId) {
        self.0 |= 1 << class.0;
    }
}

/// A class of clients.
#[derive(Debug, Clone, PartialEq)]
pub struct Class {
    /// Its name.
    pub name: Arc<str>,
    condition: Condition,
    /// What its members are told.
    options: OptionSet,
}

/// Who is not served. What it is about never gets an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Where; everywhere where it names no link.
    link: Option<LinkId>,
    test: RuleTest,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum RuleTest {
    /// Its members are not served.
    Deny(ClassId),
    /// Nobody else is served.
    Allow(Vec<ClassId>),
}

/// A part of what a link gives that has options, or members, of its own. Where it names a class, only its members get
/// something from it, and they get nothing from elsewhere in the pool that it lies in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolPart {
    /// On which link.
    pub link: LinkId,
    /// The part.
    pub net: Ipv6Net,
    /// For whom; everybody where it names no class.
    pub class: Option<ClassId>,
    /// Of a part that prefixes are delegated from: their length, whatever the client asks for.
    pub length: Option<u8>,
    /// What is told to who has a lease in it.
    pub options: OptionSet,
}

/// A subnet of every prefix that is delegated on a link which stays with that link (RFC 6603): clients that ask for the
/// option are told that it is none of theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exclude {
    /// Length of the excluded prefix in bits.
    pub length: u8,
    /// Which of the subnets of that length, counted from 0.
    pub subnet: u64,
}

impl Exclude {
    /// What is excluded of a delegated prefix; none where it is too small to have such a subnet.
    pub fn of(self, delegated: Ipv6Net) -> Option<Ipv6Net> {
        let bits = self.length.checked_sub(delegated.prefix_len()).filter(|bits| *bits > 0)?;
        if bits < 64 && self.subnet >> bits != 0 {
            return None;
        }
        let below = u128::from(self.subnet).checked_shl(128 - u32::from(self.length))?;
        Ipv6Net::new((u128::from(delegated.network()) | below).into(), self.length).ok()
    }
}

/// What holds on one link.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OnLink {
    options: OptionSet,
    exclude: Option<Exclude>,
}

/// Everything that decides who gets what.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Policy {
    classes: Vec<Class>,
    size: compile::Size,
    rules: Vec<Rule>,
    /// Which rules hold on a link alone, and which everywhere: there may be thousands of links.
    rules_on: BTreeMap<Option<LinkId>, Vec<usize>>,
    parts: BTreeMap<LinkId, Vec<PoolPart>>,
    links: BTreeMap<LinkId, OnLink>,
    options: OptionSet,
    /// Who gets what, whoever else asks.
    pub reservations: Reservations,
}

impl Policy {
    /// The classes, by [`ClassId`].
    pub fn classes(&self) -> &[Class] {
        &self.classes
    }

    /// The rules, each of which the server counts.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The words for a rule, for counters and views.
    pub fn rule_name(&self, rule: &Rule) -> String {
        let name = |class: ClassId| self.classes.get(usize::from(class.0)).map_or("", |class| &class.name);
        let place = rule.link.as_ref().map_or(String::new(), |link| format!("{link}: "));
        match &rule.test {
            RuleTest::Deny(class) => format!("{place}deny {}", name(*class)),
            RuleTest::Allow(classes) => {
                let names: Vec<_> = classes.iter().map(|class| name(*class)).collect();
                format!("{place}allow {} alone", names.join(", "))
            }
        }
    }

    /// The class with this name.
    pub fn class_named(&self, name: &str) -> Option<ClassId> {
        self.classes.iter().position(|class| &*class.name == name).map(|at| ClassId(at as u8))
    }

    /// The classes of who asks; `reserved` is whether somebody reserved something for it.
    pub fn classes_of(&self, asking: &Asking<'_>, reserved: bool) -> ClassSet {
        let mut set = ClassSet::default();
        for (at, class) in self.classes.iter().enumerate() {
            if class.condition.holds(asking, set, reserved) {
                set.insert(ClassId(at as u8));
            }
        }
        set
    }

    /// The first rule by which members of `classes` are not served on a link, by its place.
    pub fn denied_by(&self, link: &str, classes: ClassSet) -> Option<usize> {
        if self.rules.is_empty() {
            return None;
        }
        let denies = |rule: &Rule| match &rule.test {
            RuleTest::Deny(class) => classes.contains(*class),
            RuleTest::Allow(allowed) => !allowed.iter().any(|class| classes.contains(*class)),
        };
        let first = |place: &Option<LinkId>| {
            let mut rules = self.rules_on.get(place)?.iter().copied();
            rules.find(|at| self.rules.get(*at).is_some_and(denies))
        };
        first(&None).into_iter().chain(first(&Some(link.into()))).min()
    }

    /// What of the prefixes delegated on a link is none of their holders'.
    pub fn exclude(&self, link: &str) -> Option<Exclude> {
        self.links.get(link)?.exclude
    }

    /// The parts of what a link gives within `net`.
    pub fn parts_within(&self, link: &str, net: Ipv6Net) -> impl Iterator<Item = &PoolPart> {
        self.parts_on(link).filter(move |part| net.contains(&part.net))
    }

    fn parts_on(&self, link: &str) -> impl Iterator<Item = &PoolPart> + Clone {
        self.parts.get(link).into_iter().flatten()
    }

    /// Whether a member of `classes` may have `resource`, which lies in the pool `pool` of a link.
    pub fn may_have(&self, link: &str, pool: Ipv6Net, resource: Resource, classes: ClassSet) -> bool {
        let mut own = false;
        for part in self.parts_within(link, pool) {
            let Some(class) = part.class else { continue };
            let (member, inside) = (classes.contains(class), part.net.contains(&resource.net()));
            let overlaps = inside || resource.net().contains(&part.net);
            match (member, inside) {
                (true, true) => return true,
                (true, false) => own = true,
                (false, _) if overlaps => return false,
                (false, _) => {}
            }
        }
        !own
    }

    /// What is told to who asks from `link`, the nearest first: what its reservations say, its classes, the pools that it
    /// has something of (`holds`), the link, the server.
    pub fn options_for<'p>(
        &'p self,
        link: &'p str,
        reserved: impl Iterator<Item = &'p OptionSet> + Clone,
        classes: ClassSet,
        holds: impl Fn(Ipv6Net) -> bool + Copy + 'p,
    ) -> impl Iterator<Item = &'p OptionSet> + Clone {
        let of_classes = self.classes.iter().enumerate();
        let of_classes = of_classes.filter(move |(at, _)| classes.contains(ClassId(*at as u8)));
        let holds = move |part: &&PoolPart| holds(part.net);
        let of_link = self.links.get(link).into_iter();
        reserved
            .chain(of_classes.map(|(_, class)| &class.options))
            .chain(self.parts_on(link).filter(holds).map(|part| &part.options))
            .chain(of_link.map(|on| &on.options))
            .chain(std::iter::once(&self.options))
            .filter(|set| !set.is_empty())
    }
}

impl fmt::Display for ClassId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
