//! The gallery: stock programs, and what `docs/gallery.md` says of them. `UPDATE_GALLERY=1` writes it anew.

use crate::report;
use std::fmt::Write as _;
use std::path::Path;

const WORLDS: &str = "dual,v6only,no4,v6only+nat64,flaky6,v4only,no6";

/// Each as it would be typed; all of Debian's, none of ours.
const PROGRAMS: [&[&str]; 13] = [
    &["curl", "-sS", "-m", "10", "http://www.example.com/"],
    &["wget", "-q", "-T", "5", "-t", "1", "-O", "/dev/null", "http://www.example.com/"],
    &["dig", "+tries=1", "+time=3", "www.example.com", "AAAA"],
    &["ping", "-c", "1", "-W", "2", "www.example.com"],
    &["nmap", "-sT", "-Pn", "-p", "80", "www.example.com"],
    &["git", "ls-remote", "http://www.example.com/"],
    &["python3", "-m", "http.server", "8000"],
    &["python3", "-m", "http.server", "--bind", "::", "8000"],
    &["dnsmasq", "--no-daemon", "--no-resolv", "--user=root", "--port=5353", "--pid-file="],
    &["git", "daemon", "--base-path=/tmp", "--export-all", "--reuseaddr"],
    &["ncat", "-l", "-k", "7000"],
    &["busybox", "httpd", "-f", "-p", "8080"],
    &[
        "perl",
        "-MIO::Socket::INET",
        "-e",
        "$s = IO::Socket::INET->new(LocalPort => 8080, Listen => 5) or die; 1 while $s->accept",
    ],
];

fn row(program: &[&str]) -> String {
    let report = report(WORLDS, program);
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
    let rows: Vec<String> = std::thread::scope(|scope| {
        let halves = PROGRAMS.chunks(PROGRAMS.len().div_ceil(2));
        let threads: Vec<_> = halves
            .map(|half| scope.spawn(|| half.iter().map(|program| row(program)).collect::<Vec<_>>()))
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
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
