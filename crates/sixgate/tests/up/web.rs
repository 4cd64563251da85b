//! The dashboard: from the LANs over both families and from nowhere else; nothing but "is it well" without the token; and
//! neither strangers' names nor strangers' connections do it any harm.

use crate::mistakes::{Ended, run, shell};
use crate::network::*;
use serde_json::Value;
use sixgate_lab::{Command, Host, Transport, wait_some};
use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

const WEB: &str = "[web]\nenabled = true\n";
/// The gateway of a home whose first LAN has IPv4.
const GATEWAY4: &str = "[uplink]\ninterface = \"wan0\"\n[[lan]]\ninterface = \"lan0\"\nipv4 = \"192.0.2.1/24\"\npref64 = \"2001:db8:64::/96\"\n\
                        [[lan]]\ninterface = \"lan1\"\n";
/// Runs the page's script.
const IN_NODE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/up/web/page_in_node.js");
const WELL_FORMED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/up/web/well_formed.py");
const FLOOD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/up/web/flood.py");
const HALF_OPEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/up/web/half_open.py");

/// Fetches by curl: the status, then head and body.
fn curl(host: &Host, arguments: &[&str]) -> (u16, String) {
    let fixed = ["-sS", "-i", "--max-time", "20", "--globoff"];
    let done = run(host, "curl", &[&fixed[..], arguments].concat());
    done.expect(0, &[]);
    let status = done.text.split_whitespace().nth(1).and_then(|word| word.parse().ok());
    (status.unwrap_or_else(|| panic!("{}", done.text)), done.text)
}

fn body(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

fn token(host: &Host) -> String {
    output(host, SIXGATE, &["web", "--token"]).trim().to_owned()
}

/// The numbers in a view change from one look to the next.
fn without_numbers(value: &Value) -> Value {
    match value {
        Value::Number(_) => Value::Null,
        Value::Array(items) => items.iter().map(without_numbers).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), without_numbers(value))).collect(),
        other => other.clone(),
    }
}

/// A home with the dashboard on, its first LAN's gateway address, and the ISP.
fn with_dashboard(name: &str) -> (Home, Sixgate, Sixgate, Ipv6Addr) {
    let home = home(name);
    let isp = Sixgate::start(&home.isp, &isp_config());
    let gateway = Sixgate::start(&home.gw, &format!("{GATEWAY4}{WEB}"));
    let kitchen = gateway.wait_lan_prefix(0);
    wait_in(&home.alice, "eth0", kitchen);
    wait_in(&home.bob, "eth0", gateway.wait_lan_prefix(1));
    let at = (u128::from(kitchen.network()) | 1).into();
    (home, isp, gateway, at)
}

