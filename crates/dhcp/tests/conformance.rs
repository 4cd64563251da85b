//! docs/conformance.md says which test shows each demand of RFC 9915 sections 16 to 21: the tests exist, and its counts are true.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The name of every test below a folder: what follows `#[test]` and other attributes.
fn tests(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            tests(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let mut lines = text.lines().map(str::trim);
            while lines.any(|line| line == "#[test]") {
                let line = lines.by_ref().find(|line| !line.starts_with("#["));
                let name =
                    line.and_then(|line| line.strip_prefix("fn ")).and_then(|rest| rest.split('(').next());
                found.extend(name.map(str::to_owned));
            }
        }
    }
}

/// Cells of the table's rows.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let rows = text.lines().filter(|line| line.starts_with("| ")).skip(1);
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

#[test]
fn every_row_names_a_test_that_exists_or_says_that_there_is_none() {
    let text = std::fs::read_to_string(root().join("docs/conformance.md")).unwrap();
    let rows = rows(&text);
    let mut known = BTreeSet::new();
    tests(&root().join("crates/dhcp"), &mut known);
    // Where the kernel is part of the rule.
    tests(&root().join("crates/sixgate/tests"), &mut known);
    assert!(known.contains("every_row_names_a_test_that_exists_or_says_that_there_is_none"));
    // The relay agent comes with its own tests.
    let has_relay = root().join("crates/dhcp/tests/relay").is_dir();
    let mut untested = 0;
    for row in &rows {
        let [section, who, what, shown] = row[..] else { panic!("{row:?}") };
        let numbers: Option<Vec<u8>> = section.split('.').map(|number| number.parse().ok()).collect();
        assert!(numbers.is_some_and(|numbers| (16..=21).contains(&numbers[0])), "{row:?}");
        assert!(["client", "server", "relay", "all"].contains(&who) && !what.is_empty(), "{row:?}");
        if shown == "NOT TESTED" {
            untested += 1;
            continue;
        }
        let name = shown.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
        let name = name.unwrap_or_else(|| panic!("{row:?}"));
        assert!(known.contains(name) || who == "relay" && !has_relay, "no test is called {name}");
    }
    let counted = format!("{} rows, {untested} of them NOT TESTED.", rows.len());
    assert!(text.contains(&counted), "write: {counted}");
    let in_order = rows.is_sorted_by_key(|row| {
        row[0].split('.').map(|number| number.parse::<u8>().unwrap()).collect::<Vec<_>>()
    });
    assert!(in_order, "rows stand in the order of the sections");
}
