//! The captive portal: its API (RFC 8908) where the user wants it asked, and a plain HTTP probe to a host that the user names. Nobody else
//! is asked.

use super::seen::{Api, Portal, Probe, Router};
use crate::measure::plain::{Head, Url, get};
use serde::Deserialize;
use sixgate_endpoint::Host;
use std::time::Duration;

/// How long connecting, and the answer, may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Octets of an answer.
const MOST: u64 = 16 * 1024;
/// Letters of what others say that are kept.
const LETTERS: usize = 300;
/// The form of the API's answers (RFC 8908 section 4).
const JSON: &str = "application/captive+json";
/// IANA's URN for a network that has none (RFC 8910 section 2).
pub(super) const UNRESTRICTED: &str = "urn:ietf:params:capport:unrestricted";

/// Who tells of which portal: each once.
pub(super) fn told(routers: &[Router], dhcpv6: Option<&str>, dhcpv4: Option<&str>) -> Vec<Portal> {
    let mut portals: Vec<Portal> = Vec::new();
    let advertised = routers.iter().filter(|router| router.invalid.is_none());
    let advertised =
        advertised.filter_map(|router| Some((router.address.clone(), router.captive_portal.as_deref()?)));
    let by_dhcp = [("DHCPv6", dhcpv6), ("DHCPv4", dhcpv4)]
        .into_iter()
        .filter_map(|(by, uri)| Some((by.to_owned(), uri?)));
    for (by, uri) in advertised.chain(by_dhcp) {
        match portals.iter_mut().find(|portal| portal.uri == uri) {
            Some(portal) => portal.told_by.push(by),
            None => portals.push(Portal { uri: uri.to_owned(), told_by: vec![by] }),
        }
    }
    portals
}

/// A URI as others wrote it, for people.
pub(super) fn text(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets);
    text.chars().filter(|letter| !letter.is_control()).take(LETTERS).collect()
}

/// Asks a portal's API what it thinks of this machine.
pub(super) fn ask(uri: &str) -> Result<Api, String> {
    if uri.starts_with("https://") {
        return Err(format!(
            "the portal's API speaks TLS, which doctor does not: curl -H 'Accept: {JSON}' '{}'",
            uri.replace('\'', "%27")
        ));
    }
    let url = Url::parse(uri).map_err(|why| format!("the portal's API {uri}: {why}"))?;
    let (head, body) =
        get(&url, Some(JSON), PATIENCE, MOST).map_err(|why| format!("the portal's API {uri}: {why}"))?;
    if head.status != 200 {
        return Err(format!("the portal's API {uri} answers with HTTP status {}", head.status));
    }
    read(&body).ok_or_else(|| format!("the portal's API {uri} answers something else than RFC 8908 says"))
}

/// The answer (RFC 8908 section 5): `captive` is all that has to be there.
fn read(body: &[u8]) -> Option<Api> {
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Answer {
        captive: bool,
        user_portal_url: Option<String>,
        seconds_remaining: Option<f64>,
        bytes_remaining: Option<f64>,
    }
    let answer: Answer = serde_json::from_slice(body).ok()?;
    Some(Api {
        captive: answer.captive,
        page: answer.user_portal_url.map(|url| text(url.as_bytes())),
        seconds_left: answer.seconds_remaining,
        octets_left: answer.bytes_remaining,
    })
}

/// Asks for a page at a host that the user names. A portal in the way answers in its place.
pub(super) fn probe(url: &Url) -> Probe {
    match get(url, None, PATIENCE, MOST) {
        Ok((head, _)) => {
            Probe { url: url.to_string(), status: Some(head.status), sent_to: sent_to(url, &head), why: None }
        }
        Err(why) => Probe { url: url.to_string(), why: Some(why), ..Probe::default() },
    }
}

/// Where a redirection leads, if that is another host: the usual way of a portal that intercepts.
fn sent_to(url: &Url, head: &Head) -> Option<String> {
    let to = head.location.as_deref().filter(|_| (300..400).contains(&head.status))?;
    // A path is on the same host.
    let (_, rest) = to.split_once("://")?;
    let there: Host = rest.split(['/', '?', '#']).next()?.parse().ok()?;
    let bare = |host: &Host| match host.endpoint() {
        Some(endpoint) => endpoint.without_port().to_string(),
        None => host.name().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase(),
    };
    (bare(&there) != bare(&url.host)).then(|| text(to.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_answers_or_is_not_believed() {
        let body = br#"{"captive": true, "user-portal-url": "https://portal.example/\u001b[2J", "seconds-remaining": 30, "more": {}}"#;
        let api = read(body).unwrap();
        assert!(
            api.captive
                && api.page.as_deref() == Some("https://portal.example/[2J")
                && api.seconds_left == Some(30.0)
        );
        assert!(!read(br#"{"captive": false}"#).unwrap().captive);
        for body in [&b"{}"[..], b"", b"[]", br#"{"captive": "yes"}"#, b"<html>"] {
            assert_eq!(read(body), None);
        }
        assert!(
            ask("https://portal.example/api")
                .unwrap_err()
                .contains("curl -H 'Accept: application/captive+json'")
        );
    }

    #[test]
    fn only_a_redirection_to_another_host_is_an_interception() {
        let url = Url::parse("http://www.example.com/x").unwrap();
        let to = |status, location: &str| {
            sent_to(&url, &Head { status, location: Some(location.to_owned()), length: None, keeps: false })
        };
        assert_eq!(
            to(302, "http://portal.example/?from=x").as_deref(),
            Some("http://portal.example/?from=x")
        );
        for (status, location) in [
            (301, "https://www.example.com/x"),
            (301, "/y"),
            (200, "http://portal.example/"),
            (302, "http://WWW.EXAMPLE.com:80/"),
        ] {
            assert_eq!(to(status, location), None, "{status} {location}");
        }
    }

    #[test]
    fn who_tells_of_a_portal_is_kept() {
        let router = |address: &str, uri: &str| Router {
            address: address.to_owned(),
            captive_portal: Some(uri.to_owned()),
            ..Router::default()
        };
        let routers = [
            router("fe80::1", "https://a/"),
            Router { invalid: Some(String::new()), ..router("fe80::2", "https://b/") },
        ];
        let portals = told(&routers, Some("https://a/"), Some("https://c/"));
        assert_eq!(portals.len(), 2);
        assert_eq!(portals[0].told_by, ["fe80::1", "DHCPv6"]);
        assert_eq!(
            (portals[1].uri.as_str(), &portals[1].told_by[..]),
            ("https://c/", &["DHCPv4".to_owned()][..])
        );
    }
}
