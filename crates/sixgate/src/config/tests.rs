use super::*;
use std::time::Duration;

pub(super) fn parse(text: &str) -> Result<Checked, Vec<Diagnostic>> {
    Config::parse(Path::new("t.toml"), text)
}

/// The only finding in `text`, as `line:column message / remedy`.
pub(super) fn finding(text: &str) -> String {
    let found = parse(text).expect_err("the configuration should be refused");
    assert_eq!(found.len(), 1, "{found:#?}");
    format!("{}:{} {} / {}", found[0].line, found[0].column, found[0].message, found[0].remedy)
}

pub(super) const HOME: &str =
    "[uplink]\ninterface = \"wan0\"\n\n[[lan]]\ninterface = \"lan0\"\n\n[[lan]]\ninterface = \"lan1\"\n";

#[test]
fn a_home_needs_eight_lines() {
    let checked = parse(HOME).unwrap();
    assert!(checked.warnings.is_empty());
    let config = checked.config;
    assert_eq!(config.lans.iter().map(|lan| lan.subnet).collect::<Vec<_>>(), [0, 1]);
    assert!(config.uplink.unwrap().prefix);
    assert!(config.firewall && config.dns.enabled);
    assert!(HOME.lines().count() <= 15);
}

#[test]
fn reference_parses_and_shows_the_defaults() {
    let reference = parse(REFERENCE).unwrap();
    assert!(reference.warnings.is_empty());
    // With every comment sign taken away it must parse as well: each key exists and takes the value shown.
    let all: String = REFERENCE
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
        .fold(String::new(), |text, line| text + line + "\n");
    assert!(all.lines().filter(|line| line.starts_with('#')).all(|line| line.starts_with("# ")));
    let all = parse(&all).unwrap().config;
    let plain = reference.config;
    let (a, b) = (&all.lans[0], &plain.lans[0]);
    assert_eq!(
        (a.preferred_lifetime, a.valid_lifetime, a.ra_min_interval, a.ra_max_interval, a.router_lifetime),
        (b.preferred_lifetime, b.valid_lifetime, b.ra_min_interval, b.ra_max_interval, b.router_lifetime)
    );
    assert_eq!(
        (a.slaac, a.addresses, a.delegate, a.pd_preferred),
        (b.slaac, b.addresses, b.delegate, b.pd_preferred)
    );
    assert_eq!((a.delegate_length, a.router_preference), (b.delegate_length, b.router_preference));
    assert_eq!((&all.state, &all.control, all.firewall), (&plain.state, &plain.control, plain.firewall));
    assert_eq!((all.dhcp.rapid_commit, all.dns.enabled), (plain.dhcp.rapid_commit, plain.dns.enabled));
    let (a, b) = (all.uplink.unwrap(), plain.uplink.unwrap());
    assert_eq!(
        (a.address, a.prefix, a.rapid_commit, a.reconfigure, a.release),
        (b.address, b.prefix, b.rapid_commit, b.reconfigure, b.release)
    );
}

#[test]
fn answers_are_judged_unless_somebody_says_otherwise() {
    let with = |dns: &str| parse(&format!("{HOME}[dns]\n{dns}")).unwrap().config.dns.dnssec;
    let default = with("").unwrap();
    assert!(!default.permissive && default.excepted().is_empty());
    assert_eq!(with("dnssec = true\n"), Some(default));
    assert_eq!(with("dnssec = false\n"), None);
    assert_eq!(with("enabled = false\n"), None);
    assert!(with("dnssec = \"permissive\"\n").unwrap().permissive);
    assert_eq!(with("dnssec-except = [\"corp.example\", \"lan\"]\n").unwrap().excepted().len(), 2);
    for (dns, told) in [
        ("dnssec = \"loose\"\n", "true, false or \"permissive\""),
        ("dnssec = 7\n", "true, false or \"permissive\""),
        ("dnssec-except = [\"corp..example\"]\n", "write a domain name, such as \"corp.example\""),
        ("dnssec-anchors = \"/none\"\n", "no trust anchors in /none: No such file"),
        ("dnssec-anchors = \"/dev/null\"\n", "no trust anchor with an algorithm"),
    ] {
        let told_of = finding(&format!("{HOME}[dns]\n{dns}"));
        assert!(told_of.contains(told), "{told_of}");
    }
}

