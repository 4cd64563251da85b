use super::*;
use crate::web::auth::Keys;

const TOKEN: &str = "abcde-fghjk-mnpqr-stvwx";
const HOST: &str = "[2001:db8::1]:6464";

fn ends() -> Ends {
    Ends { peer: "[2001:db8::2]:50000".parse().unwrap(), local: HOST.parse().unwrap() }
}

fn request(line: &str, fields: &str, body: &str) -> Request {
    let text = format!("{line} HTTP/1.1\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len());
    Request::parse(text.as_bytes()).unwrap().unwrap().0
}

fn status(step: &Step) -> u16 {
    match step {
        Step::Answer(response) => response.status,
        Step::Ask { .. } => 200,
    }
}

/// The status of a request with these fields beside Host.
fn ask_of(keys: &mut Keys, line: &str, fields: &str, body: &str) -> u16 {
    status(&answer(Instant::now(), keys, ends(), &request(line, &format!("Host: {HOST}\r\n{fields}"), body)))
}

fn keys() -> Keys {
    Keys::new(TOKEN).unwrap()
}

#[test]
fn names_of_strangers_are_not_ours() {
    let mut keys = keys();
    let mut at = |host: &str, local: &str| {
        let ends = Ends { peer: "2001:db8::2".parse().unwrap(), local: local.parse().unwrap() };
        status(&answer(Instant::now(), &mut keys, ends, &request("GET /", &format!("Host: {host}\r\n"), "")))
    };
    for (host, local) in [
        (HOST, HOST),
        ("[2001:DB8:0::1]:6464", HOST),
        ("gateway.home.arpa:6464", HOST),
        ("GATEWAY:6464", HOST),
        ("192.0.2.1:6464", "192.0.2.1:6464"),
        ("192.0.2.1:6464", "[::ffff:192.0.2.1]:6464"),
        ("[fe80::1]:6464", "[fe80::1%eth0]:6464"),
        ("localhost:6464", "[::1]:6464"),
        ("127.0.0.1:6464", "127.0.0.1:6464"),
        ("gateway.home.arpa", "[2001:db8::1]:80"),
        ("[2001:db8::1]", "[2001:db8::1]:80"),
    ] {
        assert_eq!(at(host, local), 200, "{host} at {local}");
    }
    for (host, local) in [
        ("evil.example:6464", HOST),
        ("gateway.home.arpa.evil.example:6464", HOST),
        ("[2001:db8::2]:6464", HOST),
        ("[2001:db8::1]", HOST),
        ("[2001:db8::1]:80", HOST),
        ("localhost:6464", HOST),
        ("", HOST),
        ("a b", HOST),
        ("user@[2001:db8::1]:6464", HOST),
    ] {
        assert_eq!(at(host, local), 421, "{host} at {local}");
    }
}

#[test]
fn without_the_token_there_is_whether_all_is_well_and_no_more() {
    let mut keys = keys();
    for path in ["/", "/style.css", "/page.js", "/api/v1/health", "/?q"] {
        assert_eq!(ask_of(&mut keys, &format!("GET {path}"), "", ""), 200, "{path}");
        assert_eq!(ask_of(&mut keys, &format!("POST {path}"), "", ""), 405, "{path}");
    }
    for path in ["/api/v1/status", "/api/v1/leases", "/api/v1/census", "/api/v1/pilot"] {
        for method in ["GET", "HEAD"] {
            assert_eq!(ask_of(&mut keys, &format!("{method} {path}"), "", ""), 401, "{path}");
        }
        assert_eq!(
            ask_of(&mut keys, &format!("GET {path}"), &format!("Authorization: bearer {TOKEN}\r\n"), ""),
            200
        );
        assert_eq!(ask_of(&mut keys, &format!("GET {path}"), "Cookie: sixgate-session=0\r\n", ""), 401);
        assert_eq!(
            ask_of(&mut keys, &format!("GET {path}"), &format!("Cookie: sixgate-session={TOKEN}\r\n"), ""),
            401
        );
    }
    for path in ["/login", "/logout", "/api/v1/reload"] {
        assert_eq!(ask_of(&mut keys, &format!("GET {path}"), "", ""), 405, "{path}");
    }
    for path in ["/..", "//", "/etc/passwd", "/api", "/api/v1/", "/api/v1/duid", "/%2e%2e/", "/index.html"] {
        assert_eq!(ask_of(&mut keys, &format!("GET {path}"), "", ""), 404, "{path}");
    }
}

#[test]
fn changes_take_the_token_and_our_own_page() {
    let mut keys = keys();
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    let own = format!("Origin: http://{HOST}\r\n");
    for path in ["/api/v1/reload", "/api/v1/pilot", "/logout"] {
        let post = format!("POST {path}");
        let mut at = |fields: &str| ask_of(&mut keys, &post, fields, "percent=5");
        let done = if path == "/logout" { 303 } else { 200 };
        assert_eq!(at(""), 401);
        assert_eq!(at(&own), 401);
        assert_eq!(at(&bearer), done);
        assert_eq!(at(&format!("{bearer}{own}")), done);
        assert_eq!(at(&format!("{bearer}Origin: http://evil.example\r\n")), 403);
        assert_eq!(at(&format!("{bearer}Sec-Fetch-Site: cross-site\r\n")), 403);
    }
    let session = log_in_with(&mut keys, "token=ABCDE+fghjk-mnpqr-stvwx", &own);
    let cookie = format!("Cookie: other=1; sixgate-session={session}\r\n");
    assert_eq!(ask_of(&mut keys, "GET /api/v1/leases", &cookie, ""), 200);
    let reload =
        |keys: &mut Keys, fields: &str| ask_of(keys, "POST /api/v1/reload", &format!("{cookie}{fields}"), "");
    assert_eq!(reload(&mut keys, ""), 403, "a cookie alone is what a stranger's form would send");
    for origin in ["null", "http://evil.example", "https://[2001:db8::1]:6464", "http://[2001:db8::1]"] {
        assert_eq!(reload(&mut keys, &format!("Origin: {origin}\r\n")), 403, "{origin}");
    }
    assert_eq!(reload(&mut keys, &format!("{own}Sec-Fetch-Site: same-site\r\n")), 403);
    assert_eq!(reload(&mut keys, &format!("{own}Sec-Fetch-Site: same-origin\r\n")), 200);
    for percent in
        ["", "percent=", "percent=101", "percent=-1", "percent=+5", "percent=5%0Areload", "percent=256"]
    {
        assert_eq!(ask_of(&mut keys, "POST /api/v1/pilot", &bearer, percent), 400, "{percent}");
    }
    assert_eq!(ask_of(&mut keys, "POST /logout", &format!("{cookie}{own}"), ""), 303);
    assert_eq!(ask_of(&mut keys, "GET /api/v1/leases", &cookie, ""), 401);
}

/// Logs in; the cookie's value.
fn log_in_with(keys: &mut Keys, body: &str, fields: &str) -> String {
    let request = request("POST /login", &format!("Host: {HOST}\r\n{fields}"), body);
    let Step::Answer(response) = answer(Instant::now(), keys, ends(), &request) else {
        panic!("not logged in")
    };
    assert_eq!(response.status, 303);
    let cookie = &response.fields.iter().find(|(name, _)| *name == "Set-Cookie").unwrap().1;
    assert!(cookie.contains("HttpOnly; SameSite=Strict; Path=/"), "{cookie}");
    cookie.split(['=', ';']).nth(1).unwrap().to_owned()
}

#[test]
fn wrong_tokens_are_told_and_then_not_listened_to() {
    let mut keys = keys();
    let own = format!("Host: {HOST}\r\nOrigin: http://{HOST}\r\n");
    let foreign =
        request("POST /login", &format!("Host: {HOST}\r\nOrigin: http://evil.example\r\n"), "token=x");
    assert_eq!(status(&answer(Instant::now(), &mut keys, ends(), &foreign)), 403);
    for attempt in 0..6 {
        let step = answer(Instant::now(), &mut keys, ends(), &request("POST /login", &own, "token=guess"));
        let Step::Ask { shown: Shown::Page(word), .. } = step else { panic!("{step:?}") };
        assert_eq!(word.contains("wait a minute"), attempt == 5, "{word}");
    }
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    assert_eq!(ask_of(&mut keys, "GET /api/v1/status", &bearer, ""), 429);
}

#[test]
fn pages_load_nothing_but_what_is_here() {
    for outside in ["//", "http:", "https:", "data:"] {
        let attributes = PAGE.split(['"', '>']).filter(|text| text.contains(outside));
        assert_eq!(attributes.count(), 0, "{outside}");
    }
    // Neither scripts nor styles stand in the page, and no markup is made of text.
    assert!(!PAGE.contains("style=") && !PAGE.contains("<style") && !PAGE.contains(" on"));
    assert_eq!(PAGE.matches("<script").count(), 1);
    for maker in [
        "innerHTML",
        "outerHTML",
        "insertAdjacent",
        "document.write",
        "eval(",
        "Function(",
        "setHTML",
        ".style",
    ] {
        assert!(!SCRIPT.contains(maker), "{maker}");
    }
    let page = protected(Response::new(200)).to_bytes(Method::Get, true);
    let page = String::from_utf8(page).unwrap();
    for field in [
        "default-src 'none'",
        "frame-ancestors 'none'",
        "nosniff",
        "Referrer-Policy: same-origin",
        "no-store",
    ] {
        assert!(page.contains(field), "{field}");
    }
    assert!(!page.contains("unsafe-inline"));
}

#[test]
fn what_the_engine_says_is_shown() {
    assert_eq!(finish("{\"error\":\"there is no view\"}", Shown::Json).status, 404);
    assert_eq!(finish("{\"error\":\"mistakes\"}", Shown::Done).status, 409);
    assert_eq!(finish("[]", Shown::Json).body.as_ref(), b"[]\n");
    assert_eq!(finish("nonsense", Shown::Well).status, 503);
}
