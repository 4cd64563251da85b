//! Who gets what: options of any content are described, and what was described is written and says the same; conditions are
//! asked of any message.

use sixgate_dhcp::identity::Mac;
use sixgate_dhcp::options::{Given, OptionSet, Value, describe};
use sixgate_dhcp::policy::{Asking, Policy};
use sixgate_dhcp::reservation::Reservations;
use sixgate_wire::dhcpv6::{DEFINITIONS, DhcpOption, OptionCode, Options};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::LazyLock;

/// The first octet says what: an option of the table, or a client's options.
pub fn policy(bytes: &[u8]) {
    let Some((&what, content)) = bytes.split_first() else { return };
    match DEFINITIONS.get(usize::from(what)) {
        Some(definition) => {
            black_box(format!("{:?}", DhcpOption::decode(definition.code, content)));
            let said = describe(definition.code, content);
            black_box(said.to_string());
            if let Ok(given) = Given::new(definition.name, &said) {
                for written in given.contents() {
                    let again = describe(given.code(), written);
                    // What repeats is described one by one.
                    let of_list = matches!(&said, Value::List(values) if values.contains(&again));
                    assert!(again == said || of_list, "{}: {said} became {again}", definition.name);
                }
            }
        }
        None => ask(what, content),
    }
}

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let mut policy = Policy::new(OptionSet::default(), Reservations::default());
    for (name, key, value) in [
        ("a", "vendor-class", "*a*b*"),
        ("b", "user-class", "a*"),
        ("c", "duid", "00:03:*"),
        ("d", "interface-id", "*x"),
        ("e", "remote-id", "0x00*"),
        ("f", "subscriber-id", "*"),
        ("g", "mac", "02:00/9"),
    ] {
        let condition = Value::Table(BTreeMap::from([(key.to_owned(), Value::from(value))]));
        policy.add_class(name, &condition, OptionSet::default()).expect("a class");
    }
    policy
});

fn ask(what: u8, content: &[u8]) {
    let Ok(options) = Options::parse(content) else { return };
    let asking = Asking {
        link: "lan",
        duid: options.get(OptionCode::CLIENT_ID),
        mac: options.get(OptionCode::CLIENT_LINKLAYER_ADDR).and_then(Mac::new),
        interface_id: options.get(OptionCode::INTERFACE_ID),
        remote_id: options.get(OptionCode::REMOTE_ID),
        subscriber_id: options.get(OptionCode::SUBSCRIBER_ID),
        agent: None,
        hops: &[],
        options,
    };
    let classes = POLICY.classes_of(&asking, what & 1 != 0);
    let member = |name| POLICY.class_named(name).is_some_and(|class| classes.contains(class));
    assert_eq!(member("c"), asking.duid.is_some_and(|duid| duid.starts_with(&[0, 3])));
    assert_eq!(member("f"), asking.subscriber_id.is_some());
}
