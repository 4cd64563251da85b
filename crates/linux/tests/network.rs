//! Netlink, sockets, listeners and sysctl against the real kernel, in network namespaces made by each test.

#![allow(clippy::unwrap_used)]

mod common;

use common::isolated;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use std::{io, thread};

use ipnet::Ipv6Net;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use sixgate_linux::listeners::{self, Expected, Protocol};
use sixgate_linux::monitor::{Event, Monitor};
use sixgate_linux::route::{
    AddressConfig, FOREVER, Netlink, Route, RouteKind, RouteV4, SIXGATE_PROTOCOL, TABLE_MAIN,
};
use sixgate_linux::socket::{
    Icmp6Options, Outgoing, Slot, TOGETHER, Udp6Options, frames, icmp6, tcp_listener, tcp6_listener, udp6,
};
use sixgate_linux::sysctl::{self, Key, Saved};

const PATIENCE: Duration = Duration::from_secs(20);

fn wait_readable(fd: &impl AsFd, until: Instant) {
    let left = until.saturating_duration_since(Instant::now());
    let left = PollTimeout::try_from(left).unwrap();
    let count = poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], left).unwrap();
    assert!(count > 0, "nothing came in {PATIENCE:?}");
}

fn ip(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

/// A veth pair, both ends here, up, with an address each.
fn pair(netlink: &mut Netlink) -> (u32, u32) {
    netlink.add_veth("a", "b", None).unwrap();
    let (a, b) = (netlink.index_of("a").unwrap(), netlink.index_of("b").unwrap());
    for index in [a, b] {
        netlink.set_up(index, true).unwrap();
    }
    netlink.set_address(a, &AddressConfig::new(ip("fe80::a"), 64).nodad()).unwrap();
    netlink.set_address(b, &AddressConfig::new(ip("fe80::b"), 64).nodad()).unwrap();
    // Until the kernel has seen the carrier, it drops what is sent without a word.
    let until = Instant::now() + PATIENCE;
    while !netlink.links().unwrap().iter().all(|link| link.running || ![a, b].contains(&link.index)) {
        assert!(Instant::now() < until, "the pair has no carrier");
        thread::yield_now();
    }
    (a, b)
}

#[test]
fn links() {
    isolated(|| {
        let mut netlink = Netlink::new().unwrap();
        assert!(netlink.links().unwrap().iter().any(|link| link.loopback && link.name == "lo"));
        let (a, _) = pair(&mut netlink);
        netlink.add_bridge("br").unwrap();
        let bridge = netlink.index_of("br").unwrap();
        netlink.set_master(a, Some(bridge)).unwrap();
        netlink.set_mtu(a, 1400).unwrap();
        netlink.set_mac(a, [2, 0, 0, 0, 0, 9]).unwrap();
        let link = netlink.link_by_index(a).unwrap().unwrap();
        assert_eq!((link.master, link.mtu, link.mac), (Some(bridge), 1400, Some([2, 0, 0, 0, 0, 9])));
        assert_eq!((link.kind.as_deref(), link.up, link.running), (Some("veth"), true, true));
        netlink.set_master(a, None).unwrap();
        assert_eq!(netlink.link_by_name("a").unwrap().unwrap().master, None);
        assert_eq!(netlink.link_by_name("nope").unwrap(), None);
        assert!(netlink.delete_link(a).unwrap());
        assert!(!netlink.delete_link(a).unwrap());
        let error = netlink.set_mtu(bridge, 1).unwrap_err().to_string();
        assert!(error.contains("(mtu less than device minimum)"), "{error}");

        // The other end straight in another namespace, and a link that follows.
        let home = std::fs::File::open("/proc/thread-self/ns/net").unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                unshare(CloneFlags::CLONE_NEWNET).unwrap();
                let mut there = Netlink::new().unwrap();
                there.add_veth("here", "sent", Some(home.as_fd())).unwrap();
                there.add_bridge("moved").unwrap();
                let index = there.index_of("moved").unwrap();
                // Bridges may not move; the kernel's refusal is told.
                assert!(there.move_to_namespace(index, home.as_fd()).is_err());
                there.add_veth("c", "d", None).unwrap();
                let index = there.index_of("c").unwrap();
                there.move_to_namespace(index, home.as_fd()).unwrap();
                assert!(netlink.link_by_name("sent").unwrap().is_some());
                assert!(netlink.link_by_name("c").unwrap().is_some());
            });
        });
    });
}

