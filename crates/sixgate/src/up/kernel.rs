//! What the kernel shall hold for us: addresses and routes. Told what is desired, it writes the difference to what it
//! installed before; told nothing, it takes everything away.

use ipnet::Ipv6Net;
use sixgate_linux::route::{AddressConfig, Netlink, Route, RouteKind, SIXGATE_PROTOCOL, TABLE_MAIN};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::time::Duration;

/// Metric of routes to what is on a link, as the kernel's own have.
pub(crate) const ON_LINK_METRIC: u32 = 256;

/// Metric of routes to what was delegated to somebody's router.
pub(crate) const DELEGATED_METRIC: u32 = 1024;

/// What sorts before all that a route can lead to.
const LEAST: To = To::Gateway { gateway: Ipv6Addr::UNSPECIFIED, interface: 0 };

/// An address of ours on an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AddressKey {
    pub(crate) interface: u32,
    pub(crate) address: Ipv6Addr,
}

/// How long an address is good for, and which prefix is on-link with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AddressValue {
    pub(crate) prefix_length: u8,
    /// Absolute; [`Duration::MAX`] is for ever.
    pub(crate) preferred_until: Duration,
    pub(crate) valid_until: Duration,
}

impl AddressValue {
    /// Seconds that it is preferred and valid. In its last second it still has one: the kernel takes no address that has none.
    fn left(&self, now: Duration) -> (u32, u32) {
        (seconds(now, self.preferred_until), seconds(now, self.valid_until).max(1))
    }
}

/// A route of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RouteKey {
    pub(crate) destination: Ipv6Net,
    pub(crate) to: To,
    /// Lower is preferred.
    pub(crate) metric: u32,
}

/// Where a route leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum To {
    /// To a router on an interface.
    Gateway { gateway: Ipv6Addr, interface: u32 },
    /// To the interface itself.
    Link { interface: u32 },
    /// Nowhere, and the sender is told: keeps packets for unused parts of our prefix from circling between the ISP and us
    /// (RFC 7084 WPD-5).
    Unreachable,
}

/// All that shall be there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Desired {
    pub(crate) addresses: BTreeMap<AddressKey, AddressValue>,
    pub(crate) routes: BTreeSet<RouteKey>,
}

