//! The gallery: stock programs, and what `docs/gallery.md` says of them. `UPDATE_GALLERY=1` writes it anew.

use crate::{report, text};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const WORLDS: &str = "dual,v6only,no4,v6only+nat64,flaky6,v4only,no6";

/// How many are tried side by side: they wait most of the time.
const AT_ONCE: usize = 6;

/// Each as it would be typed; all of Debian's, none of ours. `DIR` is a folder of the test's own: see [`prepare`].
const PROGRAMS: [&[&str]; 25] = [
    &["curl", "-sS", "-m", "10", "http://www.example.com/"],
    &["wget", "-q", "-T", "5", "-t", "1", "-O", "/dev/null", "http://www.example.com/"],
    &["dig", "+tries=1", "+time=3", "www.example.com", "AAAA"],
    &["ping", "-c", "1", "-W", "2", "www.example.com"],
    &["nmap", "-n", "-sT", "-Pn", "-p", "80", "www.example.com"],
    &["git", "ls-remote", "http://www.example.com/"],
    &["psql", "-w", "host=www.example.com connect_timeout=3"],
    &["python3", "-c", "import urllib.request as web; web.urlopen('http://www.example.com/', timeout=5)"],
    &[
        "perl",
        "-MHTTP::Tiny",
        "-e",
        "exit !HTTP::Tiny->new(timeout => 4)->get('http://www.example.com/')->{success}",
    ],
    &["node", "-e", "fetch('http://www.example.com/')"],
    &["python3", "-m", "http.server", "8000"],
    &["python3", "-m", "http.server", "--bind", "::", "8000"],
    &["python3", "-c", "import xmlrpc.server as x; x.SimpleXMLRPCServer(('', 8000)).serve_forever()"],
    &["dnsmasq", "--no-daemon", "--no-resolv", "--user=root", "--port=5353", "--pid-file="],
    &["dnsmasq", "--no-resolv", "--user=root", "--port=5353", "--pid-file="],
    &["git", "daemon", "--base-path=/tmp", "--export-all", "--reuseaddr"],
    &["ncat", "-l", "-k", "7000"],
    &["systemd-socket-activate", "-l", "8080", "--inetd", "-a", "cat"],
    &["busybox", "httpd", "-f", "-p", "8080"],
    &["openssl", "s_server", "-accept", "8443", "-nocert", "-quiet"],
    &["node", "-e", "require('http').createServer((_, to) => to.end()).listen(8080)"],
    &["DIR/triv"],
    &[
        "perl",
        "-MIO::Socket::INET",
        "-e",
        "$s = IO::Socket::INET->new(LocalPort => 8080, Listen => 5) or die; 1 while $s->accept",
    ],
    &[
        "perl",
        "-MIO::Socket::IP",
        "-e",
        "$s = IO::Socket::IP->new(LocalPort => 8080, Listen => 5) or die; 1 while $s->accept",
    ],
    &[
        "setpriv",
        "--reuid=nobody",
        "--clear-groups",
        "--",
        POSTGRES,
        "-D",
        "DIR/data",
        "-k",
        "DIR/data",
        "-h",
        "*",
    ],
];

/// It refuses to run as root.
const POSTGRES: &str = "/usr/lib/postgresql/15/bin/postgres";
/// A static program from Go's own sources (golang-1.19-src): an HTTP server.
const TRIV: &str = "/usr/share/go-1.19/src/net/http/triv.go";

/// What the programs need: a database's folder, and the static program.
fn prepare(folder: &Path) {
    let data = folder.join("data");
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::chown(&data, Some(nobody.uid.as_raw()), None).unwrap();
    let initdb = Path::new(POSTGRES).with_file_name("initdb").display().to_string();
    let data = data.display().to_string();
    let words = ["--reuid=nobody", "--clear-groups", "--", &initdb, "-D", &data, "-A", "trust", "--no-sync"];
    let output = Command::new("setpriv").args(words).env("LC_ALL", "C").current_dir("/").output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let output = Command::new("go")
        .args(["build", "-o", &folder.join("triv").display().to_string(), TRIV])
        .envs([("CGO_ENABLED", "0"), ("GOCACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/go"))])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

fn row(program: &[&str], folder: &Path) -> String {
    let folder = folder.display().to_string();
    let words: Vec<String> = program.iter().map(|word| word.replace("DIR/", &format!("{folder}/"))).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let report = report(WORLDS, &words);
    let card = &report["card"];
    let cells = |column: usize| -> &str {
        let all = || {
            card["surfaces"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| row["cells"][column]["result"].as_str().unwrap())
        };
        // The worst of a world's.
        ["fails", "partly", "works", "not-tested"]
            .into_iter()
            .find(|wanted| all().any(|cell| cell == *wanted))
            .unwrap_or("-")
    };
    let mut ids: Vec<&str> = Vec::new();
    for finding in card["findings"].as_array().unwrap() {
        let id = finding["id"].as_str().unwrap();
        if finding["severity"] != "note" && !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids.sort_unstable();
    let mut text =
        format!("| `{}` | {}", program.join(" ").replace('|', "\\|"), card["grade"].as_str().unwrap());
    for column in 0..WORLDS.split(',').count() {
        let _ = write!(text, " | {}", cells(column));
    }
    let _ = writeln!(text, " | {} |", ids.join(", "));
    text
}

#[test]
fn stock_programs_are_as_the_gallery_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/gallery.md");
    let mut table = format!("| program | grade | {} | findings |\n", WORLDS.replace(',', " | "));
    let _ = writeln!(table, "|{}", "---|".repeat(WORLDS.split(',').count() + 3));
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let rows = Mutex::new(BTreeMap::new());
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(program) = PROGRAMS.get(number) else { break };
                    let row = row(program, folder.path());
                    rows.lock().unwrap().insert(number, row);
                }
            });
        }
    });
    let rows: Vec<String> = rows.into_inner().unwrap().into_values().collect();
    table += &rows.concat();
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    let head = known.split("| program |").next().unwrap_or_default();
    let text = format!("{head}{table}");
    if std::env::var_os("UPDATE_GALLERY").is_some() {
        std::fs::write(&path, &text).unwrap();
        return;
    }
    assert_eq!(text, known, "\n{table}");
}
