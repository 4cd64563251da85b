//! Reading and printing endpoints, beside `std::net::SocketAddr` in the same run.

use sixgate_endpoint::Endpoint;
use std::fmt::{Display, Write as _};
use std::hint::black_box;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

const ROUNDS: usize = 31;
const COUNT: u32 = 20_000;

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e9 / f64::from(COUNT)
}

/// Nanoseconds for one of each, measured in turns.
fn compare(mut ours: impl FnMut(), mut peer: impl FnMut()) -> (f64, f64) {
    let mut times = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        ours();
        times.0.push(start.elapsed());
        let start = Instant::now();
        peer();
        times.1.push(start.elapsed());
    }
    (median(times.0), median(times.1))
}

fn report(what: &str, (ours, peer): (f64, f64)) {
    let ratio = ours / peer;
    let verdict = if ratio <= 1.0 { "ok" } else { "MISSED" };
    println!(
        "{what:<28}{ours:7.1} ns   std {peer:7.1} ns   ratio {ratio:4.2}   target at most 1.00   {verdict}"
    );
}

fn print(values: &[impl Display], out: &mut String) {
    for value in values {
        out.clear();
        let _ = write!(out, "{value}");
        black_box(out.as_str());
    }
}

fn main() {
    let mut rng = fastrand::Rng::with_seed(6);
    let mut kind = |make: &mut dyn FnMut(&mut fastrand::Rng) -> SocketAddr| -> Vec<SocketAddr> {
        (0..COUNT).map(|_| make(&mut rng)).collect()
    };
    let sets = [
        ("IPv6, random", kind(&mut |rng| (Ipv6Addr::from_bits(rng.u128(..)), rng.u16(..)).into())),
        // As they are in logs: a prefix, zeros, an interface identifier or a small number.
        (
            "IPv6, as in logs",
            kind(&mut |rng| {
                let low = if rng.bool() { rng.u128(..1 << 64) } else { rng.u128(..0x1000) };
                let bits = 0x2001_0db8 << 96 | rng.u128(..0x1_0000) << 64 | low;
                (Ipv6Addr::from_bits(bits), rng.u16(..)).into()
            }),
        ),
        ("IPv4", kind(&mut |rng| (Ipv4Addr::from_bits(rng.u32(..)), rng.u16(..)).into())),
    ];
    for (name, sockets) in sets {
        let texts: Vec<String> = sockets.iter().map(SocketAddr::to_string).collect();
        let endpoints: Vec<Endpoint> = sockets.iter().copied().map(Endpoint::from).collect();
        for (text, endpoint) in texts.iter().zip(&endpoints) {
            assert_eq!(text.parse(), Ok(*endpoint));
        }
        report(
            &format!("read   {name}"),
            compare(
                || texts.iter().for_each(|text| drop(black_box(text.parse::<Endpoint>()))),
                || texts.iter().for_each(|text| drop(black_box(text.parse::<SocketAddr>()))),
            ),
        );
        let (mut a, mut b) = (String::new(), String::new());
        report(&format!("print  {name}"), compare(|| print(&endpoints, &mut a), || print(&sockets, &mut b)));
    }
}
