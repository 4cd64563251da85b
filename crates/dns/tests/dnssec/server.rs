//! The tree behind sockets: UDP and TCP on one port.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::thread;

use super::tree::Tree;

/// What the tree says to a message, cut where a datagram is too small for it.
pub(crate) fn respond(tree: &Tree, query: &[u8], datagram: bool) -> Option<Vec<u8>> {
    let id = u16::from_be_bytes(*query.first_chunk()?);
    let mut end = 12;
    while *query.get(end)? != 0 {
        end += 1 + usize::from(query[end]);
    }
    let (asked, kind) = (query.get(12..=end)?, query.get(end + 1..end + 3)?);
    let kind = u16::from_be_bytes([kind[0], kind[1]]);
    let question = query.get(12..end + 5)?;
    // The OPT record follows: owner, type, size, then the octet with DO (RFC 6891 section 6.1.2).
    let opt = query.get(end + 5..).filter(|rest| rest.starts_with(&[0, 0, 41]));
    let dnssec_ok = opt.is_some_and(|opt| opt.get(7).is_some_and(|flags| flags & 0x80 != 0));
    let size = opt.map_or(512, |opt| usize::from(u16::from_be_bytes([opt[3], opt[4]])));
    let limit = if datagram { size.clamp(512, 1_232) } else { usize::from(u16::MAX) };
    Some(tree.answer(asked, kind).bytes(id, question, dnssec_ok, kind, limit))
}

fn converse(tree: &Tree, mut stream: TcpStream) -> std::io::Result<()> {
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut query)?;
        if let Some(answer) = respond(tree, &query, false) {
            stream.write_all(&[&(answer.len() as u16).to_be_bytes()[..], &answer].concat())?;
        }
    }
}

pub(crate) fn serve(tree: &Arc<Tree>, address: &str) {
    let udp = UdpSocket::bind(address).unwrap();
    let tcp = TcpListener::bind(address).unwrap();
    let own = Arc::clone(tree);
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = udp.recv_from(&mut buffer) {
            if let Some(answer) = respond(&own, &buffer[..length], true) {
                let _ = udp.send_to(&answer, from);
            }
        }
    });
    let own = Arc::clone(tree);
    thread::spawn(move || {
        for stream in tcp.incoming().flatten() {
            let tree = Arc::clone(&own);
            thread::spawn(move || converse(&tree, stream));
        }
    });
}
