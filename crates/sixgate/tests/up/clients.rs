//! Stock clients on a LAN of the real binary: what they take, that they keep it over restarts of the gateway, and that
//! they give it back. Each file is one client.

mod dhclient;
mod dhcpcd;
mod dibbler;
mod kernel;
mod networkd;
mod rdisc6;
mod wide;

use crate::network::*;
use ipnet::Ipv6Net;
use serde_json::Value;
use sixgate_lab::{AcceptRa, Capture, Command, Host, Link, wait_some};
use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::time::SystemTime;

/// A LAN for clients that ask by DHCPv6: they form no address themselves, so that whatever they have was leased. The
/// lifetimes are the shortest there are: clients renew after 15 s.
const SHORT: &str = "slaac = false\npreferred-lifetime = \"30s\"\nvalid-lifetime = \"60s\"\n";

/// The network of [`Home`] with everything up, and a client to come on `alice`, who has a LAN of her own:
///
/// ```text
/// isp cust0 ---- wan0 gw lan0 ---- eth0 alice eth1 ---- eth0 carol
/// ```
struct Stage {
    home: Home,
    carol: Host,
    isp: Sixgate,
    /// Taken only while it restarts.
    gateway: Option<Sixgate>,
    config: String,
    /// When it was started, in seconds since the epoch.
    since: f64,
    /// What passes the client's LAN.
    seen: Capture,
    /// The LAN's prefix.
    lan: Ipv6Net,
    /// The prefix that it is cut from.
    delegated: Ipv6Net,
}

/// What a client holds.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    address: Ipv6Addr,
    prefix: Ipv6Net,
}

impl Stage {
    /// Starts everything; `lan` is appended to the configuration of the client's LAN.
    fn new(name: &str, lan: &str) -> Self {
        let home = home(name);
        let carol = home.lab.host("carol").unwrap();
        home.lab.link(Link::between((&home.alice, "eth1"), (&carol, "eth0"))).unwrap();
        let seen = home.gw.capture("lan0").unwrap();
        let isp = Sixgate::start(&home.isp, &isp_config());
        let config = format!(
            "[uplink]\ninterface = \"wan0\"\n[[lan]]\ninterface = \"lan0\"\n{lan}[dhcp]\npreference = 255\n"
        );
        let since = now();
        let gateway = Sixgate::start(&home.gw, &config);
        let (delegated, lan) = (gateway.wait_delegated(), gateway.wait_lan_prefix(0));
        wait_in(&home.gw, "lan0", lan);
        Self { home, carol, isp, gateway: Some(gateway), config, since, seen, lan, delegated }
    }

    fn gateway(&self) -> &Sixgate {
        self.gateway.as_ref().expect("it runs")
    }

    /// Stops the gateway as a person would, and starts it again.
    fn restart(&mut self) {
        self.gateway.take().expect("it runs").stop();
        self.start_again();
    }

    /// Ends the gateway as a power failure of its program would, and starts it again.
    fn crash(&mut self) {
        self.gateway.take().expect("it runs").kill();
        self.start_again();
    }

    /// As [`Stage::crash`], but the client asks for a renewal before the gateway is back: it must ask again, or rebind.
    fn crash_until_asked(&mut self) {
        self.gateway.take().expect("it runs").kill();
        self.seen.wait_fields("dhcpv6.msgtype == 5", &["frame.number"], 1, PATIENCE).unwrap();
        self.start_again();
    }

    fn start_again(&mut self) {
        self.since = now();
        let gateway = Sixgate::start(&self.home.gw, &self.config);
        assert_eq!(gateway.wait_lan_prefix(0), self.lan, "the LAN keeps its prefix");
        wait_in(&self.home.gw, "lan0", self.lan);
        self.gateway = Some(gateway);
    }

    /// What the gateway's view says is leased: addresses or prefixes by their text.
    fn leased(&self) -> Vec<String> {
        let text = |lease: &Value| lease["resource"].as_str().expect("a resource").to_owned();
        self.gateway().leases().iter().filter(|lease| lease["state"] == "bound").map(text).collect()
    }

