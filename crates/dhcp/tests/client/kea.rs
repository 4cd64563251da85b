//! The client before a stock server: Kea, on the other end of a veth pair, in namespaces of their own.

use super::bench::{NA, PD, client_duid};
use nix::sched::{CloneFlags, unshare};
use sixgate_dhcp::client::{Action, Actions, Binding, Client, Config, PdRequest, State};
use sixgate_wire::dhcpv6::OptionCode;
use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

const HOME: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);

/// Runs a command in the network namespace of this thread.
fn run(command: &str) {
    let output = Command::new("sh").args(["-ec", command]).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Kea in `folder`, in a network namespace of its own, in which it waits for its interface; killed when the test is over.
struct Kea(Child);

impl Kea {
    fn start(folder: &std::path::Path) -> Self {
        let config = folder.join("kea.conf");
        std::fs::write(
            &config,
            r#"{ "Dhcp6": {
                "interfaces-config": { "interfaces": [ "isp0" ] },
                "lease-database": { "type": "memfile", "persist": false },
                "server-id": { "type": "LL", "htype": 1, "identifier": "020000000001", "persist": false },
                "renew-timer": 2, "rebind-timer": 60, "preferred-lifetime": 100, "valid-lifetime": 200,
                "option-data": [ { "name": "dns-servers", "data": "2001:db8::53" },
                                 { "name": "domain-search", "data": "isp.example" } ],
                "subnet6": [ { "id": 1, "subnet": "2001:db8::/64", "interface": "isp0",
                    "pools": [ { "pool": "2001:db8::1000-2001:db8::1fff" } ],
                    "pd-pools": [ { "prefix": "2001:db8:100::", "prefix-len": 40, "delegated-len": 56,
                        "excluded-prefix": "2001:db8:100::", "excluded-prefix-len": 64 } ] } ],
                "loggers": [ { "name": "kea-dhcp6", "severity": "INFO",
                    "output_options": [ { "output": "stdout" } ] } ]
            } }"#,
        )
        .unwrap();
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let script = "until test -e /proc/sys/net/ipv6/conf/isp0; do sleep 0.05; done
            echo 0 > /proc/sys/net/ipv6/conf/isp0/accept_dad
            ip link set lo up; ip link set isp0 up; ip addr add 2001:db8::1/64 dev isp0 nodad
            until ip -6 route show dev isp0 table local | grep -q ^multicast; do sleep 0.05; done
            until ip -6 addr show dev isp0 scope link -tentative | grep -q fe80; do sleep 0.05; done
            exec kea-dhcp6 -c kea.conf";
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-ec", script]).current_dir(folder);
        command.env("KEA_PIDFILE_DIR", folder).env("KEA_LOCKFILE_DIR", folder);
        command.stdout(log.try_clone().unwrap()).stderr(log).stdin(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Kea {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// A client on a real socket.
struct Uplink {
    client: Client,
    socket: UdpSocket,
    scope: u32,
    began: Instant,
    epoch: Duration,
    saved: Option<Binding>,
    done: Vec<Action>,
}

impl Uplink {
    fn now(&self) -> Duration {
        self.epoch + self.began.elapsed()
    }

    fn act(&mut self, act: impl FnOnce(&mut Client, Duration, &mut Actions)) {
        let mut actions = Actions::new();
        let now = self.now();
        act(&mut self.client, now, &mut actions);
        for action in actions {
            match action {
                Action::Send { bytes } => {
                    let servers = SocketAddrV6::new("ff02::1:2".parse().unwrap(), 547, 0, self.scope);
                    // While the other end is not up there is no route yet: a lost message like any other.
                    _ = self.socket.send_to(&bytes, servers);
                }
                Action::Save(binding) => self.saved = Some(binding),
                other => self.done.push(other),
            }
        }
    }

    /// Turns until `over` says so of what was done.
    fn until(&mut self, what: &str, over: impl Fn(&Action) -> bool) -> Action {
        let deadline = Instant::now() + Duration::from_secs(50);
        let mut buffer = [0; 1500];
        loop {
            if let Some(at) = self.done.iter().position(&over) {
                return self.done.drain(..=at).next_back().unwrap();
            }
            assert!(Instant::now() < deadline, "{what} did not happen: {:?}", self.client);
            let wait =
                self.client.poll_timeout().map_or(Duration::from_secs(1), |at| at.saturating_sub(self.now()));
            let wait = wait.clamp(Duration::from_millis(1), Duration::from_secs(1));
            self.socket.set_read_timeout(Some(wait)).unwrap();
            if let Ok((length, std::net::SocketAddr::V6(source))) = self.socket.recv_from(&mut buffer) {
                self.act(|client, now, actions| {
                    client.handle(now, (*source.ip(), Ipv6Addr::LOCALHOST), &buffer[..length], actions);
                });
            }
            self.act(Client::handle_timeout);
        }
    }

    fn changed(&mut self, what: &str) -> Binding {
        match self.until(what, |action| matches!(action, Action::Changed(_))) {
            Action::Changed(binding) => binding,
            _ => unreachable!(),
        }
    }
}

fn config() -> Config {
    Config {
        ia_na: Some(NA),
        ia_pd: vec![PdRequest::with_length(PD, 56)],
        options: vec![OptionCode::DNS_SERVERS, OptionCode::DOMAIN_LIST, OptionCode::PD_EXCLUDE],
        ..Config::new(client_duid())
    }
}

#[test]
fn kea_gives_extends_and_takes_back() {
    unshare(CloneFlags::CLONE_NEWNET).expect("this test makes network namespaces: run it as root");
    let folder = tempfile::tempdir().unwrap();
    let kea = Kea::start(folder.path());
    // Once it is in its namespace, that differs from ours and from the one that both came from.
    let namespace = |of: &str| std::fs::read_link(format!("/proc/{of}/ns/net")).unwrap();
    let pid = kea.0.id().to_string();
    let deadline = Instant::now() + Duration::from_secs(10);
    while [namespace("thread-self"), namespace("self")].contains(&namespace(&pid)) {
        assert!(Instant::now() < deadline, "no namespace for Kea");
        std::thread::yield_now();
    }
    run(&format!("ip link add up0 type veth peer name isp0 netns {pid}"));
    run(
        "echo 0 > /proc/sys/net/ipv6/conf/up0/accept_dad; echo 1 > /proc/sys/net/ipv6/conf/up0/addr_gen_mode",
    );
    run("ip link set up0 up; ip addr add fe80::2/64 dev up0 nodad");
    let scope = nix::net::if_::if_nametoindex("up0").unwrap();
    let socket = UdpSocket::bind(SocketAddrV6::new(HOME, 546, 0, scope)).unwrap();
    let epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let client = Client::new(config(), None, fastrand::Rng::new());
    let mut uplink =
        Uplink { client, socket, scope, began: Instant::now(), epoch, saved: None, done: Vec::new() };

    uplink.act(Client::start);
    let bound = uplink.changed("a lease");
    assert_eq!((bound.addresses.len(), bound.prefixes.len()), (1, 1), "{bound:?}");
    let (address, prefix) = (bound.addresses[0].address, bound.prefixes[0].prefix);
    assert_eq!(prefix.prefix_len(), 56);
    assert_eq!(bound.prefixes[0].excluded, Some("2001:db8:100::/64".parse().unwrap()));
    assert_eq!(bound.dns_servers, ["2001:db8::53".parse::<Ipv6Addr>().unwrap()]);
    assert_eq!(bound.domains, ["isp.example"]);

    let renewed = uplink.changed("an extension at T1");
    assert!(renewed.next_expiry() > bound.next_expiry());
    assert_eq!(renewed.addresses[0].address, address);

    // A restart: Rebind.
    let saved = Binding::from_bytes(&uplink.saved.as_ref().unwrap().to_bytes()).unwrap();
    uplink.client = Client::new(config(), Some(saved), fastrand::Rng::new());
    uplink.act(Client::start);
    uplink.changed("what was kept");
    assert_eq!(uplink.client.state(), State::Confirming);
    let rebound = uplink.changed("an extension by Rebind");
    assert_eq!((rebound.addresses[0].address, rebound.prefixes[0].prefix), (address, prefix));

    // A declined address is not given again.
    uplink.act(|client, now, actions| client.decline(now, &[address], actions));
    assert!(uplink.changed("the address gone").addresses.is_empty());
    let other = uplink.changed("another address");
    assert_ne!(other.addresses[0].address, address);
    assert_eq!(other.prefixes[0].prefix, prefix);

    uplink.act(Client::release);
    uplink.until("the release", |action| *action == Action::Released);
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(log.contains("DHCP6_RELEASE_NA") && log.contains("DHCP6_RELEASE_PD"), "{log}");
}