#[test]
fn the_lans_see_it_over_both_families_and_the_isp_does_not() {
    let (home, isp, gateway, at) = with_dashboard("web");
    home.alice.add_address("eth0", "192.0.2.2/24".parse::<ipnet::IpNet>().unwrap()).unwrap();
    let v6 = format!("http://[{at}]:6464");
    home.alice.write_file("/etc/resolv.conf", format!("nameserver {at}\n")).unwrap();
    for place in [v6.as_str(), "http://192.0.2.1:6464", "http://gateway.home.arpa:6464"] {
        let (status, page) = curl(&home.alice, &[&format!("{place}/")]);
        assert_eq!(status, 200, "{page}");
        assert!(page.contains("<p id=\"state\" class=\"well\" role=\"status\">All is well.</p>"), "{page}");
        assert!(page.contains("Content-Security-Policy: default-src 'none'"), "{page}");
    }
    shell(&home.alice, &format!("curl -sS --globoff {v6}/ | python3 {WELL_FORMED}"))
        .expect(0, &["well-formed"]);
    let (status, head) = curl(&home.alice, &["-I", &format!("{v6}/page.js")]);
    assert!(status == 200 && head.contains("text/javascript") && head.ends_with("\r\n\r\n"), "{head}");
    let well = curl(&home.bob, &[&format!("{v6}/api/v1/health")]);
    assert_eq!(body(&well.1), serde_json::json!({ "well": true }));

    // The same as on the control socket, for who has the token.
    let bearer = format!("Authorization: Bearer {}", token(&home.gw));
    let from_web = || body(&curl(&home.alice, &["-H", &bearer, &format!("{v6}/api/v1/status")]).1);
    // Between two looks something may have happened.
    let look = || {
        let (web, control) = (from_web(), gateway.status());
        (without_numbers(&web) == without_numbers(&control) && web["pid"] == control["pid"]).then_some(())
    };
    wait_some("the same over HTTP", PATIENCE, look, || format!("{}\n{}", from_web(), gateway.status()))
        .unwrap();
    for view in ["status", "leases"] {
        let (status, answer) = curl(&home.alice, &[&format!("{v6}/api/v1/{view}")]);
        assert!(status == 401 && !answer.contains("lan0"), "{answer}");
    }

    // Where it is, as its owner is told, and as the kernel has it.
    run(&home.gw, SIXGATE, &["web"]).expect(
        0,
        &[
            &format!("{v6}/"),
            "http://192.0.2.1:6464/",
            "http://gateway.home.arpa:6464/",
            "http://[::1]:6464/",
        ],
    );
    assert_eq!(curl(&home.gw, &["http://[::1]:6464/api/v1/health"]).0, 200);
    let sockets = output(&home.gw, "ss", &["-Hlnt", "sport", "=", ":6464"]);
    assert_eq!(sockets.lines().count(), 3, "{sockets}");
    assert!(!sockets.contains("wan0") && sockets.contains("lan0"), "{sockets}");

    // From the ISP's side, to every address.
    let outside = wait_outside(&gateway);
    let unreached = |gateway: &Sixgate, codes: &[i32]| {
        for address in [outside, at] {
            let done = run(
                &home.isp,
                "curl",
                &["-sS", "--max-time", "3", "--globoff", &format!("http://[{address}]:6464/")],
            );
            assert!(codes.contains(&done.code.unwrap()), "{}\n{}", done.text, gateway.log());
        }
    };
    unreached(&gateway, &[28, 7]);
    gateway.stop();
    let refused = run(&home.alice, "curl", &["-sS", "--globoff", "--max-time", "3", &format!("{v6}/")]);
    assert!([Some(7), Some(28)].contains(&refused.code), "stopped: {}", refused.text);

    // Without the firewall nothing listens there either: refused, and not dropped.
    let open = Sixgate::start(&home.gw, &format!("firewall = false\n{GATEWAY}{WEB}"));
    open.wait_lan_prefix(0);
    wait_outside(&open);
    unreached(&open, &[7]);
    // A source that is none of the LAN's is not listened to, although it is on the wire.
    home.alice.add_address_nodad("eth0", net("2001:db8:bad::2/64")).unwrap();
    home.gw.add_address_nodad("lan0", net("2001:db8:bad::1/64")).unwrap();
    let foreign = [
        "-sS",
        "--globoff",
        "--max-time",
        "3",
        "--interface",
        "2001:db8:bad::2",
        "http://[2001:db8:bad::1]:6464/",
    ];
    let ended = run(&home.alice, "curl", &foreign);
    assert!(ended.code != Some(0), "{}", ended.text);
    open.stop();
    isp.stop();
}

/// The gateway's address on the uplink.
fn wait_outside(gateway: &Sixgate) -> Ipv6Addr {
    gateway
        .wait_status("an address", |status| status["uplink"]["addresses"][0]["what"].as_str()?.parse().ok())
}

