//! The server and client of `greeter_before.rs` after an afternoon: the guide (`sixgate_endpoint::guide`) says what was done and why.
//!
//!     cargo run --features clap --example greeter -- serve --port 7777
//!     cargo run --features clap --example greeter -- get localhost:7777
//!     cargo run --features clap --example greeter -- get -6 localhost:7777

use clap::{Parser, Subcommand};
use sixgate_endpoint::acl::Acl;
use sixgate_endpoint::connect::{Connector, FamilyArgs, policy};
use sixgate_endpoint::listen::{Listen, Policy};
use sixgate_endpoint::talkers::{Limiter, Limits, Talkers};
use sixgate_endpoint::{Endpoint, Host};
use std::error::Error;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const PORT: u16 = 7777;
/// Nobody else is greeted. Each family is named.
const ALLOWED: &str = "allow 127.0.0.0/8, 192.0.2.0/24, ::1, 2001:db8::/32, fe80::/10";

#[derive(Parser)]
#[command(about = "Greets whoever connects, by address and port")]
struct Args {
    #[command(subcommand)]
    job: Job,
}

#[derive(Subcommand)]
enum Job {
    /// Greet
    Serve {
        /// Where to listen: all addresses of both families, unless one is named (192.0.2.1, 2001:db8::1, [fe80::1%eth0]:7777)
        #[arg(long, value_name = "ADDRESS[:PORT]")]
        listen: Vec<Endpoint>,
        /// The port, where --listen names none
        #[arg(long, default_value_t = PORT)]
        port: u16,
    },
    /// Be greeted
    Get {
        #[command(flatten)]
        family: FamilyArgs,
        /// Tell how the connection came about
        #[arg(long)]
        explain: bool,
        /// Whom to ask
        #[arg(value_name = "HOST[:PORT]")]
        server: Host,
    },
}

fn serve(listen: &[Endpoint], port: u16) -> Result<(), Box<dyn Error>> {
    let listen = if listen.is_empty() {
        Listen::on(Policy::Both, port)
    } else {
        Listen::at(listen.iter().map(|endpoint| endpoint.with_port(endpoint.port().unwrap_or(port))))
    };
    let mut listeners = listen.tcp()?;
    println!("{listeners}");
    let acl: Acl = ALLOWED.parse()?;
    let mut limiter = Limiter::new(Limits::default());
    let mut talkers = Talkers::new();
    let started = Instant::now();
    loop {
        // An IPv4 peer is an IPv4 peer here, whatever socket it came by.
        let (mut stream, peer) = listeners.accept()?;
        talkers.add(peer, 1);
        let decision = acl.decide_here(peer);
        if !decision.is_allowed() {
            println!("refused {decision}");
            continue;
        }
        if !limiter.check(started.elapsed(), peer, 1).is_allowed() {
            continue;
        }
        println!("greeted peer={peer}");
        // One who has gone is no reason to stop.
        let _ = stream.set_write_timeout(Some(Duration::from_secs(1)));
        let _ = writeln!(stream, "hello {peer}");
    }
}

fn get(server: &Host, family: FamilyArgs, explain: bool) -> Result<(), Box<dyn Error>> {
    let policy = policy().with_family(family.choice().unwrap_or_default());
    let connection = Connector::new(policy).connect(server, PORT)?;
    if explain {
        eprintln!("{}", connection.trace);
    }
    let mut line = String::new();
    BufReader::new(connection.stream).read_line(&mut line)?;
    print!("{line}");
    Ok(())
}

fn main() -> ExitCode {
    let done = match Args::parse().job {
        Job::Serve { listen, port } => serve(&listen, port),
        Job::Get { family, explain, server } => get(&server, family, explain),
    };
    if let Err(error) = done {
        eprintln!("greeter: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
