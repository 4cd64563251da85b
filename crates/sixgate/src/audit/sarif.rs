//! SARIF 2.1.0 (OASIS, section 3): what code hosts show beside a change.

use super::walk::Audit;
use serde_json::{Value, json};
use sixgate_audit::{Language, RULES, Rule};

/// The findings as one SARIF log with one run.
pub(super) fn sarif(audit: &Audit) -> String {
    let results: Vec<Value> = audit
        .found
        .iter()
        .map(|place| {
            let found = &place.finding;
            let mend = found.rule.mend(place.language);
            let message = format!("{}: {}. Mend: {mend}", found.rule.title, found.what);
            // The line's text, not its number: it may move.
            let fingerprint = fingerprint(&[&place.path, found.rule.id, &found.text]);
            let snippet = json!({ "text": found.text });
            let index = RULES.iter().position(|rule| rule.id == found.rule.id);
            json!({
                "ruleId": found.rule.id,
                "ruleIndex": index,
                "level": found.rule.severity.name(),
                // 0 to 100 (3.27.25).
                "rank": f64::from(found.rank()) / 81.0 * 100.0,
                "message": { "text": message },
                "locations": [{ "physicalLocation": {
                    "artifactLocation": crate::sarif::location(&place.shown),
                    "region": {
                        "startLine": found.line, "startColumn": found.column, "snippet": snippet,
                    },
                } }],
                "partialFingerprints": { "sixgateAudit/v1": fingerprint },
                "properties": { "confidence": found.confidence.name(), "test": found.test },
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "sixgate audit",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": RULES.iter().map(|rule| descriptor(rule)).collect::<Vec<_>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
    .to_string()
        + "\n"
}

fn descriptor(rule: &Rule) -> Value {
    let mends = Language::ALL.iter().filter_map(|language| {
        let (_, mend) = rule.mends.iter().find(|(of, _)| of == language)?;
        Some(format!("{}: {mend}", language.name()))
    });
    let help: Vec<String> = std::iter::once(rule.mend.to_owned()).chain(mends).collect();
    json!({
        "id": rule.id,
        "shortDescription": { "text": rule.title },
        "fullDescription": { "text": rule.why },
        "help": { "text": help.join("\n") },
        "defaultConfiguration": { "level": rule.severity.name() },
        "properties": { "tags": rule.rows.iter().map(|row| format!("R{row}")).collect::<Vec<_>>() },
    })
}

/// FNV-1a: short, and the same in every version.
fn fingerprint(parts: &[&str]) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for octet in parts.iter().flat_map(|part| part.bytes().chain(std::iter::once(0))) {
        hash = (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}")
}
