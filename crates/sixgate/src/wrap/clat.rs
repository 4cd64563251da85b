//! A CLAT for the box in which the program runs (RFC 6877): an IPv4 address and a way out where the network has NAT64 alone.
//!
//! Unlike `sixgate clat` on somebody's host it may let the box forward: the box is ours. So both halves of the path are routes
//! into the TUN device.

use crate::clat;
use crate::translator::{self, Running};
use sixgate_endpoint::nat64::Prefix;
use sixgate_lab::Host;
use sixgate_linux::route::{Netlink, Route, RouteV4};
use sixgate_linux::tun::Offloads;
use sixgate_xlat::{AddressMap, Mapping, Siit};

/// The box's IPv4 address (RFC 7335).
const INSIDE: &str = "192.0.0.1/32";
/// What it is on the wire: an address of its own, routed to the box.
const OUTSIDE: &str = "2001:db8:c::1/128";

/// A CLAT at work; its device goes with it.
#[derive(Debug)]
pub(super) struct Clat {
    _running: Running<Siit>,
}

/// Starts it in `here`, whose router `there` is told of its address.
pub(super) fn start(
    here: &Host,
    there: &Host,
    interface: &str,
    own: &str,
    nat64: Prefix,
) -> Result<Clat, Box<dyn std::error::Error>> {
    here.sysctl("net/ipv6/conf/all/forwarding", "1")?;
    there.add_route(super::net(OUTSIDE)?, Some(own.parse()?), interface)?;
    let mapping = Mapping::new(INSIDE.parse()?, OUTSIDE.parse()?)?;
    let map = AddressMap::new(Some(nat64), [mapping])?;
    let outside: ipnet::Ipv6Net = OUTSIDE.parse()?;
    let random = fastrand::Rng::with_seed(translator::seed()?);
    let core = Siit::new(clat::config(outside.network(), 1500), map, random);
    let running = here.run(|| -> Result<_, String> {
        let text = |error: &dyn std::error::Error| error.to_string();
        let mut netlink = Netlink::new().map_err(|error| text(&error))?;
        let (device, queues) =
            translator::device(&mut netlink, clat::DEVICE, 1, Offloads::All).map_err(|error| text(&error))?;
        let running = Running::start("the world's CLAT", core, queues).map_err(|error| text(&error))?;
        let inside = INSIDE.parse().map_err(|error: ipnet::AddrParseError| text(&error))?;
        netlink
            .set_mtu(device, 1500 - clat::LONGER)
            .and_then(|()| netlink.set_address_v4(device, inside))
            .and_then(|()| netlink.replace_route_v4(&RouteV4::to(RouteV4::DEFAULT).on(device)))
            .and_then(|()| netlink.replace_route(&Route::to(outside).on(device)))
            .map_err(|error| text(&error))?;
        Ok(running)
    })?;
    Ok(Clat { _running: running })
}
