//! The second act: a download with a ping beside it, on a line whose buffer is as deep as modems have them; then the same with our queue
//! in the gateway.
//!
//! The queue stands where it would at home: `sixgate shape` runs in the gateway, on the side of the line, in both directions.

use super::picture::Picture;
use super::world::binary;
use crate::measure::far::Far;
use crate::measure::flows::Running;
use crate::measure::icmp::Icmp;
use ipnet::IpNet;
use sixgate_endpoint::connect::FamilyChoice;
use sixgate_lab::{Buffer, Command, Host, Impairment, Lab, Link, Process};
use sixgate_measure::icmp::Said;
use sixgate_measure::rrul::{Direction, Flow, Mark};
use sixgate_measure::stats::{ms, summary};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

/// The line: its rate in bits a second, its delay each way, and its buffer.
const RATE: u64 = 20_000_000;
const DELAY: Duration = Duration::from_millis(10);
const BUFFER: Duration = Duration::from_millis(400);
/// What our queue is set to: 5 % less than the line, so that packets wait in it and not in the line's own buffer.
const SHAPED: &str = "19M";
/// The server, and its consent: nobody else is in that network.
const SERVER: &str = "2001:db8:f::80";
const TOKEN: &str = "demonstration";
/// Ping alone; the download after that; of the latter, the beginning does not count.
const IDLE: Duration = Duration::from_millis(1500);
const LOADED: Duration = Duration::from_secs(8);
const SETTLE: Duration = Duration::from_secs(2);
/// Between two pings.
const PACE: Duration = Duration::from_millis(100);
/// How long a program may take to start.
const PATIENCE: Duration = Duration::from_secs(15);

/// A moment of one half.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tick {
    /// Since the half began.
    pub(super) at: Duration,
    /// The ping that came back last, in milliseconds.
    pub(super) ping: f64,
    /// What the download carries, in Mbit/s.
    pub(super) mbit: f64,
}

/// What one half found.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub(super) struct Half {
    /// The median ping before the download, in milliseconds.
    pub(super) idle_ms: f64,
    /// The median beside it.
    pub(super) loaded_ms: f64,
    /// What the download carried, in Mbit/s.
    pub(super) mbit: f64,
}

impl Half {
    /// What the download adds, in milliseconds: a tenth at least, which is what this tells apart.
    pub(super) fn wait(&self) -> f64 {
        (self.loaded_ms - self.idle_ms).max(0.1)
    }
}

/// Plays it.
pub(super) fn play(picture: &mut Picture, stopped: &Arc<AtomicBool>) -> Result<(), String> {
    let stage = Stage::build().map_err(|error| format!("this machine cannot emulate the line: {error}"))?;
    picture.line(RATE, DELAY * 2, BUFFER, stage.tcp);
    let plain = stage.half("the line's own buffer", picture, stopped)?;
    if stopped.load(Ordering::Relaxed) {
        return Ok(());
    }
    let shape = stage.shape()?;
    let ours = stage.half("our queue before it", picture, stopped)?;
    let _ = shape.stop(PATIENCE);
    if !stopped.load(Ordering::Relaxed) {
        picture.compared(&plain, &ours);
    }
    Ok(())
}

/// A laptop, a gateway, and a server at the other end of the line.
struct Stage {
    laptop: Host,
    gateway: Host,
    /// How the server sends.
    tcp: &'static str,
    _server: Process,
    /// Last: ends what runs in it.
    _lab: Lab,
}

impl Stage {
    fn build() -> Result<Self, Box<dyn std::error::Error>> {
        let lab = Lab::new("demo-line")?;
        let (laptop, gateway, server) = (lab.host("laptop")?, lab.router("gateway")?, lab.host("server")?);
        let way = Impairment {
            rate: Some(RATE),
            delay: DELAY,
            buffer: Buffer::Time(BUFFER),
            ..Impairment::default()
        };
        lab.link(Link::between((&laptop, "eth0"), (&gateway, "lan0")))?;
        lab.link(Link::between((&gateway, "wan0"), (&server, "eth0")).impairments(way.clone(), way))?;
        for (host, interface, address) in [
            (&laptop, "eth0", "2001:db8:1::10/64"),
            (&gateway, "lan0", "2001:db8:1::1/64"),
            (&gateway, "wan0", "2001:db8:f::1/64"),
            (&server, "eth0", "2001:db8:f::80/64"),
        ] {
            host.add_address_nodad(interface, address.parse::<IpNet>()?)?;
        }
        let tcp = server.heed_losses().unwrap_or("as the system has it");
        let everywhere = "::/0".parse::<IpNet>()?;
        laptop.add_route(everywhere, Some("2001:db8:1::1".parse::<IpAddr>()?), "eth0")?;
        server.add_route(everywhere, Some("2001:db8:f::1".parse::<IpAddr>()?), "eth0")?;
        let far = ["measure", "serve", "--token", TOKEN, "--allow", "2001:db8::/32"];
        let process = server.spawn(&Command::new(binary()).args(far))?;
        process.wait_line("listening on ", PATIENCE)?;
        Ok(Self { laptop, gateway, tcp, _server: process, _lab: lab })
    }

