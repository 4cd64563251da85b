//! `sixgate who ADDRESS TIME --port PORT`: which host had a port of the translator's addresses, while it runs and after.

use crate::world::{self, PATIENCE, SERVER, Up, World};
use crate::{run, server};
use serde_json::Value;
use sixgate_lab::{Command, Host, wait_some};
use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::time::Duration;

/// What `sixgate who` says in JSON; nothing where nobody had it.
fn who(gw: &Host, arguments: &[&str]) -> Option<Value> {
    let process = gw.spawn(&Command::new(world::SIXGATE).arg("who").args(arguments).arg("--json")).unwrap();
    let code = process.wait(PATIENCE).unwrap().code();
    let output = process.output();
    (code == Some(0)).then(|| serde_json::from_str(output.trim()).unwrap_or_else(|e| panic!("{e}: {output}")))
}

#[test]
fn a_port_of_the_pool_leads_to_the_host() {
    let world = World::new("nat64-who", Duration::ZERO);
    run(&world.gw, "ip -6 address del 2001:db8:1::1/64 dev lan0");
    run(&world.gw, "ip route add default via 198.51.100.2");
    let hosts = ["2001:db8:1::2", "2001:db8:1::3"].map(|text| text.parse::<Ipv6Addr>().unwrap());
    world.client.add_address_nodad("eth0", "2001:db8:1::3/64".parse::<ipnet::IpNet>().unwrap()).unwrap();
    let capture = world.server.capture("eth0").unwrap();
    let port = server::echo(&world.server);
    let up = Up::start_with(&world.gw, "pool = \"192.0.2.0/29\"\n[history]\n");
    // Each host sends from an address of its own; the server sees a port for each.
    let talk = move |from: Ipv6Addr| {
        let socket = UdpSocket::bind(SocketAddrV6::new(from, 0, 0, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let mut answer = [0; 16];
        let tries = (0..60).any(|_| {
            socket.send_to(b"hello", (world::translated(SERVER), port)).is_ok()
                && socket.recv(&mut answer).is_ok()
        });
        assert!(tries, "no answer for {from}");
    };
    for host in hosts {
        world.client.thread(move || talk(host)).unwrap().join().unwrap();
    }
    let filter = format!("udp.dstport == {port} && ip.src == 192.0.2.0/29");
    let seen = capture.wait_fields(&filter, &["ip.src", "udp.srcport"], 2, PATIENCE).unwrap();
    let mac = run(&world.client, "cat /sys/class/net/eth0/address").trim().to_owned();
    let (first, last) = (&seen[0], seen.last().unwrap());
    for (from, host) in [(first, hosts[0]), (last, hosts[1])] {
        let asked = [from[0].as_str(), "now", "--port", &from[1]];
        let found = || who(&world.gw, &asked).filter(|rows| rows[0]["mac"].is_string());
        let state = || format!("{:?}\n{}", who(&world.gw, &asked), up.status());
        let rows = wait_some("the host behind a port", PATIENCE, found, state).unwrap();
        assert_eq!(rows.as_array().unwrap().len(), 1, "{rows}");
        assert_eq!((&rows[0]["behind"], &rows[0]["how"]), (&host.to_string().into(), &"translated".into()));
        assert_eq!((&rows[0]["mac"], &rows[0]["lan"]), (&mac.as_str().into(), &"lan0".into()));
    }
    let (address, number) = (first[0].clone(), first[1].clone());
    let table = run(&world.gw, &format!("{} who {address} now --port {number}", world::SIXGATE));
    assert!(table.contains(" of 2001:db8:1::2") && table.contains("translated"), "{table}");
    // Behind a masquerade: the whole pool. And the other way round.
    assert!(who(&world.gw, &["192.0.2.0/29", "now", "--port", &number]).is_some());
    let rows = who(&world.gw, &["2001:db8:1::2", "now"]).unwrap();
    assert!(rows.as_array().unwrap().iter().any(|row| row["what"] == *address), "{rows}");
    assert!(who(&world.gw, &[&address, "1h ago", "--port", &number]).is_none());

    // A translator that is killed gives nothing any more; what it gave is known.
    let time = run(&world.gw, "date -u +%Y-%m-%dT%H:%M:%SZ").trim().to_owned();
    up.kill();
    let up = Up::start_with(&world.gw, "pool = \"192.0.2.0/29\"\n[history]\n");
    let over = || who(&world.gw, &[&address, "now", "--port", &number]).is_none().then_some(());
    wait_some("the end of what was given", PATIENCE, over, || up.status().to_string()).unwrap();
    let rows = who(&world.gw, &[&address, &time, "--port", &number]).unwrap();
    assert_eq!(rows[0]["behind"], "2001:db8:1::2", "{rows}");
    up.stop();
    let wrong =
        world.gw.spawn(&Command::new(world::SIXGATE).args(["who", "2001:db8:1::2", "--port", "9"])).unwrap();
    assert_eq!(wrong.wait(PATIENCE).unwrap().code(), Some(2));
    assert!(wrong.output().contains("--port is of an IPv4 address"), "{}", wrong.output());
}
