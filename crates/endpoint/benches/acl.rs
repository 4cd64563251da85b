//! Lookup of random keys in a million prefixes, beside the crates that Rust programs use for it, in one run.

#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_precision_loss)]

use ip_network_table::IpNetworkTable;
use ip_network_table_deps_treebitmap::IpLookupTable;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap as Trie;
use sixgate_endpoint::acl::{Acl, PrefixMap, Rule, Verdict};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const PREFIXES: usize = 1_000_000;
const KEYS: usize = 1 << 19;
const ROUNDS: usize = 5;

/// One kind of table: its prefixes, and keys of which about half are hits.
struct Mix {
    name: &'static str,
    prefixes: Vec<IpNet>,
    keys: Vec<IpAddr>,
}

/// Times one table over all keys.
type Finder<'a> = Box<dyn Fn(&[IpAddr]) -> (f64, u64) + 'a>;
/// Draws a prefix.
type Draw = fn(&mut fastrand::Rng) -> IpNet;

/// A length drawn by weight.
fn length(random: &mut fastrand::Rng, weights: &[(u8, u32)]) -> u8 {
    let all: u32 = weights.iter().map(|&(_, weight)| weight).sum();
    let mut place = random.u32(..all);
    for &(length, weight) in weights {
        match place.checked_sub(weight) {
            Some(rest) => place = rest,
            None => return length,
        }
    }
    unreachable!()
}

/// Shares of prefix lengths as in a table of the Internet, in thousandths (IPv4: 60 % /24; IPv6: half /48).
const BGP4: [(u8, u32); 11] = [
    (24, 600),
    (23, 100),
    (22, 110),
    (21, 50),
    (20, 45),
    (19, 25),
    (18, 14),
    (17, 8),
    (16, 40),
    (12, 5),
    (8, 3),
];
const BGP6: [(u8, u32); 9] =
    [(48, 480), (44, 110), (40, 100), (36, 60), (32, 130), (29, 60), (46, 40), (56, 10), (64, 10)];

fn v4(address: u32, length: u8) -> IpNet {
    Ipv4Net::new(address.into(), length).unwrap().trunc().into()
}

fn v6(address: u128, length: u8) -> IpNet {
    Ipv6Net::new(address.into(), length).unwrap().trunc().into()
}

/// Half of the keys lie in a prefix, at a random place; half anywhere in the space that the prefixes are
/// drawn from.
fn mix(name: &'static str, random: &mut fastrand::Rng, net: impl Fn(&mut fastrand::Rng) -> IpNet) -> Mix {
    let mut set = std::collections::BTreeSet::new();
    while set.len() < PREFIXES {
        set.insert(net(random));
    }
    let mut prefixes: Vec<_> = set.into_iter().collect();
    random.shuffle(&mut prefixes);
    let inside = |random: &mut fastrand::Rng, net: IpNet| match net {
        IpNet::V4(net) => {
            let host = random.u32(..).checked_shr(net.prefix_len().into()).unwrap_or(0);
            IpAddr::from(Ipv4Addr::from_bits(net.network().to_bits() | host))
        }
        IpNet::V6(net) => {
            let host = random.u128(..).checked_shr(net.prefix_len().into()).unwrap_or(0);
            Ipv6Addr::from_bits(net.network().to_bits() | host).into()
        }
    };
    let mut keys: Vec<_> = (0..KEYS)
        .map(|place| {
            if place % 2 == 0 {
                let chosen = prefixes[random.usize(..PREFIXES)];
                inside(random, chosen)
            } else {
                net(random).addr()
            }
        })
        .collect();
    random.shuffle(&mut keys);
    Mix { name, prefixes, keys }
}

/// Nanoseconds a key, and a sum of what was found, so that all are seen to find the same. A first pass, not
/// timed, brings back into the caches what the table before put out of them.
fn time(keys: &[IpAddr], mut find: impl FnMut(IpAddr) -> u32) -> (f64, u64) {
    let mut pass = || keys.iter().map(|&key| u64::from(find(black_box(key)))).sum();
    let _: u64 = black_box(pass());
    let begin = on_processor();
    let sum = black_box(pass());
    ((on_processor() - begin) / keys.len() as f64, sum)
}

