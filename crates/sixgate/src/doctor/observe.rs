//! Looks at a network: several things at one time, where they do not disturb each other.

use super::cli::Arguments;
use super::seen::{Asked, Reached, Seen, Target};
use super::{dhcp, local, portal, resolver, routers, software, v4};
use crate::Outcome;
use crate::measure::far::Far;
use crate::measure::flows::{self, start_all};
use crate::measure::path::{addresses, path_mtu, trace};
use crate::measure::shown::Progress;
use sixgate_endpoint::connect::{Connector, FamilyChoice, Policy, policy};
use sixgate_endpoint::{Endpoint, Family, Host, interface_index};
use sixgate_linux::route::{Link, Netlink, TABLE_MAIN};
use sixgate_linux::sysctl::{self, Key};
use sixgate_measure::stats::ms;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// How often each hop is asked while delay is looked for.
const ROUNDS: u32 = 25;
/// The load runs this long before the path is looked at.
const SETTLE: Duration = Duration::from_secs(3);
/// Connecting takes no longer.
const DEADLINE: Duration = Duration::from_secs(4);
/// Resolvers that are asked.
const MOST_RESOLVERS: usize = 8;

/// Why nothing was looked at.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unseen {
    #[error("there is no interface `{0}`; `ip link` lists those that there are")]
    NoSuchInterface(String),
    #[error("no interface carries packets: is the cable in, or the wireless network chosen?")]
    NoInterface,
    #[error("cannot ask the kernel for its interfaces: {0}")]
    Kernel(sixgate_linux::route::Error),
    #[error("{0}\n  = help: doctor listens to router advertisements: run it as root, or with CAP_NET_RAW")]
    Refused(sixgate_linux::socket::Error),
    #[error("{0}")]
    Load(String),
}

impl Unseen {
    /// Says so; the exit code.
    pub(super) fn told(&self) -> Outcome {
        crate::say(&format!("sixgate: {self}\n"));
        match self {
            Self::NoSuchInterface(_) => Outcome::Usage,
            Self::Refused(_) => Outcome::Refused,
            Self::NoInterface | Self::Kernel(_) | Self::Load(_) => Outcome::Failed,
        }
    }
}

/// Looks at everything. Takes about ten seconds.
pub(super) fn observe(arguments: &Arguments) -> Result<Seen, Unseen> {
    let mut progress = Progress::new(true);
    let mut kernel = Netlink::new().map_err(Unseen::Kernel)?;
    let link = link(&mut kernel, arguments.interface.as_deref())?;
    let mut seen = Seen { interface: link.name.clone(), mtu: link.mtu, ..Seen::default() };
    let addresses = kernel.addresses(Some(link.index)).map_err(Unseen::Kernel)?;
    seen.global_address =
        addresses.iter().any(|at| !at.address.is_unicast_link_local() && !at.address.is_loopback());
    seen.ipv4 = kernel.has_default_route_v4().unwrap_or(false);
    seen.gateway = sysctl::get(&link.name, Key::Forwarding).is_ok_and(|forwards| forwards == 1);
    progress.show(&link.name, "listening to routers, DHCPv6 and DHCPv4");
    // Each of these listens for four and a half seconds at most.
    let (heard, asked6, asked4) = thread::scope(|scope| {
        let heard = scope.spawn(|| routers::hear(&link.name, link.index));
        let asked6 = scope.spawn(|| dhcp::ask(&link.name, link.index, link.mac));
        let asked4 = scope.spawn(|| link.mac.map(|mac| v4::ask(&link.name, link.index, mac)).transpose());
        (heard.join(), asked6.join(), asked4.join())
    });
    seen.routers = match heard {
        Ok(heard) => heard.map_err(Unseen::Refused)?,
        Err(_) => return Err(Unseen::Load("a thread ended".to_owned())),
    };
    match asked6 {
        Ok(Ok(asked)) => seen.dhcpv6 = asked,
        Ok(Err(error)) => seen.left_out.push(format!("DHCPv6 was not asked: {error}")),
        Err(_) => {}
    }
    match asked4 {
        Ok(Ok(asked)) => seen.dhcpv4 = asked.unwrap_or(Asked::Never),
        Ok(Err(error)) => seen.left_out.push(format!("DHCPv4 was not asked: {error}")),
        Err(_) => {}
    }
    progress.show(&link.name, "asking resolvers");
    resolvers(&mut seen, &link.name);
    progress.show(&link.name, "looking for old software");
    old_software(&mut seen);
    portals(arguments, &mut seen);
    if let Some(target) = &arguments.target {
        progress.show(&link.name, "connecting to the target");
        seen.target = Some(look_at(target, &mut seen.left_out));
    }
    progress.show(&link.name, "looking for delay on the path");
    delay(arguments, &mut seen, &link)?;
    Ok(seen)
}

