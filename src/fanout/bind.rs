//! The addresses that shards listen on, and those that answers name.

use std::net::SocketAddr;
use std::sync::Arc;

use super::own_machine::OwnMachine;
use super::shard::{Socket, interface_addresses};
use super::{FanoutConfig, StartError};

/// One socket per shard and address.
pub fn bind_all(config: &FanoutConfig) -> Result<Vec<Vec<Socket>>, StartError> {
    let mut addresses = Vec::new();
    for ip in &config.bind {
        let of_it = if ip.is_unspecified() {
            // One socket per interface: the source address of an answer is then the one that
            // the viewer wrote to.
            let all = interface_addresses().map_err(StartError::Interfaces)?;
            all.into_iter().filter(|found| found.is_ipv4() == ip.is_ipv4()).collect()
        } else {
            vec![*ip]
        };
        for ip in of_it {
            if !addresses.contains(&ip) {
                addresses.push(ip);
            }
        }
    }
    if addresses.is_empty() {
        return Err(StartError::NoAddress);
    }
    let own = OwnMachine::of(config).map_err(StartError::Interfaces)?;
    let (first_port, shards) = (config.first_port, config.shards);
    let port_of = |shard: usize| match first_port {
        0 => Ok(0),
        first => u16::try_from(usize::from(first) + shard)
            .map_err(|_| StartError::Ports { first_port, shards }),
    };
    (0..shards)
        .map(|shard| {
            let mut port = port_of(shard)?;
            let mut sockets = Vec::new();
            for ip in &addresses {
                let address = SocketAddr::new(*ip, port);
                let socket =
                    Socket::bind(address).map_err(|source| StartError::Bind { address, source })?;
                // All of a shard's sockets have one port, also where the system chose it.
                port = socket.address().port();
                sockets.push(socket);
            }
            sockets.extend(own.as_ref().and_then(|own| own.bind(port)));
            Ok(sockets)
        })
        .collect()
}

/// What a shard's answers name: public addresses where there are, else the bound ones.
pub fn candidates(config: &FanoutConfig, sockets: &[Socket]) -> Arc<[SocketAddr]> {
    let port = sockets.first().map_or(0, |socket| socket.address().port());
    if !config.public_addresses.is_empty() {
        return config.public_addresses.iter().map(|ip| SocketAddr::new(*ip, port)).collect();
    }
    let bound: Vec<SocketAddr> = sockets.iter().map(Socket::address).collect();
    let reachable: Vec<SocketAddr> =
        bound.iter().copied().filter(|address| !address.ip().is_loopback()).collect();
    // Loopback only where there is nothing else: others can't reach it.
    let only_here = config.is_for_this_machine_alone();
    if only_here || reachable.is_empty() { bound.into() } else { reachable.into() }
}
