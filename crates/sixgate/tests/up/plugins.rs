//! Plug-ins that measure: run by schedule beside `up`, within bounds, and nothing of them outlives a run.

use crate::mistakes::run;
use crate::network::*;
use sixgate_lab::Host;
use std::os::unix::fs::PermissionsExt as _;

/// A folder that every user may look into, as plug-ins are run by one who may do nothing; a lab host's own folders are root's.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("sixgate-plugins-").tempdir_in("/var/tmp").unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    /// A program of this name; the configuration that names it.
    fn plugin(&self, name: &str, script: &str, more: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        format!(
            "[[measure.plugin]]\nname = \"{name}\"\ncommand = [\"{}\", \"argument\"]\n{more}\n",
            path.display()
        )
    }
}

/// The processes of a host whose command line has this word.
fn processes(host: &Host, word: &str) -> usize {
    let list = output(
        host,
        "sh",
        &["-c", "for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline 2>/dev/null; echo; done"],
    );
    list.lines().filter(|line| line.contains(word)).count()
}

const GOOD: &str = "#!/bin/sh\necho \"{\\\"host\\\": \\\"$1\\\", \\\"family\\\": \\\"IPv6\\\", \\\"user\\\": $(id -u), \\\"time_ms\\\": 12.5}\"\n";

#[test]
fn plug_ins_run_beside_up_and_what_they_find_is_shown_and_kept() {
    let home = home("up-plugins");
    let folder = Folder::new();
    let often = "every = 5\ntime = 3";
    let config = format!(
        "[[lan]]\ninterface = \"lan0\"\nprefixes = [\"2001:db8:1::/64\"]\n{}{}{}{}{}",
        folder.plugin("good", GOOD, often),
        folder.plugin("hangs", "#!/bin/sh\nsleep 6465001\n", &often.replace('3', "1")),
        folder.plugin("floods", "#!/bin/sh\nexec yes\n", often),
        // It leaves the session of its own accord, twice, and holds on to its output.
        folder.plugin(
            "forks",
            "#!/bin/sh\necho '{\"x\": 1}'\nsetsid sh -c 'setsid sleep 6465002 & sleep 6465002' & sleep 0.3\n",
            often
        ),
        folder.plugin(
            "hungry",
            "#!/bin/sh\necho '{\"x\": 1, \"octets\": 600}'\n",
            "every = 5\ntime = 3\noctets-a-day = 1000"
        ),
    );
    let gateway = Sixgate::start(&home.gw, &config);
    let of = |status: &serde_json::Value, name: &str| {
        let all = status["measured"].as_array()?;
        all.iter().find(|measured| measured["plugin"] == name).cloned()
    };
    let status = gateway.wait_status("every plug-in", |status| {
        let twice = |name| of(status, name).is_some_and(|found| found["runs"].as_u64() >= Some(2));
        ["good", "hangs", "floods", "forks"].into_iter().all(twice).then(|| status.clone())
    });
    let good = of(&status, "good").unwrap();
    assert_eq!(
        (&good["outcome"], &good["host"], &good["family"]),
        (&"ok".into(), &"argument".into(), &"IPv6".into())
    );
    assert_eq!(
        (&good["figures"]["time_ms"], &good["figures"]["user"]),
        (&12.5.into(), &65_534.0.into()),
        "{good}"
    );
    for (name, why) in [
        ("hangs", "ran longer than 1 s"),
        ("floods", "said more than 65536 octets"),
        ("forks", "processes behind, which were ended"),
    ] {
        let found = of(&status, name).unwrap();
        assert!(found["outcome"].as_str().unwrap().contains(why), "{found}");
        assert_eq!(found["failures"], found["runs"], "{found}");
    }
    assert_eq!(processes(&home.gw, "6465002"), 0);
    gateway.wait_status("the end of its octets", |status| {
        of(status, "hungry")?["outcome"].as_str()?.contains("has used its 1000 octets of today").then_some(())
    });
    let table = output(&home.gw, SIXGATE, &["status"]);
    assert!(table.contains("argument IPv6: ok, time_ms 12.5"), "{table}");

    // What is kept goes into a table and a page.
    let csv = output(&home.gw, SIXGATE, &["measure", "report", "--csv"]);
    assert!(csv.contains(",plug-in good,argument,IPv6,ok,time_ms,12.5"), "{csv}");
    let page = output(&home.gw, SIXGATE, &["measure", "report"]);
    assert!(page.contains("<!doctype html>") && page.contains("argument: plug-in good"), "{page}");

    // A power failure of the process alone: what runs plug-ins goes too.
    gateway.kill();
    home.gw
        .wait_for("the end of what runs plug-ins", PATIENCE, || processes(&home.gw, "--feed") == 0)
        .unwrap();
    home.gw.wait_for("the end of plug-ins", PATIENCE, || processes(&home.gw, "6465001") == 0).unwrap();
    let gateway = Sixgate::start(&home.gw, &config);
    gateway.wait_status("a plug-in", |status| of(status, "good"));
    gateway.stop();
    assert_eq!(processes(&home.gw, "--feed"), 0);
}