#[test]
fn addresses_routes_neighbours_and_what_the_monitor_tells() {
    isolated(|| {
        let mut monitor = Monitor::new().unwrap();
        assert_eq!(monitor.read().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let mut netlink = Netlink::new().unwrap();
        let (a, b) = pair(&mut netlink);
        let address = ip("2001:db8::1");
        let config = AddressConfig::new(address, 64).lifetimes(100, 200).noprefixroute();
        netlink.set_address(a, &config).unwrap();
        let find = |netlink: &mut Netlink| {
            netlink.addresses(Some(a)).unwrap().into_iter().find(|found| found.address == address)
        };
        let found = find(&mut netlink).unwrap();
        assert!((90..=100).contains(&found.preferred) && (190..=200).contains(&found.valid), "{found:?}");
        assert!(found.noprefixroute && !found.permanent && !found.dadfailed);
        netlink.set_address(a, &config.lifetimes(0, FOREVER).nodad()).unwrap();
        let found = find(&mut netlink).unwrap();
        assert!(found.deprecated && found.valid == FOREVER, "{found:?}");

        // The same address at the other end of the wire fails detection, and the monitor tells. Not before it is ours: of two that
        // detect at the same time either may fail.
        let until = Instant::now() + PATIENCE;
        while find(&mut netlink).unwrap().tentative {
            assert!(Instant::now() < until, "duplicate address detection does not end");
            thread::sleep(Duration::from_millis(10));
        }
        netlink.set_address(b, &AddressConfig::new(address, 64)).unwrap();
        let until = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        while !seen
            .iter()
            .any(|event| matches!(event, Event::Address(found) if found.interface == b && found.dadfailed))
        {
            wait_readable(&monitor, until);
            seen.extend(monitor.read().unwrap());
        }
        assert!(seen.iter().any(|event| matches!(event, Event::Link(link) if link.index == a && link.up)));

        let route = Route::to("2001:db8:1::/48".parse().unwrap()).via(ip("fe80::b"), a).metric(50);
        netlink.add_route(&route).unwrap();
        assert_eq!(netlink.add_route(&route).unwrap_err().errno(), Some(nix::errno::Errno::EEXIST));
        netlink.replace_route(&route).unwrap();
        let lost = Route::to("2001:db8:2::/48".parse().unwrap()).kind(RouteKind::Unreachable);
        netlink.replace_route(&lost).unwrap();
        let mut expiring = Route::to("2001:db8:3::/48".parse().unwrap()).on(a);
        expiring.expires = Some(600);
        expiring.preference = sixgate_linux::route::Preference::High;
        netlink.replace_route(&expiring).unwrap();
        let ours = netlink.routes(TABLE_MAIN, Some(SIXGATE_PROTOCOL)).unwrap();
        assert_eq!(ours.len(), 3, "{ours:?}");
        assert!(ours.contains(&route));
        assert!(ours.iter().any(|found| found.kind == RouteKind::Unreachable));
        let found = ours.iter().find(|found| found.destination == expiring.destination).unwrap();
        assert_eq!(found.preference, expiring.preference);
        assert!((590..=600).contains(&found.expires.unwrap()), "{found:?}");
        for route in &ours {
            assert!(netlink.remove_route(route).unwrap());
            assert!(!netlink.remove_route(route).unwrap());
        }
        assert!(netlink.remove_address(a, address, 64).unwrap());
        assert!(!netlink.remove_address(a, address, 64).unwrap());
        let mut gone = (false, false);
        let until = Instant::now() + PATIENCE;
        while gone != (true, true) {
            wait_readable(&monitor, until);
            for event in monitor.read().unwrap() {
                gone.0 |= matches!(&event, Event::RouteGone(found) if found.destination == route.destination);
                gone.1 |= matches!(&event, Event::AddressGone(found) if found.address == address);
            }
        }
        netlink.neighbours(None).unwrap();
    });
}

#[test]
fn many_routes_are_changed_at_once_and_what_is_refused_is_told() {
    isolated(|| {
        let mut netlink = Netlink::new().unwrap();
        let (a, _) = pair(&mut netlink);
        let mut monitor = Monitor::without_routes().unwrap();
        let to =
            |number: u16| Ipv6Net::new(Ipv6Addr::new(0x2001, 0xdb8, 1, number << 8, 0, 0, 0, 0), 56).unwrap();
        let mut new: Vec<Route> =
            (0..150).map(|number| Route::to(to(number)).via(ip("fe80::b"), a)).collect();
        // No interface has this number.
        for place in [0, 70, 149] {
            new[place].interface = Some(9_999);
        }
        let refused = netlink.change_routes(&[], &new).unwrap();
        assert_eq!(refused.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [0, 70, 149]);
        assert!(
            refused.iter().all(|(_, error)| error.errno() == Some(nix::errno::Errno::ENODEV)),
            "{refused:?}"
        );
        assert!(
            refused[1].1.to_string().starts_with("cannot set route 2001:db8:1:4600::/56"),
            "{}",
            refused[1].1
        );
        let stand = |netlink: &mut Netlink| netlink.routes(TABLE_MAIN, Some(SIXGATE_PROTOCOL)).unwrap().len();
        assert_eq!(stand(&mut netlink), 147);
        // Of those that go, three were never there, which is no error; one of the others is set anew.
        assert_eq!(netlink.change_routes(&new, &new[1..2]).unwrap().len(), 0);
        assert_eq!(stand(&mut netlink), 1);
        assert_eq!(netlink.change_routes(&[], &[]).unwrap().len(), 0);
        // And the next request has its own answer.
        assert_eq!(netlink.add_route(&new[1]).unwrap_err().errno(), Some(nix::errno::Errno::EEXIST));
        assert_eq!(
            monitor.read().unwrap_err().kind(),
            io::ErrorKind::WouldBlock,
            "of routes nothing is told"
        );
    });
}

/// IPv4, as far as hosts need it that have nothing else; iproute2 is the witness.
#[test]
fn ipv4_addresses_and_routes() {
    let ip = |line: &str| {
        let output = std::process::Command::new("ip").args(line.split(' ')).output().unwrap();
        assert!(output.status.success(), "ip {line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    isolated(move || {
        let mut monitor = Monitor::new().unwrap();
        let mut netlink = Netlink::new().unwrap();
        let (a, b) = pair(&mut netlink);
        let net: ipnet::Ipv4Net = "192.168.7.1/24".parse().unwrap();
        let alone: ipnet::Ipv4Net = "192.0.0.1/32".parse().unwrap();
        for net in [net, alone, net] {
            netlink.set_address_v4(a, net).unwrap();
        }
        let nets = |netlink: &mut Netlink, on| {
            netlink
                .addresses_v4(on)
                .unwrap()
                .iter()
                .map(|found| (found.interface, found.net))
                .collect::<Vec<_>>()
        };
        assert_eq!(nets(&mut netlink, Some(a)), [(a, net), (a, alone)]);
        assert_eq!(nets(&mut netlink, None), [(a, net), (a, alone)]);
        assert_eq!(nets(&mut netlink, Some(b)), []);
        let shown = ip("-4 -o address show dev a");
        assert!(
            shown.contains("inet 192.168.7.1/24 brd 192.168.7.255") && shown.contains("inet 192.0.0.1/32 "),
            "{shown}"
        );

        assert!(!netlink.has_default_route_v4().unwrap());
        let near = RouteV4::to(RouteV4::DEFAULT).via("192.168.7.254".parse().unwrap(), a).metric(100);
        let far = RouteV4 { source: Some(alone.addr()), ..RouteV4::to(RouteV4::DEFAULT).on(a).metric(2048) };
        let lost = RouteV4 { kind: RouteKind::Unreachable, ..RouteV4::to("10.0.0.0/8".parse().unwrap()) };
        netlink.add_route_v4(&near).unwrap();
        assert_eq!(netlink.add_route_v4(&near).unwrap_err().errno(), Some(nix::errno::Errno::EEXIST));
        netlink.replace_route_v4(&near).unwrap();
        netlink.add_route_v4(&far).unwrap();
        netlink.add_route_v4(&lost).unwrap();
        let ours = netlink.routes_v4(TABLE_MAIN, Some(SIXGATE_PROTOCOL)).unwrap();
        assert_eq!(ours.len(), 3, "{ours:?}");
        for route in [&near, &far, &lost] {
            // The kernel puts unreachable routes on the loopback device, or on none.
            let like =
                |found: &&RouteV4| RouteV4 { interface: route.interface, ..(*found).clone() } == *route;
            assert!(ours.iter().any(|found| like(&found)), "{route} in {ours:?}");
        }
        let shown = ip("-4 route");
        assert!(shown.contains("default via 192.168.7.254 dev a proto 86 metric 100"), "{shown}");
        assert!(shown.contains("default dev a proto 86 scope link src 192.0.0.1 metric 2048"), "{shown}");
        // Equals, as another program might have them: a route for each.
        ip("route add 203.0.113.0/24 nexthop via 192.168.7.2 dev a nexthop via 192.168.7.3 dev a");
        let all = netlink.routes_v4(TABLE_MAIN, None).unwrap();
        let hops = all.iter().filter(|route| route.destination.to_string() == "203.0.113.0/24");
        assert_eq!(hops.filter_map(|route| route.gateway).count(), 2, "{all:?}");
        assert!(all.iter().any(|route| route.destination == net.trunc() && route.protocol == 2), "{all:?}");

        assert!(netlink.has_default_route_v4().unwrap());
        for route in [&near, &far, &lost] {
            assert!(netlink.remove_route_v4(route).unwrap(), "{route}");
            assert!(!netlink.remove_route_v4(route).unwrap(), "{route}");
        }
        assert!(!netlink.has_default_route_v4().unwrap());
        for net in [net, alone] {
            assert!(netlink.remove_address_v4(a, net).unwrap());
            assert!(!netlink.remove_address_v4(a, net).unwrap());
        }
        let mut told = [false; 4];
        let until = Instant::now() + PATIENCE;
        while told != [true; 4] {
            wait_readable(&monitor, until);
            for event in monitor.read().unwrap() {
                told[0] |=
                    matches!(&event, Event::AddressV4(found) if found.net == net && found.interface == a);
                told[1] |= matches!(&event, Event::AddressV4Gone(found) if found.net == alone);
                told[2] |= matches!(&event, Event::RouteV4(found) if *found == near);
                told[3] |= matches!(&event, Event::RouteV4Gone(found) if *found == far);
            }
        }
    });
}

#[test]
fn udp_tells_where_a_datagram_was_sent_and_by_which_interface() {
    isolated(|| {
        let mut netlink = Netlink::new().unwrap();
        let (a, b) = pair(&mut netlink);
        let group = ip("ff02::1:2");
        let any = |port| SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0);
        let server = udp6(&Udp6Options::new(any(547)).device("b").group(group, b)).unwrap();
        let client = udp6(&Udp6Options::new(any(546)).device("a")).unwrap();
        let mut buffer = [0; 64];
        assert_eq!(server.recv(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        client.send(b"solicit", SocketAddrV6::new(group, 547, 0, a), Some((ip("fe80::a"), a))).unwrap();
        wait_readable(&server, Instant::now() + PATIENCE);
        let got = server.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..got.len], b"solicit");
        assert_eq!((got.destination, got.interface, *got.source.ip()), (group, b, ip("fe80::a")));
        assert_eq!((got.source.port(), got.source.scope_id()), (546, b));
        server.send(&[0; 100], got.source, Some((ip("fe80::b"), b))).unwrap();
        // A run of equal ones with a shorter one behind it, and a longer one.
        let payloads: Vec<Vec<u8>> =
            [(1, 100), (2, 100), (3, 60), (4, 100)].map(|(byte, length)| vec![byte; length]).into();
        let to = got.source;
        let datagrams: Vec<Outgoing<'_>> =
            payloads.iter().map(|bytes| Outgoing { bytes, to, from: Some((ip("fe80::b"), b)) }).collect();
        assert_eq!(server.send_batch(&datagrams).unwrap(), 4);
        let nowhere = Outgoing { bytes: b"x", to, from: Some((ip("2001:db8::bad"), b)) };
        assert!(server.send_batch(&[nowhere, nowhere]).is_err());
        let mut slots: Vec<Slot> = (0..8).map(|_| Slot::new(10)).collect();
        wait_readable(&client, Instant::now() + PATIENCE);
        let mut bytes = Vec::new();
        let until = Instant::now() + PATIENCE;
        while bytes.len() < 5 {
            wait_readable(&client, until);
            let count = client.recv_batch(&mut slots).unwrap();
            for slot in &slots[..count] {
                let (datagram, received) = slot.datagram().unwrap();
                assert_eq!(*received.source.ip(), ip("fe80::b"));
                assert!(received.truncated && received.destination == ip("fe80::a") && datagram.len() == 10);
                assert!(datagram.iter().all(|octet| *octet == datagram[0]));
                bytes.push(datagram[0]);
            }
            assert!(slots[count..].iter().all(|slot| slot.datagram().is_none()));
        }
        assert_eq!(bytes, [0, 1, 2, 3, 4]);

        // The port is taken: the error names us.
        let error = udp6(&Udp6Options::new(any(547)).device("b")).unwrap_err().to_string();
        let me = format!("process {} (", std::process::id());
        assert!(error.contains("UDP [::]:547 on b") && error.contains(&me), "{error}");
        let error = udp6(&Udp6Options::new(any(548)).device("nope")).unwrap_err().to_string();
        assert!(error.contains("no such interface"), "{error}");

        let listener = tcp6_listener(any(8080), Some("a")).unwrap();
        let expected = [
            Expected { protocol: Protocol::Udp, address: Ipv6Addr::UNSPECIFIED, port: 547 },
            Expected { protocol: Protocol::Tcp, address: Ipv6Addr::UNSPECIFIED, port: 8080 },
        ];
        let found = listeners::verify(&expected).unwrap();
        assert_eq!(found[0], listeners::verify_socket(&server, Protocol::Udp).unwrap());
        assert_eq!(found[1], listeners::verify_socket(&listener, Protocol::Tcp).unwrap());
        let absent = Expected { port: 9, ..expected[1] };
        let error = listeners::verify(&[expected[0], absent]).unwrap_err().to_string();
        assert!(error.contains("TCP [::]:9") && !error.contains("547"), "{error}");
    });
}

