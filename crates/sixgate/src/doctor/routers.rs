//! Router advertisements of the link: asked for, heard for a while, and taken down as they are.

use super::seen::{Advertised, Router};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sixgate_endpoint::Endpoint;
use sixgate_linux::socket::{Error, Icmp6Options, icmp6};
use sixgate_wire::ndp::{
    ALL_NODES, ALL_ROUTERS, Builder, HOP_LIMIT, Message, NdOption, ROUTER_ADVERTISEMENT, RouterAdvertisement,
};
use std::net::Ipv6Addr;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

/// How long is listened: a router answers within half a second, but no more often than every three (RFC 4861 section 6.2.6).
const LISTEN: Duration = Duration::from_millis(4500);
/// When it is asked again.
const AGAIN: Duration = Duration::from_millis(1500);
/// Routers that are taken down, and prefixes and resolvers of each.
const MOST: usize = 32;
/// Messages read in one go: whoever sends more does not keep us from looking at the time.
const BURST: usize = 256;

/// Asks, and listens. Takes four and a half seconds.
pub(super) fn hear(device: &str, interface: u32) -> Result<Vec<Router>, Error> {
    let socket = icmp6(&Icmp6Options {
        device: device.to_owned(),
        interface,
        types: vec![ROUTER_ADVERTISEMENT],
        groups: vec![ALL_NODES],
    })?;
    let begun = Instant::now();
    let mut routers: Vec<Router> = Vec::new();
    let mut asked = 0;
    let mut buffer = [0; 4096];
    while begun.elapsed() < LISTEN {
        if begun.elapsed() >= AGAIN * asked && asked < 2 {
            asked += 1;
            let mut message = [0; 16];
            // Without our link-layer address: nobody need remember us.
            if let Ok(bytes) = Builder::router_solicitation(&mut message).finish() {
                let _ = socket.send(bytes, ALL_ROUTERS, None);
            }
        }
        let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut fds, PollTimeout::from(100_u8));
        for _ in 0..BURST {
            let Ok(received) = socket.recv(&mut buffer) else { break };
            let bytes = buffer.get(..received.len).unwrap_or_default();
            take_down(&mut routers, *received.source.ip(), received.hop_limit, bytes);
        }
    }
    Ok(routers)
}

/// The latest of each router stands. What hosts ignore is kept beside it: else whoever sends in a router's name from beyond the link would
/// hide it from us.
fn take_down(routers: &mut Vec<Router>, source: Ipv6Addr, hop_limit: Option<u8>, bytes: &[u8]) {
    let address = Endpoint::new(source).to_string();
    let router = match Message::parse(bytes) {
        Ok(Message::RouterAdvertisement(_))
            if hop_limit != Some(HOP_LIMIT) || !source.is_unicast_link_local() =>
        {
            let why = "it came from beyond the link (hop limit or source): hosts ignore it (RFC 4861 section 6.1.2)";
            Router { address: address.clone(), invalid: Some(why.to_owned()), ..Router::default() }
        }
        Ok(Message::RouterAdvertisement(advertisement)) => read(address.clone(), &advertisement),
        Ok(_) => return,
        Err(error) => {
            Router { address: address.clone(), invalid: Some(error.to_string()), ..Router::default() }
        }
    };
    let same =
        |known: &&mut Router| known.address == address && known.invalid.is_some() == router.invalid.is_some();
    if let Some(known) = routers.iter_mut().find(same) {
        *known = router;
    } else if routers.len() < MOST {
        routers.push(router);
    }
}

fn read(address: String, advertisement: &RouterAdvertisement<'_>) -> Router {
    let mut router = Router {
        address,
        lifetime: advertisement.router_lifetime(),
        preference: format!("{:?}", advertisement.preference()).to_lowercase(),
        managed: advertisement.managed(),
        other: advertisement.other(),
        ..Router::default()
    };
    for option in advertisement.options().iter() {
        match option {
            NdOption::PrefixInformation(prefix) if router.prefixes.len() < MOST => {
                router.prefixes.push(Advertised {
                    prefix: prefix.prefix().to_string(),
                    length: prefix.length,
                    on_link: prefix.on_link,
                    autonomous: prefix.autonomous,
                    valid: prefix.valid,
                    preferred: prefix.preferred,
                });
            }
            NdOption::Mtu(mtu) => router.mtu = Some(mtu),
            NdOption::Rdnss(rdnss) => {
                for resolver in rdnss.addresses.iter() {
                    if router.rdnss.len() < MOST {
                        router.rdnss.push((Endpoint::new(resolver).to_string(), rdnss.lifetime));
                    }
                }
            }
            NdOption::Pref64(pref64) => router.pref64 = Some((pref64.prefix.to_string(), pref64.lifetime)),
            NdOption::CaptivePortal(uri) => {
                let text: String = String::from_utf8_lossy(uri).chars().filter(|c| !c.is_control()).collect();
                router.captive_portal = Some(text.trim_end_matches('\0').to_owned());
            }
            _ => {}
        }
    }
    router
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_beyond_the_link_is_told_and_not_believed() {
        let mut buffer = [0; 64];
        let header =
            sixgate_wire::ndp::RouterAdvertisementHeader { router_lifetime: 1800, ..Default::default() };
        let mut builder = Builder::router_advertisement(&mut buffer, &header);
        builder.mtu(1400);
        let bytes = builder.finish().unwrap().to_vec();
        let mut routers = Vec::new();
        take_down(&mut routers, "fe80::1".parse().unwrap(), Some(255), &bytes);
        take_down(&mut routers, "2001:db8::1".parse().unwrap(), Some(255), &bytes);
        take_down(&mut routers, "fe80::2".parse().unwrap(), Some(64), &bytes);
        take_down(&mut routers, "fe80::3".parse().unwrap(), Some(255), &bytes[..10]);
        assert_eq!((routers[0].mtu, routers[0].lifetime), (Some(1400), 1800));
        assert_eq!(routers.iter().filter(|router| router.invalid.is_some()).count(), 3);
        // In the name of the real one.
        take_down(&mut routers, "fe80::1".parse().unwrap(), Some(64), &bytes);
        take_down(&mut routers, "fe80::1".parse().unwrap(), Some(255), &bytes[..10]);
        assert_eq!((routers[0].mtu, routers[0].lifetime), (Some(1400), 1800));
        assert_eq!(routers.iter().filter(|router| router.invalid.is_some()).count(), 4);
        for number in 0..100 {
            let source = Ipv6Addr::from((0xfe80_u128 << 112) + 0x1000 + number);
            take_down(&mut routers, source, Some(255), &bytes);
        }
        assert_eq!(routers.len(), MOST);
    }
}
