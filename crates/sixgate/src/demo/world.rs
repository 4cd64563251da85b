//! The demonstration's network and what runs in it.

use super::page;
use super::picture::Picture;
use crate::{control, view};
use ipnet::Ipv6Net;
use sixgate_lab::{AcceptRa, Command, Error, Host, Lab, Link, Process};
use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

/// The page that the clients fetch.
const URL: &str = "http://www.far.example/";
/// Where it lies.
const FAR: &str = "2001:db8:f::80";
/// Where each box keeps its control socket and its configuration: a host's `/run` is its own.
const CONTROL: &str = "/run/sixgate/control";
const CONFIG: &str = "/etc/sixgate.toml";
/// How long a box may take to stop.
const PATIENCE: Duration = Duration::from_secs(5);

/// Everything that runs.
pub(super) struct World {
    isp: Host,
    gateway: Host,
    server: Host,
    clients: [Client; 2],
    running: RefCell<Vec<(Host, Process)>>,
    begun: Cell<Instant>,
    /// Last: ends what runs in it.
    lab: Lab,
}

/// A client and how far it has come.
struct Client {
    host: Host,
    fetching: RefCell<Option<Process>>,
    fetched: Cell<bool>,
    next_try: Cell<Option<Instant>>,
}

/// This very program.
pub(super) fn binary() -> OsString {
    // The link stays right even when the file was replaced meanwhile.
    std::env::current_exe().map_or_else(|_| "/proc/self/exe".into(), Into::into)
}

impl World {
    /// Hosts, cables and fixed addresses.
    pub(super) fn build(folder: &Path) -> Result<Self, Error> {
        let lab = Lab::new("demo")?;
        let (isp, server) = (lab.router("isp")?, lab.host("server")?);
        let (gateway, alice, bob) = (lab.host("gateway")?, lab.host("alice")?, lab.host("bob")?);
        // What a home has: 100 Mbit/s with a few milliseconds to the ISP, where this machine lets us emulate it.
        let wan = || Link::between((&isp, "cust0"), (&gateway, "wan0"));
        let line = wan().rate(100_000_000).delay(Duration::from_millis(4)).buffer_ms(50);
        if lab.link(line).is_err() {
            lab.link(wan())?;
        }
        lab.link(Link::between((&isp, "core0"), (&server, "eth0")))?;
        lab.link(Link::between((&gateway, "lan0"), (&alice, "eth0")))?;
        lab.link(Link::between((&gateway, "lan1"), (&bob, "eth0")))?;
        if let Ok(address) = format!("{FAR}/64").parse::<Ipv6Net>() {
            server.add_address_nodad("eth0", address)?;
        }
        server.set_accept_ra("eth0", AcceptRa::Always)?;
        let client = |host| Client {
            host,
            fetching: RefCell::default(),
            fetched: Cell::new(false),
            next_try: Cell::new(None),
        };
        lab.publish(folder)?;
        Ok(Self {
            isp,
            gateway,
            server,
            clients: [client(alice), client(bob)],
            running: RefCell::default(),
            begun: Cell::new(Instant::now()),
            lab,
        })
    }

    /// The hosts' names.
    pub(super) fn names(&self) -> Vec<String> {
        self.lab.hosts().iter().map(|host| host.name().to_owned()).filter(|name| name != "hub").collect()
    }

    /// Starts a sixgate in every box, and the page's server.
    pub(super) fn start(&self) -> Result<(), Box<dyn std::error::Error>> {
        self.begun.set(Instant::now());
        let isp = format!(
            "[[lan]]\ninterface = \"cust0\"\nprefixes = [\"2001:db8:0:1::/64\"]\ndelegate-from = [\"2001:db8:100::/40\"]\n\
             delegate-length = 56\n[[lan]]\ninterface = \"core0\"\nprefixes = [\"2001:db8:f::/64\"]\ndelegate = false\n\
             [dhcp]\npreference = 255\n[dns]\nhosts = {{ \"www.far.example\" = [\"{FAR}\"] }}\n"
        );
        // This ISP's names are nobody's but its own: no chain of signatures leads there.
        let gateway = "[uplink]\ninterface = \"wan0\"\n[[lan]]\ninterface = \"lan0\"\n[[lan]]\ninterface = \"lan1\"\n[dhcp]\npreference = 255\n\
                       [dns]\ndnssec-except = [\"far.example\"]\n";
        page::serve(&self.server)?;
        self.up(&self.isp, &isp)?;
        self.up(&self.gateway, gateway)?;
        for client in &self.clients {
            let name = client.host.name();
            let text = format!(
                "firewall = false\n[uplink]\ninterface = \"eth0\"\nhostname = \"{name}\"\nresolv-conf = \"/etc/resolv.conf\"\n"
            );
            self.up(&client.host, &text)?;
        }
        Ok(())
    }

