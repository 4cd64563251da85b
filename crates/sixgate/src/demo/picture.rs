//! What the demonstration shows: one line for each thing that happens, with the time since the start.

use super::act::{Half, Tick};
use super::page::Page;
use crate::measure::shown::{ms, width};
use crate::view;
use serde_json::{Value, json};
use sixgate_measure::picture::text::{spark, top};
use std::collections::BTreeSet;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

const MAP: &str = "
    server ──── isp ══════════ gateway ──── alice    lan0
                    delegates     └──────── bob      lan1
                      a /56
";

/// The lines shown so far.
pub(super) struct Picture {
    json: bool,
    colour: bool,
    /// What was shown already: every fact once.
    shown: BTreeSet<String>,
    /// Whether lines can be drawn over.
    live: bool,
    /// The pings of this half of the second act, and the second that was shown last.
    pings: Vec<f64>,
    second: Option<u64>,
}

impl Picture {
    pub(super) fn new(json: bool) -> Self {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self {
            json,
            colour,
            shown: BTreeSet::new(),
            live: std::io::stdout().is_terminal() && !json,
            pings: Vec::new(),
            second: None,
        }
    }

    /// The network stands.
    pub(super) fn built(&mut self, took: Duration) {
        if self.json {
            print(&json!({ "event": "built", "ms": millis(took) }).to_string());
            return;
        }
        print(MAP);
        print(&format!(
            "five hosts, each with a network of its own, made in {} ms; every box runs sixgate\n",
            millis(took)
        ));
    }

    /// News of the gateway.
    pub(super) fn gateway(&mut self, at: Duration, status: &view::Status) {
        if let Some(uplink) = &status.uplink {
            for router in &uplink.routers {
                self.fact(at, "gateway", "router", &router.what, "the ISP's router is the way out");
            }
            for prefix in &uplink.prefixes {
                self.fact(at, "gateway", "prefix-in", &prefix.what, "delegated by the ISP (DHCPv6)");
            }
        }
        for lan in &status.lans {
            for prefix in lan.prefixes.iter().filter(|prefix| prefix.preferred != Some(0)) {
                let story = format!("advertised on {} (router advertisement)", lan.interface);
                self.fact(at, "gateway", "ra-out", &prefix.what, &story);
            }
            for prefix in lan.prefixes.iter().filter(|prefix| prefix.preferred == Some(0)) {
                let story = format!("deprecated on {}", lan.interface);
                self.fact(at, "gateway", "deprecated", &prefix.what, &story);
            }
        }
    }

    /// What the gateway has given out.
    pub(super) fn leases(&mut self, at: Duration, leases: &[view::Lease]) {
        for lease in leases {
            let name = lease.hostname.as_deref().unwrap_or("a client");
            self.fact(at, "gateway", "lease", &lease.resource, &format!("leased to {name} on {}", lease.lan));
            if let Some(name) = &lease.hostname {
                self.fact(
                    at,
                    "gateway",
                    "name",
                    &format!("{name}.home.arpa"),
                    "answered by the gateway's DNS",
                );
            }
        }
    }

    /// News of a client.
    pub(super) fn client(&mut self, at: Duration, name: &str, status: &view::Status) {
        let Some(uplink) = &status.uplink else { return };
        for address in &uplink.addresses {
            let how = if address.origin == "slaac" { "formed by itself (SLAAC)" } else { "leased (DHCPv6)" };
            self.fact(at, name, "address", &address.what, how);
        }
        for resolver in &uplink.resolvers {
            self.fact(at, name, "resolver", resolver, "answers its DNS questions");
        }
    }

    /// A client has its page.
    pub(super) fn fetched(&mut self, at: Duration, name: &str, url: &str, page: &Page) {
        if self.json {
            let line = json!({ "event": "fetched", "at_ms": millis(at), "host": name, "url": url, "from": page.from,
                "code": page.code, "ms": page.milliseconds, "program": page.program });
            print(&line.to_string());
            return;
        }
        let line = format!(
            "client fetched {url} from [{}] in {} ms ({})",
            page.from, page.milliseconds, page.program
        );
        self.event(at, name, &line, "\x1b[1;32m");
    }

    /// The line of the second act.
    pub(super) fn line(&mut self, rate: u64, round_trip: Duration, buffer: Duration, tcp: &str) {
        if !self.json {
            print(&format!(
                "\nA busy line: {} Mbit/s, {} ms there and back, a buffer of {} ms. A download (TCP: {tcp}), and a ping beside it.\n",
                rate / 1_000_000,
                millis(round_trip),
                millis(buffer)
            ));
        }
    }

