//! Queues compared in a simulation: what is well known of them comes out, on a load and on a trace.

use super::world::SIXGATE;
use serde_json::Value;
use std::fmt::Write as _;
use std::process::Command;

/// What it says, and its exit code.
fn aqm(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(SIXGATE).args(["measure", "aqm"]).args(arguments).output().unwrap();
    let said = [output.stdout, output.stderr].map(|octets| String::from_utf8(octets).unwrap());
    (output.status.code(), said.concat())
}

/// The 95th percentile of each queue, in milliseconds.
fn p95(said: &str, of: &str) -> Vec<(String, f64)> {
    let view: Value = serde_json::from_str(said).unwrap();
    assert_eq!(view["simulation"], true);
    let queues = view["queues"].as_array().unwrap();
    queues
        .iter()
        .map(|q| (q["queue"].as_str().unwrap().to_owned(), q[of]["p95-ms"].as_f64().unwrap()))
        .collect()
}

#[test]
fn queues_are_compared_under_a_load() {
    let (code, said) =
        aqm(&["--aqm", "fifo,pie,fq_codel", "--seconds", "5", "--down", "10M", "--up", "2M", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    let p95 = p95(&said, "added");
    let names: Vec<&str> = p95.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["fifo", "pie", "fq_codel"]);
    assert!(p95[0].1 > 5.0 * p95[1].1 && p95[1].1 > 2.0 * p95[2].1, "{p95:?}");
    let (code, said) = aqm(&["--aqm", "codel", "--seconds", "1", "--down", "5M"]);
    assert!(code == Some(0) && said.contains("Simulated") && said.contains("\ncodel "), "{said}");
}

/// A flow that takes twice the link, and one that takes a thousandth.
#[test]
fn queues_are_compared_on_a_trace() {
    let path = std::env::temp_dir().join(format!("sixgate-trace-{}", std::process::id()));
    let mut trace = "# seconds flow octets\n".to_owned();
    for tick in 0..3000 {
        let at = f64::from(tick) / 1000.0;
        writeln!(trace, "{at} 1 1250\n{at} 1 1250").unwrap();
        if tick % 100 == 0 {
            writeln!(trace, "{at} 2 100").unwrap();
        }
    }
    std::fs::write(&path, trace).unwrap();
    let file = path.to_str().unwrap();
    let (code, said) = aqm(&["--trace", file, "--down", "10M", "--aqm", "fifo,fq_codel", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    let sparse = p95(&said, "sparse");
    assert!(sparse[0].1 > 500.0 && sparse[1].1 < 5.0, "{sparse:?}");
    std::fs::write(&path, "0.1 1 100\n0.2 one 100\n").unwrap();
    let (code, said) = aqm(&["--trace", file]);
    assert!(code == Some(1) && said.contains("line 2: `0.2 one 100` is no packet"), "{said}");
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn mistakes_are_explained() {
    for (arguments, told) in [
        (&["--aqm", "red"][..], "fq_codel"),
        (&["--down", "20"], "did you mean \"20M\""),
        (&["--down", "10G"], "choose 64k to 1G"),
        (&["--trace", "x", "--up", "1M"], "cannot be used with"),
    ] {
        let (code, said) = aqm(arguments);
        assert!(code == Some(2) && said.contains(told), "{arguments:?}: {said}");
    }
}
