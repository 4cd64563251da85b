//! HTTP/1.1 (RFC 9110, RFC 9112) for a server of a few pages, sans-I/O: [`Request::parse`] reads what has come so far,
//! [`Response::to_bytes`] writes what leaves.
//!
//! Strict where leniency has been a hole: lines end with CRLF and nothing else, no line is folded, a field that has one value
//! stands once, and what is longer than the limits is refused before it is kept. It knows GET, HEAD and POST, and bodies with
//! a Content-Length. [`Ask`] is what a client asks of a proxy, any method and body; [`Answer`] what it
//! gets where it speaks HTTP/1.0.
//!
//! ```
//! use sixgate_http::{Method, Request, Response};
//!
//! let bytes = b"GET /status?brief HTTP/1.1\r\nHost: [2001:db8::1]:6464\r\n\r\n";
//! let (request, used) = Request::parse(bytes).unwrap().expect("it is complete");
//! assert_eq!((request.method, request.path.as_str(), used), (Method::Get, "/status", bytes.len()));
//! assert!(Response::new(200).to_bytes(request.method, request.keep_alive).starts_with(b"HTTP/1.1 200 OK\r\n"));
//! ```

mod answer;
mod proxy;
mod request;
mod response;

pub use answer::{Answer, BadAnswer};
pub use proxy::Ask;
pub use request::{MAX_BODY, MAX_FIELDS, MAX_HEAD, Method, Refusal, Request};
pub use response::Response;
