//! A client that takes an address and a prefix.

use crate::network::*;
use serde_json::Value;
use sixgate_lab::{Command, Process, wait_some};

const CONFIG: &str = "log-mode short\nlog-level 7\niface \"eth0\" {\n ia\n pd\n}\n";

/// Starts dibbler on bob, alone with the gateway as its client; its address and its prefix as `sixgate leases` shows them.
pub fn bind(home: &Home, gateway: &Sixgate) -> (Process, [Value; 2]) {
    home.bob.write_file("/run/dibbler/client.conf", CONFIG).unwrap();
    home.bob.wait_link_local("eth0", PATIENCE).unwrap();
    let client = home.bob.spawn(&Command::new("dibbler-client").args(["run", "-w", "/run/dibbler"])).unwrap();
    let leases = || <[Value; 2]>::try_from(gateway.leases()).ok();
    let told = || format!("{}\n{}", gateway.log(), client.output());
    let leases = wait_some("an address and a prefix", PATIENCE, leases, told);
    let leases = leases.unwrap_or_else(|error| panic!("{error}"));
    assert!(!text(&leases[0], "resource").contains('/') && text(&leases[1], "resource").ends_with("::/56"));
    (client, leases)
}

/// What a lease says.
pub fn text(lease: &Value, key: &str) -> String {
    lease[key].as_str().unwrap().to_owned()
}
