//! The LANs' IPv4: which networks there are, and their way out.
//!
//! The island (RFC 6877 with a prefix for the CLAT, section 6.3): each IPv4 address of a LAN stands for one IPv6 address within the LAN's
//! own /64, whose lower bits it is. So nothing has to be delegated for it, it follows a renumbering as the LAN does, the ISP's NAT64 tells
//! hosts apart, and this machine keeps no state but the firewall's: a NAT44 in front of it would only lose that. The kernel routes the
//! LANs' IPv4 and those IPv6 addresses into a TUN device.

use super::engine::Engine;
use super::kernel::{ON_LINK_METRIC, RouteKey, To};
use super::lan::Lan;
use super::problems::Matter;
use crate::clat::{self, DEVICE, DUMMY};
use crate::config::{Config, Internet};
use crate::translator::{self, Running, seed};
use crate::view;
use ipnet::{Ipv4Net, Ipv6Net};
use sixgate_endpoint::nat64::Prefix;
use sixgate_linux::nft::LanIpv4;
use sixgate_linux::route::{Netlink, RouteV4};
use sixgate_linux::sysctl::{self, Key, Saved};
use sixgate_linux::tun::Offloads;
use sixgate_nd::host::Host;
use sixgate_xlat::{AddressMap, Mapping, Siit};
use std::time::Duration;

/// What stands between a LAN's prefix and an IPv4 address: `2001:db8:1:0:0:c1a7:192.168.1.9`.
const INTERFACE: u128 = 0xc1a7 << 32;

/// Networks of all LANs that an island has; the engine looks at each of them for each change.
const MOST: usize = 64;

/// What the island is made of now.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Setup {
    plat: Prefix,
    /// IPv4 networks and what they are outside.
    nets: Vec<(Ipv4Net, Ipv6Net)>,
    /// Of IPv6 on the uplink, in octets.
    mtu: u32,
}

/// The translator. Its device is there from the start; what it translates follows uplink and LANs.
#[derive(Debug)]
pub(crate) struct Island {
    running: Running<Siit>,
    interface: u32,
    random: fastrand::Rng,
    setup: Option<Setup>,
}

/// What the firewall does about the LANs' IPv4.
pub(crate) fn rules(config: &Config) -> LanIpv4 {
    match config.ipv4.as_ref().map(|ipv4| ipv4.internet) {
        None => LanIpv4::Unmanaged,
        Some(Internet::Nat44) => LanIpv4::Masqueraded,
        Some(Internet::Island | Internet::None) => LanIpv4::Inside,
    }
}

/// Lets the LANs' IPv4 be forwarded, and makes the island's device where there is to be one.
pub(crate) fn open(
    config: &Config,
    netlink: &mut Netlink,
    sysctls: &mut Saved,
) -> Result<Option<Island>, super::start::StartError> {
    let Some(ipv4) = &config.ipv4 else { return Ok(None) };
    // The kernel asks the interface that a packet came in on.
    for lan in &config.lans {
        sysctls.set(&lan.interface.value, Key::ForwardingV4, 1)?;
    }
    match (ipv4.internet, &config.uplink) {
        (Internet::Nat44, Some(uplink)) => sysctls.set(&uplink.interface.value, Key::ForwardingV4, 1)?,
        (Internet::Island, Some(_)) => {
            let random = fastrand::Rng::with_seed(seed().unwrap_or_else(|_| fastrand::u64(..)));
            let (interface, queues) = translator::device(netlink, DEVICE, 1, Offloads::All)?;
            let idle = idle(&random);
            let running = Running::start("the IPv4 island", idle, queues)?;
            // They go with the device. IPv6 has nothing to say on it itself, but is routed there.
            sysctl::set(DEVICE, Key::ForwardingV4, 1)?;
            return Ok(Some(Island { running, interface, random, setup: None }));
        }
        _ => {}
    }
    Ok(None)
}

/// A translator that has no addresses yet.
fn idle(random: &fastrand::Rng) -> Siit {
    Siit::new(clat::config(std::net::Ipv6Addr::UNSPECIFIED, 1280), AddressMap::default(), random.clone())
}

impl Island {
    /// The routes for the IPv6 addresses that IPv4 hosts have outside.
    pub(crate) fn routes(&self) -> impl Iterator<Item = RouteKey> {
        let nets = self.setup.iter().flat_map(|setup| &setup.nets);
        let to = To::Link { interface: self.interface };
        nets.map(move |(_, net)| RouteKey { destination: *net, to, metric: ON_LINK_METRIC })
    }