#[test]
fn changes_take_the_token_and_strangers_pages_get_nothing() {
    let (home, isp, gateway, at) = with_dashboard("web-changes");
    let place = format!("http://[{at}]:6464");
    let (reload, token) = (format!("{place}/api/v1/reload"), token(&home.gw));
    let bearer = format!("Authorization: Bearer {token}");
    let post = |arguments: &[&str]| curl(&home.alice, &[&["-X", "POST"], arguments, &[&reload]].concat());
    assert_eq!(post(&[]).0, 401);
    assert_eq!(post(&["-H", "Authorization: Bearer abcde-abcde-abcde-abcde"]).0, 401);
    assert_eq!(post(&["-H", &bearer, "-H", "Origin: http://evil.example"]).0, 403);
    assert_eq!(post(&["-H", &bearer, "-H", "Host: evil.example:6464"]).0, 421);
    assert!(!gateway.log().contains("configuration reloaded"));
    assert_eq!(body(&post(&["-H", &bearer]).1), serde_json::json!({ "reloaded": true }));
    assert!(gateway.log().contains("configuration reloaded"));
    write_config(&home.gw, "[uplnk]\n");
    let (status, answer) = post(&["-H", &bearer]);
    assert!(status == 409 && answer.contains("has mistakes"), "{answer}");
    // Everybody sees that not all is well, but not what.
    let (_, page) = curl(&home.alice, &[&format!("{place}/")]);
    assert!(page.contains("Something needs attention.") && !page.contains("has mistakes"), "{page}");

    // The pilot: the same command as `sixgate pilot`, and what it says stays.
    let pilot = format!("{place}/api/v1/pilot");
    let set = |more: &[&str]| curl(&home.alice, &[&["-d", "percent=7", &pilot], more].concat());
    assert_eq!(set(&[]).0, 401);
    let (status, answer) = set(&["-H", &bearer]);
    assert!(status == 200 && body(&answer)["percent"] == 7, "{answer}");
    assert_eq!(body(&curl(&home.alice, &["-H", &bearer, &pilot]).1)["percent"], 7);
    run(&home.gw, SIXGATE, &["pilot"]).expect(0, &["7 % of those that ask"]);

    // A person in a browser: log in, look, change, log out.
    let login = format!("{place}/login");
    let typed = format!("token={}", token.to_uppercase());
    let jar = ["-c", "/run/jar", "-b", "/run/jar"];
    let origin = format!("Origin: {place}");
    let (status, wrong) = curl(&home.alice, &["-d", "token=wrong", &login]);
    assert!(status == 403 && wrong.contains("That is not the token."), "{wrong}");
    let (status, answer) = curl(&home.alice, &[&jar[..], &["-d", &typed, "-H", &origin, &login]].concat());
    assert!(status == 303 && answer.contains("Location: /\r\n"), "{answer}");
    assert_eq!(curl(&home.alice, &[&jar[..], &[&format!("{place}/api/v1/leases")]].concat()).0, 200);
    assert_eq!(post(&jar).0, 403, "a form of somebody else's page brings the cookie and no Origin of ours");
    assert_eq!(post(&[&jar[..], &["-H", &origin]].concat()).0, 409);
    let logout = format!("{place}/logout");
    assert_eq!(curl(&home.alice, &[&jar[..], &["-X", "POST", "-H", &origin, &logout]].concat()).0, 303);
    assert_eq!(curl(&home.alice, &[&jar[..], &[&format!("{place}/api/v1/leases")]].concat()).0, 401);

    // The token is its owner's: closed to others, and the same after a restart.
    let mode = output(&home.gw, "stat", &["-c", "%a %U", "/run/sixgate/state/web-token"]);
    assert_eq!(mode, "600 root\n");
    gateway.kill();
    let again = Sixgate::start(&home.gw, &format!("{GATEWAY}{WEB}"));
    assert_eq!(self::token(&home.gw), token);
    assert!(!again.log().contains(&token) && !again.log().contains(&token.replace('-', "")));
    again.stop();
    isp.stop();
}

#[test]
fn it_is_off_until_asked_for() {
    let pair = crate::mistakes::pair("web-off");
    let server = Sixgate::start(&pair.gw, crate::mistakes::SERVER);
    assert!(!pair.gw.listening(Transport::Tcp, 6464));
    run(&pair.gw, SIXGATE, &["web"]).expect(1, &["the dashboard is off", "enabled = true"]);
    run(&pair.gw, SIXGATE, &["web", "--token"]).expect(1, &["there is no token in /run/sixgate/state"]);
    server.stop();
    // Its port is somebody's: told before anything is changed.
    let taken =
        pair.gw.spawn(&Command::new("python3").args(["-m", "http.server", "6464", "--bind", "::"])).unwrap();
    pair.gw.wait_for("the port to be taken", PATIENCE, || pair.gw.listening(Transport::Tcp, 6464)).unwrap();
    let before = crate::mistakes::traces(&pair.gw);
    let refused = Sixgate::spawn(&pair.gw, &format!("{}{WEB}", crate::mistakes::SERVER));
    let ended = crate::mistakes::end(&refused.process);
    ended.expect(3, &["TCP [::]:6464 on lan0", "(python3) has it"]);
    crate::mistakes::assert_no_trace(&pair.gw, &before, &ended.text);
    drop(taken);
}

