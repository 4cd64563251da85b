//! Worlds: networks of two machines in which a program is tried. One lacks IPv4, another IPv6, a third lies about it.
//!
//! A world is a description, so that a user can write one too: [`World::read`].

use super::clat::{self, Clat};
use super::far::{self, Far};
use super::net;
use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};
use sixgate_lab::{AcceptRa, Host, Lab, Link};
use sixgate_linux::route::{Netlink, Route, RouteKind};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

/// How a family is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Presence {
    /// Addresses, routes, and a far side that answers.
    #[default]
    Works,
    /// No address, not even that of the loopback interface; sockets can be made.
    Absent,
    /// Sockets of the family cannot be made: `EAFNOSUPPORT`, as on a kernel built without it.
    Refused,
    /// Addresses and routes, but what is sent to the far side is lost.
    Lost,
    /// Link-local addresses alone.
    LinkLocal,
    /// Works, a third of a second each way.
    Slow,
    /// Of IPv4: a CLAT gives the machine an address and a way out, through NAT64 (464XLAT, RFC 6877).
    Translated,
}

impl Presence {
    /// Whether a server's clients on the same link could use the family.
    pub(crate) fn serves(self) -> bool {
        !matches!(self, Self::Absent | Self::Refused | Self::Translated)
    }

    /// Whether a client could reach the far side by it.
    pub(crate) fn reaches(self) -> bool {
        matches!(self, Self::Works | Self::Slow | Self::Translated)
    }
}

/// A world, described.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct World {
    /// What it is called.
    pub(crate) name: String,
    /// What it is, in a few words.
    #[serde(default)]
    pub(crate) about: String,
    #[serde(default)]
    pub(crate) ipv4: Presence,
    #[serde(default)]
    pub(crate) ipv6: Presence,
    /// Whether there is a NAT64, with DNS64.
    #[serde(default)]
    pub(crate) nat64: bool,
    /// The system's default for sockets that say nothing (`net.ipv6.bindv6only`).
    #[serde(default)]
    pub(crate) bindv6only: bool,
}

/// The worlds that there are: name, what it is, IPv4, IPv6.
const WORLDS: [(&str, &str, Presence, Presence); 12] = [
    ("dual", "both families work", Presence::Works, Presence::Works),
    ("v4only", "IPv6 is disabled", Presence::Works, Presence::Absent),
    ("no6", "no IPv6 socket can be made", Presence::Works, Presence::Refused),
    ("v6only", "no IPv4 address, not even 127.0.0.1", Presence::Absent, Presence::Works),
    ("no4", "no IPv4 socket can be made", Presence::Refused, Presence::Works),
    ("v6only+nat64", "no IPv4 here; DNS64 and NAT64 lead to it", Presence::Absent, Presence::Works),
    ("v6only+clat", "no IPv4 but through a CLAT and NAT64", Presence::Translated, Presence::Works),
    ("flaky6", "IPv6 resolves, and what is sent is lost", Presence::Works, Presence::Lost),
    ("slow6", "IPv6 takes 300 ms longer each way", Presence::Works, Presence::Slow),
    ("linklocal", "IPv6 link-local addresses alone", Presence::Absent, Presence::LinkLocal),
    ("dual+bindv6only", "both work; the system's default is IPV6_V6ONLY", Presence::Works, Presence::Works),
    ("v6only+bindv6only", "no IPv4; the system's default is IPV6_V6ONLY", Presence::Absent, Presence::Works),
];

/// Those that are tried unless told.
pub(crate) const USUAL: [&str; 7] = ["dual", "v6only", "no4", "v6only+nat64", "flaky6", "v4only", "no6"];

impl World {
    /// All that have a name.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        WORLDS.into_iter().map(|(name, about, ipv4, ipv6)| Self {
            name: name.to_owned(),
            about: about.to_owned(),
            ipv4,
            ipv6,
            nat64: name.ends_with("+nat64") || name.ends_with("+clat"),
            bindv6only: name.ends_with("+bindv6only"),
        })
    }

    /// By its name, or from the file of a user's own (a name with a slash or ending in `.toml`).
    ///
    /// # Errors
    /// A sentence that names what is wrong and what there is.
    pub(crate) fn read(name: &str) -> Result<Self, String> {
        if name.contains('/') || Path::new(name).extension().is_some_and(|extension| extension == "toml") {
            let text = std::fs::read_to_string(name)
                .map_err(|error| format!("cannot read the world {name}: {error}"))?;
            return toml::from_str(&text).map_err(|error| format!("{name} describes no world: {error}"));
        }
        Self::all().find(|world| world.name == name).ok_or_else(|| {
            let names: Vec<String> = Self::all().map(|world| world.name).collect();
            format!(
                "there is no world `{name}`; there are: {}; or name a file that describes one (see --help)",
                names.join(", ")
            )
        })
    }
}

/// ```text
/// box eth0 ------------- eth0 net: resolver, router, NAT64, and on its loopback interface the far side
///     eth6 ------------- eth6      (only where IPv6 is slow)
/// ```
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) world: World,
    _clat: Option<Clat>,
    /// Where the program runs.
    pub(crate) here: Host,
    /// The rest.
    pub(crate) there: Host,
    pub(crate) far: Far,
    /// Last: what runs in it ends with it.
    _lab: Lab,
}

/// Where probes find the program, and who they are.
pub(crate) const HERE: [&str; 2] = ["2001:db8:1::2", "192.0.2.2"];
const THERE: [&str; 2] = ["2001:db8:1::1", "192.0.2.1"];
/// Whether an address is of a world's two machines.
pub(super) fn has(address: IpAddr) -> bool {
    HERE.iter().chain(&THERE).any(|known| known.parse() == Ok(address))
}

