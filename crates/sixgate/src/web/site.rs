//! What is at which address, who may have it, and in which words: pure, with the time as an argument.

use super::auth::{Keys, SESSION, Verdict};
use crate::view;
use sixgate_endpoint::{Endpoint, Host};
use sixgate_http::{Method, Request, Response};
use std::time::Instant;

const PAGE: &str = include_str!("index.html");
const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("page.js");

/// Names that browsers may know this machine by; others would be those of a stranger who points his name here (DNS rebinding).
pub(crate) const NAMES: [&str; 2] = ["gateway.home.arpa", "gateway"];
const COOKIE: &str = "sixgate-session";

/// Nothing but what this server itself sends is loaded, run or framed. The referrer is kept, for this site alone: without it,
/// browsers would hide the Origin of its own forms.
const PROTECTION: [(&str, &str); 6] = [
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
];

/// Adds what every response has.
pub(super) fn protected(mut response: Response) -> Response {
    for (name, value) in PROTECTION {
        response = response.field(name, value);
    }
    response
}

/// A connection: from where, to where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) peer: Endpoint,
    pub(super) local: Endpoint,
}

/// What comes of a request.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    Answer(Response),
    /// A view, or a command, of the control socket; its JSON is given to [`finish`].
    Ask {
        view: String,
        fresh: bool,
        shown: Shown,
    },
}

/// As what a view is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// As it is.
    Json,
    /// As it is, of a command.
    Done,
    /// Whether all is well, and nothing else.
    Well,
    /// The same in the page, with a word to whoever tried to log in.
    Page(&'static str),
}

/// How somebody has shown that he may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shows {
    Nothing,
    Session,
    Token,
    /// Not listened to any more.
    TooMuch,
}

/// Decides about a request.
pub(super) fn answer(now: Instant, keys: &mut Keys, ends: Ends, request: &Request) -> Step {
    if !is_ours(&request.host, ends.local) {
        return refuse(
            421,
            "this server is not known by that name; use an address that `sixgate web` prints",
        );
    }
    let reads = request.method != Method::Post;
    match (request.path.as_str(), reads) {
        ("/", true) => ask("status", Shown::Page("")),
        ("/style.css", true) => {
            Step::Answer(Response::new(200).body("text/css; charset=utf-8", STYLE.as_bytes()))
        }
        ("/page.js", true) => {
            Step::Answer(Response::new(200).body("text/javascript; charset=utf-8", SCRIPT.as_bytes()))
        }
        ("/api/v1/health", true) => ask("status", Shown::Well),
        ("/api/v1/status", true) => for_the_known(now, keys, ends, request, "status"),
        ("/api/v1/leases", true) => for_the_known(now, keys, ends, request, "leases"),
        ("/api/v1/census", true) => for_the_known(now, keys, ends, request, "census"),
        ("/login", false) => log_in(now, keys, ends, request),
        ("/logout", false) => match permitted(now, keys, ends, request) {
            Some(refusal) => refusal,
            None => {
                keys.close(request.cookie(COOKIE).unwrap_or_default());
                let forgotten = format!("{COOKIE}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0");
                Step::Answer(Response::new(303).field("Location", "/").field("Set-Cookie", forgotten))
            }
        },
        ("/api/v1/reload", false) => match permitted(now, keys, ends, request) {
            Some(refusal) => refusal,
            None => command("reload".to_owned()),
        },
        ("/api/v1/pilot", false) => match (permitted(now, keys, ends, request), percent(&request.body)) {
            (Some(refusal), _) => refusal,
            (None, Some(percent)) => command(format!("pilot {percent}")),
            (None, None) => refuse(400, "say percent=N, with N from 0 to 100"),
        },
        (
            "/" | "/style.css" | "/page.js" | "/api/v1/health" | "/api/v1/status" | "/api/v1/leases"
            | "/api/v1/census",
            false,
        ) => not_allowed("GET, HEAD"),
        ("/login" | "/logout" | "/api/v1/reload" | "/api/v1/pilot", true) => not_allowed("POST"),
        _ => refuse(404, "there is nothing here"),
    }
}

fn ask(view: &str, shown: Shown) -> Step {
    Step::Ask { view: view.to_owned(), fresh: false, shown }
}

fn command(line: String) -> Step {
    tracing::info!(command = line, "asked for by the dashboard");
    Step::Ask { view: line, fresh: true, shown: Shown::Done }
}

/// A refusal, in JSON as all that is no page.
pub(super) fn refuse(status: u16, error: &str) -> Step {
    Step::Answer(error_response(status, error))
}

pub(super) fn error_response(status: u16, error: &str) -> Response {
    let json = serde_json::json!({ "error": error }).to_string() + "\n";
    Response::new(status).body("application/json", json.into_bytes())
}

fn not_allowed(allowed: &'static str) -> Step {
    Step::Answer(error_response(405, "that cannot be done here").field("Allow", allowed))
}

/// Whether a Host field names us: an address that the connection was made to, or a name of ours, with our port.
fn is_ours(named: &str, local: Endpoint) -> bool {
    let Ok(host) = named.parse::<Host>() else { return false };
    // RFC 9110 section 4.2.1.
    if host.port().unwrap_or(80) != local.port().unwrap_or(80) {
        return false;
    }
    match (host.endpoint(), host.name()) {
        (Some(endpoint), _) => endpoint.address() == local.address(),
        (None, Some(name)) => NAMES.contains(&name) || (name == "localhost" && local.address().is_loopback()),
        (None, None) => false,
    }
}

