//! `sixgate audit` and `sixgate checklist` as they are typed.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn sixgate(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sixgate"));
    command.args(arguments).current_dir(folder).output().expect("the binary runs")
}

fn audit(arguments: &[&str], folder: &Path) -> (Option<i32>, String) {
    let output = sixgate(&[&["audit"], arguments].concat(), folder);
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8"))
}

fn json(arguments: &[&str], folder: &Path) -> Value {
    serde_json::from_slice(&sixgate(&[&["audit", "--json"], arguments].concat(), folder).stdout)
        .expect("JSON")
}

/// A folder with one error, one warning, one note.
fn program() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
    write("net.c", "struct hostent *f(const char *name) { return gethostbyname(name); }\n");
    write("app.py", "endpoint = \"%s:%d\" % (host, port)\n");
    write("limit.rs", "struct Limiter { hits: HashMap<IpAddr, u32> }\n");
    folder
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace")
}

#[test]
fn our_own_source_has_nothing_left() {
    let (code, text) = audit(&["--all", "--fail-on", "note"], &root());
    assert_eq!(code, Some(0), "{text}");
    assert!(text.lines().count() <= 24, "{text}");
    // The search does see what it looks for: the guide's program before its afternoon, and the samples.
    let tests = json(&["--tests", "crates/audit/tests/samples"], &root());
    assert!(tests["findings"].as_array().expect("a list").len() > 100);
}

#[test]
fn the_worst_comes_first_and_the_exit_code_tells() {
    let folder = program();
    let (code, text) = audit(&[], folder.path());
    assert_eq!(code, Some(1), "{text}");
    let rules: Vec<_> = text.lines().take(3).filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(rules, ["old-resolver", "colon-join", "peer-table"]);
    assert!(text.contains("net.c:1") && text.contains("read: 3 files"));
    for (arguments, expected) in [
        (&["--fail-on", "never"][..], 0),
        (&["--fail-on", "note"], 1),
        (&["--rule", "peer-table"], 0),
        (&["--rule", "peer-table", "--fail-on", "note"], 1),
        (&["--rule", "nonsense"], 2),
        (&["nowhere"], 2),
        (&["/dev/null"], 2),
        (&["--baseline", "nowhere.json"], 2),
    ] {
        let (code, text) = audit(arguments, folder.path());
        assert_eq!(code, Some(expected), "{arguments:?}: {text}");
    }
    // Nothing read is not nothing found.
    let empty = tempfile::tempdir().expect("a folder");
    let (code, text) = audit(&[], empty.path());
    assert!(code == Some(2) && text.contains("nothing was read"), "{text}");
    // Paths are what was typed and what is below it.
    let whole = folder.path().to_str().expect("UTF-8");
    assert_eq!(json(&[whole], empty.path())["findings"][0]["path"], format!("{whole}/net.c"));
    assert_eq!(json(&["./net.c"], folder.path())["findings"][0]["path"], "net.c");
    let (_, text) = audit(&["nowhere"], folder.path());
    assert!(text.contains("cannot audit nowhere: No such file"), "{text}");
}

#[test]
fn much_fits_one_screen_and_all_of_it_is_there_for_the_asking() {
    let folder = tempfile::tempdir().expect("a folder");
    for at in 0..100 {
        let text = "s = socket.gethostbyname(name)\n".repeat(3);
        std::fs::write(folder.path().join(format!("f{at:03}.py")), text).expect("a file");
    }
    let (_, text) = audit(&[], folder.path());
    assert_eq!(text.lines().count(), 24, "{text}");
    assert!(text.contains("... and 80 lines more (--all)") && text.contains("f000.py:1 +2"));
    let (_, text) = audit(&["--all"], folder.path());
    assert_eq!(text.matches("f0").count(), 300);
    assert!(
        text.contains("why: gethostbyname returns IPv4 addresses alone")
            && text.contains("mend: socket.getaddrinfo")
    );
}

