//! What may happen to a program besides being judged: each has a clear outcome.

use crate::{SIXGATE, built, cell, ids, report, sample, text, wrap};
use std::process::Command;

#[test]
fn programs_that_cannot_be_judged_say_why() {
    let missing = wrap(&["--worlds", "dual"], &["no-such-program"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stdout).contains("cannot start no-such-program"), "{}", text(&missing.stdout));

    let crash = report("dual", &["python3", "-c", "import os; os.abort()"]);
    assert_eq!(crash["card"]["grade"], "not-tested");
    assert_eq!(crash["runs"][0]["end"]["killed"], 6);

    let nothing = wrap(&["--worlds", "v6only"], &["true"]);
    assert_eq!(nothing.status.code(), Some(1), "what did nothing was not tested, and cannot pass");
    assert!(text(&nothing.stdout).contains("not tested"), "{}", text(&nothing.stdout));

    let says = report("dual", &["sh", "-c", "echo no terminal here >&2; exit 3"]);
    let surfaces = says["card"]["surfaces"].to_string();
    assert_eq!(says["runs"][0]["end"]["exited"], 3);
    assert!(says["runs"][0]["said"].as_str().unwrap().contains("no terminal here"), "{surfaces}");

    // Each says what became of it, and what to do.
    for (program, wanted) in [
        (
            &["python3", "-c", "import os; os.abort()"][..],
            &["killed by signal 6 (SIGABRT)", "mend that first"][..],
        ),
        (
            &["sh", "-c", "echo no terminal here >&2; exit 3"],
            &["exit code 3", "no terminal here", "by itself first"],
        ),
        (&["sh", "-c", "exit 3"], &["it said nothing", "syslog"]),
        (&["true"], &["neither listened nor connected", "arguments"]),
        (&["sleep", "100"], &["until it was stopped", "--patience"]),
        (&["sh", "-c", "kill -STOP $$"], &["stopped by SIGSTOP"]),
    ] {
        let output = wrap(&["--worlds", "dual", "--patience", "2"], program);
        for wanted in wanted {
            assert!(text(&output.stdout).contains(wanted), "{program:?}: {}", text(&output.stdout));
        }
    }
}

#[test]
fn a_server_that_forks_away_is_visited() {
    let program = "import os, socket
s = socket.socket(socket.AF_INET6); s.setsockopt(41, 26, 1); s.bind(('::', 80)); s.listen()
if os.fork(): os._exit(0)
while True: s.accept()";
    let report = report("v6only", &["python3", "-c", program]);
    assert_eq!(report["runs"][0]["end"]["forked"], 0, "{:#}", report["runs"][0]["end"]);
    // A port below 1024, too.
    assert_eq!(cell(&report, "answers tcp/80", "v6only"), "works");
}

#[test]
fn one_that_never_listens_ends_with_the_patience() {
    let output = wrap(&["--worlds", "dual", "--patience", "1", "--json"], &["sleep", "1000"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["runs"][0]["end"], "stopped");
    assert_eq!(report["card"]["grade"], "not-tested");
}

#[test]
fn mistakes_on_the_command_line_are_named() {
    let unknown = wrap(&["--worlds", "v7only"], &["true"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("there is no world `v7only`"), "{}", text(&unknown.stderr));
    let none = Command::new(SIXGATE).arg("wrap").output().unwrap();
    assert_eq!(none.status.code(), Some(2));
}

/// Addresses, routes, rules, mounts and processes of the machine.
fn machine() -> Vec<String> {
    let run = |line: &str| {
        let mut words = line.split(' ');
        text(&Command::new(words.next().unwrap()).args(words).output().unwrap().stdout)
    };
    let mut all: Vec<String> =
        ["ip -o addr", "ip -6 route show table all", "ip route show table all", "nft list ruleset"]
            .map(run)
            .into();
    all.push(std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default());
    // Lifetimes run down.
    for text in &mut all {
        *text = text.split_whitespace().filter(|word| !word.ends_with("sec")).collect::<Vec<_>>().join(" ");
    }
    all
}

#[test]
fn the_machine_is_as_before_and_reports_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (html, junit, sarif) = (file("card.html"), file("card.xml"), file("card.sarif"));
    let before = machine();
    let source = sample("listen_ipv4.py").display().to_string();
    let options =
        ["--worlds", "dual,v6only", "--html", &html, "--junit", &junit, "--sarif", &sarif, "--json"];
    let output = wrap(&options, &["python3", &source]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(machine(), before);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(ids(&report).contains(&"listen-ipv4".to_owned()));
    // Python's own parsers are the judges.
    let check = "import json, sys, html.parser, xml.etree.ElementTree as xml
s = json.load(open(sys.argv[3])); assert s['version'] == '2.1.0'
assert any(r['ruleId'] == 'listen-ipv4' for r in s['runs'][0]['results'])
import urllib.parse, os
for r in s['runs'][0]['results']:
    u = urllib.parse.urlparse(r['locations'][0]['physicalLocation']['artifactLocation']['uri'])
    assert u.scheme != 'file' or os.path.exists(urllib.parse.unquote(u.path)), u
suite = xml.parse(sys.argv[2]).getroot(); assert int(suite.get('failures')) == len(suite.findall('.//failure')) > 0
class P(html.parser.HTMLParser):
    def handle_starttag(self, tag, attrs): assert tag not in ('script', 'link', 'img'), tag
P().feed(open(sys.argv[1]).read())";
    let checked = Command::new("python3").args(["-c", check, &html, &junit, &sarif]).output().unwrap();
    assert!(checked.status.success(), "{}", text(&checked.stderr));
}

#[test]
fn a_baseline_lets_known_faults_pass_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let source = sample("listen_ipv4.py").display().to_string();
    let known = wrap(&["--worlds", "dual,v6only", "--json"], &["python3", &source]);
    std::fs::write(file("known"), &known.stdout).unwrap();
    let same = wrap(&["--worlds", "dual,v6only", "--baseline", &file("known")], &["python3", &source]);
    assert_eq!(same.status.code(), Some(0), "{}", text(&same.stderr));
    let good = sample("listen_both.py").display().to_string();
    let better = wrap(&["--worlds", "dual,v6only", "--json"], &["python3", &good]);
    std::fs::write(file("better"), &better.stdout).unwrap();
    let diff = |old: &str, new: &str| {
        Command::new(SIXGATE).args(["wrap", "--diff", &file(old), &file(new)]).output().unwrap()
    };
    let mended = diff("known", "better");
    assert_eq!(mended.status.code(), Some(0));
    assert!(text(&mended.stdout).contains("- [listen-ipv4]"), "{}", text(&mended.stdout));
    assert_eq!(diff("better", "known").status.code(), Some(1));
    let worse = wrap(&["--worlds", "dual,v6only", "--baseline", &file("better")], &["python3", &source]);
    assert_eq!(worse.status.code(), Some(1));
    assert!(text(&worse.stderr).contains("new since the baseline: [listen-ipv4]"), "{}", text(&worse.stderr));
}

#[test]
fn a_finding_names_the_line_that_made_the_call() {
    let folder = tempfile::tempdir().unwrap();
    for (name, call) in [("listen_ipv4.c", "bind("), ("listen_ipv4.go", "net.Listen(")] {
        let program = built(folder.path(), name);
        let report = report("dual", &[&program[0]]);
        let findings = report["card"]["findings"].as_array().unwrap();
        let finding = findings.iter().find(|finding| finding["id"] == "listen-ipv4").unwrap();
        let place = finding["place"].as_str().unwrap();
        let source = std::fs::read_to_string(sample(name)).unwrap();
        let line = source.lines().position(|line| line.contains(call)).unwrap() + 1;
        assert!(place.contains(&format!("{name}:{line} in main")), "{place}");
    }
}

#[test]
fn what_nobody_answers_is_not_tested() {
    // Refused in every world, and the program does not care: that is no success.
    let refused = "import socket
try: socket.create_connection(('www.example.com', 9999), 2)
except OSError as error: print(error)";
    let refused = report("dual,v6only", &["python3", "-c", refused]);
    assert_eq!(cell(&refused, "connects out", "v6only"), "not-tested", "{:#}", refused["card"]);
    assert_eq!(refused["card"]["grade"], "not-tested");
    let refused = wrap(&["--worlds", "dual,v6only"], &["curl", "-sS", "http://www.example.com:9999/"]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stdout));
}

