//! What people and machines get wrong. Each is told in a sentence that says what, where and what to do, with the exit
//! code that `sixgate --help` names; a failed start leaves nothing set; a running sixgate goes on.

use crate::network::*;
use sixgate_lab::{Command, Host, Lab, Link, Process, Signal, Transport, root_for_tests};
use std::fmt::Write as _;
use std::path::Path;

/// A gateway with one LAN, and a host on it.
pub struct Pair {
    pub gw: Host,
    pub alice: Host,
    pub cable: sixgate_lab::LinkHandle,
    /// Last: what runs in it ends with it.
    _lab: Lab,
}

/// Builds the network of [`Pair`].
pub fn pair(name: &str) -> Pair {
    root_for_tests().expect("tests need root or user namespaces");
    let lab = Lab::new(name).unwrap();
    let (gw, alice) = (lab.host("gw").unwrap(), lab.host("alice").unwrap());
    let cable = lab.link(Link::between((&gw, "lan0"), (&alice, "eth0"))).unwrap();
    Pair { gw, alice, cable, _lab: lab }
}

/// A LAN with a prefix of its own: no ISP is needed.
pub const SERVER: &str = "[[lan]]\ninterface = \"lan0\"\nprefixes = [\"2001:db8:5::/64\"]\n";

/// Everything that `up` could leave behind in a host, as text: settings, addresses, routes, links, rules, sockets.
pub fn traces(host: &Host) -> String {
    let mut text = host.run(|| {
        let mut lines = Vec::new();
        let conf = Path::new("/proc/sys/net/ipv6/conf");
        for interface in std::fs::read_dir(conf).unwrap().map(|entry| entry.unwrap().path()) {
            for key in std::fs::read_dir(&interface).unwrap().map(|entry| entry.unwrap().path()) {
                // Some can only be written.
                if let Ok(value) = std::fs::read_to_string(&key) {
                    lines.push(format!("{} = {}", key.strip_prefix(conf).unwrap().display(), value.trim()));
                }
            }
        }
        lines.sort();
        lines.join("\n")
    });
    // The kernel's own link-local addresses and their routes come and go with the carrier.
    let commands: [&[&str]; 5] = [
        &["ip", "-6", "-o", "addr", "show", "scope", "global"],
        &["ip", "-6", "route", "show", "proto", "86", "table", "all"],
        // The kernel's own are for the addresses that we set, and with a lifetime they outlive them.
        &["ip", "-6", "route", "show", "root", "2000::/3"],
        &["nft", "list", "ruleset"],
        &["ss", "-6Hlnuwt"],
    ];
    for command in commands {
        let _ = write!(text, "\n$ {}\n{}", command.join(" "), output(host, command[0], &command[1..]));
    }
    let links = output(host, "ip", &["-o", "link"]);
    for (name, flags) in links.lines().filter_map(|line| line.split_once(": ")?.1.split_once(": <")) {
        let up = flags.split('>').next().is_some_and(|flags| flags.split(',').any(|flag| flag == "UP"));
        let _ = write!(text, "\nlink {name} up: {up}");
    }
    text += &host.run(|| format!("\ncontrol socket: {}", Path::new("/run/sixgate/control").exists()));
    text
}

/// There is in the host what was there before, and no more.
pub fn assert_no_trace(host: &Host, before: &str, log: &str) {
    let now = traces(host);
    let differs = |a: &str, b: &str| {
        a.lines().filter(|l| !b.lines().any(|m| m == *l)).map(str::to_owned).collect::<Vec<_>>()
    };
    let (missing, left) = (differs(before, &now), differs(&now, before));
    assert!(now == before, "missing: {missing:#?}\nleft: {left:#?}\n{log}");
}

/// How a program ended, and all that it said.
pub struct Ended {
    pub code: Option<i32>,
    pub text: String,
}

impl Ended {
    /// It ended with this code and said all of this.
    pub fn expect(&self, code: i32, said: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.text);
        for words in said {
            assert!(self.text.contains(words), "`{words}` is missing in:\n{}", self.text);
        }
    }
}

/// Waits for the end; nothing may panic.
pub fn end(process: &Process) -> Ended {
    let status = process.wait(PATIENCE).unwrap_or_else(|error| panic!("{error}\n{}", process.output()));
    let text = process.output();
    assert!(!text.contains("panicked"), "{text}");
    Ended { code: status.code(), text }
}