    /// Makes the translator follow.
    fn follow(&mut self, netlink: &mut Netlink, wanted: Option<Setup>) -> Result<(), String> {
        if self.setup == wanted {
            return Ok(());
        }
        let route = RouteV4::to(RouteV4::DEFAULT).on(self.interface).metric(clat::METRIC);
        let Some(setup) = &wanted else {
            *self.running.core() = idle(&self.random);
            netlink.remove_route_v4(&route).map_err(|error| error.to_string())?;
            self.setup = None;
            return Ok(());
        };
        let mappings = setup.nets.iter().map(|(inside, outside)| Mapping::new(*inside, *outside));
        let mappings: Vec<Mapping> = mappings.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        let map = AddressMap::new(Some(setup.plat), mappings).map_err(|error| error.to_string())?;
        // Errors of our own come from where answers find us.
        let own = setup.nets.first().map_or(setup.plat.synthesise(DUMMY), |(_, outside)| outside.network());
        *self.running.core() = Siit::new(clat::config(own, setup.mtu), map, self.random.fork());
        let mtu = setup.mtu.saturating_sub(clat::LONGER);
        let set = netlink.set_mtu(self.interface, mtu).and_then(|()| netlink.replace_route_v4(&route));
        set.map_err(|error| error.to_string())?;
        self.setup = wanted;
        Ok(())
    }
}

/// The prefix of a LAN in which its IPv4 hosts are: one that is good for anything new. A unique local one only where the ISP has
/// delegated it: others do not leave by the uplink (RFC 4193 section 4.3).
fn prefix(lan: &Lan, now: Duration) -> Option<Ipv6Net> {
    let local = |net: &Ipv6Net| net.network().is_unique_local();
    let usable = lan.share.prefixes.iter().filter(|prefix| {
        let ours = local(&prefix.net) && lan.config.prefixes.contains(&prefix.net);
        prefix.net.prefix_len() <= 64 && prefix.valid_until > now && !ours
    });
    usable.max_by_key(|prefix| (!local(&prefix.net), prefix.preferred_until)).map(|prefix| prefix.net)
}

/// What an IPv4 network is outside.
fn outside(prefix: Ipv6Net, net: Ipv4Net) -> Ipv6Net {
    let bits = prefix.network().to_bits() | INTERFACE | u128::from(net.network().to_bits());
    Ipv6Net::new_assert(bits.into(), 96 + net.prefix_len())
}

impl Engine {
    /// Asks the kernel for the LANs' IPv4 addresses: whoever gave them, they are what hosts there have as their router.
    pub(crate) fn read_lan_ipv4(&mut self) {
        if self.config.ipv4.is_none() {
            return;
        }
        let addresses = match self.netlink.addresses_v4(None) {
            Ok(addresses) => addresses,
            Err(error) => return tracing::error!(%error, "the kernel cannot be asked for IPv4 addresses"),
        };
        for lan in &mut self.lans {
            let on = addresses.iter().filter(|address| address.interface == lan.interface);
            // A single address is nobody's network, and link-local ones leave no link (RFC 3927 section 7).
            let networks = on.map(|address| address.net.trunc());
            let mut nets: Vec<Ipv4Net> = networks
                .filter(|net| (8..=30).contains(&net.prefix_len()) && !net.network().is_link_local())
                .take(MOST)
                .collect();
            nets.sort_unstable();
            nets.dedup();
            if lan.ipv4 != nets {
                lan.ipv4 = nets;
                self.changed = true;
            }
        }
    }

    /// The NAT64 of the ISP, as far as it is known. Hosts of the LANs are told of it, too (RFC 8781).
    pub(crate) fn plat(&self) -> Option<Prefix> {
        let written = self.config.ipv4.as_ref().and_then(|ipv4| ipv4.pref64);
        let uplink = self.uplink.as_ref().filter(|uplink| uplink.up)?;
        let told = uplink.host.as_ref().map(Host::state).and_then(|state| state.pref64);
        written.or_else(|| {
            told.and_then(|told| Prefix::new(told.prefix.network(), told.prefix.prefix_len()).ok())
        })
    }