/// How much longer IPv6 takes each way where it is slow.
const SLOW: Duration = Duration::from_millis(300);

impl World {
    /// The family whose sockets cannot be made, as the kernel numbers it.
    pub(super) fn refused_family(&self) -> Option<i32> {
        let refused = |presence| presence == Presence::Refused;
        (refused(self.ipv6).then_some(nix::libc::AF_INET6))
            .or(refused(self.ipv4).then_some(nix::libc::AF_INET))
    }

    /// Makes it.
    ///
    /// # Errors
    /// What the kernel refused.
    pub(crate) fn build(self) -> Result<Built, Box<dyn std::error::Error>> {
        let lab = Lab::new("wrap")?;
        let (here, there) = (lab.host("box")?, lab.router("net")?);
        for host in [&here, &there] {
            host.set_dad(false)?;
        }
        lab.link(Link::between((&here, "eth0"), (&there, "eth0")))?;
        let slow = self.ipv6 == Presence::Slow;
        let v6 = if slow { "eth6" } else { "eth0" };
        if slow {
            lab.link(Link::between((&here, "eth6"), (&there, "eth6")).delay(SLOW))?;
        }
        let [here6, here4] = HERE;
        let [there6, there4] = THERE;
        there.set_accept_ra(v6, AcceptRa::Never)?;
        there.add_address_nodad("eth0", net(&format!("{there4}/24"))?)?;
        there.add_address_nodad(v6, net(&format!("{there6}/64"))?)?;
        for address in far::ADDRESSES {
            if self.ipv6 != Presence::Lost || !address.contains(':') {
                there.add_address_nodad("lo", net(address)?)?;
            }
        }
        if self.ipv6 == Presence::Lost {
            there.run(|| -> Result<(), sixgate_linux::route::Error> {
                let lost: Ipv6Net = far::PREFIX.parse().unwrap_or_default();
                Netlink::new()?.replace_route(&Route::to(lost).kind(RouteKind::Blackhole))
            })?;
        }
        self.give_ipv4(&here, here4, there4)?;
        self.give_ipv6(&here, v6, here6, there6)?;
        let mut resolvers = String::new();
        let mut resolver = |address: &str| resolvers.extend(["nameserver ", address, "\n"]);
        if self.ipv6.reaches() || self.ipv6 == Presence::Lost {
            resolver(there6);
        }
        if self.ipv6 == Presence::LinkLocal {
            let address = there.wait_link_local("eth0", Duration::from_secs(5))?;
            resolver(&format!("{address}%eth0"));
        }
        if self.ipv4.serves() && self.ipv4.reaches() {
            resolver(there4);
        }
        here.write_file("/etc/resolv.conf", resolvers)?;
        let mut hosts = String::new();
        if self.ipv6.serves() {
            hosts += "::1 localhost ip6-localhost box\n";
        }
        if self.ipv4.serves() || self.ipv4 == Presence::Translated {
            hosts += "127.0.0.1 localhost box\n";
        }
        here.write_file("/etc/hosts", hosts)?;
        let far = Far::start(&there, self.nat64)?;
        let translated = self.ipv4 == Presence::Translated;
        let clat = translated.then(|| clat::start(&here, &there, v6, here6, far::prefix()?)).transpose()?;
        Ok(Built { world: self, _clat: clat, here, there, far, _lab: lab })
    }

    fn give_ipv4(&self, here: &Host, own: &str, router: &str) -> Result<(), Box<dyn std::error::Error>> {
        if self.ipv4.serves() {
            here.add_address_nodad("eth0", net(&format!("{own}/24"))?)?;
            here.add_route(net("0.0.0.0/0")?, Some(router.parse()?), "eth0")?;
        } else if self.ipv4 != Presence::Translated {
            // ipv6-audit: allow ipv4-literal because a world without IPv4 is one without this address
            here.remove_address("lo", net("127.0.0.1/8")?)?;
        }
        Ok(())
    }

    fn give_ipv6(
        &self,
        here: &Host,
        interface: &str,
        own: &str,
        router: &str,
    ) -> Result<(), Box<dyn std::error::Error>> {
        here.set_accept_ra(interface, AcceptRa::Never)?;
        here.sysctl("net/ipv6/bindv6only", if self.bindv6only { "1" } else { "0" })?;
        if !self.ipv6.serves() {
            for interface in ["all", "default", "lo"] {
                here.sysctl(&format!("net/ipv6/conf/{interface}/disable_ipv6"), "1")?;
            }
            return Ok(());
        }
        if self.ipv6 != Presence::LinkLocal {
            here.add_address_nodad(interface, net(&format!("{own}/64"))?)?;
            here.add_route(net("::/0")?, Some(router.parse()?), interface)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worlds_have_names_and_can_be_written() {
        for name in USUAL {
            assert_eq!(World::read(name).unwrap().name, name);
        }
        let error = World::read("v7only").unwrap_err();
        assert!(error.contains("v7only") && error.contains("v6only+nat64"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        std::fs::write(&path, "name = \"mine\"\nipv4 = \"refused\"\nipv6 = \"slow\"\n").unwrap();
        let mine = World::read(path.to_str().unwrap()).unwrap();
        assert_eq!((mine.ipv4, mine.ipv6, mine.nat64), (Presence::Refused, Presence::Slow, false));
        std::fs::write(&path, "name = \"mine\"\nipv5 = \"works\"\n").unwrap();
        assert!(World::read(path.to_str().unwrap()).unwrap_err().contains("ipv5"));
    }
}