    /// Waits until one address and one prefix are leased and in use: the client has the address, the gateway's kernel
    /// a route to the prefix through the client, and packets from the far side arrive.
    fn wait_held(&self) -> Held {
        let look = || {
            let leased = self.leased();
            let address = leased.iter().find_map(|text| text.parse::<Ipv6Addr>().ok())?;
            let prefix = leased.iter().find_map(|text| text.parse::<Ipv6Net>().ok())?;
            assert_eq!(leased.len(), 2, "one address and one prefix: {leased:?}");
            Some(Held { address, prefix })
        };
        let held = wait_some("an address and a prefix", PATIENCE, look, || self.state())
            .unwrap_or_else(|error| panic!("{error}"));
        self.assert_in_use(&held);
        held
    }

    /// What [`Stage::wait_held`] found is still what everyone says.
    fn assert_in_use(&self, held: &Held) {
        let (alice, gw) = (&self.home.alice, &self.home.gw);
        assert!(self.lan.contains(&held.address) && self.delegated.contains(&held.prefix), "{held:?}");
        assert!(!self.lan.contains(&held.prefix), "{held:?} is cut from the LAN itself");
        assert_eq!(wait_in(alice, "eth0", self.lan), held.address);
        let mut leased = self.leased();
        leased.sort_unstable();
        let mut expected = vec![held.address.to_string(), held.prefix.to_string()];
        expected.sort_unstable();
        assert_eq!(leased, expected);
        let here: Vec<_> =
            alice.addresses().into_iter().filter(|a| self.lan.contains(&a.net.addr())).collect();
        assert_eq!(here.len(), 1, "one address of the LAN's prefix: {here:?}");
        let via = alice.wait_link_local("eth0", PATIENCE).unwrap();
        let route = format!("{} via {via} dev lan0", held.prefix);
        gw.wait_for(&format!("a route {route}"), PATIENCE, || self.routes().contains(&route)).unwrap();
        self.assert_reached(held.address);
    }

    /// The routes that the gateway made in its kernel.
    fn routes(&self) -> String {
        output(&self.home.gw, "ip", &["-6", "route", "show", "proto", "86"])
    }

    /// Packets from behind the ISP reach an address, and the answers come back.
    fn assert_reached(&self, address: Ipv6Addr) {
        let ping = Command::new("ping").args(["-c", "1", "-W", "1", "-I", FAR, &address.to_string()]);
        let reached = || self.home.isp.spawn(&ping).unwrap().wait(PATIENCE).unwrap().success();
        let what = format!("an answer from {address}");
        wait_some(&what, PATIENCE, || reached().then_some(()), || self.state())
            .unwrap_or_else(|error| panic!("{error}"));
    }

    /// The address that the client gave itself on its own LAN, out of the delegated prefix.
    fn wait_downstream(&self, held: &Held) -> Ipv6Addr {
        wait_in(&self.home.alice, "eth1", held.prefix)
    }

    /// Makes the client a router: `carol` gets an address of the delegated prefix, which is returned, and sends all she
    /// has to the client.
    fn route_downstream(&self, held: &Held) -> Ipv6Addr {
        let [router, carol] = [1, 2].map(|host| Ipv6Addr::from(u128::from(held.prefix.network()) | host));
        let (alice, host) = (&self.home.alice, &self.carol);
        alice.set_accept_ra("eth0", AcceptRa::Always).unwrap();
        alice.set_forwarding(true).unwrap();
        alice.add_address_nodad("eth1", net(&format!("{router}/64"))).unwrap();
        host.add_address_nodad("eth0", net(&format!("{carol}/64"))).unwrap();
        host.add_route(net("::/0"), Some(router.into()), "eth0").unwrap();
        self.assert_reached(carol);
        carol
    }

    /// Waits until the gateway, since it was started, has extended all that the client holds, asked by a Renew or by the
    /// Rebind that follows one; then nothing may have changed.
    fn wait_renewed(&self, held: &Held) {
        let look = || {
            let dhcp = &self.gateway().status()["dhcp"];
            (dhcp["renew"].as_u64()? + dhcp["rebind"].as_u64()? > 0).then_some(())
        };
        wait_some("a renewal", PATIENCE, look, || self.state()).unwrap_or_else(|error| panic!("{error}"));
        // Some clients renew each association by itself.
        let both = [held.address.to_string(), held.prefix.network().to_string()];
        let look = || both.iter().all(|resource| self.renewed().contains(resource)).then_some(());
        wait_some("the rest of the renewal", PATIENCE, look, || self.state())
            .unwrap_or_else(|error| panic!("{error}"));
        self.assert_in_use(held);
    }