/// What the page's own script makes of what the gateway says.
fn page_in_node(host: &Host, place: &str, token: &str, instead: &str) -> Value {
    let done: Ended = run(host, "node", &[IN_NODE, place, token, instead]);
    done.expect(0, &[]);
    serde_json::from_str(&done.text).unwrap_or_else(|error| panic!("{error}: {}", done.text))
}

/// A name as a protocol less strict than DNS may let it through.
const EVIL: &str = "<script>alert(1)</script><img src=x onerror=alert(1)>\u{202e}";

#[test]
fn a_strangers_name_is_text() {
    let (home, isp, gateway, at) = with_dashboard("web-names");
    let place = format!("http://[{at}]:6464");
    let client =
        Sixgate::start(&home.alice, "[uplink]\ninterface = \"eth0\"\nhostname = \"<script>alert(1)<\"\n");
    client.wait_status("a lease", |status| (status["uplink"]["client"] == "bound").then_some(()));
    let leases = gateway.leases();
    let name = leases[0]["hostname"].as_str().unwrap();
    assert!(name.contains("script"), "as the client sent it, written as names are: {name}");

    let shown = page_in_node(&home.alice, &place, &token(&home.gw), "{}");
    let text =
        |id: &str| shown["places"][id]["text"].as_str().unwrap_or_else(|| panic!("{id}: {shown}")).to_owned();
    assert!(text("clients").contains(name), "{shown}");
    assert!(text("clients").contains(leases[0]["resource"].as_str().unwrap()), "{shown}");
    assert_eq!(text("state"), "All is well.");
    assert!(
        text("uplink").contains("bound")
            && text("lans").contains("lan0")
            && text("dns").contains("Questions"),
        "{shown}"
    );
    assert!(text("health").contains("IPv6") && text("version").contains("sixgate "), "{shown}");
    let hidden = |shown: &Value, id: &str| shown["places"][id]["hidden"] == true;
    assert!(
        hidden(&shown, "login")
            && !hidden(&shown, "known")
            && hidden(&shown, "gone")
            && hidden(&shown, "problems")
    );

    // Names as other protocols may let them through, in every field that is a stranger's.
    let evil: Value = serde_json::json!({ "resource": EVIL, "lan": EVIL, "state": EVIL, "duid": EVIL, "iaid": 1,
        "hostname": EVIL, "link_layer": EVIL, "preferred": null, "valid": 7 });
    let share = serde_json::json!({ "count": 1, "of": 2, "low": 0.1, "high": 0.9 });
    let counted = serde_json::json!({ "id": "0", "name": EVIL, "family": EVIL, "stage": EVIL, "needs": [{ "kind": "name", "what": EVIL }],
        "score": { "best": 0.5, "low": 0.1, "high": 0.9, "hours": 7 } });
    let day =
        |ready| serde_json::json!({ "from": 0, "clients": 2, "ready": ready, "without": 0, "asking": 0 });
    let census = serde_json::json!({ "report": { "ready": share, "ready_stable": share, "without": share, "asking": share,
        "lines": [{ "percent": 5, "stands": "reached" }] }, "days": [day(0), day(1), day(2)],
        "needs": [{ "kind": EVIL, "what": EVIL, "clients": 3 }], "clients": [counted] });
    let pilot = serde_json::json!({ "percent": 5, "asked": 7, "chosen": 3, "waiting": 2 });
    let views =
        serde_json::json!({ "/api/v1/leases": [evil], "/api/v1/census": census, "/api/v1/pilot": pilot })
            .to_string();
    let shown = page_in_node(&home.alice, &place, &token(&home.gw), &views);
    let text = shown["places"]["clients"]["text"].as_str().unwrap();
    assert_eq!(text.matches(EVIL).count(), 5, "{text}");
    let text = |id: &str| shown["places"][id]["text"].as_str().unwrap();
    assert!(
        text("census").matches(EVIL).count() == 6 && text("census").contains("1 of 2 (10 % to 90 %)"),
        "{shown}"
    );
    assert!(
        text("census").contains("5 %: reached") && text("pilot").contains("5 % of those that ask"),
        "{shown}"
    );
    for tag in shown["made"].as_array().unwrap() {
        assert!(!["script", "img", "iframe", "a", "style"].contains(&tag.as_str().unwrap()), "{tag}");
    }

    // The gateway goes: what stands is said to be old.
    assert_eq!(shown["gone"], serde_json::json!({ "hidden": false, "known": "stale" }), "{shown}");

    // Without the token: whether all is well, and a way to log in.
    let shown = page_in_node(&home.bob, &place, "", "{}");
    assert!(hidden(&shown, "known") && !hidden(&shown, "login"), "{shown}");
    assert_eq!(shown["places"]["clients"]["text"], "");
    assert_eq!(shown["places"]["state"]["text"], "All is well.");
    client.stop();
    gateway.stop();
    isp.stop();
}

