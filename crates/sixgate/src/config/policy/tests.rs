//! What may be written, and what is said where it may not.

use super::super::tests::{finding, parse};
use sixgate_dhcp::policy::Exclude;
use sixgate_wire::dhcpv6::OptionCode;

const LAN: &str = "[[lan]]\ninterface = \"lan0\"\nprefixes = [\"2001:db8:1::/64\"]\ndelegate-from = [\"2001:db8:100::/40\"]\n";

#[test]
fn everything_has_its_place() {
    let text = format!(
        "{LAN}options = {{ captive-portal = \"https://lan/\", 9999 = {{ type = \"hex\", value = \"0a\", always = true }} }}\n\
         deny = [\"bad\"]\nallow = [\"good\"]\npd-exclude = {{ length = 64, subnet = 1 }}\n\
         [[lan.pool]]\nprefix = \"2001:db8:1::1000/116\"\nclass = \"good\"\noptions = {{ tzdb-timezone = \"UTC\" }}\n\
         [[lan.pool]]\nprefix = \"2001:db8:100::/48\"\nlength = 60\n\
         [dhcp]\ndeny = [\"bad\"]\n[dhcp.options]\nntp-server = [\"2001:db8::123\", \"ntp.example\"]\n\
         [[dhcp.class]]\nname = \"good\"\nmatch = {{ mac = \"00:00:5e/24\" }}\n\
         [[dhcp.class]]\nname = \"bad\"\nmatch = {{ not = {{ class = \"good\" }}, link = \"lan0\" }}\noptions = {{ aftr-name = \"a.b\" }}\n"
    );
    let policy = parse(&text).unwrap().config.served.policy;
    assert_eq!(policy.classes().iter().map(|class| &*class.name).collect::<Vec<_>>(), ["good", "bad"]);
    let rules: Vec<_> = policy.rules().iter().map(|rule| policy.rule_name(rule)).collect();
    assert_eq!(rules, ["deny bad", "lan0: deny bad", "lan0: allow good alone"]);
    assert_eq!(policy.exclude("lan0"), Some(Exclude { length: 64, subnet: 1 }));
    let parts: Vec<_> = policy.parts_within("lan0", "::/0".parse().unwrap()).collect();
    assert_eq!((parts.len(), parts[0].class, parts[1].length), (2, policy.class_named("good"), Some(60)));
    let none = std::iter::empty();
    let sets: Vec<_> =
        policy.options_for("lan0", none, <_>::default(), |net| net.prefix_len() == 116).collect();
    assert!(sets[0].get(OptionCode::NEW_TZDB_TIMEZONE).is_some(), "the pool's");
    assert!(sets[1].get(OptionCode(9_999)).is_some_and(sixgate_dhcp::options::Given::always), "the LAN's");
    assert_eq!(
        sets[2].get(OptionCode::NTP_SERVER).map(|given| given.contents().count()),
        Some(2),
        "the server's"
    );
}

#[test]
fn mistakes_name_line_key_and_remedy() {
    for (text, expected) in [
        (
            "options = { sip-server = \"x\" }\n",
            "5:26 there is no option `sip-server` / write one of the names",
        ),
        (
            "options = { sip-servers = [\"192.0.2.1\"] }\n",
            "5:27 \"192.0.2.1\" is not an IPv6 address / write one, such as \"2001:db8::53\"",
        ),
        (
            "options = { sip-servers = \"::1\", 22 = \"::1\" }\n",
            "5:27 sip-servers stands twice, perhaps by name and by code / write it once",
        ),
        ("deny = [\"x\"]\n", "5:8 there is no class `x` / define it: [[dhcp.class]]"),
        (
            "pd-exclude = { length = 65, subnet = 0 }\n",
            "5:14 a prefix of 65 bits cannot be excluded / write { length = 64, subnet = 0 }",
        ),
        (
            "[[lan.pool]]\nprefix = \"2001:db8:2::/116\"\n",
            "6:10 2001:db8:2::/116 is no part of what LAN `lan0` gives",
        ),
        (
            "[[lan.pool]]\nprefix = \"2001:db8:1::/116\"\nlength = 120\n",
            "7:10 length is for pools that prefixes are delegated from",
        ),
        (
            "[[lan.pool]]\nprefix = \"2001:db8:100::/48\"\nlength = 47\n",
            "7:10 prefixes of 47 bits cannot be cut from 2001:db8:100::/48 / choose 48 to 64",
        ),
        ("[[lan.pool]]\nprefix = \"2001:db8:1::/116\"\nclass = \"x\"\n", "7:9 there is no class `x`"),
        (
            "[[dhcp.class]]\nname = \"a\"\nmatch = { mca = \"x\" }\n",
            "7:9 nothing of a client is called `mca` (in a.match.mca)",
        ),
        ("[[dhcp.class]]\nname = \"a\"\nmatch = { class = \"a\" }\n", "7:9 there is no class `a`"),
    ] {
        let told = finding(&format!("{LAN}{text}"));
        assert!(told.starts_with(expected), "{told}");
    }
    let twice = "[[dhcp.class]]\nname = \"a\"\nmatch = { link = \"x\" }\n".repeat(2);
    assert!(finding(&format!("{LAN}{twice}")).starts_with("8:1 two classes are called `a`"));
}

#[test]
fn reservations_are_read_beside_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.toml");
    std::fs::write(&path, format!("{LAN}[dhcp]\nreservations = \"r.csv\"\n")).unwrap();
    let load = || super::super::Config::load(&path);
    let told = |findings: Vec<super::super::Diagnostic>| findings[0].render(false);
    assert!(told(load().unwrap_err()).contains("cannot read the reservations: No such file"));
    let file = folder.path().join("r.csv");
    std::fs::write(&file, "mac,address\n02:00:00:00:00:01,2001:db8:1::g\n").unwrap();
    let shown = told(load().unwrap_err());
    assert!(
        shown.contains("r.csv:2:19") && shown.contains("^^^^") && shown.contains("no IPv6 address"),
        "{shown}"
    );
    std::fs::write(&file, "mac,address\n02:00:00:00:00:01,2001:db8:1::7\n02:00:00:00:00:02,2001:db8:1::7\n")
        .unwrap();
    let checked = load().unwrap();
    assert_eq!((checked.config.served.policy.reservations.len(), checked.warnings.len()), (1, 1));
    assert!(told(checked.warnings).contains("r.csv:3: mac 02:00:00:00:00:02 is left out"));
}
