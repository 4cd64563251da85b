//! Questions that the owner of a [`Forwarder`](crate::Forwarder) has itself, asked as a client's are.

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RData, RecordType};
use sixgate_endpoint::{Endpoint, Family};

/// The query for the addresses of `name` in one family; none where it is no domain name. The forwarder tells it from others by
/// its client, so that any `id` does.
pub fn address_query(id: u16, name: &str, family: Family) -> Option<Vec<u8>> {
    let mut name = Name::from_ascii(name).ok()?;
    name.set_fqdn(true);
    let kind = match family {
        Family::V6 => RecordType::AAAA,
        Family::V4 => RecordType::A,
    };
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name, kind));
    message.to_vec().ok()
}

/// The addresses in a reply, in its order; none in one that is an error.
pub fn addresses(reply: &[u8]) -> Vec<Endpoint> {
    let Ok(message) = Message::from_vec(reply) else { return Vec::new() };
    let address = |data: &RData| match data {
        RData::AAAA(address) => Some(Endpoint::new(address.0)),
        RData::A(address) => Some(Endpoint::new(address.0)),
        _ => None,
    };
    message.answers.iter().filter_map(|record| address(&record.data)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Action, Client, Config, Forwarder, Names, Transport};
    use core::time::Duration;

    #[test]
    fn the_forwarder_answers_its_owner() {
        let mut names = Names::new(&[]);
        names.set_gateway(&["2001:db8::1".parse().unwrap()]);
        let mut forwarder = Forwarder::new(Config::default(), fastrand::Rng::with_seed(1));
        let mut ask = |name: &str, family| {
            let query = address_query(7, name, family).unwrap();
            let client = Client { peer: 1_u8, transport: Transport::Tcp, udp_limit: 0, share: 0 };
            let mut actions = Vec::new();
            forwarder.handle_query(Duration::from_secs(1), client, &query, &names, &mut actions);
            match actions.as_slice() {
                [Action::Reply { bytes, .. }] => addresses(bytes),
                other => panic!("{other:?}"),
            }
        };
        let gateway = Endpoint::new("2001:db8::1".parse::<std::net::IpAddr>().unwrap());
        assert_eq!(ask("gateway.home.arpa", Family::V6), [gateway]);
        assert_eq!(ask("gateway.home.arpa.", Family::V4), []);
        assert_eq!(ask("www.example.com", Family::V6), [], "SERVFAIL: nobody to ask");
        assert_eq!(address_query(1, "two..dots", Family::V6), None);
        assert_eq!(addresses(b"nonsense"), []);
    }
}
