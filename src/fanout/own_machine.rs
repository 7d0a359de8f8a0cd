//! A server for this machine alone, and Firefox.
//!
//! Firefox pairs a loopback address with loopback addresses only, and gathers none of its own: it
//! finds no path to a server that listens on 127.0.0.1. So such a server also takes an address of
//! the machine's own, and of what is sent there only what crosses the loopback device: what this
//! machine sends to itself. The kernel drops the rest.

use std::io;
use std::net::{IpAddr, SocketAddr};

use super::FanoutConfig;
use super::shard::{Socket, interface_addresses};

/// The machine, as it sees itself.
#[derive(Debug)]
pub struct OwnMachine {
    /// The address that is taken beside loopback's.
    here: IpAddr,
}

// === impl OwnMachine ===

impl OwnMachine {
    /// None where others are served too, or where there is no address but loopback.
    pub fn of(config: &FanoutConfig) -> io::Result<Option<Self>> {
        if !config.is_for_this_machine_alone() {
            return Ok(None);
        }
        Ok(choose(&interface_addresses()?).map(|here| Self { here }))
    }

    /// None where the port is taken, or the kernel does no filtering: then there is loopback.
    pub fn bind(&self, port: u16) -> Option<Socket> {
        let address = SocketAddr::new(self.here, port);
        match Socket::bind_within_machine(address) {
            Ok(socket) => Some(socket),
            Err(error) => {
                tracing::warn!(%address, %error, "Firefox on this machine won't find a path");
                None
            }
        }
    }
}

/// `all`: those that others can reach first.
fn choose(all: &[IpAddr]) -> Option<IpAddr> {
    all.iter().copied().find(|ip| !ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_not_loopback_is_chosen_where_there_is_one() {
        let list =
            |text: &[&str]| -> Vec<IpAddr> { text.iter().map(|ip| ip.parse().unwrap()).collect() };
        assert_eq!(choose(&list(&["127.0.0.1", "::1"])), None);
        let found = choose(&list(&["192.0.2.1", "2001:db8::1", "127.0.0.1"]));
        assert_eq!(found, Some("192.0.2.1".parse().unwrap()));
    }
}
