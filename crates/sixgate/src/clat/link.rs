//! The interface that a CLAT works on: what its routers tell, and the address that is the CLAT's.

use sixgate_linux::route::{AddressConfig, Link, Netlink};
use sixgate_linux::socket::{Icmp6Options, Icmp6Socket, icmp6};
use sixgate_nd::host::{self, Host};
use std::io;
use std::net::Ipv6Addr;
use std::time::Duration;

/// Router Advertisement.
const ADVERTISEMENT: u8 = 134;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// How long the address stays valid when nobody renews it: what a CLAT that was killed leaves behind.
const LIFETIME: u32 = 30;
/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(10);

/// An address on the interface that is the CLAT's alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Claim {
    address: Ipv6Addr,
    renewed: Duration,
    /// Duplicate address detection is done.
    ours: bool,
}

#[derive(Debug)]
pub(super) struct Watched {
    pub(super) link: Link,
    pub(super) since: Duration,
    host: Host,
    socket: Icmp6Socket,
    claim: Option<Claim>,
}

impl Watched {
    /// Begins to listen for routers, beside the kernel.
    pub(super) fn new(link: Link, now: Duration) -> Result<Self, sixgate_linux::socket::Error> {
        let socket = icmp6(&Icmp6Options {
            device: link.name.clone(),
            interface: link.index,
            types: vec![ADVERTISEMENT],
            groups: vec![ALL_NODES],
        })?;
        let host = new_host(&link, now);
        Ok(Self { link, since: now, host, socket, claim: None })
    }

    pub(super) fn socket(&self) -> &Icmp6Socket {
        &self.socket
    }

    pub(super) fn state(&self) -> &host::State {
        self.host.state()
    }

    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        self.host.poll_timeout()
    }

    /// The link's IPv6 MTU, in octets.
    pub(super) fn mtu(&self) -> u32 {
        self.state().mtu.unwrap_or(self.link.mtu).min(self.link.mtu)
    }

    /// Hears routers, and solicits them.
    pub(super) fn listen(&mut self, now: Duration) {
        let mut actions = Vec::new();
        let mut buffer = [0; 9000];
        // Bounded: a flood of advertisements must not keep us from the rest.
        for _ in 0..64 {
            match self.socket.recv(&mut buffer) {
                Ok(got) => {
                    let bytes = buffer.get(..got.len).unwrap_or_default();
                    self.host.handle(now, *got.source.ip(), got.hop_limit.unwrap_or(0), bytes, &mut actions);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.host.handle_timeout(now, &mut actions);
        for action in actions {
            if let host::Action::Send { destination, bytes } = action {
                // A link that is down, or has no address yet, is solicited on again later.
                let _ = self.socket.send(&bytes, destination, None);
            }
        }
    }

    /// The address that the CLAT is to have: the one it has while that is good for anything new, else one that is.
    fn wanted(&self, now: Duration) -> Option<Ipv6Addr> {
        let addresses = &self.state().addresses;
        let good = |preferred: bool| {
            addresses
                .iter()
                .filter(move |auto| !preferred || auto.preferred_until > now)
                .map(|auto| auto.address)
        };
        let held = self.claim.map(|claim| claim.address);
        let pick = |preferred| {
            good(preferred).find(|address| Some(*address) == held).or_else(|| good(preferred).next())
        };
        pick(true).or_else(|| pick(false))
    }

    /// The CLAT's address, once it is ours alone. It is put on the interface, so that the kernel defends it (RFC 4862 section 5.4) and
    /// answers neighbours, but deprecated, so that no program of the machine takes it.
    pub(super) fn address(
        &mut self,
        netlink: &mut Netlink,
        now: Duration,
    ) -> Result<Option<Ipv6Addr>, sixgate_linux::route::Error> {
        let wanted = self.wanted(now);
        if let Some(claim) = self.claim.filter(|claim| Some(claim.address) != wanted) {
            self.claim = None;
            netlink.remove_address(self.link.index, claim.address, 128)?;
        }
        let Some(address) = wanted else { return Ok(None) };
        let claim = match self.claim {
            Some(claim) if now < claim.renewed + RENEWAL => claim,
            known => {
                let config = AddressConfig::new(address, 128).lifetimes(0, LIFETIME).noprefixroute();
                netlink.set_address(self.link.index, &config)?;
                known.map_or(Claim { address, renewed: now, ours: false }, |claim| Claim {
                    renewed: now,
                    ..claim
                })
            }
        };
        self.claim = Some(claim);
        if !claim.ours {
            let found =
                netlink.addresses(Some(self.link.index))?.into_iter().find(|on| on.address == address);
            if found.as_ref().is_some_and(|found| found.dadfailed) {
                // Somebody has it: another one, of another number.
                netlink.remove_address(self.link.index, address, 128)?;
                self.claim = None;
                self.host = new_host(&self.link, now);
                return Ok(None);
            }
            let ours = found.is_some_and(|found| !found.tentative);
            self.claim = Some(Claim { ours, ..claim });
            return Ok(ours.then_some(address));
        }
        Ok(Some(address))
    }

    /// An address is gone from the interface; where it was the CLAT's, it is claimed anew.
    pub(super) fn lost(&mut self, address: Ipv6Addr) {
        if self.claim.is_some_and(|claim| claim.address == address) {
            self.claim = None;
        }
    }

    /// Looks anew whether the address is there.
    pub(super) fn doubt(&mut self) {
        if let Some(claim) = &mut self.claim {
            (claim.ours, claim.renewed) = (false, Duration::ZERO);
        }
    }

    /// Gives the address up.
    pub(super) fn release(&mut self, netlink: &mut Netlink) {
        if let Some(claim) = self.claim.take() {
            let _ = netlink.remove_address(self.link.index, claim.address, 128);
        }
    }
}

/// A host that forms addresses of an identifier of its own, as good as random and another one each time, as temporary addresses have
/// (RFC 8981 section 3.3).
fn new_host(link: &Link, now: Duration) -> Host {
    let mut random = fastrand::Rng::new();
    let mut identifier: [u8; 8] = random.u64(..).to_be_bytes();
    // RFC 5453: the reserved identifiers are all zeros, and those of fdff:ffff:ffff:ff80 to ffff; 0200:5eff:fe... is IANA's.
    identifier[0] &= 0x7f;
    identifier[1] |= 1;
    let config = host::Config {
        // From an address of the kernel's choice, which may still be tentative, and then is none.
        link_layer: None,
        interface_id: Some(identifier),
        interface_mtu: link.mtu,
    };
    let mut host = Host::new(config, random);
    host.start(now);
    host
}
