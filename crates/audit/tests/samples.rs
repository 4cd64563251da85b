//! For each rule and language a faulty sample and its mended twin: `samples/RULE/faulty.EXTENSION` and
//! `mended.EXTENSION`. The rule finds something in the faulty one, and no rule finds anything in the mended.

use sixgate_audit::checklist::ITEMS;
use sixgate_audit::{Audited, Language, RULES, audit};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples")
}

fn read(path: &Path) -> Audited {
    let bytes = std::fs::read(path).expect("a sample");
    // By its name alone: the folder says that it is a test.
    let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
    audit(name, &bytes).expect("a known language")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

#[test]
fn each_fault_is_found_and_none_where_it_was_mended() {
    let (mut wrong, mut pairs) = (Vec::new(), 0);
    for rule in RULES {
        for faulty in entries(&samples().join(rule.id)) {
            let name = faulty.file_name().and_then(|name| name.to_str()).expect("a name");
            let Some(extension) = name.strip_prefix("faulty.") else { continue };
            pairs += 1;
            let found = read(&faulty).findings;
            if !found.iter().any(|found| found.rule.id == rule.id) {
                let others: Vec<_> = found.iter().map(|found| found.rule.id).collect();
                wrong.push(format!("{}/{name}: not found; found were {others:?}", rule.id));
            }
            for found in read(&faulty.with_file_name(format!("mended.{extension}"))).findings {
                wrong.push(format!(
                    "{}/mended.{extension}:{} {} {}",
                    rule.id, found.line, found.rule.id, found.what
                ));
            }
        }
    }
    println!("{pairs} pairs");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_rule_and_every_language_has_samples() {
    let mut languages = BTreeSet::new();
    for rule in RULES {
        let files = entries(&samples().join(rule.id));
        let count = |start: &str| {
            files
                .iter()
                .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start)))
                .count()
        };
        assert!(count("faulty.") > 0 && count("faulty.") == count("mended."), "{}", rule.id);
        languages.extend(files.iter().filter_map(|path| Language::by_name(&path.to_string_lossy())));
    }
    assert_eq!(languages.into_iter().collect::<Vec<_>>(), Language::ALL);
}

#[test]
fn every_rule_serves_an_item_of_the_checklist() {
    assert!(ITEMS.is_sorted_by_key(|item| item.row));
    for rule in RULES {
        assert!(!rule.rows.is_empty(), "{}", rule.id);
        for row in rule.rows {
            assert!(ITEMS.iter().any(|item| item.row == *row), "{}: R{row} is not in the checklist", rule.id);
        }
        assert!(RULES.iter().filter(|other| other.id == rule.id).count() == 1, "{} twice", rule.id);
        for text in [rule.title, rule.why, rule.mend] {
            assert!(!text.is_empty() && !text.contains("  "), "{}: {text}", rule.id);
        }
    }
}
