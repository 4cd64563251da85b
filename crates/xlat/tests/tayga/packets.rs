//! Random packets of both families: mostly right, each with a few unusual things.

use crate::common::{Ip4, Ip6, TCP, UDP, echo, fragment, icmp, ip4, ip6, payload, tcp, udp};

const V4: [&str; 4] = ["192.0.2.1", "198.18.0.77", "198.51.100.2", "203.0.113.200"];
const V6: [&str; 4] = ["2001:db8:1::1", "2001:db8:2::4d", "2001:db8:64::c633:6402", "2001:db8:64::cb00:71c8"];

pub(crate) fn all(count: usize) -> Vec<Vec<u8>> {
    let mut random = fastrand::Rng::with_seed(20_26);
    std::iter::repeat_with(|| if random.bool() { v4(&mut random) } else { v6(&mut random) })
        // The interface takes no longer ones.
        .filter(|packet| packet.len() <= 1500)
        .take(count)
        .collect()
}

fn length(random: &mut fastrand::Rng) -> usize {
    match random.u8(..8) {
        0 => random.usize(1180..1480),
        1 => random.usize(..4),
        _ => random.usize(..200),
    }
}

fn body(random: &mut fastrand::Rng, echoes: [u8; 2], others: &[u8]) -> (u8, Vec<u8>) {
    let (from, to, length) = (random.u16(1..), random.u16(1..), length(random));
    match random.u8(..8) {
        0..3 => (UDP, udp(from, to, length)),
        3..5 => (TCP, tcp(from, to, random.u8(..), length.min(1460))),
        5..7 => (1, echo(echoes[random.usize(..2)], from, length)),
        _ => (others[random.usize(..others.len())], payload(length)),
    }
}