/// The interface to look at.
fn link(kernel: &mut Netlink, named: Option<&str>) -> Result<Link, Unseen> {
    if let Some(name) = named {
        let found = kernel.link_by_name(name).map_err(Unseen::Kernel)?;
        return found.ok_or_else(|| Unseen::NoSuchInterface(name.to_owned()));
    }
    let routes = kernel.routes(TABLE_MAIN, None).map_err(Unseen::Kernel)?;
    let default =
        routes.iter().filter(|route| route.destination.prefix_len() == 0).min_by_key(|route| route.metric);
    if let Some(index) = default.and_then(|route| route.interface)
        && let Some(link) = kernel.link_by_index(index).map_err(Unseen::Kernel)?
    {
        return Ok(link);
    }
    let links = kernel.links().map_err(Unseen::Kernel)?;
    links.into_iter().find(|link| link.running && !link.loopback).ok_or(Unseen::NoInterface)
}

/// All that were told of are asked.
fn resolvers(seen: &mut Seen, device: &str) {
    let mut told: Vec<(Endpoint, &str)> = Vec::new();
    let mut add = |text: &str, by: &'static str| {
        let Ok(mut resolver) = text.parse::<Endpoint>() else { return };
        if resolver.has_zones()
            && resolver.zone().is_none()
            && let Some(zone) = sixgate_endpoint::Zone::from_name(device)
        {
            resolver = resolver.with_zone(zone);
        }
        if !told.iter().any(|(known, _)| *known == resolver) && told.len() < MOST_RESOLVERS {
            told.push((resolver, by));
        }
    };
    for router in &seen.routers {
        for (address, _) in router.rdnss.iter().filter(|(_, lifetime)| *lifetime > 0) {
            add(address, "router advertisement");
        }
    }
    for address in seen.dhcpv6.answer().map(|answer| answer.resolvers.as_slice()).unwrap_or_default() {
        add(address, "DHCPv6");
    }
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let configured = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver")).map(str::trim);
    for address in configured {
        match address.parse::<Endpoint>() {
            Ok(resolver) if resolver.family() == Family::V6 => add(address, "resolv.conf"),
            Ok(resolver) if seen.ipv4_resolvers.len() < MOST_RESOLVERS => {
                seen.ipv4_resolvers.push(resolver.to_string());
            }
            _ => {}
        }
    }
    seen.resolvers = thread::scope(|scope| {
        let asking: Vec<_> = told
            .iter()
            .map(|(resolver, by)| scope.spawn(move || resolver::ask(*resolver, by, interface_index)))
            .collect();
        asking.into_iter().filter_map(|asked| asked.join().ok()).collect()
    });
}

/// This machine's, and that of resolvers that tell.
fn old_software(seen: &mut Seen) {
    seen.software = software::here(&mut seen.left_out);
    let Some(floors) = software::Floors::read() else { return };
    let told = seen
        .resolvers
        .iter()
        .filter_map(|resolver| software::resolver(&floors, resolver.software.as_deref()?, &resolver.address));
    seen.software.extend(told.collect::<Vec<_>>());
}