/// For how many nanoseconds this thread has run: what other programs take of the machine does not count. It
/// is as fine as the kernel's tick, so not for short times.
fn on_processor() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn run(mix: &Mix) {
    let entries = || mix.prefixes.iter().copied().zip(1u32..);
    let begin = on_processor();
    let ours: PrefixMap<u32> = entries().collect();
    let built = (on_processor() - begin) / 1e9;
    let mut table = IpNetworkTable::new();
    let (mut bitmap4, mut bitmap6) =
        (IpLookupTable::<Ipv4Addr, u32>::new(), IpLookupTable::<Ipv6Addr, u32>::new());
    let (mut trie4, mut trie6) = (Trie::<Ipv4Net, u32>::new(), Trie::<Ipv6Net, u32>::new());
    for (net, value) in entries() {
        let length = u32::from(net.prefix_len());
        table.insert(ip_network::IpNetwork::new(net.addr(), net.prefix_len()).unwrap(), value);
        match net {
            IpNet::V4(net) => {
                bitmap4.insert(net.addr(), length, value);
                trie4.insert(net, value);
            }
            IpNet::V6(net) => {
                bitmap6.insert(net.addr(), length, value);
                trie6.insert(net, value);
            }
        }
    }
    let mut finders: [(&str, Finder); 4] = [
        ("ours", Box::new(|keys| time(keys, |key| ours.get(key).copied().unwrap_or(0)))),
        (
            "ip_network_table",
            Box::new(|keys| time(keys, |key| table.longest_match(key).map_or(0, |(_, &value)| value))),
        ),
        (
            "treebitmap",
            Box::new(|keys| {
                time(keys, |key| match key {
                    IpAddr::V4(key) => bitmap4.longest_match(key).map_or(0, |(_, _, &value)| value),
                    IpAddr::V6(key) => bitmap6.longest_match(key).map_or(0, |(_, _, &value)| value),
                })
            }),
        ),
        (
            "prefix-trie",
            Box::new(|keys| {
                time(keys, |key| match key {
                    IpAddr::V4(key) => trie4.get_lpm(&key.into()).map_or(0, |(_, &value)| value),
                    IpAddr::V6(key) => trie6.get_lpm(&key.into()).map_or(0, |(_, &value)| value),
                })
            }),
        ),
    ];
    let mut times: [Vec<f64>; 4] = Default::default();
    let mut sums = std::collections::BTreeSet::new();
    for _ in 0..ROUNDS {
        for ((_, find), times) in finders.iter_mut().zip(&mut times) {
            let (time, sum) = find(&mix.keys);
            times.push(time);
            sums.insert(sum);
        }
    }
    assert_eq!(sums.len(), 1, "{}: not all find the same", mix.name);
    let [ours_time, peers @ ..] = times.map(median);
    for ((name, _), time) in finders[1..].iter().zip(peers) {
        let ratio = ours_time / time;
        let verdict = if ratio <= 1.0 { "ok" } else { "MISSED" };
        println!(
            "{:<26} {ours_time:6.1} ns   {name:<18} {time:6.1} ns   ratio {ratio:4.2}   target 1.00   {verdict}",
            mix.name
        );
    }
    let octets = ours.size() as f64 / PREFIXES as f64;
    let verdict = if built <= 1.0 { "ok" } else { "MISSED" };
    println!(
        "{:<26} {built:6.2} s    to build, {octets:.0} octets a prefix                target 1.00 s  {verdict}",
        mix.name
    );
    list(mix, ours_time);
}

/// The same as access lists: one rule a prefix, and two rules in all; each decision counted and not.
fn list(mix: &Mix, map_time: f64) {
    let verdicts = [Verdict::Allow, Verdict::Deny];
    let single = mix
        .prefixes
        .iter()
        .zip(verdicts.iter().cycle())
        .filter_map(|(&net, &verdict)| Rule::new(verdict, [net]));
    let halves = mix.prefixes.chunks(PREFIXES / 2).zip(verdicts);
    let double = halves.filter_map(|(nets, verdict)| Rule::new(verdict, nets.iter().copied()));
    for rules in [single.collect::<Vec<_>>(), double.collect()] {
        let count = rules.len();
        let begin = on_processor();
        let acl = Acl::new(rules);
        let built = (on_processor() - begin) / 1e9;
        let (mut counted, mut plain) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            counted.push(time(&mix.keys, |key| acl.decide(key).is_allowed().into()).0);
            plain.push(time(&mix.keys, |key| acl.explain(key, |_| None).is_allowed().into()).0);
        }
        let (counted, plain) = (median(counted), median(plain));
        println!(
            "{:<26} {counted:6.1} ns   as a list of {count} rules, {plain:.1} ns not counted, {map_time:.1} ns as a map; {built:.2} s to build",
            mix.name
        );
    }
}

fn main() {
    let mut random = fastrand::Rng::with_seed(6);
    let random = &mut random;
    let only = std::env::args().nth(1).filter(|argument| !argument.starts_with('-')).unwrap_or_default();
    let mixes: [(&str, Draw); 7] = [
        ("IPv4, lengths as in BGP", |random| {
            let length = length(random, &BGP4);
            v4(random.u32(0x0100_0000..0xe000_0000), length)
        }),
        ("IPv4, lengths 16 to 32", |random| {
            let length = random.u8(16..=32);
            v4(random.u32(..), length)
        }),
        ("IPv4, hosts", |random| v4(random.u32(..), 32)),
        ("IPv6, lengths as in BGP", |random| {
            let length = length(random, &BGP6);
            // 2000::/12 to 2c00::/12, where the registries allocate from, sparsely.
            v6(u128::from(random.u16(0x2000..0x2c10) & 0xfc1f) << 112 | random.u128(..) >> 16, length)
        }),
        ("IPv6, lengths 24 to 128", |random| {
            let length = random.u8(24..=128);
            v6(random.u128(..), length)
        }),
        ("IPv6, hosts", |random| v6(random.u128(..) >> 3 | 0x2 << 124, 128)),
        ("IPv6, hosts of one /64", |random| v6(0x2001_0db8 << 96 | u128::from(random.u64(..)), 128)),
    ];
    for (name, net) in mixes {
        if name.contains(&only) {
            run(&mix(name, random, net));
        }
    }
}
