//! What the IPv4-only server serves: files by HTTP, both ways, and echoes of datagrams. IPv4 sockets, no IPv6.

use sixgate_lab::Host;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};

/// Serves the files below `/run` of `host` on port 80: GET reads, PUT writes.
pub fn http(host: &Host) {
    let listener = host.run(|| TcpListener::bind("0.0.0.0:80").unwrap());
    // It ends with the test's process.
    host.thread(move || {
        for connection in listener.incoming() {
            serve(connection.unwrap()).unwrap();
        }
    })
    .unwrap();
}

fn serve(connection: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(connection);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut words = request.split_whitespace();
    let (method, path) = (words.next().unwrap(), format!("/run{}", words.next().unwrap()));
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    if method == "PUT" {
        io::copy(&mut reader.by_ref().take(length), &mut File::create(path)?)?;
        return reader.get_mut().write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
    }
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let connection = reader.get_mut();
    write!(connection, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
    io::copy(&mut file, connection).map(|_| ())
}

/// Echoes datagrams; the port.
pub fn echo(host: &Host) -> u16 {
    let socket = host.run(|| UdpSocket::bind("0.0.0.0:0").unwrap());
    let port = socket.local_addr().unwrap().port();
    host.thread(move || {
        let mut buffer = vec![0; 65_536];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).unwrap();
            socket.send_to(&buffer[..length], from).unwrap();
        }
    })
    .unwrap();
    port
}