#[test]
fn mistakes_name_line_key_and_remedy() {
    for (text, expected) in [
        ("[uplink]\ninterfase = \"wan0\"\n", "2:1 there is no key `interfase` / did you mean `interface`?"),
        ("[uplnk]\n", "1:2 there is no key `uplnk` / did you mean `uplink`?"),
        (
            "[uplink]\ninterface = wan0\n",
            "2:13 string values must be quoted, expected literal string / if this is text, write it in quotes: \"wan0\"",
        ),
        ("[[lan]]\nname = \"x\"\n", "1:1 missing field `interface` / add interface = ... to this section"),
        (
            "[[lan]]\ninterface = \"lan0\"\n",
            "2:13 LAN `lan0` would have no prefix: there is no [uplink] to have one delegated / add [uplink], or give the LAN prefixes = [\"2001:db8:1::/64\"]",
        ),
        (
            "[uplink]\ninterface = \"a\"\n[[lan]]\ninterface = \"a\"\n",
            "4:13 interface `a` is named twice / give the uplink and each LAN an interface of its own (a VLAN interface counts as one)",
        ),
        (
            "[[lan]]\ninterface = \"a\"\nprefixes = [\"2001:db8:1::/64\"]\n[[lan]]\ninterface = \"b\"\nprefixes = [\"2001:db8:1::/64\"]\n",
            "6:14 2001:db8:1::/64 overlaps 2001:db8:1::/64 of LAN `a` / give each LAN, and what is delegated, address space of its own",
        ),
        (
            "[[lan]]\ninterface = \"a\"\nprefixes = [\"2001:db8:1::/64\"]\ndelegate-from = [\"2001:db8::/32\"]\ndelegate-length = 48\n",
            "4:19 2001:db8::/32 overlaps 2001:db8:1::/64 of LAN `a` / give each LAN, and what is delegated, address space of its own",
        ),
        (
            "[[lan]]\ninterface = \"a\"\nprefixes = [\"2001:db8:1::1/64\"]\n",
            "3:13 `2001:db8:1::1/64` has bits set beyond its length / did you mean `2001:db8:1::/64`?",
        ),
        (
            "[uplink]\ninterface = \"a\"\n[[lan]]\ninterface = \"b\"\nmtu = 900\n",
            "5:7 900 is no MTU for IPv6 / choose 1280 to 65535",
        ),
        (
            "[uplink]\ninterface = \"a\"\n[[lan]]\ninterface = \"b\"\nsubnet = 3\n[[lan]]\ninterface = \"c\"\nsubnet = 3\n",
            "7:13 LANs `b` and `c` both take subnet 3 / give each LAN a subnet number of its own, or leave the key out",
        ),
        (
            "[uplink]\ninterface = \"a\"\n[dns]\nupstreams = [\"resolver\"]\n",
            "4:14 `resolver` is not an address / write 2001:db8::1 or [2001:db8::1]:53, or for IPv4 192.0.2.1 or 192.0.2.1:53",
        ),
        (
            "[uplink]\ninterface = \"a\"\n[nat64]\nprefix = \"64:ff9b::/95\"\n",
            "4:10 a NAT64 prefix has 32, 40, 48, 56, 64 or 96 bits, not 95 (RFC 6052 section 2.2) / write one such as 64:ff9b::/96, which every network may use, or 2001:db8:64::/96 from your own",
        ),
        (
            "[uplink]\ninterface = \"a\"\n[nat64]\npool = \"192.168.0.0/16\"\n",
            "4:8 192.168.0.0/16 has more than the 256 addresses that a translator shares / choose a length of 24 to 32; one address serves 64,512 connections of each protocol to one place",
        ),
        (
            "[uplink]\ninterface = \"a\"\n[nat64]\npool = \"192.168.64.1/28\"\n",
            "4:8 `192.168.64.1/28` has bits set beyond its length / did you mean `192.168.64.0/28`?",
        ),
        (
            "[uplink]\ninterface = \"a\"\n[nat64]\npool = \"fd00::/64\"\n",
            "4:8 `fd00::/64` is no range of IPv4 addresses / write an address or a range, such as 203.0.113.7 or 192.168.64.0/28",
        ),
        (
            "[uplink]\ninterface = \"a\"\n[nat64]\npool = \"127.0.0.1\"\n",
            "4:8 127.0.0.1/32 cannot be the source of packets that a router forwards / choose addresses that are routed to this machine, or private ones (192.168.64.0/28)",
        ),
        (
            "[uplink]\ninterface = \"a\"\n[nat64]\nsessions = 0\n",
            "4:12 a table cannot hold 0 sessions / choose 1 to 16777216; 131072 serve some hundred hosts",
        ),
        (
            "",
            "0:0 the configuration names no interface / add [uplink] with interface = \"...\" and one [[lan]] with interface = \"...\" for each segment",
        ),
    ] {
        assert_eq!(finding(text), expected, "for:\n{text}");
    }
}

