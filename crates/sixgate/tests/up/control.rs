//! The control socket and the views: what they show, who may ask, and what a client can do to the gateway (nothing).

use crate::mistakes::{Ended, SERVER, as_nobody, nobody_exists, pair, run, shell};
use crate::network::*;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

const SOCKET: &str = "/run/sixgate/control";

fn sixgate(host: &sixgate_lab::Host, arguments: &[&str]) -> Ended {
    run(host, SIXGATE, arguments)
}

/// Mode and group of the socket as the host sees it.
fn permissions(host: &sixgate_lab::Host) -> (u32, u32) {
    host.run(|| {
        let found = std::fs::symlink_metadata(SOCKET).unwrap();
        assert!(found.file_type().is_socket());
        (found.mode() & 0o7777, found.gid())
    })
}

#[test]
fn views_show_every_field_as_table_and_as_json() {
    let home = home("control-views");
    let isp = Sixgate::start(&home.isp, &isp_config());
    let gateway = Sixgate::start(&home.gw, GATEWAY);
    gateway.wait_lan_prefix(0);
    let client = Sixgate::start(&home.alice, "[uplink]\ninterface = \"eth0\"\nhostname = \"alice\"\n");
    client.wait_status("a lease", |status| (status["uplink"]["client"] == "bound").then_some(()));
    gateway.wait_status("a router", |status| status["uplink"]["routers"].get(0).map(|_| ()));

    let status = gateway.status();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let timed = ["origin", "preferred", "valid", "what"];
    assert_eq!(
        keys(&status),
        [
            "dhcp",
            "dns",
            "dns64",
            "duid",
            "firewall",
            "health",
            "lans",
            "listeners",
            "neighbours",
            "pid",
            "problems",
            "uplink",
            "uptime",
            "version"
        ]
    );
    let uplink = &status["uplink"];
    assert_eq!(keys(uplink), ["addresses", "client", "interface", "prefixes", "resolvers", "routers", "up"]);
    assert_eq!(
        (&uplink["interface"], &uplink["client"], &uplink["up"]),
        (&"wan0".into(), &"bound".into(), &true.into())
    );
    for rows in
        [&uplink["addresses"], &uplink["prefixes"], &uplink["routers"], &status["lans"][0]["prefixes"]]
    {
        assert!(!rows.as_array().unwrap().is_empty(), "{status}");
        assert_eq!(keys(&rows[0]), timed);
    }
    let lan = &status["lans"][0];
    assert_eq!(
        keys(lan),
        ["interface", "leases", "name", "other_routers", "prefixes", "router_lifetime", "up"]
    );
    assert_eq!(
        (&lan["interface"], &lan["leases"], &lan["router_lifetime"]),
        (&"lan0".into(), &1.into(), &1800.into())
    );
    assert!(
        status["firewall"].as_object().unwrap().values().all(|counter| keys(counter) == ["bytes", "packets"])
    );
    assert_eq!(
        status["duid"].as_str().unwrap(),
        home.gw.read_file("/run/sixgate/state/duid").unwrap().trim()
    );
    assert!(status["problems"].as_array().unwrap().is_empty(), "{status}");

    let leases = gateway.leases();
    assert_eq!(leases.len(), 1);
    assert_eq!(
        keys(&leases[0]),
        [
            "duid",
            "hostname",
            "iaid",
            "key",
            "lan",
            "learnt",
            "link_layer",
            "preferred",
            "resource",
            "state",
            "valid"
        ]
    );
    let address = leases[0]["resource"].as_str().unwrap();
    assert_eq!(leases[0]["hostname"], "alice");

    sixgate(&home.gw, &["status"]).expect(
        0,
        &["uplink wan0 up dhcpv6 bound", "lan lan0 up leases 1", "router-lifetime 30m00s", "firewall"],
    );
    sixgate(&home.gw, &["leases"]).expect(0, &["ADDRESS OR PREFIX", address, "alice", "bound"]);
    // Each socket that status names is in the kernel's own table, and none beside.
    let listeners: Vec<&str> =
        status["listeners"].as_array().unwrap().iter().map(|l| l.as_str().unwrap()).collect();
    let kernel = output(&home.gw, "ss", &["-6Hlnutw"]);
    for (transport, port, count) in [("UDP", 53, 2), ("UDP", 546, 1), ("UDP", 547, 2), ("TCP", 53, 2)] {
        let named = format!("{transport} [::]:{port} on ");
        assert_eq!(listeners.iter().filter(|l| l.starts_with(&named)).count(), count, "{listeners:?}");
        let held = kernel.lines().filter(|line| {
            line.starts_with(&transport.to_lowercase())
                && line.split_whitespace().nth(4).is_some_and(|at| at.ends_with(&format!(":{port}")))
        });
        assert_eq!(held.count(), count, "{port} in:\n{kernel}");
    }
    assert_eq!(listeners.iter().filter(|l| l.starts_with("ICMPv6 on ")).count(), 3, "{listeners:?}");
    assert_eq!(listeners.len(), 10);
    let bound_to_all =
        kernel.lines().filter(|l| l.contains("*:53 ") || l.contains("[::]:53 ") || l.contains("[::]:547 "));
    assert_eq!(bound_to_all.count(), 0, "a socket is not bound to its interface:\n{kernel}");

    // While it runs, after it was killed, and after it stopped: the same leases.
    let resources = |ended: &Ended| -> Vec<String> {
        let line =
            ended.text.lines().find(|line| line.starts_with('[')).unwrap_or_else(|| panic!("{}", ended.text));
        let leases: Vec<Value> = serde_json::from_str(line).unwrap();
        leases.iter().map(|lease| lease["resource"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(resources(&sixgate(&home.gw, &["leases", "--offline", "--json"])), [address]);
    gateway.kill();
    let fallback = sixgate(&home.gw, &["leases", "--json"]);
    fallback.expect(0, &["sixgate is not running; these are the leases on disk"]);
    assert_eq!(resources(&fallback), [address]);
    client.stop();
    isp.stop();
}

#[test]
fn not_running_and_not_permitted_are_told_apart() {
    let pair = pair("control-absent");
    pair.gw.write_file("/etc/sixgate.toml", format!("state = \"/run/sixgate/state\"\n{SERVER}")).unwrap();
    let absent: &[&str] =
        &["no answer on the control socket /run/sixgate/control", "start it with `sixgate up`", "--config"];
    sixgate(&pair.gw, &["status"]).expect(4, absent);
    sixgate(&pair.gw, &["status", "--json"]).expect(4, absent);
    sixgate(&pair.gw, &["leases", "--control", SOCKET]).expect(4, absent);
    sixgate(&pair.gw, &["leases"]).expect(1, &["no lease database", "/run/sixgate/state/leases.db"]);

    let server = Sixgate::start(&pair.gw, SERVER);
    assert_eq!(permissions(&pair.gw).0, 0o600);
    for view in ["status", "leases"].into_iter().filter(|_| nobody_exists()) {
        as_nobody(&pair.gw, view).expect(4, &["Permission denied", "run as root, or set control-group"]);
    }
    server.kill();
    if !nobody_exists() {
        return;
    }
    // As a service manager makes it; the state folder within made it closed to others.
    run(&pair.gw, "chmod", &["755", "/run/sixgate"]).expect(0, &[]);
    // A socket that nobody listens at, and then a new start in its place.
    sixgate(&pair.gw, &["status"]).expect(4, absent);
    let server = Sixgate::start(&pair.gw, &format!("control-group = \"nogroup\"\n{SERVER}"));
    let (mode, group) = permissions(&pair.gw);
    assert_eq!(mode, 0o660);
    assert_eq!(group, nix_group("nogroup"));
    let member = "exec 9<\"$SIXGATE\"; exec setpriv --reuid=65534 --regid=$(getent group nogroup | cut -d: -f3) --clear-groups \
                  --inh-caps=-all --bounding-set=-all /proc/self/fd/9 status";
    shell(&pair.gw, member).expect(0, &["lan lan0"]);
    server.stop();
    assert!(!pair.gw.run(|| Path::new(SOCKET).exists()));
}

fn nix_group(name: &str) -> u32 {
    let groups = std::fs::read_to_string("/etc/group").unwrap();
    let line = groups.lines().find(|line| line.starts_with(&format!("{name}:"))).unwrap();
    line.split(':').nth(2).unwrap().parse().unwrap()
}

/// Sends bytes to the control socket and returns what comes back until it is closed, or a while has passed.
fn talk(host: &sixgate_lab::Host, bytes: &[u8]) -> String {
    let mut stream = host.run(|| UnixStream::connect(SOCKET)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // It may close on us while we still speak.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn no_client_of_the_socket_can_stop_the_gateway() {
    let pair = pair("control-hostile");
    let server = Sixgate::start(&pair.gw, SERVER);
    server.wait_lan_prefix(0);
    pair.alice.wait_address("eth0", |address| !address.is_unicast_link_local(), PATIENCE).unwrap();
    for bytes in [&b"\n"[..], b"\xff\xfe\x00\x1b[2J\n", b"status extra\n", b"STATUS\n", b"../../etc/passwd\n"]
    {
        let answer = talk(&pair.gw, bytes);
        let answer: Value =
            serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
        assert!(answer["error"].as_str().unwrap().contains("there are: status, leases"), "{answer}");
    }
    // No end of the line, a very long line, and nothing at all.
    talk(&pair.gw, &vec![b'x'; 8 << 20]);
    assert!(
        talk(&pair.gw, &[b"status\n".as_slice(), &[0; 4096]].concat()).contains("\"lans\"")
            || server.process.status().is_none()
    );
    drop(pair.gw.run(|| UnixStream::connect(SOCKET)).unwrap());

    // Many that say nothing: the gateway itself goes on at once, and they are thrown out.
    let silent: Vec<UnixStream> =
        pair.gw.run(|| (0..16).map(|_| UnixStream::connect(SOCKET).unwrap()).collect());
    run(&pair.alice, "ping", &["-c1", "-W2", "2001:db8:5::1"]).expect(0, &[]);
    run(&pair.alice, "dig", &["+time=2", "+tries=1", "@2001:db8:5::1", "gateway.home.arpa", "AAAA"])
        .expect(0, &["2001:db8:5::1"]);
    let begun = Instant::now();
    talk(&pair.gw, b"status\n");
    assert!(
        begun.elapsed() < Duration::from_secs(9),
        "silent clients hold the socket for {:?}",
        begun.elapsed()
    );
    drop(silent);

    // A hundred at once all get their answer.
    let askers: Vec<_> = (0..100).map(|_| pair.gw.thread(ask).unwrap()).collect();
    for asker in askers {
        let answer = asker.join().unwrap();
        assert!(serde_json::from_str::<Value>(&answer).unwrap()["lans"].is_array());
    }
    // Ones that never read theirs.
    let deaf: Vec<UnixStream> = pair.gw.run(|| {
        let ask = || {
            let mut stream = UnixStream::connect(SOCKET).unwrap();
            stream.write_all(b"status\n").unwrap();
            stream
        };
        (0..40).map(|_| ask()).collect()
    });
    server.wait_status("an answer", |status| status["lans"].is_array().then_some(()));
    drop(deaf);
    assert!(!server.log().contains("panicked"), "{}", server.log());
    server.stop();
}

fn ask() -> String {
    let mut stream = UnixStream::connect(SOCKET).unwrap();
    stream.write_all(b"status\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_closed_pipe_is_no_panic_and_colours_are_for_terminals() {
    let pair = pair("control-pipes");
    let server = Sixgate::start(&pair.gw, SERVER);
    server.wait_lan_prefix(0);
    for line in [
        "set -o pipefail; \"$SIXGATE\" status | head -1",
        "set -o pipefail; \"$SIXGATE\" status --json | head -c1",
        "set -o pipefail; \"$SIXGATE\" leases | true",
        "set -o pipefail; \"$SIXGATE\" check --reference | head -1",
        "\"$SIXGATE\" status >&-",
        "\"$SIXGATE\" status 2>&-",
    ] {
        shell(&pair.gw, line).expect(0, &[]);
    }
    shell(&pair.gw, "\"$SIXGATE\" status >/dev/full")
        .expect(1, &["cannot write to standard output", "No space left"]);

    pair.gw.write_file("/run/bad.toml", "[[lan]]\ninterfase = \"lan0\"\n").unwrap();
    // Errors to a pipe that nobody reads: the exit code says it.
    shell(&pair.gw, "\"$SIXGATE\" check -c /run/bad.toml 2> >(exec 0<&-; sleep 0.3) ; test $? = 2")
        .expect(0, &[]);
    shell(&pair.gw, "\"$SIXGATE\" check -c /run/bad.toml 2>&- ; test $? = 2").expect(0, &[]);
    let json = shell(&pair.gw, "\"$SIXGATE\" check --json -c /run/bad.toml");
    assert_eq!(json.code, Some(2));
    let json: Value =
        serde_json::from_str(&json.text).unwrap_or_else(|error| panic!("{error}: {}", json.text));
    assert_eq!(
        (&json["ok"], &json["findings"][0]["line"], &json["findings"][0]["column"]),
        (&false.into(), &2.into(), &1.into())
    );
    for key in ["severity", "file", "key", "message", "remedy"] {
        assert!(json["findings"][0][key].is_string(), "{json}");
    }
    let good = shell(&pair.gw, "\"$SIXGATE\" check --json");
    good.expect(0, &["{\"findings\":[],\"ok\":true}"]);

    let escape = '\x1b';
    let plain = shell(&pair.gw, "\"$SIXGATE\" check -c /run/bad.toml");
    assert!(plain.code == Some(2) && !plain.text.contains(escape), "{}", plain.text);
    // script(1) gives it a terminal.
    let terminal = "script -qec '\"$SIXGATE\" check -c /run/bad.toml' /dev/null";
    assert!(shell(&pair.gw, terminal).text.contains(escape));
    assert!(!shell(&pair.gw, &format!("NO_COLOR=1 {terminal}")).text.contains(escape));
    assert!(!server.log().contains(escape));
    server.stop();
}

#[test]
fn a_log_that_nobody_reads_does_not_end_the_gateway() {
    let pair = pair("control-log");
    pair.gw.write_file("/etc/sixgate.toml", format!("state = \"/run/sixgate/state\"\n{SERVER}")).unwrap();
    // Its reader goes away after the first line.
    let command = sixgate_lab::Command::new("bash")
        .args(["-c", "\"$SIXGATE\" up -vv 2>&1 | head -1; wait"])
        .env("SIXGATE", SIXGATE);
    let up = pair.gw.spawn(&command).unwrap();
    up.wait_line("", PATIENCE).unwrap();
    pair.alice.wait_address("eth0", |address| !address.is_unicast_link_local(), PATIENCE).unwrap();
    // Much is logged meanwhile.
    run(&pair.alice, "dig", &["+time=2", "+tries=2", "@2001:db8:5::1", "gateway.home.arpa", "AAAA"])
        .expect(0, &["2001:db8:5::1"]);
    let status = sixgate(&pair.gw, &["status", "--json"]);
    status.expect(0, &["\"lans\""]);
    let status: Value = serde_json::from_str(&status.text).unwrap();
    run(&pair.gw, "kill", &[&status["pid"].to_string()]).expect(0, &[]);
    pair.gw.wait_for("its end", PATIENCE, || !pair.gw.run(|| Path::new(SOCKET).exists())).unwrap();
}
