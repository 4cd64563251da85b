//! Two report cards set beside each other: what was fine and is not, and the other way round.

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// What is bad in a report: each sentence is one cell or one finding.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Faults(BTreeSet<String>);

impl Faults {
    /// Those of a report as `--json` writes it.
    pub(super) fn of(report: &Value) -> Option<Self> {
        let card = report.get("card")?;
        let mut faults = BTreeSet::new();
        let worlds = card.get("worlds")?.as_array()?;
        for surface in card.get("surfaces")?.as_array()? {
            let name = surface.get("name")?.as_str()?;
            for (cell, world) in surface.get("cells")?.as_array()?.iter().zip(worlds) {
                // What works is no fault; what was not tested may be one, but not a new one.
                let result = cell.get("result")?.as_str()?;
                if matches!(result, "fails" | "partly") {
                    faults.insert(format!("`{name}` {result} in {}", world.as_str()?));
                }
            }
        }
        for finding in card.get("findings")?.as_array()? {
            faults.insert(format!("[{}] {}", finding.get("id")?.as_str()?, finding.get("what")?.as_str()?));
        }
        Some(Self(faults))
    }

    /// Those of a file.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read the report {shown}: {error}"))?;
        let json = serde_json::from_str(&text).map_err(|error| format!("{shown} is no JSON: {error}"))?;
        Self::of(&json).ok_or_else(|| format!("{shown} is no report of `sixgate wrap --json`"))
    }

    /// Those that the other has not.
    pub(super) fn beyond<'a>(&'a self, other: &'a Self) -> Vec<&'a str> {
        self.0.difference(&other.0).map(String::as_str).collect()
    }
}

/// New and mended, a line each.
pub(super) fn lines(old: &Faults, new: &Faults) -> String {
    let mut text = String::new();
    for (sign, faults) in [("+ ", new.beyond(old)), ("- ", old.beyond(new))] {
        text.extend(faults.into_iter().flat_map(|fault| [sign, fault, "\n"]));
    }
    if text.is_empty() { "no difference\n".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_new_is_told_apart_from_what_was_known() {
        let card = |cell: &str, findings: Value| {
            json!({ "card": { "worlds": ["v6only"], "findings": findings,
                "surfaces": [{ "name": "runs", "cells": [{ "result": cell }] }] } })
        };
        let known = json!([{ "id": "a-only", "what": "it asks" }]);
        let old = Faults::of(&card("works", known.clone())).unwrap();
        let worse = Faults::of(&card("fails", known)).unwrap();
        assert_eq!(worse.beyond(&old), ["`runs` fails in v6only"]);
        assert_eq!(lines(&worse, &old), "- `runs` fails in v6only\n");
        assert_eq!(lines(&old, &old), "no difference\n");
        // Not tested is not mended, but it is no new fault.
        assert_eq!(Faults::of(&card("not-tested", json!([]))).unwrap(), Faults::default());
        assert!(Faults::of(&json!({})).is_none());
    }
}
