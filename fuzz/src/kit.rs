//! The kit: what users and the wire give it as text and octets.

use sixgate_endpoint::acl::Acl;
use sixgate_endpoint::{Endpoint, Host, Sockaddr, Zone};
use std::fmt::Display;
use std::hint::black_box;
use std::str::FromStr;

/// Texts of endpoints, hosts, zones and access lists, and socket addresses as the kernel gives them. What is read is printed so that it reads the
/// same; an error says what and where in a few words.
pub fn endpoint(bytes: &[u8]) {
    if let Ok(endpoint) = Sockaddr::read(bytes) {
        let socket = endpoint.to_socket_addr(0, |_| None).expect("a zone that is an index");
        assert_eq!(Sockaddr::read(Sockaddr::from(socket).as_bytes()), Ok(endpoint));
        print_and_read(&endpoint);
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    read::<Endpoint>(text);
    read::<Host>(text);
    black_box(Zone::from_name(text));
    if let Ok(endpoint) = Endpoint::parse_with_port(text) {
        assert!(endpoint.port().is_some());
    }
    if let Ok(acl) = text.parse::<Acl>() {
        let printed = acl.to_string();
        let again: Acl = printed.parse().expect("what is printed can be read");
        assert_eq!(again.to_string(), printed);
        for peer in ["192.0.2.1", "2001:db8::1", "fe80::1%eth0", "64:ff9b::192.0.2.1"] {
            let peer: Endpoint = peer.parse().expect("an address");
            let decided = |acl: &Acl| (acl.decide(peer).is_allowed(), acl.decide(peer).place());
            assert_eq!(decided(&acl), decided(&again));
        }
    } else if let Err(error) = text.parse::<Acl>() {
        assert!(error.to_string().len() < 2_000);
    }
}

fn read<T: FromStr<Err: Display> + Display + PartialEq + std::fmt::Debug>(text: &str) {
    match text.parse::<T>() {
        Ok(value) => print_and_read(&value),
        Err(error) => assert!(error.to_string().len() < 1_000, "{error}"),
    }
}

fn print_and_read<T: FromStr<Err: Display> + Display + PartialEq + std::fmt::Debug>(value: &T) {
    match value.to_string().parse::<T>() {
        Ok(again) => assert_eq!(again, *value),
        Err(error) => panic!("{value:?} was printed and cannot be read: {error}"),
    }
}
