//! The policy in words, and the ways to choose a family.

use sixgate_endpoint::connect::{FamilyChoice, Policy, policy};

/// The documentation's text.
const DOCUMENTED: &str = include_str!("../../src/connect/policy.md");

#[test]
fn the_documentation_is_the_table() {
    assert_eq!(DOCUMENTED, policy().to_string(), "write what `policy()` prints into src/connect/policy.md");
}

#[test]
fn the_words_follow_the_values() {
    let changed = Policy {
        resolution_delay: std::time::Duration::from_millis(77),
        max_in_flight: 3,
        nat64: false,
        ..policy().with_family(FamilyChoice::PreferIpv4)
    };
    let text = changed.to_string();
    for part in
        ["IPv4 preferred", "waits 77 ms", "3 attempts at a time", "NAT64: never", "IPv4 moved to the front"]
    {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let text = policy().with_family(FamilyChoice::Ipv6).to_string();
    assert!(text.contains("IPv6 alone (ipv6); no IPv4 socket is opened"), "{text}");
    assert!(!text.contains("questions"), "{text}");
    let text = policy().with_family(FamilyChoice::Ipv4).to_string();
    assert!(!text.contains("NAT64"), "{text}");
}

#[test]
fn choices_are_read_as_they_are_printed() {
    for choice in FamilyChoice::ALL {
        assert_eq!(choice.to_string().parse(), Ok(choice));
    }
    let error = "ipv5".parse::<FamilyChoice>().unwrap_err().to_string();
    assert!(error.contains("`ipv5`") && error.contains("prefer-ipv6"), "{error}");
}

#[cfg(feature = "serde")]
#[test]
fn choices_in_configurations() {
    for choice in FamilyChoice::ALL {
        assert_eq!(serde_json::to_string(&choice).unwrap(), format!("\"{choice}\""));
        assert_eq!(serde_json::from_str::<FamilyChoice>(&format!("\"{choice}\"")).unwrap(), choice);
    }
    assert!(serde_json::from_str::<FamilyChoice>("\"any\"").is_err());
}

#[cfg(feature = "clap")]
#[test]
fn choices_on_command_lines() {
    use clap::Parser;
    use sixgate_endpoint::connect::FamilyArgs;

    #[derive(Debug, Parser)]
    struct Args {
        #[command(flatten)]
        family: FamilyArgs,
    }
    let choice = |args: &str| {
        let args = ["fetch"].into_iter().chain(args.split_whitespace());
        Args::try_parse_from(args).map(|args| args.family.choice()).map_err(|error| error.to_string())
    };
    assert_eq!(choice(""), Ok(None));
    assert_eq!(choice("-4"), Ok(Some(FamilyChoice::Ipv4)));
    assert_eq!(choice("-6"), Ok(Some(FamilyChoice::Ipv6)));
    assert_eq!(choice("--ipv6"), Ok(Some(FamilyChoice::Ipv6)));
    for each in FamilyChoice::ALL {
        assert_eq!(choice(&format!("--family {each}")), Ok(Some(each)));
    }
    for conflict in ["-4 -6", "-6 -4", "-4 --family ipv6", "-6 --family ipv6", "--family ipv4 -6"] {
        let error = choice(conflict).unwrap_err();
        assert!(error.contains("cannot be used with"), "{conflict}: {error}");
    }
    assert!(choice("--family ipv5").unwrap_err().contains("prefer-ipv4"));
}