    /// Waits until nothing is leased any longer, and the route is gone.
    fn wait_released(&self, held: &Held) {
        let look =
            || (self.leased().is_empty() && !self.routes().contains(&held.prefix.to_string())).then_some(());
        wait_some("the end of the leases", PATIENCE, look, || self.state())
            .unwrap_or_else(|error| panic!("{error}"));
        let releases = self.seen.wait_fields("dhcpv6.msgtype == 8", &["dhcpv6.xid"], 1, PATIENCE).unwrap();
        assert!(!releases.is_empty(), "the client released");
    }

    /// The addresses and prefixes that Replies to a Renew or Rebind extended since the gateway was started.
    fn renewed(&self) -> BTreeSet<String> {
        let fields = ["dhcpv6.msgtype", "dhcpv6.xid", "dhcpv6.iaaddr.ip", "dhcpv6.iaprefix.pref_addr"];
        let since = format!("frame.time_epoch > {} && dhcpv6.msgtype in {{5, 6, 7}}", self.since);
        let messages = self.seen.fields(&since, &fields).unwrap();
        let asked: Vec<&String> =
            messages.iter().filter(|message| message[0] != "7").map(|message| &message[1]).collect();
        let replies = messages.iter().filter(|message| message[0] == "7" && asked.contains(&&message[1]));
        replies.flat_map(|reply| reply[2..].iter().cloned()).filter(|resource| !resource.is_empty()).collect()
    }

    /// Ends of the gateway, each with its return, for a client that renews by itself: nothing changes, and the client's
    /// renewal after the first is answered.
    fn assert_kept_over(&mut self, ends: &[fn(&mut Self)], held: &Held) {
        for (index, end) in ends.iter().enumerate() {
            end(self);
            self.assert_in_use(held);
            if index == 0 {
                self.wait_renewed(held);
            }
        }
    }

    /// A client that puts a part of its prefix on its own LAN keeps that too, however the gateway ends.
    fn assert_downstream_kept(&mut self, held: &Held) {
        let downstream = self.wait_downstream(held);
        self.assert_reached(downstream);
        self.assert_kept_over(&[Self::crash, Self::restart], held);
        assert_eq!(self.wait_downstream(held), downstream);
        self.assert_reached(downstream);
    }

    /// Ends everything; all that the gateway sent on the LAN must have been well-formed, and every Reply a success.
    fn end(mut self) {
        self.gateway.take().expect("it runs").stop();
        self.isp.stop();
        self.seen.stop().unwrap();
        let link = output(&self.home.gw, "ip", &["-j", "link", "show", "lan0"]);
        let link: Value = serde_json::from_str(&link).unwrap();
        let ours = format!("eth.src == {}", link[0]["address"].as_str().unwrap());
        assert!(self.seen.fields(&ours, &["frame.number"]).unwrap().len() > 2, "{}", self.seen.summary());
        self.seen.assert_clean(&ours).unwrap();
        let refused =
            self.seen.fields(&format!("{ours} && dhcpv6.status_code > 0"), &["_ws.col.Info"]).unwrap();
        assert!(refused.is_empty(), "{refused:?}");
    }

    /// For a person, when a test fails.
    fn state(&self) -> String {
        let gateway = self.gateway.as_ref();
        format!(
            "{}\n{}\n{}\n{}\n{}",
            self.home.alice.state(),
            self.home.gw.state(),
            gateway.map(|gateway| format!("{:?}", gateway.leases())).unwrap_or_default(),
            gateway.map(Sixgate::log).unwrap_or_default(),
            self.seen.summary()
        )
    }
}

/// The time as tshark tells it.
fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Starts a client on `alice`.
fn client(host: &Host, program: &str, arguments: &[&str]) -> sixgate_lab::Process {
    host.spawn(&Command::new(program).args(arguments)).unwrap()
}