/// Asks the portal's API, and for the page that the user names, where he wants that.
fn portals(arguments: &Arguments, seen: &mut Seen) {
    if arguments.portal {
        let by_dhcpv6 = seen.dhcpv6.answer().and_then(|answer| answer.captive_portal.as_deref());
        let by_dhcpv4 = seen.dhcpv4.answer().and_then(|answer| answer.captive_portal.as_deref());
        let told = portal::told(&seen.routers, by_dhcpv6, by_dhcpv4);
        if let Some(first) = told.iter().find(|told| told.uri != portal::UNRESTRICTED) {
            match portal::ask(&first.uri) {
                Ok(api) => seen.portal = Some(api),
                Err(why) => seen.left_out.push(why),
            }
        }
    }
    seen.probe = arguments.probe.as_ref().map(portal::probe);
    let failed =
        seen.probe.as_ref().and_then(|probe| Some(format!("{}: {}", probe.url, probe.why.as_ref()?)));
    seen.left_out.extend(failed);
}

/// A host beyond the link, by each family alone.
fn look_at(host: &Host, left_out: &mut Vec<String>) -> Target {
    let connect = |family| {
        let policy = Policy { deadline: DEADLINE, nat64: false, ..policy().with_family(family) };
        match Connector::new(policy).connect(host, 443) {
            Ok(connection) => {
                let took = connection.trace.winner().and_then(|attempt| attempt.took).map(ms);
                Some(Reached { ms: took, why: None })
            }
            // A family that it has no address of is not missing.
            Err(error) if error.trace().attempts.is_empty() => None,
            Err(error) => Some(Reached { ms: None, why: Some(error.to_string()) }),
        }
    };
    let (ipv6, ipv4) = thread::scope(|scope| {
        let six = scope.spawn(|| connect(FamilyChoice::Ipv6));
        let four = scope.spawn(|| connect(FamilyChoice::Ipv4));
        (six.join().unwrap_or(None), four.join().unwrap_or(None))
    });
    let pmtu = addresses(host, FamilyChoice::Ipv6).ok().and_then(|found| found.first().copied()).and_then(
        |(at, address)| {
            path_mtu(address).map_err(|error| left_out.push(format!("no path MTU to {at}: {error}"))).ok()
        },
    );
    Target { name: host.to_string(), ipv6, ipv4, pmtu }
}

/// Where delay stands on the way to the target, or else to the resolver that is furthest away.
fn delay(arguments: &Arguments, seen: &mut Seen, link: &Link) -> Result<(), Unseen> {
    let device = &link.name;
    let to = arguments.load.clone().or_else(|| arguments.target.clone()).map(Ok).or_else(|| {
        let resolver = seen.resolvers.iter().find(|resolver| !resolver.answers_ms.is_empty());
        let router = seen.routers.iter().find(|router| router.lifetime > 0);
        let text = resolver
            .map(|resolver| resolver.address.clone())
            .or(router.map(|router| format!("{}%{device}", router.address)))?;
        Some(text.parse::<Host>())
    });
    let Some(Ok(host)) = to else { return Ok(()) };
    let Some((endpoint, address)) =
        addresses(&host, FamilyChoice::Ipv6).ok().and_then(|found| found.first().copied())
    else {
        seen.left_out.push(format!("no delay was looked for: {host} has no IPv6 address"));
        return Ok(());
    };
    let load = match &arguments.load {
        Some(host) => {
            let far = Far::of(host, arguments.token.as_deref(), FamilyChoice::Ipv6)
                .map_err(|error| Unseen::Load(error.to_string()))?;
            let flows = start_all(&far, flows::plain(), far.consent.seconds.min(60))
                .map_err(|error| Unseen::Load(format!("no load to {}: {error}", far.endpoint)))?;
            thread::sleep(SETTLE);
            flows
        }
        None => Vec::new(),
    };
    seen.loaded = !load.is_empty();
    let over = AtomicBool::new(false);
    let (traced, local) = thread::scope(|scope| {
        let watching = scope.spawn(|| local::watch(device, link.index, &over));
        let traced = trace(address, endpoint, ROUNDS);
        over.store(true, Ordering::Relaxed);
        (traced, watching.join().unwrap_or(None))
    });
    seen.local = local;
    match traced {
        Ok(path) => seen.path = Some(path),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            seen.left_out.push("no delay was looked for: echo requests need CAP_NET_RAW".to_owned());
        }
        Err(error) => seen.left_out.push(format!("no path to {endpoint}: {error}")),
    }
    Ok(())
}
