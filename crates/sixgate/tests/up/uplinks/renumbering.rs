//! The ISP takes the prefix back and gives another (RFC 9096): hosts on the LANs must move at once, not when lifetimes
//! end or when the next periodic router advertisement is due (ten minutes, here as by default).

use super::dibbler::Dibbler;
use super::*;
use std::time::{Duration, SystemTime};

/// Longest time in seconds from the ISP's answer until hosts are told. Three of them keep advertisements apart (RFC 4861
/// section 10), the rest is for a busy machine.
const TOLD: f64 = 8.0;

fn new_pool() -> Pools<'static> {
    Pools { prefixes: Some(RENUMBERED), ..Pools::default() }
}

/// A client on a LAN, its prefix before, and what it is sent.
struct Moving<'a> {
    home: &'a Home,
    line: &'a Line,
    seen: Capture,
    old: Ipv6Net,
}

impl<'a> Moving<'a> {
    /// The client uses the present prefix.
    fn settled(home: &'a Home, line: &'a Line, gateway: &Sixgate) -> Self {
        let seen = home.alice.capture("eth0").unwrap();
        let old = gateway.wait_lan_prefix(0);
        wait_in(&home.alice, "eth0", old);
        wait_browses(&home.alice, &far());
        Self { home, line, seen, old }
    }

    /// The ISP no longer carries the old prefix: who still uses it gets nowhere.
    fn cut(&self) {
        let gateway = IpAddr::from(self.home.gw.wait_link_local("wan0", PATIENCE).unwrap());
        self.home.isp.remove_route(net(DELEGATED), Some(gateway), "cust0").unwrap();
    }

    /// The client moves to a prefix of the other pool; says how long it took.
    fn wait(self, what: &str, gateway: &Sixgate) -> Ipv6Net {
        let pool: Ipv6Net = RENUMBERED.parse().unwrap();
        let alice = &self.home.alice;
        let moved = || {
            let (old, new) = (held_in(alice, "eth0", self.old), held_in(alice, "eth0", pool));
            // Deprecated, not gone: connections within the LAN live on.
            !old.is_empty() && old.iter().all(|deprecated| *deprecated) && new.contains(&false)
        };
        alice
            .wait_for("the client's move", PATIENCE, moved)
            .unwrap_or_else(|e| panic!("{e}\n{}", gateway.log()));
        let now =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64();
        wait_browses(alice, &far());
        let new = gateway.wait_lan_prefix(0);
        assert!(pool.contains(&new), "{new}");

        let first = |capture: &Capture, filter: &str| -> f64 {
            let rows = capture.wait_fields(filter, &["frame.time_epoch"], 1, PATIENCE).unwrap();
            rows[0][0].parse().unwrap()
        };
        let delegated = gateway.wait_delegated();
        let given = format!("dhcpv6.msgtype == 7 && dhcpv6.iaprefix.pref_addr == {}", delegated.network());
        let told = format!("icmpv6.type == 134 && icmpv6.opt.prefix == {}", new.network());
        let given = first(self.line.capture(), &given);
        let told_at = first(&self.seen, &told) - given;
        println!(
            "{what}: hosts told {told_at:.2} s after the ISP's answer, moved after {:.2} s",
            now - given
        );
        assert!((0.0..TOLD).contains(&told_at), "{told_at} s");

        // Old and new stand in one advertisement: the old with both lifetimes zero (RFC 9096 section 3.5).
        let fields =
            ["icmpv6.opt.prefix", "icmpv6.opt.prefix.preferred_lifetime", "icmpv6.opt.prefix.valid_lifetime"];
        let rows = self.seen.fields(&told, &fields).unwrap();
        let columns: Vec<Vec<&str>> = rows[0].iter().map(|column| column.split(',').collect()).collect();
        let at = columns[0].iter().position(|prefix| *prefix == self.old.network().to_string());
        let lifetimes = at.map(|at| (columns[1][at], columns[2][at]));
        assert_eq!(lifetimes, Some(("0", "0")), "{columns:?}");
        self.seen.stop().unwrap();
        self.seen.assert_clean("icmpv6.type == 134 || udp.port == 547").unwrap();
        new
    }
}

/// Addresses of `net` that a host has leased: it forms none itself.
fn wait_leased(host: &Host, net: Ipv6Net) {
    let held = || held_in(host, "eth0", net).contains(&false);
    host.wait_for("a leased address", PATIENCE, held).unwrap();
}

#[test]
fn hosts_and_leases_move_when_the_old_prefix_comes_with_lifetime_zero() {
    let home = home("renumber");
    let line = Line::watch(&home);
    let kea = Kea::start(&home.isp, &Pools::default());
    internet(&home);
    home.bob.sysctl("net/ipv6/conf/eth0/autoconf", "0").unwrap();
    // T1 is half of the preferred time.
    let brief = "interface = \"lan1\"\npreferred-lifetime = \"30s\"\nvalid-lifetime = \"60s\"\n";
    let gateway = Sixgate::start(&home.gw, &GATEWAY.replace("interface = \"lan1\"\n", brief));
    let studio = gateway.wait_lan_prefix(1);
    home.bob.wait_link_local("eth0", PATIENCE).unwrap();
    let files = ["-lf", "/run/dhclient.leases", "-pf", "/run/dhclient.pid", "-cf", "/dev/null"];
    let dhclient = Command::new("dhclient").args(["-6", "-N", "-d", "-v"]).args(files).arg("eth0");
    home.bob.spawn(&dhclient).unwrap();
    wait_leased(&home.bob, studio);
    let moving = Moving::settled(&home, &line, &gateway);

    kea.reload(&new_pool());
    moving.cut();
    moving.wait("renumbered while running", &gateway);
    let zero = "dhcpv6.msgtype == 7 && dhcpv6.iaprefix.pref_addr == 2001:db8:100:: && dhcpv6.iaprefix.valid_lifetime == 0";
    assert!(!line.capture().fields(zero, &["frame.number"]).unwrap().is_empty());
    wait_leased(&home.bob, gateway.wait_lan_prefix(1));
    wait_browses(&home.bob, &far());
    gateway.stop();
    line.judge();
}

#[test]
fn hosts_move_after_a_crash_during_which_the_isp_renumbered() {
    let home = home("renumbercrash");
    let line = Line::watch(&home);
    let kea = Kea::start(&home.isp, &Pools::default());
    internet(&home);
    let gateway = Sixgate::start(&home.gw, GATEWAY);
    let moving = Moving::settled(&home, &line, &gateway);

    gateway.kill();
    kea.forget();
    let _kea = Kea::start(&home.isp, &new_pool());
    moving.cut();
    let gateway = Sixgate::start(&home.gw, GATEWAY);
    moving.wait("renumbered during a crash", &gateway);
    gateway.stop();
    line.judge();
}

#[test]
fn hosts_move_when_the_isp_has_forgotten_its_customer() {
    let home = home("renumberforget");
    let line = Line::watch(&home);
    let dibbler = Dibbler::start(&home.isp, DELEGATED);
    internet(&home);
    let gateway = Sixgate::start(&home.gw, GATEWAY);
    let moving = Moving::settled(&home, &line, &gateway);

    dibbler.forget();
    let _dibbler = Dibbler::start(&home.isp, RENUMBERED);
    moving.cut();
    moving.wait("renumbered by a server without memory", &gateway);
    let no_binding = "dhcpv6.msgtype == 7 && dhcpv6.status_code == 3";
    assert!(!line.capture().fields(no_binding, &["frame.number"]).unwrap().is_empty());
    gateway.stop();
    line.judge();
}