#[test]
fn nat64_has_defaults_and_tells_the_lans() {
    assert_eq!(parse(HOME).unwrap().config.nat64, None);
    let config = parse(&format!("{HOME}pref64 = \"2001:db8:64::/96\"\n[nat64]\n")).unwrap().config;
    let nat64 = config.nat64.unwrap();
    assert_eq!((nat64.net().to_string(), nat64.sessions), ("64:ff9b::/96".to_owned(), 131_072));
    assert_eq!(nat64.masquerade(), Some("192.168.64.0/28".parse().unwrap()));
    assert_eq!(config.dns.dns64, Some(nat64.prefix));
    let told: Vec<String> = config.lans.iter().map(|lan| lan.pref64.unwrap().to_string()).collect();
    assert_eq!(told, ["64:ff9b::/96", "2001:db8:64::/96"]);
    let routed = parse(&format!("{HOME}[nat64]\npool = \"203.0.113.7\"\n")).unwrap().config.nat64.unwrap();
    assert_eq!((routed.pool.to_string(), routed.masquerade()), ("203.0.113.7/32".to_owned(), None));
    let open = parse(&format!("firewall = false\n{HOME}[nat64]\n")).unwrap();
    assert!(open.warnings[0].message.contains("nothing hides the private addresses 192.168.64.0/28"));
    assert_eq!(parse(HOME).unwrap().config.needs_restart(&open.config), ["firewall", "nat64"]);
}

#[test]
fn ipv4_is_an_island_unless_the_uplink_has_it() {
    let with = |rest: &str| parse(&format!("{HOME}{rest}")).unwrap();
    assert_eq!(with("").config.ipv4, None);
    let internet = |rest: &str| {
        let checked = with(rest);
        assert!(checked.warnings.is_empty(), "{:#?}", checked.warnings);
        checked.config.ipv4.unwrap().internet
    };
    assert_eq!(internet("[ipv4]\n"), Internet::Island);
    assert_eq!(internet("[nat64]\n[ipv4]\n"), Internet::Nat44);
    assert_eq!(internet("[ipv4]\ninternet = \"none\"\n"), Internet::None);
    let told = with("[ipv4]\npref64 = \"2001:db8:64::/96\"\n").config;
    assert_eq!(told.ipv4.as_ref().unwrap().pref64.unwrap().to_string(), "2001:db8:64::/96");
    // The prefix may change while it runs; what it is made of may not.
    assert!(told.needs_restart(&with("[ipv4]\n").config).is_empty());
    assert_eq!(told.needs_restart(&with("").config), ["ipv4.internet"]);
    for (text, expected) in [
        (
            "[ipv4]\ninternet = \"nat\"\n",
            "10:12 unknown variant `nat`, expected one of `nat44`, `island`, `none`",
        ),
        (
            "[ipv4]\npref64 = \"64:ff9b::/95\"\n",
            "10:10 a NAT64 prefix has 32, 40, 48, 56, 64 or 96 bits, not 95",
        ),
    ] {
        let found = finding(&format!("{HOME}{text}"));
        assert!(found.starts_with(expected), "{found}");
    }
    for (text, expected) in [
        (format!("firewall = false\n{HOME}[ipv4]\ninternet = \"nat44\"\n"), "firewall is off"),
        (
            format!("{HOME}[nat64]\n[ipv4]\ninternet = \"island\"\n"),
            "an island is for an uplink without IPv4",
        ),
        (
            "[[lan]]\ninterface = \"a\"\nprefixes = [\"2001:db8::/64\"]\n[ipv4]\n".to_owned(),
            "island leads nowhere",
        ),
        ("[uplink]\ninterface = \"a\"\n[ipv4]\n".to_owned(), "there is no LAN"),
    ] {
        let warnings = parse(&text).unwrap().warnings;
        assert!(warnings.len() == 1 && warnings[0].message.contains(expected), "{warnings:#?}");
    }
}