#[test]
fn datagrams_that_arrive_together_are_read_together_and_told_apart() {
    isolated(|| {
        let mut netlink = Netlink::new().unwrap();
        let (a, _) = pair(&mut netlink);
        let any = |port| SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0);
        let server = Udp6Options { together: true, ..Udp6Options::new(any(547)).device("b") };
        let server = udp6(&server).unwrap();
        let client = udp6(&Udp6Options::new(any(546)).device("a")).unwrap();
        // Twenty on one way, the last shorter; one of another length; and two that are alike.
        let lengths = [vec![100; 19], vec![60, 300, 40, 40]].concat();
        let payloads: Vec<Vec<u8>> = (100..).zip(lengths).map(|(byte, length)| vec![byte; length]).collect();
        let to = SocketAddrV6::new(ip("fe80::b"), 547, 0, a);
        let send = || {
            let outgoing = |bytes| Outgoing { bytes, to, from: Some((ip("fe80::a"), a)) };
            let datagrams: Vec<_> = payloads.iter().map(|bytes| outgoing(bytes)).collect();
            assert_eq!(client.send_batch(&datagrams).unwrap(), payloads.len());
        };
        let mut slots: Vec<Slot> = (0..8).map(|_| Slot::new(TOGETHER)).collect();
        let read = |slots: &mut [Slot]| {
            let (mut got, mut used) = (Vec::new(), 0);
            while got.len() < payloads.len() {
                wait_readable(&server, Instant::now() + PATIENCE);
                let count = server.recv_batch(slots).unwrap();
                used += count;
                for (bytes, received) in slots[..count].iter().flat_map(Slot::datagrams) {
                    assert_eq!((*received.source.ip(), received.truncated), (ip("fe80::a"), false));
                    got.push(bytes.to_vec());
                }
            }
            assert_eq!(got, payloads);
            used
        };
        send();
        let together = read(&mut slots);
        assert!(together < payloads.len(), "{together} reads");
        // While some are kept away, each is looked at by itself.
        server.shed_first_requests(1).unwrap();
        send();
        assert_eq!(read(&mut slots), payloads.len());
        server.shed_first_requests(0).unwrap();
        send();
        assert_eq!(read(&mut slots), together);
        // One without octets is one.
        client.send(&[], to, Some((ip("fe80::a"), a))).unwrap();
        wait_readable(&server, Instant::now() + PATIENCE);
        assert_eq!(server.recv_batch(&mut slots).unwrap(), 1);
        assert_eq!(slots[0].datagrams().map(|(bytes, _)| bytes.len()).collect::<Vec<_>>(), [0]);
    });
}

