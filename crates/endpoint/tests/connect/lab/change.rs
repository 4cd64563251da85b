//! The network changes between two connections (R42).

use super::{BOTH, NAME, PATIENCE, V4, V6, connector, fixed, net};
use crate::world::ms;
use sixgate_endpoint::connect::{Connector, Failure, Outcome, Rule, policy};

#[test]
fn from_dual_stack_to_ipv4_alone_and_back() {
    let net = net("change");
    let address: ipnet::IpNet = "2001:db8:1::c/64".parse().unwrap();
    for driver in BOTH {
        let connector = connector(fixed(NAME, &[V6], &[V4]));
        for _ in 0..2 {
            assert_eq!(net.connect(driver, &connector, NAME).unwrap().to(), V6);
        }
        let known = connector.remembered();
        assert_eq!((known.len(), known[0].ipv6.connected), (1, 2));

        net.client.remove_address("eth0", address).unwrap();
        let v4 = net.connect(driver, &connector, NAME).unwrap();
        assert_eq!(v4.to(), V4);
        assert!(v4.took < ms(1000), "{:?}\n{}", v4.took, v4.trace);
        // All was forgotten: the winner was not even tried first for being remembered.
        assert!(v4.trace.attempts.iter().all(|attempt| attempt.rule != Rule::Remembered), "{}", v4.trace);
        let known = connector.remembered();
        assert_eq!((known.len(), known[0].ipv6.connected, known[0].ipv4.connected), (1, 0, 1));

        net.client.add_address_nodad("eth0", address).unwrap();
        let ready = |address: std::net::Ipv6Addr| address.segments()[0] == 0x2001;
        net.client.wait_address("eth0", ready, PATIENCE).unwrap();
        // The neighbours learn of each other again before anything is measured.
        net.connect(driver, &Connector::new(policy()), V6).unwrap();
        let back = net.connect(driver, &connector, NAME).unwrap();
        assert_eq!(back.to(), V6, "{}", back.trace);
    }
}

#[test]
fn no_ipv6_at_all() {
    let net = net("none");
    net.client.sysctl("net/ipv6/conf/all/disable_ipv6", "1").unwrap();
    for driver in BOTH {
        let connector = connector(fixed(NAME, &[V6], &[V4]));
        let made = net.connect(driver, &connector, NAME).unwrap();
        assert_eq!(made.to(), V4);
        assert!(made.took < ms(200), "{:?}\n{}", made.took, made.trace);
        let error = net.connect(driver, &connector, V6).unwrap_err();
        assert_eq!(error.trace().attempts[0].outcome, Outcome::Failed(Failure::NoRoute), "{error}");
    }
}