#[test]
fn dns64_without_a_nat64_is_doubted() {
    let with =
        |lan: &str, dns: &str| parse(&format!("{HOME}{lan}[dns]\ndns64 = \"64:ff9b::/96\"\n{dns}")).unwrap();
    let quiet = with("pref64 = \"64:ff9b::/96\"\n", "");
    assert!(quiet.warnings.is_empty());
    assert_eq!(quiet.config.dns.dns64.map(|prefix| prefix.to_string()).as_deref(), Some("64:ff9b::/96"));
    assert_eq!(parse(HOME).unwrap().config.dns.dns64, None, "off where nobody asks for it");
    for (lan, dns, message, remedy) in [
        (
            "",
            "",
            "no LAN announces this prefix: names that have IPv4",
            "add pref64 = \"64:ff9b::/96\" to each [[lan]]",
        ),
        (
            "pref64 = \"2001:db8:64::/96\"\n",
            "",
            "no LAN announces this prefix, but 2001:db8:64::/96:",
            "where there is none, take dns64 out",
        ),
        ("", "enabled = false\n", "dns64 does nothing while dns.enabled is false", "let sixgate answer DNS"),
    ] {
        let warnings = with(lan, dns).warnings;
        assert_eq!(warnings.len(), 1, "{warnings:#?}");
        assert!(
            warnings[0].message.contains(message) && warnings[0].remedy.contains(remedy),
            "{warnings:#?}"
        );
        assert_eq!(warnings[0].severity, Severity::Warning);
        assert_eq!(warnings[0].line, 10 + lan.lines().count());
    }
    for (prefix, expected) in [
        (
            "64:ff9b::/95",
            "10:9 a NAT64 prefix has 32, 40, 48, 56, 64 or 96 bits, not 95 (RFC 6052 section 2.2) / choose 96",
        ),
        ("2001:db8:0:0:100::/96", "10:9 2001:db8:0:0:100::/96 has bits set where a NAT64 prefix has none"),
        (
            "64:ff9b::1/96",
            "10:9 `64:ff9b::1/96` has bits set beyond its length / did you mean `64:ff9b::/96`?",
        ),
        ("nat64", "10:9 `nat64` is not an IPv6 prefix / write a NAT64 prefix, such as 64:ff9b::/96"),
    ] {
        let found = finding(&format!("{HOME}[dns]\ndns64 = \"{prefix}\"\n"));
        assert!(found.starts_with(expected), "{found}");
    }
    // It can change while running.
    assert!(quiet.config.needs_restart(&parse(HOME).unwrap().config).is_empty());
}

#[test]
fn a_wrong_interface_is_told_with_those_that_exist() {
    let config = parse(HOME).unwrap().config;
    let found = config.check_links(&["lo".into(), "wan0".into(), "lan0".into(), "lan9".into()]);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].line, found[0].column), (8, 13));
    assert_eq!(found[0].message, "there is no interface `lan1`");
    assert_eq!(found[0].remedy, "did you mean `lan0`? this machine has: wan0, lan0, lan9");
}

#[test]
fn times_take_units() {
    let text = format!("{HOME}valid-lifetime = \"1h\"\npreferred-lifetime = 600\n");
    let config = parse(&text).unwrap().config;
    assert_eq!(config.lans[1].valid_lifetime, Duration::from_hours(1));
    assert_eq!(config.lans[1].preferred_lifetime, Duration::from_mins(10));
    assert!(
        finding(&format!("{HOME}valid-lifetime = \"soon\"\n"))
            .starts_with("9:18 invalid value: string \"soon\"")
    );
}

#[test]
fn reload_says_what_needs_a_restart() {
    let a = parse(HOME).unwrap().config;
    let b = parse(&HOME.replace("lan1", "lan2")).unwrap().config;
    assert_eq!(a.needs_restart(&b), ["lan.interface"]);
    let c = parse(&format!("# moved\n{HOME}mtu = 1400\n")).unwrap().config;
    assert!(a.needs_restart(&c).is_empty());
    let ipv4 = parse(&format!("{HOME}[dns]\nupstreams = [\"192.0.2.53\"]\n")).unwrap().config;
    assert_eq!(a.needs_restart(&ipv4), ["dns.upstreams"]);
    assert!(ipv4.needs_restart(&a).is_empty());
}