    /// How it goes: drawn over on a terminal, a line each second elsewhere.
    pub(super) fn tick(&mut self, queue: &str, tick: &Tick) {
        self.pings.push(tick.ping);
        let second = tick.at.as_secs();
        let new = self.second.replace(second) != Some(second);
        if self.json {
            if new {
                let line = json!({ "event": "busy", "queue": queue, "at_ms": millis(tick.at), "ping_ms": tick.ping, "mbit": tick.mbit });
                print(&line.to_string());
            }
            return;
        }
        let shown = format!("  {queue:<22} ping {:>7} ms  {:>5.1} Mbit/s", ms(tick.ping), tick.mbit);
        if self.live {
            // One scale for both halves: what is low stays low.
            let scale = top(&self.pings).max(500.0);
            let line = spark(&self.pings, width().saturating_sub(50), scale);
            let _ = write!(std::io::stdout().lock(), "\r\x1b[K{shown}  {line}");
            let _ = std::io::stdout().flush();
        } else if new {
            print(&shown);
        }
    }

    /// One half is over; what was drawn stays.
    pub(super) fn half_over(&mut self) {
        if self.live {
            print("");
        }
        self.pings.clear();
        self.second = None;
    }

    /// What the second act shows.
    pub(super) fn compared(&mut self, plain: &Half, ours: &Half) {
        let ratio = plain.wait() / ours.wait();
        if self.json {
            print(&json!({ "event": "compared", "plain": plain, "ours": ours, "ratio": ratio }).to_string());
            return;
        }
        let (bold, end) = if self.colour { ("\x1b[1;32m", "\x1b[0m") } else { ("", "") };
        print(&format!(
            "\n{bold}A ping beside the download waits {} ms in the line's own buffer, and {} ms with our queue before it: {ratio:.0} times less,\n             at {:.0} % of the throughput.{end} The queue stands in the gateway (sixgate shape on wan0), set 5 % below the line's rate.",
            ms(plain.wait()),
            ms(ours.wait()),
            ours.mbit / plain.mbit.max(0.001) * 100.0
        ));
    }

    /// Why there is none.
    pub(super) fn no_second_act(&mut self, why: &str) {
        if self.json {
            print(&json!({ "event": "no-second-act", "why": why }).to_string());
        } else {
            print(&format!("\nno second act: {why}"));
        }
    }

    /// What a person can do now.
    pub(super) fn poke(&mut self, names: &[String]) {
        if self.json {
            print(&json!({ "event": "ready", "hosts": names }).to_string());
            return;
        }
        let me = std::env::args().next().unwrap_or_else(|| "sixgate".to_owned());
        print(&format!(
            "\nIt stays until Ctrl-C. From another terminal{}:\n\
             \n  {me} lab enter alice curl -v http://www.far.example/\
             \n  {me} lab enter alice ping -c 3 bob.home.arpa\
             \n  {me} lab enter gateway sixgate status\
             \n  {me} lab enter gateway sixgate leases\
             \n  {me} lab enter gateway ip -6 route\
             \n\nHosts: {}. Each is a shell away: {me} lab enter HOST\n",
            if nix::unistd::getuid().is_root() { ", as root" } else { "" },
            names.join(", ")
        ));
    }

    /// Everything has been taken away.
    pub(super) fn gone(&mut self, took: Duration) {
        if self.json {
            print(&json!({ "event": "gone", "ms": millis(took) }).to_string());
        } else {
            print(&format!("\nall gone in {} ms; this machine is as it was", millis(took)));
        }
    }

    /// Shows a fact, once.
    fn fact(&mut self, at: Duration, host: &str, kind: &str, what: &str, story: &str) {
        if !self.shown.insert(format!("{host} {kind} {what} {story}")) {
            return;
        }
        if self.json {
            let line: Value =
                json!({ "event": kind, "at_ms": millis(at), "host": host, "what": what, "story": story });
            print(&line.to_string());
        } else {
            self.event(at, host, &format!("{what} {story}"), "");
        }
    }

    fn event(&mut self, at: Duration, host: &str, text: &str, paint: &str) {
        let (dim, paint, plain) = if self.colour { ("\x1b[2m", paint, "\x1b[0m") } else { ("", "", "") };
        print(&format!("{dim}{:7.3}s{plain}  {host:<8} {paint}{text}{plain}", at.as_secs_f64()));
    }
}

fn print(line: &str) {
    // A reader that went away changes nothing about the network: it stays until Ctrl-C.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

fn millis(time: Duration) -> u64 {
    time.as_millis() as u64
}
