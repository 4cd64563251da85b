//! `sixgate buckets`, on files.

use crate::network::SIXGATE;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn buckets(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(SIXGATE).arg("buckets").args(arguments).current_dir(folder).output().unwrap()
}

fn text(octets: &[u8]) -> &str {
    std::str::from_utf8(octets).unwrap()
}

#[test]
fn maps_are_proved_or_what_is_wrong_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| std::fs::write(folder.path().join(name), content).unwrap();
    let split = buckets(folder.path(), &["split", "50/30/20"]);
    write("map.toml", text(&split.stdout));
    write("gap.toml", "a = \"0-99\"\nb = \"90-199\"\n");
    let lan = "[[lan]]\ninterface = \"lan0\"\nprefixes = [\"2001:db8:1::/64\"]\n";
    write("a.toml", &format!("{lan}[dhcp]\nbuckets = \"0-127\"\nserver-name = \"a\"\n"));
    write("b.toml", &format!("{lan}[dhcp]\nbuckets = \"128-255\"\nserver-name = \"b\"\n"));
    write("mapped.toml", &format!("{lan}[dhcp]\nbuckets = \"./map.toml\"\nserver-name = \"server2\"\n"));
    write("plain.toml", lan);
    write("bad.toml", "a = \"0-300\"\n");
    for (files, code, told) in [
        (&["map.toml"][..], 0, "server2   30.1 %  128-204"),
        (&["map.toml"], 0, "exactly one server's"),
        (&["a.toml", "b.toml"], 0, "exactly one server's"),
        (&["a.toml"], 1, "the buckets 128-255 are no server's: 50.0 % of the clients are never answered"),
        (&["gap.toml"], 1, "the buckets 200-255 are no server's"),
        (&["gap.toml"], 1, "the buckets 90-99 are those of more than one server (a, b)"),
        (&["mapped.toml"], 1, "the buckets 0-127,205-255 are no server's"),
        // A configuration without buckets answers everybody.
        (&["plain.toml", "a.toml"], 1, "the buckets 0-127 are those of more than one server (this, a)"),
        (&["bad.toml"], 2, "bad.toml: a: `0-300` is neither a bucket nor a range"),
        (&["none.toml"], 2, "cannot read none.toml: No such file"),
    ] {
        let arguments: Vec<&str> = ["check"].iter().chain(files).copied().collect();
        let done = buckets(folder.path(), &arguments);
        let said = format!("{}{}", text(&done.stdout), text(&done.stderr));
        assert!(said.contains(told), "{files:?}: {said}");
        assert_eq!(done.status.code(), Some(code), "{files:?}: {said}");
    }
    let done = buckets(folder.path(), &["check", "gap.toml", "--json"]);
    let json: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(
        (&json["ok"], &json["missing"], &json["shared"]),
        (&false.into(), &"200-255".into(), &"90-99".into())
    );
    let done = buckets(folder.path(), &["split", "1/1", "--names", "east,west", "--json"]);
    assert_eq!(text(&done.stdout).trim(), r#"{"east":"0-127","west":"128-255"}"#);
}

#[test]
fn a_client_is_shown_with_its_server() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("map.toml"), "a = \"0-99\"\nb = \"90-199\"\n").unwrap();
    // Kea's hash says 82 and 174 (see the tests of the dhcp crate).
    for (duid, told) in [
        ("00:03:00:01:02:00:00:00:00:00", "falls into bucket 82: a answers it"),
        ("0003000102000000000", "DUID"),
        ("00:03:00:01:02:00:00:00:00:01", "falls into bucket 174: b answers it"),
    ] {
        let done = buckets(folder.path(), &["show", duid, "map.toml"]);
        assert!(format!("{}{}", text(&done.stdout), text(&done.stderr)).contains(told), "{duid}: {done:?}");
    }
    let done = buckets(folder.path(), &["show", "00:03:00:01:02:00:00:00:00:01", "--json"]);
    let json: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((&json["bucket"], &json["servers"]), (&174.into(), &Value::Array(Vec::new())));
}

#[test]
fn what_cannot_be_a_map_is_refused_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, told) in [
        (&["split", "0/0"][..], "such as 50/30/20"),
        (&["split", "50/x"], "such as 50/30/20"),
        (&["split", "1/1", "--names", "one"], "2 shares need as many names"),
        (&["split", "1/1", "--names", "a,a"], "2 shares need as many names"),
        (&["check"], "FILE"),
    ] {
        let done = buckets(folder.path(), arguments);
        assert_eq!(done.status.code(), Some(2), "{arguments:?}");
        assert!(text(&done.stderr).contains(told), "{arguments:?}: {}", text(&done.stderr));
    }
    let help = buckets(folder.path(), &["--help"]);
    assert!(
        text(&help.stdout).contains("No redundancy.") && text(&help.stdout).contains("No stable leases.")
    );
}
