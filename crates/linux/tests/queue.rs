//! Queues and redirection against the real kernel, with stock `tc` as the witness, in network namespaces made by each test.

#![allow(clippy::unwrap_used)]

mod common;

use common::isolated;
use std::process::Command;

use nix::errno::Errno;
use sixgate_linux::route::{Cake, Class, FqCodel, Hosts, LinkLayer, Netlink, Packets, Redirect};

/// What a program prints.
fn run(line: &str) -> String {
    let mut words = line.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// An interface, and a second one.
fn pair() -> (Netlink, u32, u32) {
    run("ip link add va type veth peer name vb");
    run("ip link set va up");
    run("ip link set vb up");
    let mut netlink = Netlink::new().unwrap();
    let (a, b) = (netlink.index_of("va").unwrap(), netlink.index_of("vb").unwrap());
    (netlink, a, b)
}

const CLASS: Class = Class { rate: 20_000_000, burst: 3000, overhead: 24, mpu: 84, atm: false };

#[test]
fn an_htb_is_what_tc_says_that_it_is_and_changes_its_rate() {
    isolated(|| {
        let (mut netlink, a, _) = pair();
        assert!(netlink.root_queue(a).unwrap().is_none_or(|queue| queue.handle == 0));
        netlink.set_htb(a, 0x6516, &CLASS, None).unwrap();
        let root = netlink.root_queue(a).unwrap().unwrap();
        assert_eq!((root.kind.as_str(), root.handle), ("htb", 0x6516));
        assert!(!root.can_be_put_back());
        let queue = run("tc qdisc show dev va");
        assert!(queue.contains("qdisc htb 6516: root") && queue.contains("default 0x1"), "{queue}");
        let class = run("tc class show dev va");
        assert!(
            class.contains("htb 6516:1 root") && class.contains("rate 20Mbit overhead 24 ceil 20Mbit"),
            "{class}"
        );
        assert!(class.contains("burst 3000b"), "{class}");
        netlink.set_class(a, 0x6516, &Class { rate: 5_000_000, ..CLASS }).unwrap();
        let class = run("tc class show dev va");
        assert!(class.contains("rate 5Mbit"), "{class}");
        assert!(netlink.delete_root_queue(a).unwrap());
        assert!(!netlink.delete_root_queue(a).unwrap());
        assert!(!run("tc qdisc show dev va").contains("htb"));
    });
}

#[test]
fn a_queue_is_put_back_as_it_was() {
    isolated(|| {
        let (mut netlink, a, _) = pair();
        run("tc qdisc add dev va root handle 7: pfifo limit 123");
        let before = run("tc qdisc show dev va");
        let queue = netlink.root_queue(a).unwrap().unwrap();
        assert_eq!((queue.kind.as_str(), queue.handle, queue.can_be_put_back()), ("pfifo", 7, true));
        netlink.set_htb(a, 0x6516, &CLASS, None).unwrap();
        netlink.delete_root_queue(a).unwrap();
        netlink.put_queue_back(a, &queue).unwrap();
        assert_eq!(run("tc qdisc show dev va"), before);
        // What it counts.
        assert_eq!(netlink.root_queue(a).unwrap().unwrap().tins().len(), 1);
    });
}

#[test]
fn what_arrives_goes_through_an_ifb() {
    isolated(|| {
        let (mut netlink, a, _) = pair();
        netlink.add_ifb("ifbx").unwrap();
        let ifb = netlink.index_of("ifbx").unwrap();
        netlink.set_up(ifb, true).unwrap();
        netlink.redirect(a, Packets::Arriving, ifb, Redirect::Leaving).unwrap();
        let filter = run("tc filter show dev va ingress");
        assert!(filter.contains("mirred (Egress Redirect to device ifbx) stolen"), "{filter}");
        // Somebody's clsact is not taken over.
        assert!(netlink.redirect(a, Packets::Leaving, ifb, Redirect::Leaving).is_err());
        assert!(netlink.release(a).unwrap());
        assert!(!netlink.release(a).unwrap());
        assert_eq!(run("tc filter show dev va ingress"), "");
        netlink.delete_link(ifb).unwrap();
    });
}

/// Where the kernel has CAKE, it is what tc says; where not, it says so and nothing changes.
#[test]
fn cake_and_fq_codel_where_the_kernel_has_them() {
    isolated(|| {
        let (mut netlink, a, _) = pair();
        let before = run("tc qdisc show dev va");
        let cake = Cake {
            rate: 20_000_000,
            diffserv4: true,
            hosts: Hosts::Sources,
            nat: true,
            overhead: 38,
            mpu: 84,
            layer: LinkLayer::Plain,
            rtt: 100_000,
            ingress: true,
            ack_filter: false,
            split: true,
        };
        match netlink.set_cake(a, 0x6516, &cake) {
            Ok(()) => {
                let shown = run("tc qdisc show dev va");
                assert!(shown.contains("qdisc cake 6516: root"), "{shown}");
                for word in [
                    "bandwidth 20Mbit",
                    "diffserv4",
                    "dual-srchost",
                    "nat",
                    "ingress",
                    "overhead 38",
                    "mpu 84",
                ] {
                    assert!(shown.contains(word), "{word}: {shown}");
                }
                let root = netlink.root_queue(a).unwrap().unwrap();
                assert_eq!((root.cake_rate(), root.tins().len()), (Some(20_000_000), 4));
            }
            Err(error) => {
                assert_eq!(error.errno(), Some(Errno::ENOENT), "{error}");
                assert!(error.to_string().contains("sch_cake"), "{error}");
                assert_eq!(run("tc qdisc show dev va"), before);
            }
        }
        let leaf = FqCodel { target: 5000, interval: 100_000, ecn: true, quantum: 300, memory: 4 << 20 };
        match netlink.set_htb(a, 0x6518, &CLASS, Some(&leaf)) {
            Ok(()) => {
                let shown = run("tc qdisc show dev va");
                assert!(shown.contains("qdisc fq_codel 6519: parent 6518:1"), "{shown}");
            }
            Err(error) => assert_eq!(error.errno(), Some(Errno::ENOENT), "{error}"),
        }
    });
}
