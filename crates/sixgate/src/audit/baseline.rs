//! What is known already: `--baseline`. A finding is the same where file, rule and the text of its line are;
//! so that lines may move.

use super::walk::Place;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct File {
    version: u32,
    findings: Vec<Known>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Known {
    path: String,
    rule: String,
    text: String,
    count: usize,
}

/// How often each finding is known.
#[derive(Debug)]
pub(super) struct Baseline(HashMap<(String, String, String), usize>);

impl Baseline {
    /// Reads one.
    ///
    /// # Errors
    /// A sentence that says what to do.
    pub(super) fn load(path: &Path) -> Result<Self, String> {
        let help = format!("write one with: sixgate audit --write-baseline {}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| {
            format!("cannot read the baseline {}: {error}\n  = help: {help}", path.display())
        })?;
        let file: File = serde_json::from_str(&text)
            .map_err(|error| format!("{} is no baseline: {error}\n  = help: {help}", path.display()))?;
        if file.version != VERSION {
            return Err(format!("{} is a baseline of another version\n  = help: {help}", path.display()));
        }
        Ok(Self(
            file.findings
                .into_iter()
                .map(|known| ((known.path, known.rule, known.text), known.count))
                .collect(),
        ))
    }

    /// Whether it knows a finding; each time it is known counts once.
    pub(super) fn takes(&mut self, place: &Place) -> bool {
        let key = (place.path.clone(), place.finding.rule.id.to_owned(), place.finding.text.clone());
        match self.0.get_mut(&key) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        }
    }
}

/// A baseline of these findings.
pub(super) fn write(found: &[Place]) -> String {
    let mut counts: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
    for place in found {
        *counts.entry((&place.path, place.finding.rule.id, &place.finding.text)).or_default() += 1;
    }
    let findings = counts
        .into_iter()
        .map(|((path, rule, text), count)| Known {
            path: path.into(),
            rule: rule.into(),
            text: text.into(),
            count,
        })
        .collect();
    // Strings and numbers: it cannot fail.
    serde_json::to_string_pretty(&File { version: VERSION, findings }).unwrap_or_default() + "\n"
}
