//! The machine's own addresses.

use std::io;
use std::mem;
use std::net::IpAddr;

use super::messages::read_name;

/// Addresses of the machine's interfaces, those that others can reach first. Link-local ones are
/// left out: a candidate can't carry their scope.
pub fn interface_addresses() -> io::Result<Vec<IpAddr>> {
    let mut list: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: getifaddrs stores a list at the pointer it is given.
    if unsafe { libc::getifaddrs(&raw mut list) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found = Vec::new();
    let mut entry = list;
    while !entry.is_null() {
        // SAFETY: `entry` is a node of the list, which is freed only below.
        let node = unsafe { &*entry };
        entry = node.ifa_next;
        let up = node.ifa_flags & libc::IFF_UP as u32 != 0;
        if !up || node.ifa_addr.is_null() {
            continue;
        }
        // SAFETY: not null, and of the family it states.
        let family = i32::from(unsafe { (*node.ifa_addr).sa_family });
        let length = match family {
            libc::AF_INET => size_of::<libc::sockaddr_in>(),
            libc::AF_INET6 => size_of::<libc::sockaddr_in6>(),
            _ => continue,
        };
        // SAFETY: sockaddr_storage is plain data for which zeroes are valid.
        let mut storage: libc::sockaddr_storage = unsafe { mem::zeroed() };
        // SAFETY: an address of this family has `length` bytes, and storage has room for any.
        unsafe {
            std::ptr::copy_nonoverlapping(
                node.ifa_addr.cast::<u8>(),
                (&raw mut storage).cast::<u8>(),
                length,
            );
        }
        if let Some(address) = read_name(&storage)
            && !is_link_local(address.ip())
            && !found.contains(&address.ip())
        {
            found.push(address.ip());
        }
    }
    // SAFETY: the list came from getifaddrs and nothing refers to it any more.
    unsafe { libc::freeifaddrs(list) };
    found.sort_by_key(|ip| (ip.is_loopback(), ip.is_ipv6()));
    Ok(found)
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interfaces_have_addresses() {
        let found = interface_addresses().unwrap();
        assert!(found.iter().any(|ip| ip.is_loopback()), "{found:?}");
    }
}
