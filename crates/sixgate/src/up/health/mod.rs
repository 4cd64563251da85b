//! Per-family health: [`core`] says what to probe and what it means, here it is carried out and put into words.

mod check;
mod core;
#[cfg(test)]
mod tests;
mod words;

pub(crate) use self::core::Asked;

use self::core::{Action, Config, Health, State, TIMEOUT, World};
use super::dns::Peer;
use super::engine::Engine;
use super::event::{Event, Sender, Side};
use super::uplink::Uplink;
use crate::config;
use check::Outcome;
use sixgate_endpoint::Endpoint;
use sixgate_linux::route::NeighbourState;
use sixgate_wire::ndp;
use std::io;
use std::net::Ipv6Addr;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::spawn_local;

/// What probes, and where answers go.
#[derive(Debug)]
pub(crate) struct Probing {
    core: Health,
    events: Sender,
    /// As the kernel said the last time.
    ipv4: bool,
}

impl Probing {
    /// None where the configuration wants none, or where there is no uplink: then nothing of the world can be missed.
    pub(crate) fn new(now: Duration, config: &config::Config, events: Sender) -> Option<Self> {
        let health = config.uplink.as_ref().and(config.health.as_ref())?;
        let asked = Config { targets: health.targets.clone(), interval: health.interval, slow: health.slow };
        Some(Self { core: Health::new(now, asked, fastrand::Rng::new()), events, ipv4: false })
    }

    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        self.core.poll_timeout()
    }
}

impl Engine {
    /// Probes what is due.
    pub(crate) fn health_timeout(&mut self) {
        let now = self.now();
        if self.health.as_ref().and_then(Probing::poll_timeout).is_none_or(|due| due > now) {
            return;
        }
        // IPv4's routes are somebody else's, who does not tell.
        let ipv4 = self.netlink.has_default_route_v4();
        if let (Some(health), Ok(ipv4)) = (&mut self.health, ipv4) {
            health.ipv4 = ipv4;
        }
        self.settle_health();
        let mut actions = Vec::new();
        if let Some(health) = &mut self.health {
            health.core.handle_timeout(now, &mut actions);
        }
        self.health_actions(actions);
    }

    /// Tells of the ways that there are now.
    pub(crate) fn settle_health(&mut self) {
        let (now, plat) = (self.now(), self.plat());
        let (Some(health), Some(uplink)) = (&mut self.health, &self.uplink) else { return };
        let routers = uplink.host.iter().flat_map(|host| host.state().default_routers.iter());
        let own = self.config.nat64.as_ref().map(|nat64| nat64.prefix);
        let written = &self.config.dns.upstreams;
        health.core.set_world(
            now,
            World {
                router: routers.map(|router| router.address).next().filter(|_| uplink.up),
                ipv4: health.ipv4,
                // Ours, one that the file names, or the ISP's.
                nat64: own.or(self.config.dns.dns64).or(plat),
                resolvers: if written.is_empty() { Uplink::resolvers(uplink) } else { written.clone() },
            },
        );
    }

    /// A probe has ended.
    pub(crate) fn health_probed(&mut self, id: u64, outcome: Outcome) {
        if let Some(health) = &mut self.health {
            health.core.probed(id, outcome);
        }
        self.health_actions(Vec::new());
    }

    /// Our own question for a target's address is answered.
    pub(crate) fn health_resolved(&mut self, asked: Asked, reply: &[u8]) {
        let mut actions = Vec::new();
        if let Some(health) = &mut self.health {
            health.core.resolved(asked, &sixgate_dns::addresses(reply), &mut actions);
        }
        self.health_actions(actions);
    }

    fn health_actions(&mut self, mut actions: Vec<Action>) {
        let now = self.now();
        // Ends: each action leads to few others, and they to none.
        loop {
            let mut more = Vec::new();
            for action in actions {
                self.health_action(now, action, &mut more);
            }
            if let Some(health) = &mut self.health {
                health.core.settle(now, &mut more);
            }
            if more.is_empty() {
                return;
            }
            actions = more;
        }
    }

    fn health_action(&mut self, now: Duration, action: Action, more: &mut Vec<Action>) {
        match action {
            Action::Resolve { asked, name, family } => match sixgate_dns::address_query(0, &name, family) {
                Some(query) => {
                    let peer = Peer::Health(asked);
                    let transport = sixgate_dns::Transport::Tcp;
                    let client = sixgate_dns::Client { peer, transport, udp_limit: 0, share: u32::MAX };
                    let mut actions = Vec::new();
                    self.forwarder.handle_query(now, client, &query, &self.names, &mut actions);
                    self.dns_actions(actions);
                }
                None => self.health_resolved(asked, &[]),
            },
            Action::Probe { id, to } => {
                let Some(health) = &self.health else { return };
                let events = health.events.clone();
                spawn_local(async move {
                    let outcome = connect(to).await;
                    tracing::debug!(%to, ?outcome, "probed");
                    let _ = events.send(Event::Probed { id, outcome }).await;
                });
            }
            Action::Solicit { router } => self.solicit(router),
            Action::Look { router } => {
                let answered = self.answers(router);
                if let Some(health) = &mut self.health {
                    health.core.looked(now, answered, more);
                }
            }
            Action::Count => {
                let carried = self.nat64.as_ref().map(crate::nat64::Translator::carried);
                if let (Some(health), Some((there, back))) = (&mut self.health, carried) {
                    health.core.carried(there, back);
                }
            }
            Action::Changed { way, state } => {
                let (family, why) = (way.name(), self.health_why(way).unwrap_or_default());
                match state {
                    State::Hidden => tracing::error!(family, why, "IPv6 broken, hidden by IPv4"),
                    bad if bad.is_bad() => tracing::warn!(family, state = bad.name(), why, "health"),
                    State::None => tracing::debug!(family, state = State::None.name(), why, "health"),
                    fine => tracing::info!(family, state = fine.name(), why, "health"),
                }
            }
        }
    }

    /// Asks the router whether it is there (RFC 4861 section 7.3.3); its answer goes to the kernel, whose table tells.
    fn solicit(&self, router: Ipv6Addr) {
        let mut buffer = [0; 64];
        let mut builder = ndp::Builder::neighbor_solicitation(&mut buffer, router);
        if let Some(link_layer) = self.uplink.as_ref().and_then(|uplink| uplink.link_layer) {
            builder.source_link_layer(&link_layer);
        }
        match builder.finish() {
            Ok(bytes) => self.sockets.send_nd(Side::Uplink, router, bytes),
            Err(error) => tracing::debug!(%error, "no Neighbor Solicitation"),
        }
    }

    /// Whether the router has answered of late, as the kernel's table has it.
    fn answers(&mut self, router: Ipv6Addr) -> Option<bool> {
        let interface = self.uplink.as_ref()?.interface;
        let neighbours = self.netlink.neighbours(Some(interface)).ok()?;
        let state = neighbours.into_iter().find(|neighbour| neighbour.address == router)?.state;
        Some(matches!(state, NeighbourState::Reachable | NeighbourState::Permanent | NeighbourState::NoArp))
    }
}

/// Connects and closes again; nothing is sent. Who refuses is there: the way to it works.
async fn connect(to: Endpoint) -> Outcome {
    let address = to.socket_addr(443).map_err(|error| error.to_string())?;
    let begun = Instant::now();
    match tokio::time::timeout(TIMEOUT, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Ok(begun.elapsed()),
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(begun.elapsed()),
        Ok(Err(error)) => Err(format!("{to}: {error}")),
        Err(_) => Err(format!("{to}: no answer within {} s", TIMEOUT.as_secs())),
    }
}
