//! What a host on a LAN, or somebody who is no server, sends to the relay agent in another's name.

use crate::network::*;
use crate::world::*;
use sixgate_lab::Host;

/// Sends octets, given in hexadecimal, in a UDP datagram.
fn send(host: &Host, to: &str, payload: &str) {
    let script = format!(
        "import socket; s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); \
         s.sendto(bytes.fromhex('{payload}'), socket.getaddrinfo('{to}', 547)[0][4])"
    );
    output(host, "python3", &["-c", &script]);
}

#[test]
fn nothing_forged_passes() {
    let mut world = World::new("r-forged", &config(""));
    world.start();
    let alice = world.alice.wait_link_local("eth0", PATIENCE).unwrap();
    let link = hex(&ON_LAN.parse::<std::net::Ipv6Addr>().unwrap().octets());
    let peer = hex(&alice.octets());
    let solicit = "0101020300010005000300ff02";
    let relayed = format!("0009{:04x}{solicit}", solicit.len() / 2);
    // Option 79 and interface-id as its sender likes.
    let forward = format!("0c00{link}{peer}004f00080001020000000001{relayed}");
    let reply = format!("0d00{link}{peer}{relayed}");
    let from_lan = |payload: &str, counter: &str| {
        let before = world.counter(counter);
        send(&world.alice, "ff02::1:2%eth0", payload);
        world.wait_counter(counter, before + 1);
    };
    from_lan(&forward, "discarded-untrusted");
    from_lan(&reply, "discarded-forged");
    // Advertise, Reply, Reconfigure, Leasequery: no client's.
    for kind in ["02", "07", "0a", "0e"] {
        from_lan(&format!("{kind}010203"), "discarded-type");
    }
    from_lan("01", "discarded-malformed");
    // From where a server's answers come, but not from a server.
    world.server.add_address_nodad("net0", net("2001:db8:0:1::66/64")).unwrap();
    let script = format!(
        "import socket; s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.bind(('2001:db8:0:1::66', 547)); \
         s.sendto(bytes.fromhex('{reply}'), ('{UPLINK}', 547))"
    );
    output(&world.server, "python3", &["-c", &script]);
    world.wait_counter("discarded-server", 1);
    assert_eq!((world.counter("forwarded"), world.counter("delivered")), (0, 0));
    let passed = world.wan.fields("dhcpv6 && eth.dst != ff:ff:ff:ff:ff:ff", &["dhcpv6.msgtype"]).unwrap();
    assert!(passed.iter().all(|fields| fields[0].starts_with("13")), "{passed:?}");
    // A client's own message is relayed all the same.
    send(&world.alice, "ff02::1:2%eth0", solicit);
    world.wait_counter("forwarded", 1);
}