#[test]
fn hosts_may_have_addresses_of_both_families() {
    let with = |hosts: &str| format!("{HOME}[dns]\nrate-limit = false\nhosts = {hosts}\n");
    let dns = parse(&with("{ \"nas.example\" = [\"2001:db8:1::9\", \"192.168.7.9\"] }")).unwrap().config.dns;
    assert_eq!(dns.hosts["nas.example"].len(), 2);
    assert!(!dns.rate_limit && parse(HOME).unwrap().config.dns.rate_limit);
    assert_eq!(
        finding(&with("{ \"nas.example\" = [\"192.168.7\"] }")),
        "11:28 `192.168.7` is not an IP address / write one, such as 2001:db8::80"
    );
}

#[test]
fn a_census_is_off_until_asked_for() {
    use sixgate_dhcp::v4::census::Privacy;
    let census = |section: &str| parse(&format!("{HOME}{section}")).unwrap().config.census;
    assert_eq!(census(""), None);
    let default = census("[census]\n").unwrap();
    assert_eq!((default.privacy, default.retention), (Privacy::Hashed, Duration::from_hours(14 * 24)));
    assert_eq!(census("[census]\nenabled = false\nprivacy = \"named\"\n"), None);
    let named = census("[census]\nprivacy = \"named\"\nretention = \"36h\"\n").unwrap();
    assert_eq!((named.privacy, named.retention), (Privacy::Named, Duration::from_hours(36)));
    for (section, message) in [
        ("[census]\nretention = \"10m\"\n", "600 s is out of range / choose 3600 to 34560000 seconds"),
        ("[census]\nprivacy = \"none\"\n", "unknown variant `none`, expected `hashed` or `named`"),
    ] {
        let found = finding(&format!("{HOME}{section}"));
        assert!(found.contains(message), "{found}");
    }
    // What can change while it runs: everything but to begin.
    let config = |section: &str| parse(&format!("{HOME}{section}")).unwrap().config;
    let (off, on, other) = (config(""), config("[census]\n"), config("[census]\nprivacy = \"named\"\n"));
    assert!(on.needs_restart(&other).is_empty() && on.needs_restart(&off).is_empty());
    assert_eq!(off.needs_restart(&on), ["census.enabled"]);
}

#[test]
fn the_queue_before_the_uplink_is_read_and_mistakes_in_it_are_explained() {
    use crate::shape::{LinkKind, Speed};
    use sixgate_aqm::Rate;
    let with = |shape: &str| format!("[uplink]\ninterface = \"a\"\nshape = {shape}\n");
    let config =
        parse(&with("{ down = \"95M\", up = \"5M-19M\", link = \"pppoe\", ecn = false }")).unwrap().config;
    let shape = config.uplink.as_ref().unwrap().shape.as_ref().unwrap();
    assert_eq!(shape.plan.down, Some(Speed::Fixed(Rate::mbit(95))));
    assert_eq!(shape.plan.up, Some(Speed::Between(Rate::mbit(5), Rate::mbit(19))));
    assert_eq!((shape.plan.link, shape.plan.ecn, shape.plan.diffserv), (LinkKind::Pppoe, false, false));
    for (shape, told) in [
        ("{ down = \"95\" }", "3:18 `95` has no unit: did you mean \"95M\""),
        ("{ down = \"12MB\" }", "did you mean \"96M\""),
        ("{ down = \"auto\" }", "say between which rates the link changes"),
        ("{ ecn = true }", "3:9 it names no rate / write down = \"95M\""),
        ("{ down = \"95M\", probe = [\"dns\"] }", "`dns` is no IPv6 address"),
        ("{ down = \"95M\", rtt-ms = 0 }", "0 ms is out of range"),
        ("{ down = \"95M\", link = \"dsl\" }", "unknown variant `dsl`"),
        ("{ dwn = \"95M\" }", "did you mean `down`?"),
    ] {
        let found = finding(&with(shape));
        assert!(found.contains(told), "{shape}: {found}");
    }
    // Faster up than down is somebody's line. Faster than the interface is a mistake, not a reason to refuse.
    let config = parse(&with("{ down = \"95M\", up = \"200M\" }")).unwrap().config;
    let found = config.check_speeds(|_| Some(Rate::mbit(100)));
    assert_eq!(found.iter().map(|found| found.key.as_str()).collect::<Vec<_>>(), ["uplink.shape.up"]);
    assert_eq!(found[0].severity, Severity::Warning);
    assert!(config.check_speeds(|_| None).is_empty());
    // A running sixgate takes other rates, and nothing else.
    let other = |shape: &str| config.needs_restart(&parse(&with(shape)).unwrap().config);
    assert!(other("{ down = \"50M\", up = \"20M\" }").is_empty());
    assert_eq!(other("{ down = \"50M\" }"), ["uplink.shape"]);
    assert_eq!(other("{ down = \"95M\", up = \"200M\", diffserv = true }"), ["uplink.shape"]);
}

