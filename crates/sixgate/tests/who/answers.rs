//! `sixgate who`: leased, delegated, made up; while it runs and after.

use crate::dibbler::{self, text};
use crate::network::*;
use serde_json::Value;
use sixgate_lab::{Command, Host, wait_some};

/// A LAN with a prefix of its own, whose hosts form addresses; others ask for addresses and prefixes.
const CONFIG: &str = "[[lan]]\ninterface = \"lan0\"\nprefixes = [\"2001:db8:1::/64\"]\n\
    [[lan]]\ninterface = \"lan1\"\nslaac = false\nprefixes = [\"2001:db8:2::/64\"]\ndelegate-from = [\"2001:db8:100::/40\"]\n\
    delegate-length = 56\n[history]\n";

/// What `sixgate who` says, and its exit code.
fn who(gw: &Host, arguments: &[&str]) -> (i32, String) {
    let process = gw.spawn(&Command::new(SIXGATE).arg("who").args(arguments)).unwrap();
    let code = process.wait(PATIENCE).unwrap().code().unwrap();
    (code, process.output())
}

/// What it says of an address in JSON, once it says anything.
fn wait_who(gw: &Host, arguments: &[&str]) -> Value {
    let arguments: Vec<&str> = arguments.iter().chain(&["--json"]).copied().collect();
    let said = || {
        let (code, text) = who(gw, &arguments);
        if code == 0 { Some(serde_json::from_str::<Value>(&text).unwrap()) } else { None }
    };
    wait_some("an answer", PATIENCE, said, || who(gw, &arguments).1).unwrap_or_else(|error| panic!("{error}"))
}

fn mac(host: &Host) -> String {
    output(host, "cat", &["/sys/class/net/eth0/address"]).trim().to_owned()
}

#[test]
fn leased_delegated_and_made_up() {
    let home = home("who");
    let gateway = Sixgate::start(&home.gw, CONFIG);
    let made_up = wait_in(&home.alice, "eth0", "2001:db8:1::/64".parse().unwrap()).to_string();
    let (client, [leased, delegated]) = dibbler::bind(&home, &gateway);
    let (leased, delegated) = (text(&leased, "resource"), text(&delegated, "resource"));
    let inside = delegated.replace("::/56", ":1:2:3:4");

    // The gateway hears of the host when they talk.
    output(&home.alice, "ping", &["-c", "1", "-W", "5", "2001:db8:1::1"]);
    let seen = wait_who(&home.gw, &[&made_up]);
    assert_eq!((&seen[0]["how"], &seen[0]["lan"]), (&"seen".into(), &"lan0".into()));
    assert_eq!((&seen[0]["mac"], &seen[0]["mac_by"]), (&mac(&home.alice).into(), &"link".into()));
    let held = wait_who(&home.gw, &[&leased, "now"]);
    assert_eq!((&held[0]["how"], &held[0]["stands"]), (&"leased".into(), &true.into()));
    assert_eq!((&held[0]["mac"], &held[0]["what"]), (&mac(&home.bob).into(), &leased.as_str().into()));
    let behind = wait_who(&home.gw, &[&inside, "now"]);
    assert_eq!((&behind[0]["how"], &behind[0]["what"]), (&"delegated".into(), &delegated.as_str().into()));
    assert_eq!(behind[0]["duid"], held[0]["duid"]);
    assert_eq!(wait_who(&home.gw, &["--mac", &mac(&home.bob)]).as_array().unwrap().len(), 2);
    assert_eq!(
        wait_who(&home.gw, &["--duid", held[0]["duid"].as_str().unwrap()]).as_array().unwrap().len(),
        2
    );

    // Nobody, in words, and as an exit code.
    let (code, text) = who(&home.gw, &["2001:db8:1::dead"]);
    assert_eq!(code, 1);
    assert!(text.contains("nobody had 2001:db8:1::dead; the history begins at 2"), "{text}");
    let (code, text) = who(&home.gw, &[&leased, "2001-01-01T10:00"]);
    assert!(code == 1 && text.contains("begins only at 2"), "{text}");
    let (code, text) = who(&home.gw, &[&leased, "yesterday"]);
    assert!(code == 2 && text.contains("2h ago"), "{text}");
    assert_eq!(who(&home.gw, &[]).0, 2);

    // It is not over with the process, whose last word is that the host was there to the end.
    gateway.stop();
    client.stop(PATIENCE).unwrap();
    let (code, table) = who(&home.gw, &[&made_up, "1m ago"]);
    assert_eq!(code, 0, "{table}");
    assert!(table.contains(&mac(&home.alice)) && table.contains("seen"), "{table}");
    let (code, rows) = who(&home.gw, &["--export", "csv"]);
    assert_eq!(code, 0);
    home.gw.write_file("/run/history.csv", rows).unwrap();
    let script = "import csv\nfor r in csv.DictReader(open('/run/history.csv', newline='')): \
                  print(r['how'], r['what'], r['mac'])";
    let read = output(&home.gw, "python3", &["-c", script]);
    for row in [
        format!("seen {made_up} {}", mac(&home.alice)),
        format!("leased {leased} {}", mac(&home.bob)),
        format!("delegated {delegated} {}", mac(&home.bob)),
    ] {
        assert!(read.lines().any(|line| line == row), "{row} is not in\n{read}");
    }
    let (code, lines) = who(&home.gw, &["--export", "json", "--until", "2001-01-01"]);
    assert_eq!((code, lines.as_str()), (0, ""));
}

#[test]
fn what_hosts_make_up_is_forgotten_unless_it_is_asked_for() {
    let home = home("who-off");
    let config = CONFIG.replace("[history]\n", "");
    let gateway = Sixgate::start(&home.gw, &config);
    let made_up = wait_in(&home.alice, "eth0", "2001:db8:1::/64".parse().unwrap()).to_string();
    output(&home.alice, "ping", &["-c", "1", "-W", "5", "2001:db8:1::1"]);
    gateway
        .wait_status("the host", |status| status["neighbours"]["known"].as_u64().filter(|known| *known > 1));
    assert!(gateway.status()["neighbours"]["stays"].is_null());
    gateway.stop();
    let (code, text) = who(&home.gw, &[&made_up]);
    assert!(code == 1 && text.contains("the history is empty"), "{text}");
}