#[test]
fn half_open_requests_hurt_nobody_else() {
    let pair = crate::mistakes::pair("web-slow");
    let server = Sixgate::start(&pair.gw, &format!("{}{WEB}", crate::mistakes::SERVER));
    server.wait_lan_prefix(0);
    pair.alice.wait_address("eth0", |address| !address.is_unicast_link_local(), PATIENCE).unwrap();
    let at: Ipv6Addr = "2001:db8:5::1".parse().unwrap();
    let place = format!("http://[{at}]:6464/api/v1/health");
    // One host with many addresses, so that no limit of one address stops it.
    let addresses: Vec<Ipv6Addr> = (0..30).map(|n| format!("2001:db8:5::a:{n:x}").parse().unwrap()).collect();
    for address in &addresses {
        pair.alice.add_address_nodad("eth0", net(&format!("{address}/64"))).unwrap();
    }
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let held = Command::new("python3").args([HALF_OPEN, &at.to_string(), "300"]).args(&texts);
    let held = pair.alice.spawn(&held).unwrap();
    held.wait_line("held", PATIENCE).unwrap_or_else(|error| panic!("{error}\n{}", held.output()));
    let begun = Instant::now();
    assert_eq!(curl(&pair.alice, &[&place]).0, 200);
    // The network goes on, and so does DNS.
    run(&pair.alice, "dig", &["+time=2", "+tries=1", &format!("@{at}"), "gateway.home.arpa", "AAAA"])
        .expect(0, &["2001:db8:5::1"]);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let open = output(&pair.gw, "ss", &["-Hnt", "state", "established", "sport", "=", ":6464"]);
    assert!(open.lines().count() <= 65, "{}", open.lines().count());
    // They are thrown out, though they would stay.
    pair.gw
        .wait_for("the half-open ones to be closed", PATIENCE, || {
            output(&pair.gw, "ss", &["-Hnt", "state", "established", "sport", "=", ":6464"]).is_empty()
        })
        .unwrap();
    drop(held);
    let answers = shell(
        &pair.alice,
        &format!(
            "printf 'GARBAGE\\r\\n\\r\\n' | timeout 10 bash -c 'exec 3<>/dev/tcp/{at}/6464; cat >&3; cat <&3'"
        ),
    );
    answers.expect(0, &["HTTP/1.1 400 Bad Request"]);
    assert!(!server.log().contains("panicked"), "{}", server.log());
    server.stop();
}

#[test]
fn whoever_asks_without_end_is_answered_at_a_pace() {
    let pair = crate::mistakes::pair("web-flood");
    let server = Sixgate::start(&pair.gw, &format!("{}{WEB}", crate::mistakes::SERVER));
    server.wait_lan_prefix(0);
    pair.alice.wait_address("eth0", |address| !address.is_unicast_link_local(), PATIENCE).unwrap();
    let flood = pair.alice.spawn(&Command::new("python3").args([FLOOD, "2001:db8:5::1", "6"])).unwrap();
    // Meanwhile the rest of the gateway has time for others.
    for _ in 0..20 {
        run(&pair.alice, "dig", &["+time=2", "+tries=1", "@2001:db8:5::1", "gateway.home.arpa", "AAAA"])
            .expect(0, &["2001:db8:5::1"]);
    }
    let ended = crate::mistakes::end(&flood);
    ended.expect(0, &[" answers in "]);
    let words: Vec<f64> = ended.text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [answers, seconds] = words[..] else { panic!("{}", ended.text) };
    // A hundred a second, after two hundred at once.
    assert!(answers > 50.0 && answers <= 200.0 + 100.0 * (seconds + 1.0), "{}", ended.text);
    server.stop();
}
