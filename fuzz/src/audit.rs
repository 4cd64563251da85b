//! The audit of source: any octets, in every language.

use sixgate_audit::{Language, MAX_FINDINGS, MAX_TEXT, audit_as};

/// Nothing panics; findings are within the file, in order, of bounded size and number, and may be printed on
/// a terminal.
pub fn audit(bytes: &[u8]) {
    let lines = bytes.split(|octet| *octet == b'\n').count();
    for language in Language::ALL {
        let Ok(audited) = audit_as(language, "x", bytes) else { continue };
        assert!(audited.findings.len() <= MAX_FINDINGS);
        assert!(audited.findings.is_sorted_by_key(|found| found.line));
        for found in &audited.findings {
            assert!(found.line >= 1 && found.line as usize <= lines && found.column >= 1);
            assert!(found.text.len() <= MAX_TEXT && found.what.len() <= MAX_TEXT);
            assert!(!found.text.contains(char::is_control) && !found.what.contains(char::is_control));
        }
    }
    let _ = sixgate_audit::audit("a/script", bytes);
}
