//! What measurements of a network are made of, without socket, clock or thread: `now` is an argument.
//!
//! - [`rrul`]: the Realtime Response Under Load test: its flows, marks and phases, and the book in which octets and
//!   answers are written down.
//! - [`rpm`]: responsiveness under working conditions: when the line is saturated, and round trips per minute.
//! - [`calibrate`]: how well this machine measures at all, and when it should not.
//! - [`page`]: what is read of a page.
//! - [`path`]: the search for a path's MTU, and at which hop the delay stands.
//! - [`icmp`]: echo requests, and what comes back, of both families.
//! - [`echo`]: the datagrams between a prober and our own far end.
//! - [`stats`]: samples in bounded memory, percentiles and how sure they are.
//! - [`flent`]: results in the file format of flent. [`picture`]: results as SVG, and as text for a terminal. [`markup`]: text of
//!   others within such a picture, or a page.
//!
//! What opens sockets is in the program (`sixgate/src/measure`).

pub mod calibrate;
pub mod echo;
pub mod flent;
pub mod icmp;
pub mod markup;
pub mod page;
pub mod path;
pub mod picture;
pub mod rpm;
pub mod rrul;
pub mod stats;
