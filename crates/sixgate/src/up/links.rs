//! What the kernel tells of links and addresses: who is up, and with which link-local address.

use super::engine::Engine;
use super::problems::Matter;
use super::uplink::Uplink;
use sixgate_linux::monitor;
use sixgate_linux::route::{Address, Link};
use std::net::Ipv6Addr;
use std::time::Duration;

impl Engine {
    pub(crate) fn kernel_event(&mut self, event: monitor::Event) {
        match event {
            monitor::Event::Link(link) => self.link(&link),
            monitor::Event::LinkGone { index, .. } => self.link_gone(index),
            monitor::Event::Address(address) => self.address(&address),
            monitor::Event::AddressGone(address) => {
                self.kernel.address_gone(address.interface, address.address);
                self.changed = true;
                // What has an end, as every lease, the kernel takes away where it keeps what has none and says that it failed.
                if address.dadfailed {
                    self.duplicate(address.interface, address.address);
                }
                if address.address.is_unicast_link_local() {
                    self.link_local_gone(address.interface, address.address);
                }
            }
            monitor::Event::Neighbour(neighbour) => self.kernel_neighbour(&neighbour),
            monitor::Event::Overrun => {
                self.v4.look_now();
                self.resynchronise();
            }
            monitor::Event::AddressV4(_) | monitor::Event::AddressV4Gone(_) => {
                self.read_lan_ipv4();
                self.v4.look_now();
            }
            monitor::Event::RouteV4(_) | monitor::Event::RouteV4Gone(_) => self.v4.look_now(),
            _ => {}
        }
    }

    /// Asks the kernel for everything that notifications would have told.
    pub(crate) fn resynchronise(&mut self) {
        match (self.netlink.links(), self.netlink.addresses(None)) {
            (Ok(links), Ok(addresses)) => {
                let ours = (self.uplink.iter().map(|uplink| uplink.interface))
                    .chain(self.lans.iter().map(|lan| lan.interface));
                let gone: Vec<u32> =
                    ours.filter(|ours| !links.iter().any(|link| link.index == *ours)).collect();
                for link in links {
                    self.link(&link);
                }
                for index in gone {
                    self.link_gone(index);
                }
                for address in addresses {
                    self.address(&address);
                }
                self.read_neighbours();
                self.read_lan_ipv4();
            }
            (Err(error), _) | (_, Err(error)) => {
                tracing::error!(%error, "the kernel cannot be asked");
                self.problems.put(Matter::Kernel, format!("the kernel cannot be asked: {error}"));
            }
        }
    }

    /// A link is new or changed.
    fn link(&mut self, link: &Link) {
        // The kernel takes addresses and routes from a link that is switched off; it leaves them on one without a carrier, and there we
        // take them away ourselves.
        if !link.up {
            self.kernel.link_down(link.index);
        }
        if self.carry(link.index, link.running) && link.running {
            // The kernel tells nothing of addresses that stayed while the cable was out.
            match self.netlink.addresses(Some(link.index)) {
                Ok(addresses) => addresses.iter().for_each(|address| self.address(address)),
                Err(error) => tracing::error!(%error, "the kernel cannot be asked for addresses"),
            }
        }
    }

    /// A link is no more, or has moved to another namespace.
    fn link_gone(&mut self, index: u32) {
        self.kernel.link_down(index);
        self.carry(index, false);
        let ours = (self.uplink.iter().filter(|uplink| uplink.interface == index).map(Uplink::name)).chain(
            self.lans
                .iter()
                .filter(|lan| lan.interface == index)
                .map(|lan| lan.config.interface.value.as_str()),
        );
        for name in ours.map(str::to_owned).collect::<Vec<_>>() {
            tracing::error!(interface = name, "interface is gone");
            let sentence =
                format!("interface {name} is gone; bring it back, then restart sixgate to serve it again");
            self.problems.put(Matter::Interface(name), sentence);
        }
    }