/// As a DHCPv4 server needs it: a host without an address broadcasts, and is answered.
#[test]
fn ipv4_by_mapped_addresses_and_by_frames() {
    isolated(|| {
        let mut netlink = Netlink::new().unwrap();
        let (a, b) = pair(&mut netlink);
        netlink.set_address_v4(b, "192.0.2.1/24".parse().unwrap()).unwrap();
        let any = |port| SocketAddrV6::new(ip("::ffff:0.0.0.0"), port, 0, 0);
        let options = |port, device| Udp6Options {
            ipv4: true,
            broadcast: true,
            ..Udp6Options::new(any(port)).device(device)
        };
        let server = udp6(&options(67, "b")).unwrap();
        let client = udp6(&options(68, "a")).unwrap();
        // Both ends are on this host: an address of its own may come in.
        for name in ["a", "b"] {
            std::fs::write(format!("/proc/sys/net/ipv4/conf/{name}/accept_local"), "1").unwrap();
        }
        let (all, until) = (ip("::ffff:255.255.255.255"), Instant::now() + PATIENCE);
        let (out, frames) = (frames("a", a).unwrap(), frames("b", b).unwrap());
        out.send(&hello("00000000ffffffff 00440043"), [0xff; 6]).unwrap();
        wait_readable(&server, until);
        let mut buffer = [0; 64];
        let got = server.recv(&mut buffer).unwrap();
        assert_eq!((&buffer[..got.len], got.interface, got.destination), (&b"hello"[..], b, all));
        assert_eq!(got.source, SocketAddrV6::new(ip("::ffff:0.0.0.0"), 68, 0, 0));
        let from = Some((ip("::ffff:192.0.2.1"), b));
        server.send(b"offer", SocketAddrV6::new(all, 68, 0, 0), from).unwrap();
        wait_readable(&client, until);
        let got = client.recv(&mut buffer).unwrap();
        assert_eq!((&buffer[..got.len], *got.source.ip()), (&b"offer"[..], ip("::ffff:192.0.2.1")));

        // To an address for which nobody would answer ARP there.
        netlink.set_address_v4(a, "198.51.100.7/32".parse().unwrap()).unwrap();
        let mac = netlink.link_by_index(a).unwrap().unwrap().mac.unwrap();
        frames.send(&hello("c0000201c6336407 00430044"), mac).unwrap();
        wait_readable(&client, until);
        let got = client.recv(&mut buffer).unwrap();
        assert_eq!((&buffer[..got.len], got.destination), (&b"hello"[..], ip("::ffff:198.51.100.7")));

        listeners::verify_socket(&server, Protocol::Udp).unwrap();
        listeners::verify_socket(&frames, Protocol::Packet).unwrap();
        let error = udp6(&options(67, "b")).unwrap_err().to_string();
        assert!(error.contains("UDP 0.0.0.0:67 on b"), "{error}");

        // Who has it for IPv4 alone is found, too.
        let old = std::net::UdpSocket::bind("0.0.0.0:5300").unwrap();
        let error = udp6(&Udp6Options::new(SocketAddrV6::new(ip("::"), 5300, 0, 0)).ipv4(true)).unwrap_err();
        let me = format!("process {} (", std::process::id());
        assert!(error.to_string().contains(&me), "{error}");
        drop(old);

        // One listener for both: a neighbour of IPv4 alone is in its way.
        let _old = std::net::TcpListener::bind("0.0.0.0:8053").unwrap();
        let both = tcp_listener(SocketAddrV6::new(ip("::"), 8053, 0, 0), None, true);
        assert!(both.unwrap_err().to_string().contains(&me));
        tcp6_listener(SocketAddrV6::new(ip("::"), 8053, 0, 0), None).unwrap();
    });
}

