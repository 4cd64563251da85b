//! The captive portal: who tells of one, what it says, and whether it stands in the way.

use super::super::portal::{UNRESTRICTED, told};
use super::{Finding, Seen, Severity};

pub(super) fn portal(seen: &Seen) -> Vec<Option<Finding>> {
    vec![announced(seen), intercepts(seen)]
}

/// A portal that the network tells of.
fn announced(seen: &Seen) -> Option<Finding> {
    let by_dhcpv6 = seen.dhcpv6.answer().and_then(|answer| answer.captive_portal.as_deref());
    let by_dhcpv4 = seen.dhcpv4.answer().and_then(|answer| answer.captive_portal.as_deref());
    let portals = told(&seen.routers, by_dhcpv6, by_dhcpv4);
    let portals: Vec<_> = portals.iter().filter(|portal| portal.uri != UNRESTRICTED).collect();
    if portals.is_empty() {
        return None;
    }
    let mut evidence: Vec<String> = portals
        .iter()
        .map(|portal| format!("{} tells of {}", portal.told_by.join(" and "), portal.uri))
        .collect();
    let (severity, what) = match &seen.portal {
        Some(api) if api.captive => {
            let page =
                api.page.as_ref().map_or_else(String::new, |page| format!(", until {page} is satisfied"));
            evidence.push(format!("its API says that this machine is captive{page}"));
            (Severity::Warning, "this network's captive portal does not let this machine out")
        }
        Some(api) => {
            let left = api.seconds_left.map_or_else(String::new, |left| format!(" for {left:.0} s more"));
            evidence.push(format!("its API says that this machine may go out{left}"));
            (Severity::Note, "this network has a captive portal, which lets this machine out")
        }
        None => (Severity::Note, "this network has a captive portal"),
    };
    Some(Finding {
        id: "captive-portal",
        severity,
        what: what.to_owned(),
        evidence: evidence.join("; "),
        why: "until it is satisfied, what is measured is the portal",
        remedy: if seen.portal.is_some() {
            "open its page in a browser"
        } else {
            "open it in a browser first; --portal asks its API whether this machine may go out (RFC 8908)"
        },
    })
}

/// A portal that answers in somebody else's place.
fn intercepts(seen: &Seen) -> Option<Finding> {
    /// `Network Authentication Required` (RFC 6585 section 6).
    const REQUIRED: u16 = 511;
    let probe = seen.probe.as_ref()?;
    let evidence = match (&probe.sent_to, probe.status) {
        (Some(to), _) => format!("{} is answered with a redirection to {to}", probe.url),
        (None, Some(REQUIRED)) => format!("{} is answered with HTTP status {REQUIRED}", probe.url),
        _ => return None,
    };
    Some(Finding {
        id: "captive-portal-intercepts",
        severity: Severity::Warning,
        what: "somebody answers in the place of the host that was asked".to_owned(),
        evidence,
        why: "a portal that intercepts breaks everything but the browser, and what is measured is the portal",
        remedy: "open the page that it leads to; who runs the network tells of it by option 37, 103 or 114 (RFC 8910), so that hosts need not guess",
    })
}
