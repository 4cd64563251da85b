//! A small server and its client as they were written for IPv4 alone. The guide (`sixgate_endpoint::guide`) takes them through the
//! checklist; `greeter.rs` is what comes out.
//!
//!     cargo run --example greeter_before -- serve 127.0.0.1:7777
//!     cargo run --example greeter_before -- get localhost:7777

// What the audit finds here is what the guide takes out.
// ipv6-audit: allow-file colon-split, colon-join, peer-table because it shows what goes wrong
use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _};

fn serve(listen: &str) -> std::io::Result<()> {
    // Splits at the first colon, and takes four numbers.
    let (address, port) =
        listen.split_once(':').ok_or_else(|| std::io::Error::other("write ADDRESS:PORT"))?;
    let address: Ipv4Addr = address.parse().map_err(std::io::Error::other)?;
    let port: u16 = port.parse().map_err(std::io::Error::other)?;
    let listener = TcpListener::bind((address, port))?;
    println!("listening on {address}:{port}");
    // An access list of text, and a count for each address for ever.
    let allowed = ["127.", "192.0.2."];
    let mut greeted: HashMap<SocketAddr, u32> = HashMap::new();
    loop {
        let (mut stream, peer) = listener.accept()?;
        if !allowed.iter().any(|prefix| peer.ip().to_string().starts_with(prefix)) {
            continue;
        }
        let count = greeted.entry(peer).or_default();
        *count += 1;
        println!("greeted {}:{}", peer.ip(), peer.port());
        let _ = writeln!(stream, "hello {}:{}", peer.ip(), peer.port());
    }
}

fn get(server: &str) -> std::io::Result<()> {
    // The first IPv4 address of the name, or nothing.
    let address = server.to_socket_addrs()?.find(SocketAddr::is_ipv4);
    let address = address.ok_or_else(|| std::io::Error::other("host not found"))?;
    let mut line = String::new();
    BufReader::new(TcpStream::connect(address)?).read_line(&mut line)?;
    print!("{line}");
    Ok(())
}

fn main() -> std::io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", listen] => serve(listen),
        ["get", server] => get(server),
        _ => Err(std::io::Error::other("usage: greeter_before serve ADDRESS:PORT | get HOST:PORT")),
    }
}