fn v4(random: &mut fastrand::Rng) -> Vec<u8> {
    let (from, to) = (random.usize(..4), random.usize(..4));
    let (protocol, content) = body(random, [0, 8], &[47, 50, 132, 253, 2, 4, 41]);
    let mut packet = ip4(V4[from], V4[to], protocol, content).sealed();
    packet.id = random.u16(..);
    packet.tos = random.u8(..);
    packet.ttl = random.u8(..);
    packet.df = random.bool();
    match random.u8(..16) {
        0..3 => {
            // An error about a packet that went the other way.
            let about = inner_v4(random, V4[to], V4[from]);
            let kind = [3, 3, 3, 11, 12, 4, 5][random.usize(..7)];
            let code = random.u8(..17);
            let rest = match (kind, code) {
                (3, 4) => [0, 500, 1259, 1260, 1300, 1400, 1480, 1500, 9000][random.usize(..9)],
                (12, _) => u32::from(random.u8(..24)) << 24,
                _ => 0,
            };
            packet.protocol = 1;
            packet.body = icmp(kind, code, rest, &about);
            packet = packet.sealed();
        }
        3 => packet.mf = true,
        4 => {
            packet.offset = random.u16(1..5000);
            packet.mf = random.bool();
        }
        5 => {
            let options: [&[u8]; 3] = [&[1, 1, 1, 0], &[7, 7, 4, 0, 0, 0, 0, 0], &[0x94, 4, 0, 0]];
            packet.options = options[random.usize(..3)].to_vec();
        }
        6 => {
            packet.options =
                vec![[131, 137][random.usize(..2)], 7, [4, 8][random.usize(..2)], 10, 0, 0, 1, 0];
        }
        7 => packet.ttl = random.u8(..3),
        8 if packet.protocol == UDP => packet.body[6..8].fill(0),
        9 => {
            let never = ["127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "240.0.0.1"];
            let never = never[random.usize(..5)].parse().unwrap();
            if random.bool() { packet.source = never } else { packet.destination = never }
        }
        10 => packet.body.truncate(random.usize(..20)),
        11 if packet.protocol == 1 => {
            packet.body[0] = random.u8(..);
            packet = packet.sealed();
        }
        12 if !packet.body.is_empty() => {
            let at = random.usize(..packet.body.len());
            packet.body[at] ^= random.u8(1..);
        }
        _ => {}
    }
    packet.octets()
}

/// A packet as an error quotes it.
fn inner_v4(random: &mut fastrand::Rng, from: &str, to: &str) -> Vec<u8> {
    let (protocol, content) = body(random, [0, 8], &[47, 132]);
    let about = Ip4 { ttl: random.u8(1..), df: random.bool(), ..ip4(from, to, protocol, content).sealed() };
    let mut about = about;
    match random.u8(..8) {
        0 => about.mf = true,
        1 => about.offset = random.u16(1..100),
        2 => about.options = vec![1, 1, 1, 0],
        _ => {}
    }
    let octets = about.octets();
    let header = 20 + about.options.len();
    let kept = match random.u8(..4) {
        0 => header + 8,
        1 => random.usize(..=octets.len()),
        _ => octets.len(),
    };
    octets[..kept.min(octets.len())].to_vec()
}

fn v6(random: &mut fastrand::Rng) -> Vec<u8> {
    let (from, to) = (random.usize(..4), random.usize(..4));
    let (mut protocol, content) = body(random, [128, 129], &[47, 50, 132, 253, 59, 4, 41]);
    if protocol == 1 {
        protocol = 58;
    }
    let mut packet = ip6(V6[from], V6[to], protocol, content).sealed();
    packet.class = random.u8(..);
    packet.label = random.u32(..1 << 20);
    packet.hops = random.u8(..);
    match random.u8(..16) {
        0..3 => {
            let about = inner_v6(random, V6[to], V6[from]);
            let (kind, code) = (random.u8(1..5), random.u8(..7));
            let rest = match kind {
                2 => [0, 68, 1279, 1280, 1281, 1300, 1400, 1500, 9000][random.usize(..9)],
                4 => random.u32(..45),
                _ => 0,
            };
            packet.protocol = 58;
            packet.body = icmp(kind, code, rest, &about);
            packet = packet.sealed();
        }
        3 => packet.extensions.push(fragment(0, true, random.u32(..))),
        4 => packet.extensions.push(fragment(random.u16(1..5000), random.bool(), random.u32(..))),
        5 => packet.extensions.push(fragment(0, false, random.u32(..))),
        6 => packet.extensions.push(([0, 43, 60][random.usize(..3)], vec![0, 0, 1, 0, 0, 0, 0, 0])),
        7 => packet.hops = random.u8(..3),
        8 => packet.extensions.push((43, vec![0, 0, 0, random.u8(..3), 0, 0, 0, 0])),
        9 => {
            let never = ["::1", "::", "ff02::1", "fe80::1", "::ffff:192.0.2.1"][random.usize(..5)];
            let never = never.parse().unwrap();
            if random.bool() { packet.source = never } else { packet.destination = never }
        }
        10 => packet.body.truncate(random.usize(..20)),
        11 if packet.protocol == 58 => {
            packet.body[0] = random.u8(..);
            packet = packet.sealed();
        }
        12 if !packet.body.is_empty() => {
            let at = random.usize(..packet.body.len());
            packet.body[at] ^= random.u8(1..);
        }
        13 => {
            packet.extensions = vec![
                (60, vec![0, 0, 1, 0, 0, 0, 0, 0]),
                fragment(random.u16(..3), random.bool(), random.u32(..)),
            ];
        }
        _ => {}
    }
    packet.octets()
}

fn inner_v6(random: &mut fastrand::Rng, from: &str, to: &str) -> Vec<u8> {
    let (protocol, content) = body(random, [128, 129], &[47, 132]);
    let protocol = if protocol == 1 { 58 } else { protocol };
    let mut about = Ip6 { hops: random.u8(1..), ..ip6(from, to, protocol, content).sealed() };
    match random.u8(..8) {
        0 => about.extensions.push(fragment(0, true, random.u32(..))),
        1 => about.extensions.push(fragment(random.u16(1..100), false, random.u32(..))),
        2 => about.extensions.push((60, vec![0, 0, 1, 0, 0, 0, 0, 0])),
        _ => {}
    }
    let octets = about.octets();
    let kept = if random.u8(..4) == 0 { random.usize(..=octets.len()) } else { octets.len() };
    octets[..kept.min(1180)].to_vec()
}