#[test]
fn a_plug_in_is_tried_once_without_anything_else() {
    let home = home("plugin-once");
    let folder = Folder::new();
    let config =
        folder.plugin("good", GOOD, "") + &folder.plugin("bad", "#!/bin/sh\necho no >&2; exit 7\n", "");
    write_config(
        &home.gw,
        &format!("[[lan]]\ninterface = \"lan0\"\nprefixes = [\"2001:db8:1::/64\"]\n{config}"),
    );
    run(&home.gw, SIXGATE, &["measure", "plugins", "--once", "good"])
        .expect(0, &["good argument IPv6: ok, time_ms 12.5"]);
    run(&home.gw, SIXGATE, &["measure", "plugins", "--once"]).expect(1, &["it ended with code 7: no"]);
    // All that it starts counts together, whatever each takes; so does how many it is.
    let large = "#!/usr/bin/python3\nimport os, time\nos.fork(); os.fork()\ntaken = bytearray(b'x') * (20 << 20)\nprint('{\"x\": 1}', flush=True)\ntime.sleep(20)\n";
    let many = "#!/bin/sh\nfor n in $(seq 300); do sleep 20 & done\nwait\n";
    let lazy =
        "#!/bin/sh\necho \"{\\\"nice\\\": $(nice), \\\"first\\\": $(cat /proc/self/oom_score_adj)}\"\n";
    write_config(
        &home.gw,
        &format!(
            "[[lan]]\ninterface = \"lan0\"\nprefixes = [\"2001:db8:1::/64\"]\n{}{}{}",
            folder.plugin("large", large, "memory = 64\nuser = 64650"),
            folder.plugin("many", many, "user = 64651"),
            folder.plugin("lazy", lazy, ""),
        ),
    );
    run(&home.gw, SIXGATE, &["measure", "plugins", "--once", "large"])
        .expect(1, &["took more than 64 MiB together"]);
    run(&home.gw, SIXGATE, &["measure", "plugins", "--once", "many"]).expect(1, &["many: "]);
    assert_eq!(processes(&home.gw, "sleep 20"), 0);
    run(&home.gw, SIXGATE, &["measure", "plugins", "--once", "lazy"]).expect(0, &["first 1000", "nice 10"]);
    run(&home.gw, SIXGATE, &["measure", "plugins", "--once", "none"]).expect(2, &["no such plug-in"]);
    // Whoever is not root cannot run it as somebody else, and it is said.
    write_config(
        &home.gw,
        &format!("[[lan]]\ninterface = \"lan0\"\n{}", config.replace("command = [\"/", "command = [\"")),
    );
    run(&home.gw, SIXGATE, &["check"]).expect(2, &["no whole path"]);
}
