//! `shape`: the queue before the uplink, or before a LAN.

use super::{Config, Diagnostic, Located, Reader, file};
use crate::shape::{self, Direction, Facing, Plan, Speed};
use sixgate_aqm::Rate;
use std::net::Ipv6Addr;
use std::time::Duration;
use toml::Spanned;

/// What is wanted of a link's queue, and where it is written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shape {
    pub(crate) plan: Plan,
    /// Who is asked how long the way takes, where a rate changes; nobody: the router.
    pub(crate) targets: Vec<Ipv6Addr>,
    down: Option<Located>,
    up: Option<Located>,
}

/// Whether a running sixgate can go from one to the other: rates change, nothing else does.
pub(super) fn only_rates_differ(old: Option<&Shape>, new: Option<&Shape>) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => old.plan.differs_in_rates_alone(&new.plan) && old.targets == new.targets,
        (old, new) => old.is_none() && new.is_none(),
    }
}

impl Reader<'_> {
    /// `key` is that of the table: `uplink.shape`, `lan.shape`.
    pub(super) fn shape(&mut self, shape: Spanned<file::Shape>, key: &str, facing: Facing) -> Option<Shape> {
        let span = shape.span();
        let of = |name: &str| format!("{key}.{name}");
        let shape = shape.into_inner();
        if shape.down.is_none() && shape.up.is_none() {
            self.error(
                span,
                key,
                "it names no rate",
                "write down = \"95M\", up = \"19M\", or one of them: what the link really has, less 5 %",
            );
            return None;
        }
        let at = |text: &Option<Spanned<String>>| {
            text.as_ref().map(|text| Located { value: text.get_ref().clone(), span: text.span() })
        };
        let (down_at, up_at) = (at(&shape.down), at(&shape.up));
        let usual = Plan::default();
        let plan = Plan {
            facing,
            down: shape.down.and_then(|text| self.speed(&text, &of("down"))),
            up: shape.up.and_then(|text| self.speed(&text, &of("up"))),
            link: shape.link.unwrap_or_default(),
            shares: shape.fairness.unwrap_or_default(),
            diffserv: shape.diffserv.unwrap_or(usual.diffserv),
            ack_filter: shape.ack_filter.unwrap_or(usual.ack_filter),
            ecn: shape.ecn.unwrap_or(usual.ecn),
            round_trip: shape.rtt_ms.map_or(usual.round_trip, |ms| {
                if !(1..=10_000).contains(ms.get_ref()) {
                    self.error(
                        ms.span(),
                        &of("rtt-ms"),
                        format!("{} ms is out of range", ms.get_ref()),
                        "choose 1 to 10000; 100 does for the Internet",
                    );
                }
                Duration::from_millis(*ms.get_ref())
            }),
            which: shape.queue.unwrap_or_default(),
        };
        let mut targets = Vec::new();
        for text in shape.probe.unwrap_or_default() {
            match text.get_ref().parse() {
                Ok(address) => targets.push(address),
                Err(_) => self.error(
                    text.span(),
                    &of("probe"),
                    format!("`{}` is no IPv6 address", text.get_ref()),
                    "write addresses beyond the bottleneck that answer echo requests, such as \"2001:db8::53\"",
                ),
            }
        }
        let changes =
            Direction::BOTH.into_iter().any(|way| matches!(plan.speed(way), Some(Speed::Between(..))));
        if facing == Facing::Hosts && changes && targets.is_empty() {
            self.error(
                span,
                &of("probe"),
                "a LAN's rate cannot follow its link: there is no router there to ask how long the way takes",
                "name one behind the slow link that answers echo requests, such as probe = [\"fe80::2\"], an access point or a host that is always on; or write one rate",
            );
        }
        Some(Shape { plan, targets, down: down_at, up: up_at })
    }

    fn speed(&mut self, text: &Spanned<String>, key: &str) -> Option<Speed> {
        match shape::speed(text.get_ref()) {
            Ok(speed) => Some(speed),
            Err(message) => {
                let remedy = "write a rate such as \"20M\" (20 Mbit/s), or two such as \"5M-20M\" where the link changes";
                self.error(text.span(), key, message, remedy);
                None
            }
        }
    }
}

impl Config {
    /// Warns of rates that the interface itself does not have: the queue would stand behind it. `speed` tells what an interface of
    /// this name has.
    pub(crate) fn check_speeds(&self, speed: impl Fn(&str) -> Option<Rate>) -> Vec<Diagnostic> {
        self.shaped()
            .flat_map(|(key, interface, shape)| {
                self.check_speed(key, interface, shape, speed(&interface.value))
            })
            .collect()
    }

    fn check_speed(
        &self,
        key: &str,
        interface: &Located,
        shape: &Shape,
        has: Option<Rate>,
    ) -> Vec<Diagnostic> {
        let Some(has) = has else { return Vec::new() };
        let above = |direction: Direction| {
            let at = match direction {
                Direction::Down => &shape.down,
                Direction::Up => &shape.up,
            };
            let wanted = shape.plan.speed(direction)?.most();
            (wanted > has).then_some((at.as_ref()?, direction, wanted))
        };
        Direction::BOTH
            .into_iter()
            .filter_map(above)
            .map(|(at, direction, wanted)| {
                let message = format!(
                    "{wanted} is more than the {has} that {} has: the queue would stand in its driver and not here",
                    interface.value
                );
                let remedy = "write what the line behind it has, less 5 %".to_owned();
                self.diagnostic(at, &format!("{key}.{direction}"), message, remedy).warning()
            })
            .collect()
    }

    /// Every link that is to be shaped: the key, its interface, and how.
    pub(crate) fn shaped(&self) -> impl Iterator<Item = (&'static str, &Located, &Shape)> {
        let uplink =
            self.uplink.iter().map(|uplink| ("uplink.shape", &uplink.interface, uplink.shape.as_ref()));
        let lans = self.lans.iter().map(|lan| ("lan.shape", &lan.interface, lan.shape.as_ref()));
        uplink.chain(lans).filter_map(|(key, interface, shape)| Some((key, interface, shape?)))
    }
}
