//! What is a request and what is not, and what a response looks like.

#![allow(clippy::unwrap_used, missing_docs)]

use sixgate_http::{MAX_BODY, MAX_HEAD, Method, Refusal, Request, Response};

fn whole(text: &str) -> Request {
    let (request, used) = Request::parse(text.as_bytes()).unwrap().unwrap();
    assert_eq!(used, text.len());
    request
}

#[test]
fn requests_are_read() {
    let request = whole(
        "GET /api/v1/status?x=1&y HTTP/1.1\r\nHost: gateway.home.arpa:6464\r\nCOOKIE: a=1; session=two ; b\r\n\
         X-Odd:\t caf\u{e9} \t\r\n\r\n",
    );
    assert_eq!((request.method, request.path.as_str()), (Method::Get, "/api/v1/status"));
    assert_eq!(request.query.as_deref(), Some("x=1&y"));
    assert_eq!(request.host, "gateway.home.arpa:6464");
    assert_eq!(request.field("x-odd"), Some("caf\u{e9}"));
    assert_eq!((request.cookie("session"), request.cookie("b")), (Some("two"), None));
    assert!(request.keep_alive);

    let post = whole("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nConnection: TE, Close\r\n\r\nhello");
    assert_eq!(
        (post.method, post.body.as_slice(), post.keep_alive),
        (Method::Post, b"hello".as_slice(), false)
    );

    // What follows is the next request.
    let two = b"\r\nHEAD / HTTP/1.0\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let (first, used) = Request::parse(two).unwrap().unwrap();
    assert_eq!((first.method, first.host.as_str(), first.keep_alive), (Method::Head, "", false));
    assert_eq!(Request::parse(&two[used..]).unwrap().unwrap().0.host, "h");
    assert!(whole("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").keep_alive);

    // The target's host counts (RFC 9112 section 3.2.2).
    let absolute = whole("GET http://[2001:db8::1]:6464?q HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert_eq!((absolute.host.as_str(), absolute.path.as_str()), ("[2001:db8::1]:6464", "/"));
}

#[test]
fn what_is_not_all_there_is_waited_for() {
    let text = "\r\nPOST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc";
    for length in 0..text.len() {
        assert_eq!(Request::parse(&text.as_bytes()[..length]), Ok(None), "{length}");
    }
    whole(text);
}

#[test]
fn refusals_say_why() {
    let line = |text: &str| format!("{text}\r\nHost: h\r\n\r\n");
    let head = |text: &str| format!("GET / HTTP/1.1\r\nHost: h\r\n{text}\r\n\r\n");
    let long = "x".repeat(MAX_HEAD);
    let many = "A: b\r\n".repeat(70);
    for (text, status) in [
        ("\x16\x03\x01".to_owned(), 400),
        (" GET / HTTP/1.1".to_owned(), 400),
        ("\nGET".to_owned(), 400),
        ("GET / HTTP/1.1\n".to_owned(), 400),
        ("GET / HTTP/1.1\rH".to_owned(), 400),
        ("GET /\0".to_owned(), 400),
        (line("GET /"), 400),
        (line("GET  / HTTP/1.1"), 400),
        (line("GET / HTTP/1.1 "), 400),
        (line("GET / http/1.1"), 400),
        (line("GET / HTTP/11"), 400),
        (line("GET / HTTP/2.0"), 505),
        (line("GET caf\u{e9} HTTP/1.1"), 400),
        (line("GET * HTTP/1.1"), 400),
        (line("GET index.html HTTP/1.1"), 400),
        (line("GET https://h/ HTTP/1.1"), 400),
        (line("DELETE / HTTP/1.1"), 501),
        (line("CONNECT h:443 HTTP/1.1"), 501),
        (line("GE(T / HTTP/1.1"), 400),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        (head("Host: h"), 400),
        (head("Origin: a\r\nOrigin: b"), 400),
        (head("Folded: a\r\n b"), 400),
        (head("Name : value"), 400),
        (head("no colon"), 400),
        (head(": nameless"), 400),
        (head("Content-Length: 1\r\nContent-Length: 1"), 400),
        (head("Content-Length: 1, 1"), 400),
        (head("Content-Length: +1"), 400),
        (head("Content-Length: -1"), 400),
        (head("Content-Length:"), 400),
        (head(&format!("Content-Length: {}", MAX_BODY + 1)), 413),
        (head("Content-Length: 99999999999999999999999999"), 413),
        (head("Transfer-Encoding: chunked"), 411),
        (head("Transfer-Encoding: identity\r\nContent-Length: 1"), 411),
        (head("Expect: 100-continue"), 417),
        (head(&format!("X: {long}")), 431),
        (format!("GET /{long}"), 431),
        ("\r\n".repeat(MAX_HEAD) + "G", 431),
        (head(many.trim_end()), 431),
    ] {
        match Request::parse(text.as_bytes()) {
            Err(refusal) => assert_eq!(refusal.status(), status, "{text:?}: {refusal}"),
            other => panic!("{text:?}: {other:?}"),
        }
    }
    assert!(Refusal::Method.to_string().contains("GET, HEAD and POST"));
}

#[test]
fn the_longest_that_is_allowed_is_taken() {
    let start = "GET / HTTP/1.1\r\nHost: h\r\nX: ";
    let fill = MAX_HEAD - start.len() - 4;
    whole(&format!("{start}{}\r\n\r\n", "x".repeat(fill)));
    let more = format!("{start}{}\r\n\r\n", "x".repeat(fill + 1));
    assert_eq!(Request::parse(more.as_bytes()), Err(Refusal::HeadTooLong));
    whole(&format!(
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {MAX_BODY}\r\n\r\n{}",
        "y".repeat(MAX_BODY)
    ));
}

#[test]
fn responses_are_framed() {
    let response =
        Response::new(200).body("text/plain", b"hello".as_slice()).field("X", "a\r\nSet-Cookie: b");
    let text = |method, keep| String::from_utf8(response.to_bytes(method, keep)).unwrap();
    assert_eq!(
        text(Method::Get, true),
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX: aSet-Cookie: b\r\nContent-Length: 5\r\n\
         Connection: keep-alive\r\n\r\nhello"
    );
    assert!(text(Method::Head, false).ends_with("Content-Length: 5\r\nConnection: close\r\n\r\n"));
}