/// An IPv4 packet that says hello by UDP between these addresses and ports, given in hexadecimal.
fn hello(between: &str) -> Vec<u8> {
    let text = format!("45000021000040004011 0000 {between} 000d0000 68656c6c6f");
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    let mut packet: Vec<u8> = digits.chunks(2).map(octet).collect();
    let sum: u32 = packet[..20].chunks(2).map(|w| u32::from(u16::from_be_bytes([w[0], w[1]]))).sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet
}

#[test]
fn raw_icmpv6_filters_types_and_sends_with_hop_limit_255() {
    isolated(|| {
        let mut netlink = Netlink::new().unwrap();
        let (a, b) = pair(&mut netlink);
        let options = |device: &str, interface, types: &[u8], group| Icmp6Options {
            device: device.to_owned(),
            interface,
            types: types.to_vec(),
            groups: vec![group],
        };
        let router = icmp6(&options("b", b, &[133], ip("ff02::2"))).unwrap();
        let host = icmp6(&options("a", a, &[134], ip("ff02::1"))).unwrap();
        // An advertisement first, which the router's filter drops, then a solicitation.
        host.send(&[134, 0, 0, 0, 0, 0, 0, 0], ip("ff02::2"), Some(ip("fe80::a"))).unwrap();
        host.send(&[133, 0, 0, 0, 0, 0, 0, 0], ip("ff02::2"), Some(ip("fe80::a"))).unwrap();
        let mut buffer = [0; 64];
        let until = Instant::now() + PATIENCE;
        // The kernels' own solicitations come too.
        loop {
            wait_readable(&router, until);
            let got = router.recv(&mut buffer).unwrap();
            assert_eq!(buffer[0], 133);
            if *got.source.ip() == ip("fe80::a") && got.len == 8 {
                assert_eq!((got.destination, got.interface, got.hop_limit), (ip("ff02::2"), b, Some(255)));
                assert_ne!(buffer[2..4], [0, 0], "the kernel computes the checksum");
                break;
            }
        }
        listeners::verify_socket(&router, Protocol::Raw).unwrap();
    });
}

#[test]
fn sysctl_is_put_back() {
    isolated(|| {
        let mut netlink = Netlink::new().unwrap();
        netlink.add_veth("a", "b", None).unwrap();
        sysctl::set("a", Key::Forwarding, 0).unwrap();
        sysctl::set("b", Key::Forwarding, 1).unwrap();
        let before = sysctl::get("a", Key::AcceptRa).unwrap();
        let mut saved = Saved::new();
        saved.set("a", Key::AcceptRa, 2).unwrap();
        saved.set("all", Key::Forwarding, 1).unwrap();
        assert_eq!(sysctl::get("a", Key::Forwarding).unwrap(), 1);
        saved.restore().unwrap();
        assert_eq!(sysctl::get("a", Key::AcceptRa).unwrap(), before);
        let now = ["all", "default", "a", "b"].map(|name| sysctl::get(name, Key::Forwarding).unwrap());
        assert_eq!(now, [0, 0, 0, 1]);
        assert!(matches!(sysctl::get("nope", Key::Mtu), Err(sysctl::Error::Missing { .. })));
        assert!(matches!(sysctl::get("../x", Key::Mtu), Err(sysctl::Error::Name(_))));
    });
}