fn shows(now: Instant, keys: &mut Keys, ends: Ends, request: &Request) -> Shows {
    if let Some(value) = request.field("authorization") {
        // The scheme's name is written in any case (RFC 9110 section 11.1).
        let token = value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        return match keys.check(now, ends.peer, token.map_or("", |(_, token)| token)) {
            Verdict::Right => Shows::Token,
            Verdict::Wrong => Shows::Nothing,
            Verdict::Wait => Shows::TooMuch,
        };
    }
    match request.cookie(COOKIE) {
        Some(id) if keys.is_open(now, id) => Shows::Session,
        _ => Shows::Nothing,
    }
}

/// The refusal for who has not shown that he may.
fn unknown(shows: Shows) -> Option<Step> {
    match shows {
        Shows::Session | Shows::Token => None,
        Shows::TooMuch => Some(Step::Answer(too_much())),
        Shows::Nothing => {
            let error = "this takes the token, which `sixgate web --token` prints on the gateway: Authorization: Bearer TOKEN";
            Some(Step::Answer(error_response(401, error).field("WWW-Authenticate", "Bearer")))
        }
    }
}

fn too_much() -> Response {
    error_response(429, "too many wrong tokens came from your address; wait a minute")
        .field("Retry-After", "60")
}

/// Who is connected, and what they do, is nobody's business who has not the token.
fn for_the_known(now: Instant, keys: &mut Keys, ends: Ends, request: &Request, view: &str) -> Step {
    unknown(shows(now, keys, ends, request)).unwrap_or_else(|| ask(view, Shown::Json))
}

/// Why a change is not permitted: no token, or a page of somebody else's site asked for it (CSRF).
fn permitted(now: Instant, keys: &mut Keys, ends: Ends, request: &Request) -> Option<Step> {
    let shows = shows(now, keys, ends, request);
    unknown(shows).or_else(|| {
        let from_here = from_here(request);
        // A browser sends its cookie by itself, but adds the field Authorization only where our own page says so.
        let fine = from_here == Some(true) || (from_here.is_none() && shows == Shows::Token);
        (!fine).then(|| {
            refuse(
                403,
                "changes are made from this site's own page, or with the token in the field Authorization",
            )
        })
    })
}

/// Whether our own page sends this; `None` where no browser says.
fn from_here(request: &Request) -> Option<bool> {
    if request.field("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none") {
        return Some(false);
    }
    let origin = request.field("origin")?;
    Some(origin.strip_prefix("http://").is_some_and(|host| host.eq_ignore_ascii_case(&request.host)))
}

fn log_in(now: Instant, keys: &mut Keys, ends: Ends, request: &Request) -> Step {
    // Nobody is logged in by a stranger's page either.
    if from_here(request) == Some(false) {
        return refuse(403, "log in from this site's own page");
    }
    let token = form_value(&request.body, "token").unwrap_or_default();
    match keys.check(now, ends.peer, &token) {
        Verdict::Right => {}
        Verdict::Wrong => {
            tracing::warn!(peer = %ends.peer.without_port(), "dashboard: a wrong token");
            return ask("status", Shown::Page("That is not the token."));
        }
        Verdict::Wait => return ask("status", Shown::Page("Too many wrong tokens: wait a minute.")),
    }
    let Some(id) = keys.open(now) else { return refuse(503, "no session can be made") };
    tracing::info!(peer = %ends.peer.without_port(), "dashboard: logged in");
    let cookie = format!("{COOKIE}={id}; HttpOnly; SameSite=Strict; Path=/; Max-Age={}", SESSION.as_secs());
    Step::Answer(Response::new(303).field("Location", "/").field("Set-Cookie", cookie))
}

/// A value of a form. Tokens and numbers need no percent-decoding; what is encoded all the same is no token.
fn form_value(body: &[u8], name: &str) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let mut pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value.replace('+', " "))
}

fn percent(body: &[u8]) -> Option<u8> {
    let text = form_value(body, "percent")?;
    text.bytes()
        .all(|octet| octet.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
        .filter(|n| *n <= 100)
}

/// Makes the response of what the engine answered.
pub(super) fn finish(json: &str, shown: Shown) -> Response {
    if matches!(shown, Shown::Json | Shown::Done) {
        let status = match (json.starts_with("{\"error\":"), shown) {
            (false, _) => 200,
            // Done, and refused: what the command wanted is not so.
            (true, Shown::Done) => 409,
            (true, _) => 404,
        };
        return Response::new(status).body("application/json", format!("{}\n", json.trim_end()).into_bytes());
    }
    let Ok(status) = serde_json::from_str::<view::Status>(json) else {
        return error_response(503, "the gateway has no answer");
    };
    let well = status.problems.is_empty();
    match shown {
        Shown::Page(word) => {
            let sentence = if well { "All is well." } else { "Something needs attention." };
            // None of it is a stranger's word.
            let page = PAGE
                .replace("{state}", if well { "well" } else { "unwell" })
                .replace("{sentence}", sentence)
                .replace("{word}", word);
            let code = if word.is_empty() { 200 } else { 401 };
            Response::new(code).body("text/html; charset=utf-8", page.into_bytes())
        }
        _ => {
            let json = serde_json::json!({ "well": well }).to_string() + "\n";
            Response::new(200).body("application/json", json.into_bytes())
        }
    }
}

#[cfg(test)]
mod tests;