    /// Makes the island follow uplink and LANs.
    pub(crate) fn settle_island(&mut self) {
        if self.island.is_none() {
            return;
        }
        let now = self.now();
        let mut nets: Vec<(Ipv4Net, Ipv6Net)> = Vec::new();
        for lan in &self.lans {
            let Some(prefix) = prefix(lan, now) else { continue };
            for net in &lan.ipv4 {
                // The same network on two LANs cannot be told apart from outside.
                if nets.len() < MOST && !nets.iter().any(|(known, _)| known == net) {
                    nets.push((*net, outside(prefix, *net)));
                }
            }
        }
        let mtu = self.uplink.as_ref().map_or(1280, |uplink| {
            let told = uplink.host.as_ref().and_then(|host| host.state().mtu);
            told.unwrap_or(uplink.mtu).min(uplink.mtu).max(1280)
        });
        let wanted = self.plat().filter(|_| !nets.is_empty()).map(|plat| Setup { plat, nets, mtu });
        let Some(island) = &mut self.island else { return };
        if let Some(setup) = wanted.as_ref().filter(|setup| island.setup.as_ref() != Some(setup)) {
            tracing::info!(plat = %setup.plat, networks = setup.nets.len(), "IPv4 island");
        }
        match island.follow(&mut self.netlink, wanted) {
            Ok(()) => self.problems.settled(&Matter::Island),
            Err(error) => {
                tracing::error!(error, "IPv4 island");
                self.problems.put(Matter::Island, format!("the IPv4 island: {error}"));
            }
        }
    }

    /// Why IPv4 hosts do not reach the IPv4 Internet, as a sentence.
    pub(crate) fn ipv4_problem(&mut self) -> Option<String> {
        let internet = self.config.ipv4.as_ref()?.internet;
        let lan =
            self.lans.iter().find(|lan| !lan.ipv4.is_empty()).map(|lan| lan.config.interface.value.clone());
        let Some(lan) = lan else {
            return Some(
                "no LAN has IPv4: its hosts need a router, so give the LAN's interface an IPv4 address"
                    .to_owned(),
            );
        };
        let uplink = self.uplink.as_ref()?.name().to_owned();
        let routes = self.netlink.routes_v4(sixgate_linux::route::TABLE_MAIN, None).unwrap_or_default();
        let ours = self.island.as_ref().map(|island| island.interface);
        let native =
            routes.iter().any(|route| route.is_default() && (ours.is_none() || route.interface != ours));
        if let Some(failed) = self.island.as_ref().and_then(|island| island.running.failed()) {
            return Some(format!("the IPv4 island has ended, restart sixgate: {failed}"));
        }
        match internet {
            Internet::Nat44 if !native => Some(
                "NAT44 leads nowhere: this machine has no IPv4 default route; give the uplink an IPv4 address and a router, or set \
                 ipv4.internet = \"island\" where the ISP has a NAT64"
                    .to_owned(),
            ),
            Internet::Island if native => Some(format!(
                "this machine has an IPv4 default route, which its own programs take, and no IPv4 of {lan} leaves by it: the island is \
                 for an uplink without IPv4; remove the route, or set ipv4.internet = \"nat44\""
            )),
            Internet::Island if self.plat().is_none() => Some(format!(
                "the IPv4 island leads nowhere: no router on {uplink} tells the prefix of a NAT64 (RFC 8781); if the ISP has one, set \
                 ipv4.pref64, and if it gives IPv4, ipv4.internet = \"nat44\""
            )),
            Internet::Island if self.island.as_ref().is_some_and(|island| island.setup.is_none()) => Some(format!(
                "the IPv4 island leads nowhere: {lan} has no IPv6 prefix that leaves by {uplink}, and its IPv4 hosts are in that beyond it"
            )),
            _ => None,
        }
    }

    /// What `status` shows.
    pub(crate) fn ipv4_view(&self) -> Option<view::Ipv4> {
        let internet = self.config.ipv4.as_ref()?.internet;
        let setup = self.island.as_ref().and_then(|island| island.setup.as_ref());
        let outside = |net: &Ipv4Net| {
            let found = setup.and_then(|setup| setup.nets.iter().find(|(inside, _)| inside == net));
            found.map(|(_, outside)| outside.to_string())
        };
        let lans = self.lans.iter().flat_map(|lan| {
            lan.ipv4.iter().map(|net| view::LanIpv4 {
                lan: lan.config.name.clone(),
                net: net.to_string(),
                outside: outside(net),
            })
        });
        let (counters, discarded) =
            self.island.as_ref().map(|island| island.running.counters()).unwrap_or_default();
        Some(view::Ipv4 {
            internet: internet.word().to_owned(),
            plat: setup.map(|setup| setup.plat.to_string()),
            lans: lans.collect(),
            counters,
            discarded,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_host_is_in_the_prefix_of_its_lan() {
        let outside =
            |prefix: &str, net: &str| outside(prefix.parse().unwrap(), net.parse().unwrap()).to_string();
        assert_eq!(outside("2001:db8:1::/64", "192.168.1.0/24"), "2001:db8:1::c1a7:c0a8:100/120");
        assert_eq!(outside("2001:db8:1:ff00::/56", "10.0.0.0/8"), "2001:db8:1:ff00:0:c1a7:a00:0/104");
    }
}
