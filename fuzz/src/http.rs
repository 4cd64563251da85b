//! HTTP: what strangers on a LAN send to the dashboard and to the proxy.

use sixgate_http::{Answer, Ask, MAX_BODY, MAX_FIELDS, MAX_HEAD, Request, Response};

/// Octets of a connection. A request is the same however it is cut into segments: none of its beginnings is one, and what is
/// refused early is refused in the end.
pub fn http(bytes: &[u8]) {
    let read = Request::parse(bytes);
    match &read {
        Ok(Some((request, used))) => {
            assert!(*used <= bytes.len() && *used <= MAX_HEAD + MAX_BODY);
            assert!(request.path.starts_with('/') && request.path.is_ascii());
            assert!(request.body.len() <= MAX_BODY && bytes[..*used].ends_with(&request.body));
            assert_eq!(Request::parse(&bytes[..*used]).as_ref(), Ok(&Some((request.clone(), *used))));
            for name in ["host", "cookie", "origin", "authorization"] {
                assert!(request.field(name).is_none_or(|value| !value.contains(['\r', '\n', '\0'])));
            }
            let _ = request.cookie("session");
            let reply = Response::new(200)
                .field("X", request.host.clone())
                .to_bytes(request.method, request.keep_alive);
            let ends = reply.windows(4).filter(|four| four == b"\r\n\r\n").count();
            assert_eq!(ends, 1, "one response only");
        }
        Ok(None) => assert!(bytes.len() < MAX_HEAD + MAX_BODY, "what is waited for is bounded"),
        Err(refusal) => {
            assert!((400..=505).contains(&refusal.status()) && refusal.to_string().len() < 100 + MAX_FIELDS);
        }
    }
    let whole =
        read.as_ref().map_or(bytes.len(), |read| read.as_ref().map_or(bytes.len(), |(_, used)| *used));
    for cut in [whole / 3, whole / 2, whole.saturating_sub(1)] {
        match Request::parse(&bytes[..cut]) {
            Ok(Some(_)) => assert!(matches!(read, Ok(Some((_, used))) if used == cut), "a part is no whole"),
            Ok(None) => {}
            Err(refusal) => assert_eq!(read, Err(refusal), "more octets do not make it right"),
        }
    }
}

/// Octets of a connection to the proxy. What is sent on is one head, of one request, to the host of its target; and read again it says the
/// same, but for having passed us.
pub fn proxy(bytes: &[u8]) {
    match Ask::parse(bytes, "sixgate") {
        Ok(Some((ask, used))) => {
            assert!(
                used <= bytes.len()
                    && used <= MAX_HEAD
                    && !ask.authority().contains(['@', '/', ' ', '\r', '\n'])
            );
            assert_eq!(Ask::parse(&bytes[..used], "sixgate"), Ok(Some((ask.clone(), used))));
            if let Ask::Forward { authority, head, answer: _ } = ask {
                let ends = head.windows(4).filter(|four| four == b"\r\n\r\n").count();
                assert!(ends == 1 && head.ends_with(b"\r\n\r\n"), "one head only");
                let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
                assert_eq!(text.matches("\r\nhost: ").count(), 1);
                assert!(text.contains(&format!("\r\nhost: {}\r\n", authority.to_ascii_lowercase())));
                assert_eq!(text.matches("\r\nconnection:").count(), 1);
            }
        }
        Ok(None) => assert!(bytes.len() <= MAX_HEAD, "what is waited for is bounded"),
        Err(refusal) => assert!((400..=505).contains(&refusal.status())),
    }
}

/// What a server answers to a client of HTTP/1.0. The first octet says how many of the others come at once: that makes no difference. One
/// head comes out at most, without a word of chunks, and no more body than went in.
pub fn answer(bytes: &[u8]) {
    let Some((size, octets)) = bytes.split_first() else { return };
    let take = |size: usize| {
        let (mut answer, mut out) = (Answer::new("GET", "sixgate"), Vec::new());
        let taken = octets.chunks(size).try_for_each(|piece| answer.push(piece, &mut out));
        (taken.is_ok(), out, answer)
    };
    let (whole, out, answer) = take(octets.len().max(1));
    let (by_pieces, pieces, _) = take(usize::from(*size).max(1));
    assert_eq!(whole, by_pieces);
    assert!(!whole || out == pieces, "pieces make no difference");
    if !answer.has_begun() {
        return assert!(out.is_empty());
    }
    assert!(out.starts_with(b"HTTP/1.1 ") && out.len() <= octets.len() + 100);
    let end = out.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 2;
    let head = String::from_utf8_lossy(&out[..end]).to_ascii_lowercase();
    assert_eq!(head.matches("\r\nconnection:").count(), 1);
    assert!(!head.contains("\r\ntransfer-encoding:") && head.matches("\r\ncontent-length:").count() <= 1);
}