#[test]
fn a_lan_has_a_queue_of_its_own_and_somebody_to_probe() {
    use crate::shape::Facing;
    use sixgate_aqm::Rate;
    let with =
        |shape: &str| format!("[uplink]\ninterface = \"a\"\n[[lan]]\ninterface = \"b\"\nshape = {shape}\n");
    let config = parse(&with("{ down = \"95M\", up = \"10M\" }")).unwrap().config;
    let shaped: Vec<_> =
        config.shaped().map(|(key, interface, shape)| (key, &*interface.value, shape.plan.facing)).collect();
    assert_eq!(shaped, [("lan.shape", "b", Facing::Hosts)]);
    let found = config.check_speeds(|_| Some(Rate::mbit(50)));
    assert_eq!(found.iter().map(|found| found.key.as_str()).collect::<Vec<_>>(), ["lan.shape.down"]);
    let found = finding(&with("{ down = \"20M-95M\" }"));
    assert!(found.contains("there is no router there to ask"), "{found}");
    assert!(parse(&with("{ down = \"20M-95M\", probe = [\"fe80::2\"] }")).is_ok());
    let other = |shape: &str| config.needs_restart(&parse(&with(shape)).unwrap().config);
    assert!(other("{ down = \"9M\", up = \"1M\" }").is_empty());
    assert_eq!(other("{ down = \"9M\" }"), ["lan.shape"]);
}

#[test]
fn plug_ins_have_bounds_and_mistakes_in_them_are_explained() {
    let with = |plugin: &str| format!("[uplink]\ninterface = \"a\"\n[[measure.plugin]]\n{plugin}\n");
    let good = "name = \"web\"\ncommand = [\"/bin/web\", \"x y\"]\n";
    let config = parse(&with(good)).unwrap().config;
    let plugin = &config.plugins[0];
    assert_eq!(
        (plugin.every.as_secs(), plugin.time.as_secs(), plugin.octets, plugin.user),
        (300, 30, 65_536, 65_534)
    );
    assert_eq!((&plugin.arguments[..], plugin.budget), (&["x y".to_owned()][..], None));
    for (plugin, told) in [
        (format!("{good}every = 10\ntime = 20"), "20 s is out of range / choose 1 to 10 seconds"),
        (format!("{good}octets = 9"), "choose 64 to 1048576"),
        ("name = \"a b\"\ncommand = [\"/x\"]".to_owned(), "`a b` is no name"),
        ("name = \"a\"\ncommand = [\"x\"]".to_owned(), "`x` is no whole path"),
        ("name = \"a\"\ncommand = []".to_owned(), "is no whole path"),
        (format!("{good}[[measure.plugin]]\n{good}"), "two plug-ins are called `web`"),
    ] {
        let found = finding(&with(&plugin));
        assert!(found.contains(told), "{plugin}: {found}");
    }
    assert_eq!(
        config.needs_restart(&parse("[uplink]\ninterface = \"a\"\n").unwrap().config),
        ["measure.plugin"]
    );
}

#[test]
fn the_proxy_is_off_until_asked_for_and_goes_to_web_servers() {
    let with = |proxy: &str| format!("[uplink]\ninterface = \"a\"\n{proxy}\n");
    assert_eq!(parse(&with("[proxy]")).unwrap().config.proxy, None);
    let config = parse(&with("[proxy]\nenabled = true")).unwrap().config;
    assert_eq!(config.proxy.as_ref().map(|proxy| (proxy.port, &proxy.to[..])), Some((3128, &[80, 443][..])));
    assert!(config.needs_ipv4());
    for (proxy, told) in [
        ("[proxy]\nenabled = true\nport = 53", "the proxy cannot have port 53"),
        ("[proxy]\nenabled = true\nto-ports = [25]", "25 (mail)"),
        ("[proxy]\nenabled = true\nto-ports = []", "these ports are not gone to"),
        ("[proxy]\nenabled = true\n[dns]\nenabled = false", "[proxy] resolves names by [dns], which is off"),
    ] {
        let found = finding(&with(proxy));
        assert!(found.contains(told), "{proxy}: {found}");
    }
}