    /// A link can carry packets, or no longer; whether that is news about one of ours.
    fn carry(&mut self, index: u32, running: bool) -> bool {
        let now = self.now();
        let mut news = false;
        if let Some(uplink) =
            self.uplink.as_mut().filter(|uplink| uplink.interface == index && uplink.up != running)
        {
            tracing::info!(interface = uplink.name(), up = running, "uplink");
            uplink.up = running;
            news = true;
            self.changed = true;
            if running {
                self.start_uplink(now);
            } else {
                uplink.link_local = None;
                let mut actions = Vec::new();
                if let Some(client) = &mut uplink.client {
                    client.link_down(now, &mut actions);
                }
                let mut lost = Vec::new();
                if let Some(mut host) = uplink.host.take() {
                    host.stop(&mut lost);
                }
                self.client_actions(actions);
            }
        }
        if let Some(lan) = self.lans.iter_mut().find(|lan| lan.interface == index && lan.up != running) {
            tracing::info!(interface = lan.config.interface.value, up = running, "lan");
            lan.up = running;
            news = true;
            if !running {
                lan.link_local = None;
                // Nobody hears the farewell; with the link comes a burst of advertisements, since other hosts may be on it then.
                lan.router.stop(now, &mut Vec::new());
            }
            self.changed = true;
        }
        news
    }

    /// An address appeared or changed: a link-local one that is no longer tentative is what everything waits for.
    fn address(&mut self, address: &Address) {
        let now = self.now();
        if address.dadfailed {
            self.duplicate(address.interface, address.address);
            return;
        }
        if address.tentative || !address.address.is_unicast_link_local() {
            return;
        }
        // Of several the first stands for as long as it is there: it is what we are known by on the link.
        if let Some(uplink) = self.uplink.as_mut().filter(|uplink| uplink.interface == address.interface)
            && uplink.link_local.is_none()
        {
            uplink.link_local = Some(address.address);
            // The host is there once begun, until the link goes down.
            if uplink.host.is_some() {
                self.readdress_uplink(now, address.address);
            } else {
                self.start_uplink(now);
            }
        }
        let Some(index) = self.lans.iter().position(|lan| lan.interface == address.interface) else { return };
        if let Some(lan) = self.lans.get_mut(index)
            && lan.link_local.is_none()
        {
            lan.link_local = Some(address.address);
            self.changed = true;
        }
    }

    /// A link-local address is no more. Where it was ours, another one takes its place, if there is any.
    fn link_local_gone(&mut self, interface: u32, address: Ipv6Addr) {
        let gone = |known: &mut Option<Ipv6Addr>| known.take_if(|known| *known == address).is_some();
        let uplink = self.uplink.as_mut().filter(|uplink| uplink.interface == interface);
        let mut ours = uplink.is_some_and(|uplink| gone(&mut uplink.link_local));
        for lan in self.lans.iter_mut().filter(|lan| lan.interface == interface) {
            ours |= gone(&mut lan.link_local);
        }
        if !ours {
            return;
        }
        match self.netlink.addresses(Some(interface)) {
            Ok(addresses) => addresses.iter().for_each(|address| self.address(address)),
            Err(error) => tracing::error!(%error, "the kernel cannot be asked for addresses"),
        }
    }

    /// The uplink has another link-local address than it had.
    fn readdress_uplink(&mut self, now: Duration, link_local: Ipv6Addr) {
        tracing::info!(%link_local, "the uplink has another link-local address");
        let mut actions = Vec::new();
        if let Some(client) = self.uplink.as_mut().and_then(|uplink| uplink.client.as_mut()) {
            client.readdressed(now, &mut actions);
        }
        self.changed = true;
        self.client_actions(actions);
    }

    /// Somebody else has an address that we wanted.
    fn duplicate(&mut self, interface: u32, address: Ipv6Addr) {
        let now = self.now();
        let sentence = format!("{address} is in use by another host on the link; sixgate does without it");
        self.problems.put(Matter::Address(address), sentence);
        tracing::error!(%address, "address is in use by another host");
        let mut actions = Vec::new();
        if let Some(uplink) = self.uplink.as_mut().filter(|uplink| uplink.interface == interface)
            && let Some(client) = &mut uplink.client
        {
            client.decline(now, &[address], &mut actions);
        }
        self.client_actions(actions);
    }

    /// Begins on the uplink as soon as the link is up and has its link-local address.
    fn start_uplink(&mut self, now: Duration) {
        let Some(uplink) = self.uplink.as_mut() else { return };
        let (true, Some(link_local)) = (uplink.up, uplink.link_local) else { return };
        uplink.start_host(now, link_local);
        let mut actions = Vec::new();
        if let Some(client) = &mut uplink.client {
            client.link_up(now, &mut actions);
        }
        self.changed = true;
        self.client_actions(actions);
    }
}
