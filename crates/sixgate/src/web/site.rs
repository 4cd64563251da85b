//! What is at which address, who may have it, and in which words: pure, with the time as an argument.

use super::auth::{Keys, SESSION, Verdict};
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
    decide(now, keys, ends, request).unwrap_or_else(Step::Answer)
}

fn decide(now: Instant, keys: &mut Keys, ends: Ends, request: &Request) -> Result<Step, Response> {
    if !is_ours(&request.host, ends.local) {
        return Err(refusal(
            421,
            "this server is not known by that name; use an address that `sixgate web` prints",
        ));
    }
    let reads = request.method != Method::Post;
    let file = |kind, text: &'static str| Ok(Step::Answer(Response::new(200).body(kind, text.as_bytes())));
    match (request.path.as_str(), reads) {
        ("/", true) => Ok(ask("status", Shown::Page(""))),
        ("/style.css", true) => file("text/css; charset=utf-8", STYLE),
        ("/page.js", true) => file("text/javascript; charset=utf-8", SCRIPT),
        ("/api/v1/health", true) => Ok(ask("status", Shown::Well)),
        // Who is connected, and what they do, is nobody's business who has not the token.
        ("/api/v1/status" | "/api/v1/leases" | "/api/v1/census" | "/api/v1/pilot", true) => {
            known(keys.shown(now, ends, request))?;
            Ok(ask(request.path.trim_start_matches("/api/v1/"), Shown::Json))
        }
        ("/login", false) => log_in(now, keys, ends, request),
        ("/logout", false) => {
            permitted(now, keys, ends, request)?;
            keys.close(request.cookie(COOKIE).unwrap_or_default());
            let forgotten = format!("{COOKIE}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0");
            Ok(Step::Answer(see_page().field("Set-Cookie", forgotten)))
        }
        ("/api/v1/reload", false) => {
            permitted(now, keys, ends, request)?;
            Ok(command("reload".to_owned()))
        }
        ("/api/v1/pilot", false) => {
            permitted(now, keys, ends, request)?;
            let percent = percent(&request.body)
                .ok_or_else(|| refusal(400, "say percent=N, with a whole N from 0 to 100"))?;
            Ok(command(format!("pilot {}", serde_json::json!({ "percent": percent }))))
        }
        (
            "/" | "/style.css" | "/page.js" | "/api/v1/health" | "/api/v1/status" | "/api/v1/leases"
            | "/api/v1/census",
            false,
        ) => Err(not_allowed("GET, HEAD")),
        ("/login" | "/logout" | "/api/v1/reload", true) => Err(not_allowed("POST")),
        _ => Err(refusal(404, "there is nothing here")),
    }
}

fn ask(view: &str, shown: Shown) -> Step {
    Step::Ask { view: view.to_owned(), fresh: false, shown }
}

fn command(line: String) -> Step {
    tracing::info!(command = line, "asked for by the dashboard");
    Step::Ask { view: line, fresh: true, shown: Shown::Done }
}

/// Leads a browser to the page after what it has posted.
fn see_page() -> Response {
    Response::new(303).field("Location", "/")
}

/// A refusal, in JSON as all that is no page.
pub(super) fn refusal(status: u16, error: &str) -> Response {
    let json = serde_json::json!({ "error": error }).to_string() + "\n";
    Response::new(status).body("application/json", json.into_bytes())
}