/// What goes.
enum Gone<'a> {
    Route(&'a RouteKey),
    /// With the length of its prefix.
    Address(&'a AddressKey, u8),
}

/// What was installed.
#[derive(Debug, Default)]
pub(crate) struct Kernel {
    installed: Desired,
    /// Routes of an earlier run that was killed.
    left: Vec<Route>,
}

impl Kernel {
    /// Takes addresses that an earlier run left when it was killed for our own: those still wanted stay, the others go.
    pub(crate) fn adopt(&mut self, left: Vec<(AddressKey, u8)>) {
        for (key, prefix_length) in left {
            let value =
                AddressValue { prefix_length, preferred_until: Duration::ZERO, valid_until: Duration::ZERO };
            self.installed.addresses.insert(key, value);
        }
    }

    /// Finds the routes that an earlier run left when it was killed: they carry our protocol number. Packets go on taking them
    /// until [`Kernel::sweep`].
    pub(crate) fn find_left(&mut self, netlink: &mut Netlink) -> Result<usize, sixgate_linux::route::Error> {
        self.left = netlink.routes(TABLE_MAIN, Some(SIXGATE_PROTOCOL))?;
        Ok(self.left.len())
    }

    /// Whether [`Kernel::sweep`] has something to do.
    pub(crate) fn has_left(&self) -> bool {
        !self.left.is_empty()
    }

    /// Takes away the routes that an earlier run left and that are not ours again. What fails is told as a sentence, and tried
    /// again at the next call.
    pub(crate) fn sweep(&mut self, netlink: &mut Netlink) -> Vec<String> {
        self.sweep_by(|route| netlink.remove_route(route).map(drop).map_err(|error| error.to_string()))
    }

    fn sweep_by(&mut self, mut remove: impl FnMut(&Route) -> Result<(), String>) -> Vec<String> {
        let same = |a: &Route, b: &Route| {
            (a.destination, a.metric, a.gateway, a.kind) == (b.destination, b.metric, b.gateway, b.kind)
                && (a.interface == b.interface || b.interface.is_none())
        };
        let ours: Vec<Route> = self.installed.routes.iter().map(message).collect();
        self.left.retain(|route| !ours.iter().any(|ours| same(route, ours)));
        let mut problems = Vec::new();
        self.left.retain(|route| remove(route).map_err(|problem| problems.push(problem)).is_err());
        problems
    }

    /// The addresses that stand, with the lengths of their prefixes.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (AddressKey, u8)> {
        self.installed.addresses.iter().map(|(key, value)| (*key, value.prefix_length))
    }

    /// Writes the difference between `desired` and what stands. What fails is told as a sentence, and tried again at the next call.
    pub(crate) fn apply(&mut self, netlink: &mut Netlink, now: Duration, desired: Desired) -> Vec<String> {
        if desired == self.installed {
            return Vec::new();
        }
        let mut problems = self.withdraw(&desired, |gone| {
            let done = match gone {
                Gone::Route(route) => netlink.remove_route(&message(route)),
                Gone::Address(key, length) => netlink.remove_address(key.interface, key.address, length),
            };
            done.map(drop).map_err(|error| error.to_string())
        });
        for (key, value) in desired.addresses {
            if self.installed.addresses.get(&key) != Some(&value) {
                let (preferred, valid) = value.left(now);
                let wanted = AddressConfig::new(key.address, value.prefix_length)
                    .lifetimes(preferred, valid)
                    // The kernel's own prefix route outlives an address that is not for ever: ours goes when the prefix does.
                    .noprefixroute();
                if let Err(error) = netlink.set_address(key.interface, &wanted) {
                    problems.push(error.to_string());
                    continue;
                }
            }
            self.installed.addresses.insert(key, value);
        }
        for route in desired.routes {
            if !self.installed.routes.contains(&route)
                && let Err(error) = netlink.replace_route(&message(&route))
            {
                problems.push(error.to_string());
                continue;
            }
            self.installed.routes.insert(route);
        }
        problems
    }

    /// Takes away what is desired no longer, routes first, so that nothing points at what is not there. What could not be taken
    /// away still stands: it stays known, for the next time.
    fn withdraw(
        &mut self,
        desired: &Desired,
        mut remove: impl FnMut(Gone<'_>) -> Result<(), String>,
    ) -> Vec<String> {
        let mut problems = Vec::new();
        let mut stays = |gone: Gone<'_>| remove(gone).map_err(|problem| problems.push(problem)).is_err();
        let Desired { addresses, routes } = &mut self.installed;
        routes.retain(|route| desired.routes.contains(route) || stays(Gone::Route(route)));
        addresses.retain(|key, value| {
            desired.addresses.contains_key(key) || stays(Gone::Address(key, value.prefix_length))
        });
        problems
    }

    /// Sets one route for each of these destinations, or none, in place of what stands there with the metric of routes to
    /// gateways: many at once, and nothing else is looked at. Whether the kernel took them all; what it refused is tried again
    /// by the next [`Kernel::apply`].
    pub(crate) fn reroute(
        &mut self,
        netlink: &mut Netlink,
        wanted: impl Iterator<Item = (Ipv6Net, Option<RouteKey>)>,
    ) -> bool {
        let (mut gone, mut new) = (Vec::new(), Vec::new());
        for (destination, wanted) in wanted {
            let all = RouteKey { destination, to: LEAST, metric: 0 }..;
            let mine = self.installed.routes.range(all).take_while(|route| route.destination == destination);
            let stands = mine.copied().find(|route| route.metric == DELEGATED_METRIC);
            if stands == wanted {
                continue;
            }
            gone.extend(stands);
            new.extend(wanted);
        }
        if gone.is_empty() && new.is_empty() {
            return true;
        }
        let messages = |keys: &[RouteKey]| keys.iter().map(message).collect::<Vec<_>>();
        let refused = netlink.change_routes(&messages(&gone), &messages(&new));
        // What may still stand stays known: the next `apply` takes it away, and one that is not there any more is no fault.
        let Ok(refused) = refused else { return false };
        let failed = |place: usize| refused.iter().any(|(number, _)| *number == place);
        for (_, route) in gone.iter().enumerate().filter(|(place, _)| !failed(*place)) {
            self.installed.routes.remove(route);
        }
        let done = new.iter().enumerate().filter(|(place, _)| !failed(gone.len() + *place));
        self.installed.routes.extend(done.map(|(_, route)| *route));
        refused.is_empty()
    }

    /// Forgets an address that the kernel took away, so that it is put back where it is still desired.
    pub(crate) fn address_gone(&mut self, interface: u32, address: Ipv6Addr) {
        self.installed.addresses.remove(&AddressKey { interface, address });
    }

    /// Forgets everything on a link: the kernel flushes addresses and routes when a link goes down.
    pub(crate) fn link_down(&mut self, interface: u32) {
        self.installed.addresses.retain(|key, _| key.interface != interface);
        self.installed.routes.retain(|route| match route.to {
            To::Gateway { interface: on, .. } | To::Link { interface: on } => on != interface,
            To::Unreachable => true,
        });
    }
}

/// Seconds from `now` until `until`, as the kernel counts them; all ones is for ever.
pub(crate) fn seconds(now: Duration, until: Duration) -> u32 {
    if until == Duration::MAX {
        return u32::MAX;
    }
    u32::try_from(until.saturating_sub(now).as_secs()).unwrap_or(u32::MAX - 1).min(u32::MAX - 1)
}

fn message(route: &RouteKey) -> Route {
    let to = Route::to(route.destination).metric(route.metric);
    match route.to {
        To::Gateway { gateway, interface } => to.via(gateway, interface),
        To::Link { interface } => to.on(interface),
        To::Unreachable => to.kind(RouteKind::Unreachable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_valid_until_its_very_end() {
        let until = |preferred, valid| AddressValue {
            prefix_length: 64,
            preferred_until: Duration::from_millis(preferred),
            valid_until: valid,
        };
        let now = Duration::from_secs(10);
        assert_eq!(until(12_500, Duration::from_millis(13_999)).left(now), (2, 3));
        assert_eq!(until(10_300, Duration::from_millis(10_400)).left(now), (0, 1));
        assert_eq!(until(0, Duration::MAX).left(now), (0, u32::MAX));
    }
    fn route(destination: &str) -> RouteKey {
        let destination = destination.parse().unwrap();
        RouteKey { destination, to: To::Link { interface: 3 }, metric: DELEGATED_METRIC }
    }

    /// One that stays for want of an answer is tried again, until it is gone; one that went is not.
    #[test]
    fn what_could_not_be_taken_away_is_tried_again() {
        let address = |text: &str| AddressKey { interface: 3, address: text.parse().unwrap() };
        let (one, other) = (address("2001:db8::1"), address("2001:db8::2"));
        let value =
            AddressValue { prefix_length: 64, preferred_until: Duration::MAX, valid_until: Duration::MAX };
        let routes = ["2001:db8:1::/64", "2001:db8:2::/64"].map(route);
        let mut kernel = Kernel {
            installed: Desired { addresses: [(one, value), (other, value)].into(), routes: routes.into() },
            left: ["2001:db8:2::/64", "2001:db8:3::/64", "2001:db8:4::/64"]
                .map(|destination| message(&route(destination)))
                .into(),
        };
        let mut asked = Vec::new();
        let mut withdraw = |kernel: &mut Kernel, refused: &[&str]| {
            asked.clear();
            let problems = kernel.withdraw(&Desired::default(), |gone| {
                let what = match gone {
                    Gone::Route(route) => route.destination.to_string(),
                    Gone::Address(key, length) => format!("{}/{length}", key.address),
                };
                asked.push(what.clone());
                if refused.contains(&what.as_str()) { Err(what) } else { Ok(()) }
            });
            (problems, asked.clone())
        };
        let refused = ["2001:db8:2::/64", "2001:db8::1/64"];
        let all = ["2001:db8:1::/64", "2001:db8:2::/64", "2001:db8::1/64", "2001:db8::2/64"];
        assert_eq!(
            withdraw(&mut kernel, &refused),
            (refused.map(str::to_owned).into(), all.map(str::to_owned).into())
        );
        // What an earlier run left likewise; what is ours, since it still stands, is not its any more.
        let mut swept = Vec::new();
        let problems = kernel.sweep_by(|route| {
            swept.push(route.destination.to_string());
            if swept.len() == 1 { Err("busy".to_owned()) } else { Ok(()) }
        });
        assert_eq!(
            (problems.len(), &swept[..]),
            (1, &["2001:db8:3::/64", "2001:db8:4::/64"].map(str::to_owned)[..])
        );
        assert!(kernel.has_left());
        assert!(kernel.sweep_by(|_| Ok(())).is_empty() && !kernel.has_left());
        let (problems, asked) = withdraw(&mut kernel, &[]);
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(asked, refused);
        assert_eq!(kernel.installed, Desired::default());
        assert_eq!(withdraw(&mut kernel, &[]), (Vec::new(), Vec::new()));
    }
}
