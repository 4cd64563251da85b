//! What is sent, octet for octet, against what `tc` of iproute2 6.1 sends (its netlink messages as strace(1) shows them).

use super::*;

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let text = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(text).collect()
}

/// `tc qdisc add dev va root handle 6: cake bandwidth 20mbit diffserv4 triple-isolate nonat nowash no-ack-filter no-split-gso rtt 100ms
/// overhead 38 mpu 84 noatm ingress`, and `... cake bandwidth 5mbit besteffort dual-srchost nat nowash ack-filter split-gso rtt 50ms
/// overhead -4 atm egress` (of which ours also says the mpu).
#[test]
#[cfg(target_endian = "little")]
fn cake_is_what_tc_sends() {
    let down = Cake {
        rate: 20_000_000,
        diffserv4: true,
        hosts: Hosts::Both,
        nat: false,
        overhead: 38,
        mpu: 84,
        layer: LinkLayer::Plain,
        rtt: 100_000,
        ingress: true,
        ack_filter: false,
        split: false,
    };
    let sent = "0c000200a025260000000000 0800030001000000 0800040000000000 0800050007000000 0800060026000000
        08000e0054000000 08000700a0860100 0800080088130000 0800090000000000 08000b0000000000 08000d0000000000
        0800110000000000 08000f0001000000 0800100000000000";
    assert_eq!(down.options().0, octets(sent));
    let up = Cake {
        rate: 5_000_000,
        diffserv4: false,
        hosts: Hosts::Sources,
        nat: true,
        overhead: -4,
        mpu: 0,
        layer: LinkLayer::Atm,
        rtt: 50_000,
        ingress: false,
        ack_filter: true,
        split: true,
    };
    let sent = "0c0002006889090000000000 0800030003000000 0800040001000000 0800050005000000 08000600fcffffff
        08000e0000000000 0800070050c30000 08000800c4090000 0800090000000000 08000b0001000000 08000d0000000000
        0800110001000000 08000f0000000000 0800100001000000";
    assert_eq!(up.options().0, octets(sent));
}

/// `tc class add ... htb rate 20mbit burst 3000 cburst 3000 overhead 38 mpu 84`: the same but for the link layer, which tc leaves
/// unsaid and describes by a table; and `tc qdisc add ... fq_codel target 5ms interval 100ms ecn memory_limit 4194304 quantum 300`.
#[test]
#[cfg(target_endian = "little")]
fn htb_and_fq_codel_are_what_tc_sends() {
    let class = Class { rate: 20_000_000, burst: 3000, overhead: 38, mpu: 84, atm: false };
    let sent = "30000100 03012600ffff5400a0252600 03012600ffff5400a0252600 3e490000 3e490000 000000000000000000000000";
    assert_eq!(class.options().0, octets(sent));
    let leaf = FqCodel { target: 5000, interval: 100_000, ecn: true, quantum: 300, memory: 4_194_304 };
    let sent = "080006002c010000 08000300a0860100 0800010088130000 0800040001000000 0800090000004000";
    assert_eq!(leaf.options().0, octets(sent));
}

#[test]
fn statistics_of_tins_are_read_and_rubbish_is_not() {
    let tin = |packets: u32| {
        let attributes =
            Attributes::default().u32(2, packets).bytes(3, &1_000_u64.to_ne_bytes()).u32(4, 7).u32(6, 3);
        attributes.u32(18, 900).u32(19, 100).u32(21, 2).u32(22, 4)
    };
    let tins = Attributes::default().nested(1, &tin(11)).nested(2, &tin(12));
    let app = Attributes::default().nested(10, &tins);
    let statistics = Attributes::default().nested(4, &app).0;
    let queue = Qdisc { kind: "cake".to_owned(), handle: 6, options: Vec::new(), statistics };
    let read = queue.tins();
    assert_eq!(read.iter().map(|tin| tin.packets).collect::<Vec<_>>(), [11, 12]);
    assert_eq!((read[0].dropped, read[0].acks, read[0].octets), (4, 3, 1000));
    assert_eq!((read[0].peak, read[0].average, read[0].sparse, read[0].bulk), (900, 100, 2, 4));
    for kind in ["cake", "fq_codel", "htb"] {
        for length in 0..64 {
            let rubbish = vec![0xff; length];
            let queue = Qdisc {
                kind: kind.to_owned(),
                handle: 0,
                options: rubbish.clone(),
                statistics: (0..length as u8).collect(),
            };
            assert!(queue.tins().len() <= 1);
            assert_eq!(queue.cake_rate(), None);
            assert!(Qdisc::parse(&rubbish).is_none());
        }
    }
}
