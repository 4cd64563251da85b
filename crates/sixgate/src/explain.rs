//! `sixgate explain`: how this machine connects, and why so.

use crate::{Outcome, cli, fail, print};
use sixgate_endpoint::Host;
use sixgate_endpoint::connect::{Connector, Policy, Trace, policy};

/// Where no port is given: what is asked of most hosts.
const PORT: u16 = 443;

pub(crate) fn command(arguments: &cli::Explain) -> Outcome {
    let policy = policy().with_family(arguments.family.choice().unwrap_or_default());
    let Some(host) = &arguments.host else {
        return print(&if arguments.json { json(&rules(&policy)) } else { policy.to_string() });
    };
    if let Some(missing) = host.endpoint().and_then(|endpoint| endpoint.socket_addr(PORT).err()) {
        return fail(&format!("cannot connect to {host}: {missing}"));
    }
    let connector = Connector::new(policy);
    let (trace, failure) = if arguments.connect {
        match connector.connect(host, PORT) {
            Ok(connection) => (connection.trace, None),
            Err(error) => (error.trace().clone(), Some(error.to_string())),
        }
    } else {
        let trace = connector.explain(host, PORT);
        let nothing = trace.order.is_empty().then(|| nothing(host, connector.policy()));
        (trace, nothing)
    };
    let shown = print(&shown(&trace, arguments.json));
    match failure {
        Some(failure) if shown == Outcome::Done => fail(&failure),
        _ => shown,
    }
}

/// Why there is no address to try.
fn nothing(host: &Host, policy: &Policy) -> String {
    match host.endpoint().map(|endpoint| endpoint.family()) {
        Some(family) if !policy.family.allows(family) => {
            format!("{host} is {family}, and {} alone is allowed", family.other())
        }
        _ => format!("{host} has no address that would be tried"),
    }
}

fn shown(trace: &Trace, as_json: bool) -> String {
    if as_json { json(&serde_json::to_value(trace).unwrap_or_default()) } else { trace.to_string() }
}

fn rules(policy: &Policy) -> serde_json::Value {
    let rule = |rule: sixgate_endpoint::connect::PolicyRule| serde_json::json!({ "about": rule.about, "rule": rule.text, "source": rule.source });
    policy.rules().into_iter().map(rule).collect()
}

fn json(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}