fn not_allowed(allowed: &'static str) -> Response {
    refusal(405, "that cannot be done here").field("Allow", allowed)
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

impl Keys {
    /// How whoever asks has shown that he may.
    fn shown(&mut self, now: Instant, ends: Ends, request: &Request) -> Shows {
        if let Some(value) = request.field("authorization") {
            // The scheme's name is written in any case (RFC 9110 section 11.1).
            let token = value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            return match self.check(now, ends.peer, token.map_or("", |(_, token)| token)) {
                Verdict::Right => Shows::Token,
                Verdict::Wrong => Shows::Nothing,
                Verdict::Wait => Shows::TooMuch,
            };
        }
        match request.cookie(COOKIE) {
            Some(id) if self.is_open(now, id) => Shows::Session,
            _ => Shows::Nothing,
        }
    }
}

/// Refuses who has not shown that he may.
fn known(shows: Shows) -> Result<(), Response> {
    match shows {
        Shows::Session | Shows::Token => Ok(()),
        Shows::TooMuch => {
            let error = "too many wrong tokens came from your address; wait a minute";
            Err(refusal(429, error).field("Retry-After", "60"))
        }
        Shows::Nothing => {
            let error = "this takes the token, which `sixgate web --token` prints on the gateway: Authorization: Bearer TOKEN";
            Err(refusal(401, error).field("WWW-Authenticate", "Bearer"))
        }
    }
}

/// Refuses a change by who has not the token, or by a page of somebody else's site (CSRF).
fn permitted(now: Instant, keys: &mut Keys, ends: Ends, request: &Request) -> Result<(), Response> {
    let shows = keys.shown(now, ends, request);
    known(shows)?;
    match from_here(request) {
        Some(true) => Ok(()),
        // A browser sends its cookie by itself, but the field Authorization only where our own page says so.
        None if shows == Shows::Token => Ok(()),
        _ => Err(refusal(
            403,
            "changes are made from this site's own page, or with the token in the field Authorization",
        )),
    }
}

/// Whether our own page sends this; `None` where no browser says.
fn from_here(request: &Request) -> Option<bool> {
    if request.field("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none") {
        return Some(false);
    }
    let origin = request.field("origin")?;
    Some(origin.strip_prefix("http://").is_some_and(|host| host.eq_ignore_ascii_case(&request.host)))
}

fn log_in(now: Instant, keys: &mut Keys, ends: Ends, request: &Request) -> Result<Step, Response> {
    // Nobody is logged in by a stranger's page either.
    if from_here(request) == Some(false) {
        return Err(refusal(403, "log in from this site's own page"));
    }
    let peer = ends.peer.without_port();
    let token = form_value(&request.body, "token").unwrap_or_default();
    match keys.check(now, ends.peer, &token) {
        Verdict::Right => {}
        Verdict::Wrong => {
            tracing::warn!(%peer, "dashboard: a wrong token");
            return Ok(ask("status", Shown::Page("That is not the token.")));
        }
        Verdict::Wait => return Ok(ask("status", Shown::Page("Too many wrong tokens: wait a minute."))),
    }
    let id = keys.open(now).ok_or_else(|| refusal(503, "no session can be made"))?;
    tracing::info!(%peer, "dashboard: logged in");
    let cookie = format!("{COOKIE}={id}; HttpOnly; SameSite=Strict; Path=/; Max-Age={}", SESSION.as_secs());
    Ok(Step::Answer(see_page().field("Set-Cookie", cookie)))
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

/// What of the status says whether all is well.
#[derive(Debug, serde::Deserialize)]
struct Problems {
    problems: Vec<String>,
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
    let Ok(status) = serde_json::from_str::<Problems>(json) else {
        return refusal(503, "the gateway has no answer");
    };
    let well = status.problems.is_empty();
    let Shown::Page(word) = shown else {
        let json = serde_json::json!({ "well": well }).to_string() + "\n";
        return Response::new(200).body("application/json", json.into_bytes());
    };
    let sentence = if well { "All is well." } else { "Something needs attention." };
    // None of it is a stranger's word.
    let page = PAGE
        .replace("{state}", if well { "well" } else { "unwell" })
        .replace("{sentence}", sentence)
        .replace("{word}", word);
    let code = if word.is_empty() { 200 } else { 403 };
    Response::new(code).body("text/html; charset=utf-8", page.into_bytes())
}

#[cfg(test)]
mod tests;