    fn up(&self, host: &Host, config: &str) -> Result<(), Error> {
        host.write_file(
            CONFIG,
            format!("state = \"/run/sixgate/state\"\ncontrol = \"{CONTROL}\"\n{config}"),
        )?;
        let process = host.spawn(&Command::new(binary()).arg("up"))?;
        self.running.borrow_mut().push((host.clone(), process));
        Ok(())
    }

    /// Asks the boxes for news.
    pub(super) fn watch(&self, picture: &mut Picture) {
        let at = self.begun.get().elapsed();
        if let Some(status) = status(&self.gateway) {
            picture.gateway(at, &status);
        }
        if let Some(leases) = leases(&self.gateway) {
            picture.leases(at, &leases);
        }
        for client in &self.clients {
            if let Some(status) = status(&client.host) {
                picture.client(at, client.host.name(), &status);
            }
        }
    }

    /// Lets each client that is ready fetch the page; `true` when both have it.
    pub(super) fn fetch(&self, picture: &mut Picture) -> Result<bool, String> {
        for client in self.clients.iter().filter(|client| !client.fetched.get()) {
            self.fetch_one(client, picture)?;
        }
        Ok(self.clients.iter().all(|client| client.fetched.get()))
    }

    fn fetch_one(&self, client: &Client, picture: &mut Picture) -> Result<(), String> {
        let mut fetching = client.fetching.borrow_mut();
        let Some(process) = fetching.as_ref() else {
            let due = client.next_try.get().is_none_or(|next| Instant::now() >= next);
            if due && ready(&client.host) {
                *fetching = Some(page::fetch(&client.host, URL).map_err(|error| error.to_string())?);
            }
            return Ok(());
        };
        let Some(ended) = process.status() else { return Ok(()) };
        let said = process.output();
        *fetching = None;
        match page::fetched(&said) {
            Some(page) if ended.success() => {
                client.fetched.set(true);
                picture.fetched(self.begun.get().elapsed(), client.host.name(), URL, &page);
            }
            // The name or the route may not be there yet: as a person would, it tries again.
            _ => client.next_try.set(Some(Instant::now() + Duration::from_millis(200))),
        }
        Ok(())
    }

    /// A box that ended although nobody told it to.
    pub(super) fn failure(&self) -> Option<String> {
        self.running.borrow().iter().find_map(|(host, process)| {
            let status = process.status()?;
            Some(format!("sixgate on {} ended with {status}:\n{}", host.name(), process.log().tail(10)))
        })
    }

    /// The end of the gateway's log.
    pub(super) fn last_words(&self) -> String {
        let running = self.running.borrow();
        running
            .iter()
            .find(|(host, _)| host.name() == "gateway")
            .map_or_else(String::new, |(_, p)| p.log().tail(10))
    }

    /// Stops every box as its owner would, the clients first.
    pub(super) fn stop(&self) {
        for (_, process) in self.running.borrow_mut().drain(..).rev() {
            let _ = process.stop(PATIENCE);
        }
    }
}

/// Whether a host could fetch something: a global address that is its own, a way out, and a resolver.
fn ready(host: &Host) -> bool {
    let global = |address: std::net::Ipv6Addr| !address.is_unicast_link_local() && !address.is_loopback();
    host.address_ready("eth0", global).is_some()
        && host.route_to(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0xf, 0, 0, 0, 0, 0x80)).is_some()
        && host.read_file("/etc/resolv.conf").is_ok_and(|text| text.contains("nameserver"))
}

fn status(host: &Host) -> Option<view::Status> {
    serde_json::from_str(&ask(host, "status")?).ok()
}

fn leases(host: &Host) -> Option<Vec<view::Lease>> {
    serde_json::from_str(&ask(host, "leases")?).ok()
}

fn ask(host: &Host, view: &str) -> Option<String> {
    host.run(|| control::ask(Path::new(CONTROL), view).ok())
}
