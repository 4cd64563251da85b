//! Old software: a kernel, a daemon of this machine, a resolver that says what it is. Each is the real one but for its number.

use super::world::{GATEWAY, PATIENCE, World, ids, run, spawn};
use serde_json::Value;
use sixgate_lab::{Host, Transport, wait_for};
use std::os::unix::fs::PermissionsExt as _;

/// Writes a dnsmasq that says that it is 2.45, and nothing else is changed of it.
fn old_dnsmasq(at: &str) {
    let mut program = std::fs::read("/usr/sbin/dnsmasq").unwrap();
    let said = std::process::Command::new("dnsmasq").arg("--version").output().unwrap().stdout;
    let said = String::from_utf8(said).unwrap();
    let version = said.split_whitespace().nth(2).unwrap();
    let old: String = "2.45".chars().chain(std::iter::repeat('0')).take(version.len()).collect();
    let places: Vec<usize> = (0..program.len() - version.len())
        .filter(|place| program[*place..].starts_with(version.as_bytes()))
        .collect();
    assert!(!places.is_empty(), "{version} is not in the program");
    for place in places {
        program[place..place + old.len()].copy_from_slice(old.as_bytes());
    }
    std::fs::write(at, program).unwrap();
    std::fs::set_permissions(at, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A folder of our own that nobody but root can write to, so that programs in it are trusted.
fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("sixgate-old-").tempdir_in("/var/lib").unwrap()
}

fn runs(host: &Host, program: &str, interface: &str) -> sixgate_lab::Process {
    let line = format!(
        "{program} -k --conf-file=/dev/null --local=/arpa/ --no-resolv --no-hosts --user=root --pid-file=/run/old.pid --interface={interface} --bind-dynamic --log-facility=-"
    );
    let process = spawn(host, &line);
    wait_for("dnsmasq to listen", PATIENCE, || host.listening(Transport::Udp, 53)).unwrap();
    process
}

fn whats(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().map(|finding| format!("{} at {}", finding["what"], finding["place"])).collect()
}

#[test]
fn an_old_kernel() {
    let world = World::new("old-kernel");
    let _radvd = World::radvd(&world.gw, "lan0", &World::usual());
    let _dnsmasq = world.dnsmasq("");
    world.settled();
    world.laptop.write_file("/run/release", "4.9.337\n").unwrap();
    run(&world.laptop, "mount --bind /run/release /proc/sys/kernel/osrelease");
    let (report, code) = world.doctor("--fail-on warning");
    assert!(ids(&report) == ["old-kernel"] && code == Some(1), "{report:#}");
    let finding = &report["findings"][0];
    assert!(finding["evidence"].as_str().unwrap().contains("came out in 2016-12"), "{finding}");
    assert_eq!(finding["place"], "client");
}

#[test]
fn old_daemons_here_and_at_the_resolver() {
    let world = World::new("old-daemon");
    let folder = folder();
    let old = folder.path().join("dnsmasq");
    let old = old.to_str().unwrap();
    old_dnsmasq(old);
    let _radvd = World::radvd(&world.gw, "lan0", &World::usual());
    let _resolver = runs(&world.gw, old, "lan0");
    let _here = runs(&world.laptop, old, "lo");
    world.settled();
    let (report, code) = world.doctor("--fail-on warning");
    assert!(ids(&report) == ["old-software", "old-software"] && code == Some(1), "{report:#}");
    let whats = whats(&report);
    assert!(
        whats[0].contains("dnsmasq 2.45") && whats[0].contains("this machine\" at \"client\""),
        "{whats:?}"
    );
    assert!(whats[1].contains(&format!("runs on {GATEWAY}\" at \"gateway\"")), "{whats:?}");
}

#[test]
fn a_program_that_others_could_have_written_is_not_run() {
    let world = World::new("not-run");
    let folder = folder();
    let old = folder.path().join("dnsmasq");
    old_dnsmasq(old.to_str().unwrap());
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let _here = runs(&world.laptop, old.to_str().unwrap(), "lo");
    let (report, _) = world.doctor("");
    // What is installed is what it is taken for.
    assert!(!ids(&report).contains(&"old-software".to_owned()), "{report:#}");
}
