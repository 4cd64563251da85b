//! `sixgate plan`: what it writes is what `sixgate check` takes, and it says when nothing of it is needed.

use crate::network::SIXGATE;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn sixgate(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(SIXGATE).args(arguments).current_dir(folder).output().unwrap()
}

fn text(octets: &[u8]) -> &str {
    std::str::from_utf8(octets).unwrap()
}

/// `sixgate plan`, which must succeed.
fn plan(folder: &Path, arguments: &[&str]) -> String {
    let done = sixgate(folder, &[&["plan", "--relays", "2001:db8:ff::/48"], arguments].concat());
    assert!(done.status.success(), "{arguments:?}: {}", text(&done.stderr));
    text(&done.stdout).to_owned()
}

/// As `sixgate check` sees a server's configuration.
fn check(folder: &Path, file: &str) {
    let done = sixgate(folder, &["check", "--offline", "--config", file, "--json"]);
    let json: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((&json["ok"], &json["findings"]), (&true.into(), &Value::Array(Vec::new())), "{file}");
}

#[test]
fn ten_thousand_subnets_are_divided_evenly_and_each_half_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--servers", "2", "--from", "2001:db8::/48", "--subnets", "10000", "--output", "out"];
    let told = plan(folder.path(), &arguments);
    assert_eq!(told.matches("     5000  ").count(), 2, "{told}");
    let mut prefixes = Vec::new();
    for server in ["server1", "server2"] {
        let file = format!("out/{server}/sixgate.toml");
        check(folder.path(), &file);
        let written = std::fs::read_to_string(folder.path().join(file)).unwrap();
        let own: Vec<String> =
            written.lines().filter(|line| line.starts_with("prefixes = ")).map(str::to_owned).collect();
        assert_eq!(own.len(), 5_000);
        prefixes.extend(own);
    }
    prefixes.sort();
    prefixes.dedup();
    assert_eq!(prefixes.len(), 10_000);
    // What is there is not overwritten.
    let again = sixgate(folder.path(), &[&["plan", "--relays", "2001:db8:ff::/48"][..], &arguments].concat());
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("is there already"), "{}", text(&again.stderr));
}

#[test]
fn each_layout_of_rfc_6853_is_written_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let file = "servers = [\"east\", \"west\"]\nrelays = [\"2001:db8:ff::/48\"]\nclients = 20000\n\
                [[subnet]]\nname = \"dslam-7\"\nprefixes = [\"2001:db8:7::/64\", \"2001:db8:8::/64\"]\n";
    let delegating = format!("{file}delegate-from = [\"2001:db8:2000::/40\"]\ndelegate-length = 56\n");
    std::fs::write(folder.path().join("plain.toml"), file).unwrap();
    std::fs::write(folder.path().join("pd.toml"), delegating).unwrap();
    for (scheme, input, pools) in [
        (
            "split",
            "pd.toml",
            [Some("\"2001:db8:7::/65\", \"2001:db8:8::/65\""), Some("\"2001:db8:7:0:8000::/65\"")],
        ),
        ("unique", "pd.toml", [Some("pools = [\"2001:db8:7::/64\"]"), Some("pools = [\"2001:db8:8::/64\"]")]),
        ("identical", "plain.toml", [None, None]),
    ] {
        let done = sixgate(folder.path(), &["plan", input, "--scheme", scheme, "--output", scheme]);
        assert!(done.status.success(), "{scheme}: {}", text(&done.stderr));
        for (server, (pool, preference)) in ["east", "west"].iter().zip(pools.iter().zip([255, 127])) {
            let file = format!("{scheme}/{server}/sixgate.toml");
            check(folder.path(), &file);
            let written = std::fs::read_to_string(folder.path().join(&file)).unwrap();
            assert!(written.contains(&format!("preference = {preference}")), "{written}");
            match pool {
                Some(pool) => assert!(written.contains(pool), "{written}"),
                None => assert!(!written.contains("pools"), "{written}"),
            }
        }
    }
    let refused = sixgate(folder.path(), &["plan", "pd.toml", "--scheme", "identical"]);
    assert_eq!(refused.status.code(), Some(2));
    let said = text(&refused.stderr);
    assert!(
        said.contains("servers that do not know of each other") && said.contains("no duplicate"),
        "{said}"
    );
}

#[test]
fn it_says_when_nothing_of_it_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let of = |clients: &str, more: &[&str]| {
        let arguments =
            [&["--from", "2001:db8::/48", "--subnets", "10", "--clients", clients, "--json"][..], more];
        let json: Value = serde_json::from_str(&plan(folder.path(), &arguments.concat())).unwrap();
        json
    };
    let campus = of("20000", &["--servers", "2"]);
    assert_eq!(campus["needed"], false);
    assert!(campus["verdict"].as_str().unwrap().contains("You do not need more than one server"));
    let reasons = campus["reasons"].to_string();
    // 24 h leases, renewed after 6: 20,000 / 21,600 s, and 18 h to repair a server in.
    assert!(reasons.contains("make 1 renewals a second") && reasons.contains("less than 18 h"), "{reasons}");
    assert_eq!(of("20000", &[])["needed"], false);
    // Leases of ten minutes turn it into work: 20,000 / 150 s is a fifteenth of 2,000.
    assert_eq!(of("20000", &["--lease", "10m"])["needed"], false);
    assert_eq!(of("200000", &["--lease", "10m"])["needed"], true);
    assert_eq!(of("5000000", &[])["needed"], true);
    let unsaid = plan(folder.path(), &["--from", "2001:db8::/48", "--subnets", "10"]);
    assert!(unsaid.contains("how many clients there are was not said"), "{unsaid}");
}

#[test]
fn mistakes_are_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bad.toml"), "servers = [\"a\"]\nsubnets = 3\n").unwrap();
    for (arguments, told) in [
        (
            &["plan", "--from", "2001:db8::/56", "--subnets", "300", "--relays", "2001:db8::/32"][..],
            "has no room for 300 /64s",
        ),
        (&["plan", "--from", "2001:db8::/48", "--subnets", "3"], "no relay agent would be heard"),
        (&["plan", "bad.toml"], "bad.toml: line 2: unknown field `subnets`"),
        (&["plan", "none.toml"], "cannot read none.toml: No such file"),
        (&["plan"], "there is no subnet to plan"),
        (&["plan", "--servers", "a,a"], "name at most 64 servers"),
        (&["plan", "--servers", "65"], "name at most 64 servers"),
        (&["plan", "--servers", "0"], "name at most 64 servers"),
    ] {
        let done = sixgate(folder.path(), arguments);
        assert_eq!(done.status.code(), Some(2), "{arguments:?}");
        assert!(text(&done.stderr).contains(told), "{arguments:?}: {}", text(&done.stderr));
    }
}