/// Runs a program to its end, whatever it ends with.
pub fn run(host: &Host, program: &str, arguments: &[&str]) -> Ended {
    end(&host.spawn(&Command::new(program).args(arguments)).unwrap())
}

/// Runs a line of the shell, in which `$SIXGATE` is the binary under test.
pub fn shell(host: &Host, line: &str) -> Ended {
    end(&host.spawn(&Command::new("bash").args(["-c", line]).env("SIXGATE", SIXGATE)).unwrap())
}

/// Runs sixgate as nobody, who has no capability; through an open descriptor, since nobody may not even reach the binary.
pub fn as_nobody(host: &Host, arguments: &str) -> Ended {
    shell(
        host,
        &format!(
            "exec 9<\"$SIXGATE\"; exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all \
             --bounding-set=-all /proc/self/fd/9 {arguments}"
        ),
    )
}

/// Whether there is a nobody: not in an ordinary user's namespace, which has root alone.
pub fn nobody_exists() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap();
    let exists = map
        .split_ascii_whitespace()
        .nth(2)
        .is_some_and(|count| count.parse().is_ok_and(|count: u32| count > 65_534));
    if !exists {
        eprintln!("not shown here: what nobody may not do, since this namespace has no other user");
    }
    exists
}

/// Starts `up` with a mistake: it ends by itself and leaves no trace.
fn refused(host: &Host, config: &str) -> Ended {
    let before = traces(host);
    let ended = end(&Sixgate::spawn(host, config).process);
    assert_no_trace(host, &before, &ended.text);
    ended
}