#[test]
fn what_is_not_read_is_counted() {
    let folder = program();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("picture.c"), b"GIF\0").expect("a file");
    std::fs::write(at("huge.c"), vec![b'\n'; 3 << 20]).expect("a file");
    std::fs::write(at("README.md"), "0.0.0.0").expect("a file");
    std::fs::create_dir_all(at("node_modules/x")).expect("a folder");
    std::fs::write(at("node_modules/x/a.js"), "listen(\"0.0.0.0\")").expect("a file");
    std::os::unix::fs::symlink("/", at("loop")).expect("a link");
    assert!(Command::new("mkfifo").arg(at("pipe.c")).status().expect("mkfifo").success());
    let summary = json(&[], folder.path())["summary"].clone();
    assert_eq!(summary["files"], 3);
    for (reason, count) in [
        ("binary", 1),
        ("larger than 2 MiB", 1),
        ("other languages", 1),
        ("symbolic links", 1),
        ("no files", 1),
    ] {
        assert_eq!(summary["skipped"][reason], count, "{reason}: {summary}");
    }
    assert_eq!(summary["folders_not_entered"]["node_modules"], 1);
    assert_eq!(summary["skipped_files"].as_array().map(Vec::len), Some(4));
    assert_eq!(json(&["--vendored"], folder.path())["summary"]["files"], 4);
}

#[test]
fn a_name_does_not_command_the_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a\x1b[2J.py"), "s = socket.gethostbyname(\"\x1b]0;x\x07\")\n")
        .expect("a file");
    for arguments in [&[][..], &["--all"]] {
        let (_, text) = audit(arguments, folder.path());
        assert!(
            text.contains("old-resolver") && !text.contains('\x1b') && !text.contains('\x07'),
            "{text:?}"
        );
    }
}

#[test]
fn a_baseline_lets_only_what_is_new_fail() {
    let folder = program();
    assert_eq!(audit(&["--write-baseline", "known.json"], folder.path()).0, Some(0));
    let (code, text) = audit(&["--baseline", "known.json"], folder.path());
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("3 known by the baseline"), "{text}");
    // Lines may move; the same fault a second time is new.
    let net = folder.path().join("net.c");
    let line = std::fs::read_to_string(&net).expect("a file");
    std::fs::write(&net, format!("\n\n{line}")).expect("a file");
    assert_eq!(audit(&["--baseline", "known.json"], folder.path()).0, Some(0));
    std::fs::write(&net, format!("{line}{line}")).expect("a file");
    let (code, text) = audit(&["--baseline", "known.json"], folder.path());
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("found: 1 place "), "{text}");
}

#[test]
fn sarif_has_what_its_schema_wants() {
    let folder = program();
    assert_eq!(audit(&["--sarif", "out.sarif"], folder.path()).0, Some(1));
    let text = std::fs::read_to_string(folder.path().join("out.sarif")).expect("a file");
    let log: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    let results = run["results"].as_array().expect("results");
    assert_eq!(results.len(), 3);
    for result in results {
        let index = result["ruleIndex"].as_u64().expect("an index") as usize;
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().expect("a level")));
        let region = &result["locations"][0]["physicalLocation"]["region"];
        assert!(region["startLine"].as_u64() >= Some(1) && region["startColumn"].as_u64() >= Some(1));
        assert!(!result["message"]["text"].as_str().expect("a message").is_empty());
    }
    assert_eq!(audit(&["--sarif", "/nowhere/x"], folder.path()).0, Some(1));
}

#[test]
fn rules_explain_themselves_and_the_checklist_names_them() {
    let (code, text) = audit(&["--explain", "colon-split"], &root());
    assert_eq!(code, Some(0));
    assert!(
        text.contains("why:") && text.contains("Go: net.SplitHostPort") && text.contains("R38"),
        "{text}"
    );
    assert!(audit(&["--rules"], &root()).1.lines().count() > 20);

    let output = sixgate(&["checklist", "--json"], &root());
    let items: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    let item = |id: &str| items.iter().find(|item| item["id"] == id).expect("an item");
    assert_eq!(item("R63")["tested"], true);
    assert!(item("R63")["audit"].as_array().expect("rules").contains(&"old-resolver".into()));
    // What no tool finds out yet never reads as tested.
    assert_eq!(item("R90")["tested"], true);
    let text = String::from_utf8(sixgate(&["checklist"], &root()).stdout).expect("UTF-8");
    assert!(text.contains("wrap: outcome in the world with a CLAT\n"), "{text}");
}