#[test]
fn a_port_that_the_kernel_chose_is_visited_and_very_many_are_not_all() {
    let any = "import socket, time
s = socket.socket(socket.AF_INET6); s.bind(('::', 0)); s.listen(); time.sleep(100)";
    let any = report("dual,v6only", &["python3", "-c", any]);
    assert_eq!(cell(&any, "answers at any port", "v6only"), "works", "{:#}", any["card"]);
    let many = "import socket, time
def listen(port):
    s = socket.socket(socket.AF_INET6); s.setsockopt(41, 26, 1); s.bind(('::1', port)); s.listen(); return s
all = [listen(2000 + n) for n in range(260)]; time.sleep(100)";
    let many = report("v6only", &["python3", "-c", many]);
    assert_eq!(cell(&many, "answers tcp/2255", "v6only"), "works");
    assert_eq!(cell(&many, "answers tcp/2259", "v6only"), "not-tested");
    assert_eq!(many["card"]["grade"], "not-tested");
}

#[test]
fn calls_are_known_when_the_first_thread_has_ended() {
    let number = if cfg!(target_arch = "x86_64") { 60 } else { 93 };
    let program = format!(
        "import ctypes, socket, threading, time
main = threading.main_thread().native_id
def serve():
    while open(f'/proc/{{main}}/stat').read().split()[2] != 'Z': time.sleep(0.01)
    s = socket.socket(socket.AF_INET6); s.bind(('::', 80)); s.listen()
    while True: s.accept()
threading.Thread(target=serve).start()
ctypes.CDLL(None).syscall({number}, 0)"
    );
    let report = report("dual", &["python3", "-c", &program]);
    assert!(ids(&report).contains(&"listen-default".to_owned()), "{:#}", report["card"]);
}

#[test]
fn an_interrupt_ends_it_at_once() {
    let mut command = Command::new(SIXGATE);
    command.args(["wrap", "--worlds", "dual", "--patience", "600", "--", "sleep", "1000"]);
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let sleeps = || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).any(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
            stat.contains("(sleep)") && parent == Some(child.id().to_string().as_str())
        })
    };
    let patience = std::time::Instant::now() + std::time::Duration::from_mins(1);
    while !sleeps() {
        assert!(std::time::Instant::now() < patience, "it was not started");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let begun = std::time::Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(begun.elapsed() < std::time::Duration::from_mins(1), "not after its patience");
}

#[test]
fn a_mapped_destination_is_ipv4() {
    // As Java does it: a socket of IPv6, and what goes out is IPv4.
    let program = "import socket
a = [a for *_, a in socket.getaddrinfo('www.example.com', 80, type=socket.SOCK_STREAM) if len(a) == 2][0]
socket.socket(socket.AF_INET6).connect(('::ffff:' + a[0], 80))";
    let report = report("dual,v6only", &["python3", "-c", program]);
    assert_eq!(report["card"]["grade"], "ipv4-only", "{:#}", report["card"]);
    assert!(ids(&report).contains(&"family-untried".to_owned()), "{:#}", report["card"]);
}
