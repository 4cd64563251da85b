//! SARIF 2.1.0 (OASIS): what all of our logs have in common.

use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;

/// Where a file is: relative to the folder that the command was called in, as code hosts want it, or
/// absolute.
pub(crate) fn location(path: &str) -> Value {
    let here = std::env::current_dir().ok();
    let below = here.and_then(|here| Path::new(path).strip_prefix(here).ok()?.to_str());
    let path = below.unwrap_or(path);
    if path.starts_with('/') {
        json!({ "uri": format!("file://{}", uri(path)) })
    } else {
        json!({ "uri": uri(path), "uriBaseId": "SRCROOT" })
    }
}

/// A path as a URI reference (RFC 3986 section 4.2).
fn uri(path: &str) -> String {
    let mut out = String::new();
    for octet in path.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~/".contains(&octet) {
            out.push(char::from(octet));
        } else {
            let _ = write!(out, "%{octet:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_uri() {
        assert_eq!(location("src/a b#1.c")["uri"], "src/a%20b%231.c");
        assert_eq!(location("/usr/bin/[")["uri"], "file:///usr/bin/%5B");
        assert!(location("/usr/bin/[")["uriBaseId"].is_null());
    }
}