#[test]
fn mistakes_in_the_file_show_line_key_and_remedy() {
    let pair = pair("mistakes-file");
    // The harness writes the state folder into line 1.
    let cases: &[(&str, &[&str])] = &[
        (
            "[[lan]]\ninterfase = \"lan0\"\n",
            &[
                "error: there is no key `interfase`",
                "--> /etc/sixgate.toml:3:1",
                "3 | interfase",
                "  | ^^^^^^^^^\n",
                "did you mean `interface`?",
            ],
        ),
        ("[[lan]]\ninterface = lan0\n", &["/etc/sixgate.toml:3:13", "^", "write it in quotes: \"lan0\""]),
        ("[[lan]\ninterface = \"lan0\"\n", &["/etc/sixgate.toml:2:", "^", "TOML"]),
        ("[[lan]]\nname = \"x\"\n", &["missing field `interface`", "add interface = ..."]),
        ("[[lan]]\ninterface = 7\n", &["/etc/sixgate.toml:3:13", "invalid type", "check --reference"]),
        (
            "[[lan]]\ninterface = \"lan1\"\nprefixes = [\"2001:db8::/64\"]\n",
            &[
                "there is no interface `lan1`",
                "/etc/sixgate.toml:3:13",
                "^^^^^^",
                "did you mean `lan0`?",
                "this machine has: lan0",
            ],
        ),
        (
            "[[lan]]\ninterface = \"lan0\"\nprefixes = [\"2001:db8::/64\"]\n[[lan]]\ninterface = \"lan1\"\nprefixes = [\"2001:db8::/64\"]\n",
            &[
                "2001:db8::/64 overlaps 2001:db8::/64 of LAN `lan0`",
                "/etc/sixgate.toml:7:14",
                "address space of its own",
            ],
        ),
        (
            "[uplink]\ninterface = \"lan0\"\n[[lan]]\ninterface = \"lan0\"\n",
            &["interface `lan0` is named twice", "/etc/sixgate.toml:5:13", "an interface of its own"],
        ),
        ("", &["names no interface", "add [uplink]"]),
        (
            "[[lan]]\ninterface = \"lan0\"\nprefixes = [\"2001:db8::1/64\"]\n",
            &["has bits set beyond its length", "did you mean `2001:db8::/64`?"],
        ),
        (
            "[dns.hosts]\n\"bad..example\" = [\"2001:db8::1\"]\n[[lan]]\ninterface = \"lan0\"\nprefixes = [\"2001:db8::/64\"]\n",
            &["bad..example", "/etc/sixgate.toml:3:", "^"],
        ),
    ];
    for (config, said) in cases {
        refused(&pair.gw, config).expect(2, said);
        run(&pair.gw, SIXGATE, &["check"]).expect(2, said);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let pair = pair("mistakes-read");
    let up = |path: &str| run(&pair.gw, SIXGATE, &["up", "--config", path]);
    up("/run/none.toml").expect(
        2,
        &["cannot read the configuration", "/run/none.toml", "--config FILE", "check --reference"],
    );
    up("/run").expect(2, &["cannot read the configuration", "--> /run\n", "make it a readable text file"]);
    pair.gw.write_file("/run/latin1.toml", b"# gr\xfc\xdfe\n").unwrap();
    up("/run/latin1.toml").expect(2, &["/run/latin1.toml", "make it a readable text file"]);
    // A file without end must not eat the machine.
    up("/dev/zero").expect(2, &["/dev/zero", "make it a readable text file"]);
    pair.gw.write_file("/run/secret.toml", SERVER).unwrap();
    run(&pair.gw, "chmod", &["600", "/run/secret.toml"]).expect(0, &[]);
    if !nobody_exists() {
        return;
    }
    as_nobody(&pair.gw, "up --config /run/secret.toml").expect(
        2,
        &[
            "cannot read the configuration: Permission denied",
            "/run/secret.toml",
            "run as root, or make the file readable",
        ],
    );
}

#[test]
fn without_permission_the_missing_capability_is_named() {
    let pair = pair("mistakes-nobody");
    let before = traces(&pair.gw);
    pair.gw.write_file("/etc/sixgate.toml", format!("state = \"/tmp/sixgate-nobody\"\n{SERVER}")).unwrap();
    if !nobody_exists() {
        return;
    }
    as_nobody(&pair.gw, "up").expect(3, &["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_NET_BIND_SERVICE", "root"]);
    let partly = "exec setpriv --bounding-set=-net_raw --inh-caps=-net_raw \"$SIXGATE\" up";
    let ended = shell(&pair.gw, partly);
    ended.expect(3, &["CAP_NET_RAW", "root"]);
    assert!(!ended.text.contains("CAP_NET_ADMIN"), "{}", ended.text);
    assert_no_trace(&pair.gw, &before, "");
    assert!(!Path::new("/tmp/sixgate-nobody").exists());
}

#[test]
fn a_busy_port_names_the_process_that_has_it() {
    let pair = pair("mistakes-port");
    let squat = "import socket, time\ns = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)\ns.bind(('::', 547))\n\
                 print('bound', flush=True)\ntime.sleep(600)\n";
    let squatter = pair.gw.spawn(&Command::new("python3").args(["-c", squat])).unwrap();
    squatter.wait_line("bound", PATIENCE).unwrap();
    refused(&pair.gw, SERVER).expect(3, &["547", "lan0", "(python3) has it", "stop that process"]);
    squatter.kill().unwrap();
    squatter.wait(PATIENCE).unwrap();
    let dnsmasq = [
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--pid-file=",
        "--user=root",
    ];
    let dnsmasq = pair.gw.spawn(&Command::new("dnsmasq").args(dnsmasq)).unwrap();
    pair.gw.wait_for("dnsmasq", PATIENCE, || pair.gw.listening(Transport::Udp, 53)).unwrap();
    refused(&pair.gw, SERVER).expect(3, &["53", "lan0", "(dnsmasq) has it"]);
    dnsmasq.kill().unwrap();
    dnsmasq.wait(PATIENCE).unwrap();
    // With the port free the same configuration serves.
    Sixgate::start(&pair.gw, SERVER).stop();
}

/// Mounts a small file system of its own on the state folder.
fn small_disk(host: &Host) {
    run(host, "mkdir", &["-p", "/run/sixgate/state"]).expect(0, &[]);
    run(host, "mount", &["-t", "tmpfs", "-o", "size=512k", "small", "/run/sixgate/state"]).expect(0, &[]);
}

fn fill(host: &Host) {
    run(host, "dd", &["if=/dev/zero", "of=/run/sixgate/state/fill", "bs=4k"]).expect(1, &["No space left"]);
}

#[test]
fn a_full_disk_refuses_the_start() {
    let pair = pair("mistakes-full");
    small_disk(&pair.gw);
    fill(&pair.gw);
    let ended = refused(&pair.gw, SERVER);
    ended.expect(3, &["/run/sixgate/state", "free some"]);
    run(&pair.gw, "rm", &["/run/sixgate/state/fill"]).expect(0, &[]);
    Sixgate::start(&pair.gw, SERVER).stop();
}

#[test]
fn while_the_disk_is_full_nothing_is_promised_and_then_it_goes_on() {
    let pair = pair("mistakes-fills");
    small_disk(&pair.gw);
    let server = Sixgate::start(&pair.gw, SERVER);
    server.wait_lan_prefix(0);
    pair.alice.wait_address("eth0", |address| !address.is_unicast_link_local(), PATIENCE).unwrap();
    fill(&pair.gw);
    // A few leases have room in what the log's last block has left; the next has none.
    let load = Command::new(SIXGATE).args(["lab", "dhcp-load", "--interface", "eth0", "--window", "4"]);
    let load = load.args(["--clients", "100000", "--seconds", "2", "--told", "/run/told"]);
    let load = pair.alice.spawn(&load).unwrap();
    let problem = server.wait_status("the problem", |status| {
        let problems = status["problems"].as_array()?;
        problems.iter().filter_map(|p| p.as_str()).find(|p| p.contains("no room is left")).map(str::to_owned)
    });
    assert!(problem.contains("/run/sixgate/state/leases.db") && problem.contains("free some"), "{problem}");
    server.process.wait_line("no room is left", PATIENCE).unwrap();
    assert!(load.wait(PATIENCE).unwrap().success(), "{}", load.output());
    let told = pair.alice.read_file("/run/told").unwrap().lines().count();

    let heard = server.status()["dhcp"]["received"].as_u64().unwrap();
    let client = Sixgate::start(&pair.alice, "[uplink]\ninterface = \"eth0\"\n");
    // Asked again and again, it promises nothing.
    server
        .wait_status("messages", |status| (status["dhcp"]["received"].as_u64()? >= heard + 2).then_some(()));
    // Who has a lease was told of it, but for the few whose answer came after they had stopped to listen.
    let leases = || server.status()["lans"][0]["leases"].as_u64().unwrap() as usize;
    let given = leases();
    assert!((told..=told + 4).contains(&given), "{given} leases, {told} told of\n{}", server.log());
    assert_ne!(client.status()["uplink"]["client"], "bound");

    run(&pair.gw, "rm", &["/run/sixgate/state/fill"]).expect(0, &[]);
    client.wait_status("a lease", |status| (status["uplink"]["client"] == "bound").then_some(()));
    server.wait_status("no problem", |status| status["problems"].as_array()?.is_empty().then_some(()));
    assert_eq!(leases(), given + 1);
    client.stop();
    // What it told of is on disk.
    server.kill();
    let offline = format!("{SIXGATE} leases --offline --json > /run/offline");
    run(&pair.gw, "sh", &["-c", &offline]).expect(0, &[]);
    let offline: Vec<serde_json::Value> =
        serde_json::from_str(&pair.gw.read_file("/run/offline").unwrap()).unwrap();
    for line in pair.alice.read_file("/run/told").unwrap().lines() {
        let (_, resource) = line.split_once(' ').unwrap();
        assert!(offline.iter().any(|lease| lease["resource"] == resource), "{resource} was told and is lost");
    }
    assert_eq!(offline.len(), given + 1);
}

#[test]
fn a_stop_with_a_full_disk_still_takes_everything_away() {
    let pair = pair("mistakes-fullstop");
    small_disk(&pair.gw);
    let before = traces(&pair.gw);
    let server = Sixgate::start(&pair.gw, SERVER);
    server.wait_lan_prefix(0);
    fill(&pair.gw);
    server.process.signal(Signal::SIGTERM).unwrap();
    end(&server.process);
    assert_no_trace(&pair.gw, &before, "");
}

#[test]
fn a_damaged_or_newer_database_is_named_and_left_alone() {
    let pair = pair("mistakes-database");
    let database = "/run/sixgate/state/leases.db";
    let garbage = "no database at all, but somebody's only copy\n".repeat(200);
    pair.gw.write_file(database, &garbage).unwrap();
    refused(&pair.gw, SERVER).expect(3, &[database, "damaged", "move it aside"]);
    assert_eq!(pair.gw.read_file(database).unwrap(), garbage);
    pair.gw.run(|| std::fs::remove_file(database)).unwrap();

    Sixgate::start(&pair.gw, SERVER).stop();
    let newer = format!(
        "import sqlite3; c = sqlite3.connect('{database}'); c.execute('PRAGMA user_version = 99'); c.commit()"
    );
    run(&pair.gw, "python3", &["-c", &newer]).expect(0, &[]);
    let before = pair.gw.run(|| std::fs::read(database)).unwrap();
    refused(&pair.gw, SERVER).expect(3, &[database, "layout 99", "newer sixgate"]);
    assert!(pair.gw.run(|| std::fs::read(database)).unwrap() == before, "the database was written");
    run(&pair.gw, SIXGATE, &["leases", "--offline"]).expect(1, &[database, "layout 99"]);
}

#[test]
fn a_damaged_duid_is_never_replaced() {
    let pair = pair("mistakes-duid");
    let file = "/run/sixgate/state/duid";
    for garbage in [&b"not a DUID\n"[..], b"", b"\xff\xfe\x00", b"0001", &[b'0'; 4096]] {
        pair.gw.write_file(file, garbage).unwrap();
        refused(&pair.gw, SERVER).expect(3, &[file, "DUID", "restore it from a backup"]);
        assert_eq!(pair.gw.run(|| std::fs::read(file)).unwrap(), garbage);
    }
}

#[test]
fn a_second_sixgate_is_refused_and_the_first_goes_on() {
    let pair = pair("mistakes-second");
    let first = Sixgate::start(&pair.gw, SERVER);
    first.wait_lan_prefix(0);
    let before = traces(&pair.gw);
    let second = |config: &str| {
        pair.gw.write_file("/run/second.toml", config).unwrap();
        run(&pair.gw, SIXGATE, &["up", "--config", "/run/second.toml"])
    };
    let pid = first.process.pid().to_string();
    let ended = second(&format!("state = \"/run/sixgate/state\"\n{SERVER}"));
    ended.expect(3, &["/run/sixgate/state", "in use by process", "stop that process"]);
    let _ = pid;
    second(&format!("state = \"/run/other\"\n{SERVER}"))
        .expect(3, &["another sixgate answers on the control socket /run/sixgate/control", "set control"]);
    // Even one with a state folder and a control socket of its own does not take the first one's rules with it.
    second(&format!("state = \"/run/other\"\ncontrol = \"/run/other/control\"\n{SERVER}"))
        .expect(3, &["547", "(sixgate) has it"]);
    assert_no_trace(&pair.gw, &before, "");
    first.stop();
}

#[test]
fn a_control_socket_that_cannot_be_made_is_explained() {
    let pair = pair("mistakes-control");
    refused(&pair.gw, &format!("control-group = \"no-such-group\"\n{SERVER}"))
        .expect(3, &["no group `no-such-group`", "groupadd", "leave out control-group"]);
    refused(&pair.gw, &format!("control = \"/proc/sixgate/control\"\n{SERVER}"))
        .expect(3, &["cannot make the control socket /proc/sixgate/control", "set control"]);
    // A file that is no socket is somebody's: it stays.
    pair.gw.write_file("/run/precious", "data\n").unwrap();
    refused(&pair.gw, &format!("control = \"/run/precious\"\n{SERVER}"))
        .expect(3, &["/run/precious", "not a socket"]);
    assert_eq!(pair.gw.read_file("/run/precious").unwrap(), "data\n");
}

#[test]
fn ipv6_that_was_switched_off_is_switched_on_and_off_again() {
    let pair = pair("mistakes-disabled");
    pair.gw.sysctl("net/ipv6/conf/lan0/disable_ipv6", "1").unwrap();
    let before = traces(&pair.gw);
    let server = Sixgate::start(&pair.gw, SERVER);
    server.wait_lan_prefix(0);
    pair.alice.wait_address("eth0", |address| !address.is_unicast_link_local(), PATIENCE).unwrap();
    assert_eq!(pair.gw.read_file("/proc/sys/net/ipv6/conf/lan0/disable_ipv6").unwrap(), "0\n");
    server.stop();
    assert_no_trace(&pair.gw, &before, "");
}

#[test]
fn a_kernel_without_ipv6_is_told_in_one_sentence() {
    let pair = pair("mistakes-no-ipv6");
    pair.gw.write_file("/etc/sixgate.toml", SERVER).unwrap();
    // A filter that refuses AF_INET6 as a kernel without IPv6 does.
    let refuse = "import ctypes, os, struct, sys\n\
        libc = ctypes.CDLL(None, use_errno=True)\n\
        import platform\n\
        nr = {'x86_64': 41, 'aarch64': 198}[platform.machine()]\n\
        rows = [(0x20, 0, 0, 0), (0x15, 0, 3, nr), (0x20, 0, 0, 16), (0x15, 0, 1, 10), (0x06, 0, 0, 0x00050000 | 97), (0x06, 0, 0, 0x7fff0000)]\n\
        code = b''.join(struct.pack('HBBI', *row) for row in rows)\n\
        buffer = ctypes.create_string_buffer(code)\n\
        program = struct.pack('HxxxxxxP', len(rows), ctypes.addressof(buffer))\n\
        program = ctypes.create_string_buffer(program)\n\
        assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0\n\
        os.execv(sys.argv[1], sys.argv[1:])\n";
    let before = traces(&pair.gw);
    run(&pair.gw, "python3", &["-c", refuse, SIXGATE, "up"]).expect(3, &["IPv6"]);
    assert_no_trace(&pair.gw, &before, "");
}

#[test]
fn an_interface_that_goes_down_or_loses_its_cable_is_served_again() {
    let pair = pair("mistakes-carrier");
    let before = traces(&pair.gw);
    let server = Sixgate::start(&pair.gw, SERVER);
    let prefix = server.wait_lan_prefix(0);
    wait_in(&pair.alice, "eth0", prefix);
    let up = |server: &Sixgate, wanted: bool| {
        server.wait_status("the LAN's state", |status| (status["lans"][0]["up"] == wanted).then_some(()));
    };
    let gateway = "2001:db8:5::1";
    for round in 0..2 {
        let seen = pair.alice.capture("eth0").unwrap();
        if round == 0 {
            pair.cable.cut(true).unwrap();
            up(&server, false);
            pair.cable.cut(false).unwrap();
        } else {
            pair.gw.set_up("lan0", false).unwrap();
            up(&server, false);
            pair.gw.set_up("lan0", true).unwrap();
        }
        up(&server, true);
        // Advertised at once, without waiting for the next interval, and the gateway's address is there.
        seen.wait_fields("icmpv6.type == 134", &["ipv6.src"], 1, PATIENCE)
            .unwrap_or_else(|e| panic!("{e}\n{}", server.log()));
        pair.alice
            .wait_for("the gateway", PATIENCE, || {
                run(&pair.alice, "ping", &["-c1", "-W1", gateway]).code == Some(0)
            })
            .unwrap_or_else(|e| panic!("{e}\n{}", server.log()));
    }
    // Stopped without a carrier: nothing may stay on the interface.
    pair.cable.cut(true).unwrap();
    up(&server, false);
    server.stop();
    pair.cable.cut(false).unwrap();
    assert_no_trace(&pair.gw, &before, "");
}

#[test]
fn an_interface_that_vanishes_is_a_problem_and_no_panic() {
    let home = home("mistakes-vanish");
    let isp = Sixgate::start(&home.isp, &isp_config());
    let server = Sixgate::start(&home.gw, GATEWAY);
    let prefix = server.wait_lan_prefix(1);
    wait_in(&home.bob, "eth0", prefix);
    for gone in ["lan0", "wan0"] {
        run(&home.gw, "ip", &["link", "del", gone]).expect(0, &[]);
        server.wait_status("the problem", |status| {
            let problems = status["problems"].as_array()?;
            problems
                .iter()
                .filter_map(|p| p.as_str())
                .find(|p| p.contains(gone) && p.contains("gone"))
                .map(|_| ())
        });
    }
    // The other LAN is still served.
    let gateway = prefix.network().to_string() + "1";
    run(&home.bob, "ping", &["-c1", "-W5", &gateway]).expect(0, &[]);
    run(&home.gw, SIXGATE, &["status"]).expect(0, &["DOWN"]);
    let problems = server.status()["problems"].to_string();
    assert!(!problems.contains("os error"), "{problems}");
    assert!(!server.log().contains("panicked"), "{}", server.log());
    server.process.signal(Signal::SIGTERM).unwrap();
    end(&server.process).expect(0, &[]);
    assert_eq!(output(&home.gw, "nft", &["list", "ruleset"]), "");
    isp.stop();
}
