//! `sixgate wrap` around small programs that each make one mistake, and around the same programs without it; and around stock
//! ones. Needs root, python3, a C compiler and Go.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, unreachable_pub)]

mod faults;
mod gallery;
mod outcomes;
mod stock;

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub const SIXGATE: &str = env!("CARGO_BIN_EXE_sixgate");

/// Runs `sixgate wrap` with these options around a program.
pub fn wrap(options: &[&str], program: &[&str]) -> Output {
    let mut command = Command::new(SIXGATE);
    command.arg("wrap").args(options).arg("--").args(program);
    command.output().unwrap()
}

pub fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// What a program is told in these worlds.
pub fn report(worlds: &str, program: &[&str]) -> Value {
    let output = wrap(&["--json", "--worlds", worlds], program);
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", text(&output.stdout), text(&output.stderr)))
}

/// The ids of what was found.
pub fn ids(report: &Value) -> Vec<String> {
    let findings = report["card"]["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["id"].as_str().unwrap().to_owned()).collect()
}

/// A cell of the matrix.
pub fn cell(report: &Value, surface: &str, world: &str) -> String {
    let column = report["card"]["worlds"].as_array().unwrap().iter().position(|name| name == world).unwrap();
    let row = report["card"]["surfaces"].as_array().unwrap().iter().find(|row| row["name"] == surface);
    let row = row.unwrap_or_else(|| panic!("no surface {surface}: {:#}", report["card"]));
    row["cells"][column]["result"].as_str().unwrap().to_owned()
}

pub fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wrap/samples").join(name)
}

/// Compiles a sample where it needs it; how it is run. C is linked statically: there is no library to look into.
pub fn built(folder: &Path, name: &str) -> Vec<String> {
    let source = sample(name).display().to_string();
    let binary = folder.join(name.replace('.', "-")).display().to_string();
    let compiler = |program: &str, arguments: &[&str]| {
        let output = Command::new(program)
            .args(arguments)
            .env("CGO_ENABLED", "0")
            .env("GOCACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/go"))
            .env("GOFLAGS", "-mod=mod")
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(output.status.success(), "{name}: {}", text(&output.stderr));
    };
    match name.rsplit('.').next().unwrap() {
        "py" => return vec!["python3".to_owned(), source],
        "c" => compiler("cc", &["-static", "-g", "-w", "-o", &binary, &source]),
        "go" => compiler("go", &["build", "-o", &binary, &source]),
        other => panic!("{other}"),
    }
    vec![binary]
}
