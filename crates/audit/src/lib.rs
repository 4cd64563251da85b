//! Finds the places in a program's source that assume IPv4, without building it.
//!
//! The core is [`audit`]: a path and octets in, findings out; no I/O. [`RULES`] is what it looks for, each
//! with a severity, the rows of the [checklist] that it serves, why it matters, and how to mend it in each
//! language.
//!
//! # How it reads, and why not with a grammar
//! One small lexer knows, for each language, what is comment, string and code; rules look at a few tokens
//! around a name. A grammar would know more (types, scopes), and cost more: a parser for each of ten
//! languages, and whatever such a parser does not understand, which in C starts with the first macro. Nearly
//! every assumption shows in a name or a string (`gethostbyname`, `sockaddr_in`, `"%s:%d"`) and what stands
//! near it. What a lexer can't see: through which variable a value came, and whether the code that handles
//! the other family is elsewhere. So each finding has a [`Confidence`].
//!
//! "Near" is measured in lines: where IPv6 is handled within some lines of a place, it is not reported.
//!
//! # What it is not
//! No proof. A program without findings may still fail on an IPv6-only network: run it there.

mod finding;
mod language;
mod lexer;
mod literal;
mod rule;
mod rules;
mod source;
mod suppress;
mod words;

pub mod checklist;

pub use finding::{Audited, Confidence, Finding, MAX_TEXT, Severity, Skipped};
pub use language::Language;
pub use rule::{RULES, Rule};

use std::borrow::Cow;

/// Files larger than this are skipped: generated or data. What bounds the memory for one file.
pub const MAX_FILE: usize = 2 << 20;

/// Most findings in one file; more are counted only.
pub const MAX_FINDINGS: usize = 1000;

/// Audits one file. `path` is relative to what is audited, with `/` between its parts: whether a file is test
/// code is read from it, and its language.
///
/// # Errors
/// Why the file was not read: [`Skipped`].
pub fn audit(path: &str, bytes: &[u8]) -> Result<Audited, Skipped> {
    let language = Language::of(path, bytes).ok_or(Skipped::Language)?;
    audit_as(language, path, bytes)
}

/// Audits one file in a language that the caller knows.
///
/// # Errors
/// Why the file was not read: [`Skipped`].
pub fn audit_as(language: Language, path: &str, bytes: &[u8]) -> Result<Audited, Skipped> {
    if bytes.len() > MAX_FILE {
        return Err(Skipped::Large);
    }
    if bytes.iter().take(8192).any(|octet| *octet == 0) {
        return Err(Skipped::Binary);
    }
    if is_minified(bytes) {
        return Err(Skipped::Minified);
    }
    // What is not UTF-8 (comments in Latin-1) keeps its lines.
    let text: Cow<'_, str> = String::from_utf8_lossy(bytes);
    let source = source::Source::new(path, &text, language);
    let mut out = finding::Collector::new(&source);
    rules::run(&source, &mut out);
    Ok(suppress::apply(&source, out))
}

/// Lines that no person wrote or reads.
fn is_minified(bytes: &[u8]) -> bool {
    let lines = bytes.split(|octet| *octet == b'\n').count();
    bytes.len() > 4096 && bytes.len() / lines > 400
}
