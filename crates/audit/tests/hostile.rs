//! Sources that were made to be slow or to break a lexer.

use sixgate_audit::{Language, MAX_FILE, MAX_FINDINGS, Skipped, audit, audit_as};
use std::time::{Duration, Instant};

/// What is repeated: openings without an end, and what rules look around from.
const PIECES: [&str; 30] = [
    "(",
    "[",
    "{",
    "\"",
    "'",
    "`",
    "/*",
    "<!--",
    "r#\"",
    "R\"x(",
    "${",
    "$(",
    "\\",
    "<<X ",
    "<<X\n",
    "#[cfg(test)]",
    "getaddrinfo(x)\n",
    "AF_INET ",
    "struct sockaddr_in6 x;",
    "fn x ",
    "char ip[16];",
    "\"%s:%d\" host port ",
    "a.split(\":\") ",
    "0.0.0.0 ",
    "\"10.0.0.1\" ",
    "// ipv6-audit: allow x, y, z\n",
    "x[ip]=",
    "\"http://%s\"",
    "ip.split(\".\")",
    "\u{fffd}é",
];
const MEGABYTE: usize = 1 << 20;

/// One line of half the size, behind as many empty ones, so that it is not taken for minified; or lines of
/// some length.
fn hostile(piece: &str, size: usize, one_line: bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size + 8);
    if one_line {
        bytes.resize(size / 2, b'\n');
    }
    let mut column = 0;
    while bytes.len() + piece.len() < size {
        bytes.extend_from_slice(piece.as_bytes());
        column += piece.len();
        if !one_line && column > 80 {
            bytes.push(b'\n');
            column = 0;
        }
    }
    bytes
}

fn time(language: Language, bytes: &[u8]) -> Duration {
    let begin = Instant::now();
    let audited = audit_as(language, "x", bytes).expect("read");
    assert!(audited.findings.len() <= MAX_FINDINGS);
    begin.elapsed()
}

#[test]
fn a_hostile_megabyte_takes_linear_time() {
    // Every piece in every language at a small size; then the slowest of them at a megabyte.
    let mut slow = Vec::new();
    for piece in PIECES {
        for language in Language::ALL {
            for one_line in [false, true] {
                slow.push((
                    time(language, &hostile(piece, MEGABYTE / 16, one_line)),
                    language,
                    piece,
                    one_line,
                ));
            }
        }
    }
    slow.sort_by_key(|(took, ..)| std::cmp::Reverse(*took));
    for (_, language, piece, one_line) in slow.into_iter().take(8) {
        // Eight times as much takes about eight times as long; another process may come between, so it is
        // asked thrice.
        let mut times = Vec::new();
        let linear = (0..3).any(|_| {
            let small = time(language, &hostile(piece, MEGABYTE / 8, one_line));
            let whole = time(language, &hostile(piece, MEGABYTE, one_line));
            times.push((small, whole));
            whole < small * 24
        });
        println!("{language:?} {piece:?} {one_line}: {times:?}");
        assert!(linear, "{language:?} {piece:?} {one_line}: {times:?}");
    }
}

#[test]
fn what_is_not_read_says_why() {
    assert_eq!(audit("a.png", b"x"), Err(Skipped::Language));
    assert_eq!(audit("a.c", b"x\0y"), Err(Skipped::Binary));
    assert_eq!(audit("a.c", &vec![b'\n'; MAX_FILE + 1]), Err(Skipped::Large));
    assert_eq!(audit("a.js", "x=1;".repeat(5000).as_bytes()), Err(Skipped::Minified));
    assert_eq!(
        audit("script", b"#!/usr/bin/env python3\nx = 1\n").map(|read| read.language),
        Ok(Language::Python)
    );
    // Latin-1 in a comment.
    let latin = audit("a.c", b"/* caf\xe9 */\nint s = socket(AF_INET, 1, 0);\n").expect("read");
    assert_eq!(latin.findings.iter().map(|found| found.line).collect::<Vec<_>>(), [2]);
}

#[test]
fn findings_beyond_the_cap_are_counted() {
    let read = audit("a.c", "gethostbyname(x);\n".repeat(MAX_FINDINGS + 7).as_bytes()).expect("read");
    assert_eq!((read.findings.len(), read.dropped), (MAX_FINDINGS, 7));
}

#[test]
fn what_is_shown_obeys_no_terminal() {
    let read = audit("a.py", b"x = '10.1.2.3 \x1b[2J'; addr = gethostbyname(x) # \x07\n").expect("read");
    assert!(
        read.findings
            .iter()
            .all(|found| !found.text.contains(char::is_control) && !found.what.contains(char::is_control))
    );
}

#[test]
fn comments_docstrings_and_test_code_are_told_apart() {
    let found = |name: &str, text: &str| audit(name, text.as_bytes()).expect("read").findings;
    assert_eq!(found("a.c", "// gethostbyname(x) and 10.0.0.1\n/* INADDR_ANY */\n"), []);
    assert_eq!(
        found(
            "a.py",
            "def f():\n    \"\"\"Binds 0.0.0.0 for http://10.0.0.1/ and the rest.\"\"\"\n    return 1\n"
        ),
        []
    );
    let rust = "fn a() { c(\"127.0.0.1:1\"); }\n\
                #[cfg(test)]\nmod tests { fn b() { c(\"127.0.0.1:1\"); } }\n\
                #[test]\nfn d() { c(\"127.0.0.1:1\"); }\n";
    let tests: Vec<_> = found("a.rs", rust).iter().map(|found| (found.line, found.test)).collect();
    assert_eq!(tests, [(1, false), (3, true), (5, true)]);
    assert!(found("a_test.go", "package p\nvar c = dial(\"127.0.0.1:1\")\n").iter().all(|found| found.test));
}
