//! Opening what `up` has on the machine's network: settings, rules, devices, links, sockets.

use super::event::{Event, Sender};
use super::guard::Guard;
use super::island::{self, Island};
use super::relay::{self, Frames};
use super::remote;
use super::sockets::{Interface, Sockets, watched};
use super::start::StartError;
use crate::config::{self, Config};
use crate::nat64::{self, Translator};
use crate::shape::{self, Shaping};
use crate::web::Site;
use sixgate_linux::monitor::Monitor;
use sixgate_linux::nft::{self, Firewall};
use sixgate_linux::route::{Link, Netlink};
use sixgate_linux::sysctl::{self, Key};
use std::rc::Rc;
use tokio::task::spawn_local;

/// What is open, and was looked up in the kernel's tables.
pub(super) struct Opened {
    pub(super) firewall: Option<Firewall>,
    pub(super) nat64: Option<Translator>,
    pub(super) island: Option<Island>,
    pub(super) shaping: Vec<Shaping>,
    pub(super) sockets: Sockets,
    /// For each LAN that is relayed and told of link-layer addresses.
    pub(super) frames: Vec<Option<Frames>>,
    pub(super) web: Option<Rc<Site>>,
    pub(super) proxy: Option<super::proxy::Proxy>,
    /// One line for each, as the kernel has it.
    pub(super) listeners: Vec<String>,
}

/// Everything that touches the system's network: settings, rules, links, sockets.
pub(super) fn open(
    config: &Config,
    netlink: &mut Netlink,
    guard: &mut Guard,
    links: &[Link],
    events: &Sender,
) -> Result<Opened, StartError> {
    let sysctls = guard.sysctls.get_or_insert_default();
    let interface = |name: &str| {
        links
            .iter()
            .find(|link| link.name == name)
            .map(|link| Interface { name: name.to_owned(), index: link.index })
    };
    // Rules first: nothing of ours is reachable from outside even for a moment.
    let firewall = if config.firewall {
        let mut firewall = Firewall::open()?;
        firewall.apply(&nft::FirewallConfig {
            masquerade: config.nat64.as_ref().and_then(config::Nat64::masquerade),
            uplink: config.uplink.as_ref().map(|uplink| uplink.interface.value.clone()),
            delegated: Vec::new(),
            lans: (config.lans.iter())
                .map(|lan| nft::LanRules {
                    interface: lan.interface.value.clone(),
                    prefixes: Vec::new(),
                    delegated: Vec::new(),
                    prefixes_v4: Vec::new(),
                })
                .collect(),
            relay: relay::rules(config),
            lan_ipv4: island::rules(config),
            island: None,
        })?;
        firewall.verify()?;
        Some(firewall)
    } else {
        // An earlier run, with another configuration, may have been killed.
        Firewall::open()?.remove()?;
        None
    };
    let nat64 = config.nat64.as_ref().map(|nat64| Translator::start(nat64::Setup::of(nat64))).transpose()?;
    if nat64.is_some() {
        // The kernel asks the interface that a packet came in on: LANs go on forwarding no IPv4 to each other.
        let outside = config.uplink.as_ref().map_or("all", |uplink| uplink.interface.value.as_str());
        sysctls.set(outside, Key::ForwardingV4, 1)?;
        // It goes with the device.
        sysctl::set(nat64::DEVICE, Key::ForwardingV4, 1)?;
    }
    let island = island::open(config, netlink, sysctls)?;
    let ours: Vec<&str> = config.interfaces().collect();
    for name in &ours {
        // We are the ones who listen to routers on these.
        sysctls.set(name, Key::AcceptRa, 0)?;
        sysctls.set(name, Key::DisableIpv6, 0)?;
    }
    if !config.lans.is_empty() {
        // A forwarding host stops listening to routers; the interfaces that are not ours shall go on as before.
        for link in links.iter().filter(|link| !link.loopback && !ours.contains(&link.name.as_str())) {
            match (sysctl::get(&link.name, Key::AcceptRa), sysctl::get(&link.name, Key::Forwarding)) {
                (Ok(1), Ok(0)) => sysctls.set(&link.name, Key::AcceptRa, 2)?,
                // Missing: IPv6 does not run on the link, whose MTU is too small.
                (Err(sysctl::Error::Missing { .. }), _)
                | (_, Err(sysctl::Error::Missing { .. }))
                | (Ok(_), Ok(_)) => {}
                (Err(error), _) | (_, Err(error)) => return Err(error.into()),
            }
        }
        sysctls.set("all", Key::Forwarding, 1)?;
    }
    // Subscribed before the links come up, so that no news of them is lost.
    let monitor = Monitor::without_routes().map_err(StartError::Monitor)?;
    for link in links.iter().filter(|link| ours.contains(&link.name.as_str()) && !link.up) {
        netlink.set_up(link.index, true)?;
        guard.raised.push((link.index, link.name.clone()));
    }
    let shaping =
        shape::wanted(config).map(|setup| Shaping::start(netlink, setup)).collect::<Result<_, _>>()?;
    let uplink = config.uplink.as_ref().and_then(|uplink| interface(&uplink.interface.value));
    let lans: Vec<Interface> = config.lans.iter().filter_map(|lan| interface(&lan.interface.value)).collect();
    let frames = relay::open_frames(config, links)?;
    let edges: Vec<Interface> = remote::edges(config).filter_map(interface).collect();
    let sockets = Sockets::open(config, uplink, lans, &edges, events)?;
    let mut listeners = sockets.verify()?;
    listeners.extend(super::leasequery::open(config, events)?);
    let web = super::web::open(config, events)?.map(|web| {
        listeners.extend(web.listeners);
        web.site
    });
    let proxy = super::proxy::open(config, events)?;
    listeners.extend(proxy.iter().flat_map(|proxy| proxy.listeners.clone()));
    watch(monitor, events.clone())?;
    Ok(Opened { firewall, nat64, island, shaping, sockets, frames, web, proxy, listeners })
}

/// Feeds the kernel's news to the engine.
fn watch(monitor: Monitor, events: Sender) -> Result<(), StartError> {
    let mut monitor = watched(monitor).map_err(StartError::Monitor)?;
    spawn_local(async move {
        while let Ok(mut ready) = monitor.readable_mut().await {
            match ready.try_io(|monitor| monitor.get_mut().read()) {
                Ok(Ok(news)) => {
                    let _ = events.send(Event::Kernel(news)).await;
                }
                Ok(Err(error)) => tracing::error!(%error, "the kernel's news cannot be read"),
                Err(_would_block) => {}
            }
        }
    });
    Ok(())
}
