//! rdisc6 prints Router Advertisements: they must say what the configuration says. What its version does not know,
//! tshark tells.

use super::*;

#[test]
fn rdisc6_reads_the_defaults() {
    let stage = Stage::new("c-rdisc6a", "");
    let asked = Asked::of(&stage);
    asked.assert("Stateful address conf.", "Yes");
    asked.assert("Stateful other conf.", "Yes");
    asked.assert("Router preference", "medium");
    asked.assert_seconds("Router lifetime", 1800);
    asked.assert("Prefix", &stage.lan.to_string());
    asked.assert("On-link", "Yes");
    asked.assert("Autonomous address conf.", "Yes");
    // RFC 9096 section 3.4, and what the ISP promised is as long.
    asked.assert_seconds("Valid time", 5400);
    asked.assert_seconds("Pref. time", 2700);
    asked.assert("Route", &stage.delegated.to_string());
    asked.assert("Route preference", "medium");
    asked.assert("Recursive DNS server", &format!("{}1", stage.lan.network()));
    asked.assert_seconds("DNS server lifetime", 1800);
    asked.assert("DNS search list", "home.arpa");
    assert_eq!(asked.all("MTU"), [""; 0]);
    let more = "icmpv6.opt.captive_portal || icmpv6.opt.pref64.prefix";
    assert!(stage.seen.fields(more, &["frame.number"]).unwrap().is_empty());
    stage.end();
}

#[test]
fn rdisc6_reads_what_is_configured() {
    let stage = Stage::new(
        "c-rdisc6b",
        "prefixes = [\"2001:db8:e::/64\"]\nslaac = false\naddresses = false\npreferred-lifetime = \"20m\"\n\
         valid-lifetime = \"40m\"\nrouter-lifetime = \"25m\"\nrouter-preference = \"high\"\nmtu = 1400\n\
         captive-portal = \"https://portal.example/api\"\npref64 = \"2001:db8:64::/56\"\n[dns]\nenabled = false\n",
    );
    let asked = Asked::of(&stage);
    asked.assert("Stateful address conf.", "No");
    asked.assert("Stateful other conf.", "Yes");
    asked.assert("Router preference", "high");
    asked.assert_seconds("Router lifetime", 1500);
    asked.assert("MTU", "1400");
    let mut prefixes = asked.all("Prefix");
    prefixes.sort_unstable();
    let mut expected = ["2001:db8:e::/64".to_owned(), subnet_of(&stage)];
    expected.sort_unstable();
    assert_eq!(prefixes, expected);
    asked.assert("On-link", "Yes");
    asked.assert("Autonomous address conf.", "No");
    asked.assert_seconds("Valid time", 2400);
    asked.assert_seconds("Pref. time", 1200);
    asked.assert("Route preference", "high");
    // Not answering itself, it tells of the resolver and the domain that the ISP told it of.
    assert_eq!(asked.all("Recursive DNS server"), [ISP]);
    assert_eq!(asked.all("DNS search list"), ["home.arpa"]);
    let fields =
        ["icmpv6.opt.captive_portal", "icmpv6.opt.pref64.prefix", "icmpv6.opt.pref64.scaled_lifetime"];
    let told = stage.seen.wait_fields("icmpv6.type == 134", &fields, 1, PATIENCE).unwrap();
    // In units of 8 s, rounded up (RFC 8781 section 4.1).
    assert_eq!(told[0], ["https://portal.example/api", "2001:db8:64::", "188"]);
    stage.end();
}

/// The delegated prefix's part for the LAN: its first /64.
fn subnet_of(stage: &Stage) -> String {
    Ipv6Net::new(stage.delegated.network(), 64).unwrap().to_string()
}

/// What rdisc6 prints of the first answer.
struct Asked {
    text: String,
}

impl Asked {
    fn of(stage: &Stage) -> Self {
        stage.home.alice.wait_link_local("eth0", PATIENCE).unwrap();
        // Before the ISP's router is heard, ours says that it is no default router, as RFC 7084 G-4 wants.
        stage.gateway().wait_status("a way out", |s| (s["lans"][0]["router_lifetime"] != 0).then_some(()));
        Self { text: output(&stage.home.alice, "rdisc6", &["-1", "-w", "5000", "eth0"]) }
    }

    /// The first word of each line that begins with `label`.
    fn all(&self, label: &str) -> Vec<&str> {
        (self.text.lines().filter_map(|line| line.split_once(": ")))
            .filter(|(name, _)| name.trim() == label)
            .map(|(_, value)| value.split_whitespace().next().unwrap_or_default())
            .collect()
    }

    fn assert(&self, label: &str, value: &str) {
        let found = self.all(label);
        assert!(
            !found.is_empty() && found.iter().all(|found| *found == value),
            "{label} {value}:\n{}",
            self.text
        );
    }

    /// As configured; what the ISP promised has begun to run out.
    fn assert_seconds(&self, label: &str, seconds: u32) {
        let found: Vec<u32> = self.all(label).into_iter().map(|text| text.parse().unwrap()).collect();
        let right = |found: &u32| (seconds - 20..=seconds).contains(found);
        assert!(!found.is_empty() && found.iter().all(right), "{label} {seconds}:\n{}", self.text);
    }
}