    /// Puts our queue into the gateway.
    fn shape(&self) -> Result<Process, String> {
        let shape = ["shape", "--interface", "wan0", "--down", SHAPED, "--up", SHAPED];
        let process =
            self.gateway.spawn(&Command::new(binary()).args(shape)).map_err(|error| error.to_string())?;
        process.wait_line("on: ", PATIENCE).map_err(|error| {
            format!("the gateway's queue does not start: {error}\n{}", process.log().tail(5))
        })?;
        Ok(process)
    }

    /// A ping alone, then with a download beside it.
    fn half(&self, queue: &str, picture: &mut Picture, stopped: &Arc<AtomicBool>) -> Result<Half, String> {
        let (sender, ticks) = channel();
        let flag = Arc::clone(stopped);
        let run = self.laptop.thread(move || half(&sender, &flag)).map_err(|error| error.to_string())?;
        for tick in ticks {
            picture.tick(queue, &tick);
        }
        picture.half_over();
        run.join().unwrap_or_else(|_| Err("a thread ended".to_owned()))
    }
}

/// In the laptop.
fn half(ticks: &Sender<Tick>, stopped: &AtomicBool) -> Result<Half, String> {
    let server = SERVER.parse().map_err(|_| "no address".to_owned())?;
    let far = Far::of(&server, Some(TOKEN), FamilyChoice::Ipv6).map_err(|error| error.to_string())?;
    let mut icmp = Icmp::open(far.address).map_err(|error| error.to_string())?;
    let begun = Instant::now();
    let mut sent: Vec<(Instant, bool)> = Vec::new();
    let (mut idle, mut loaded) = (Vec::new(), Vec::new());
    let mut flow: Option<Running> = None;
    let (mut last, mut first) = ((begun, 0), None);
    let mut ping = 0.0;
    while begun.elapsed() < IDLE + LOADED && !stopped.load(Ordering::Relaxed) {
        let settled = begun.elapsed() > IDLE + SETTLE;
        if flow.is_none() && begun.elapsed() >= IDLE {
            let download = Flow { direction: Direction::Download, mark: Mark::Be };
            let seconds = (LOADED + SETTLE).as_secs();
            flow = Some(Running::start(&far, download, seconds).map_err(|error| error.to_string())?);
        }
        let sequence = sent.len() as u16;
        sent.push((Instant::now(), flow.is_none() || settled));
        icmp.send(sequence, 0).map_err(|error| error.to_string())?;
        let next = begun + PACE * u32::from(sequence + 1);
        while let Ok(Some(heard)) = icmp.receive(next) {
            let Some((left, counts)) = sent.get(usize::from(heard.answer.sequence)) else { continue };
            if heard.answer.said != Said::Reply {
                continue;
            }
            ping = ms(heard.at.saturating_duration_since(*left));
            if *counts {
                if left.saturating_duration_since(begun) < IDLE { &mut idle } else { &mut loaded }.push(ping);
            }
        }
        let carried = flow.as_ref().map_or(0, Running::carried);
        let mbit = rate(last, (Instant::now(), carried));
        last = (Instant::now(), carried);
        if settled && first.is_none() {
            first = Some(last);
        }
        let _ = ticks.send(Tick { at: begun.elapsed(), ping, mbit });
    }
    let median = |times: &[f64]| summary(times).map(|summary| summary.median);
    match (median(&idle), median(&loaded), first) {
        (Some(idle_ms), Some(loaded_ms), Some(first)) => {
            Ok(Half { idle_ms, loaded_ms, mbit: rate(first, last) })
        }
        _ if stopped.load(Ordering::Relaxed) => Err("stopped".to_owned()),
        _ => Err("no ping came back".to_owned()),
    }
}

/// Mbit/s between two looks.
#[allow(clippy::cast_precision_loss)]
fn rate(from: (Instant, u64), to: (Instant, u64)) -> f64 {
    let seconds = to.0.saturating_duration_since(from.0).as_secs_f64();
    to.1.saturating_sub(from.1) as f64 * 8.0 / seconds.max(1e-6) / 1e6
}
