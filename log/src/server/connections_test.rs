//! Caps on connections.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::*;

fn address(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

#[test]
fn caps_hold_per_address_and_in_all_and_free_places_come_back() {
    let limits = ConnectionLimits {
        connections: 3,
        connections_per_address: 2,
        ..ConnectionLimits::default()
    };
    let connections = Arc::new(Connections::new(&limits));
    let first = connections.admit(address(1)).unwrap();
    let _second = connections.admit(address(1)).unwrap();
    assert_eq!(connections.admit(address(1)).unwrap_err(), Full::OfAddress);
    let _third = connections.admit(address(2)).unwrap();
    assert_eq!(connections.admit(address(3)).unwrap_err(), Full::InAll);
    drop(first);
    assert_eq!(connections.open(), 2);
    assert!(connections.admit(address(1)).is_ok());
}

#[test]
fn an_address_without_connections_is_forgotten() {
    let connections = Arc::new(Connections::new(&ConnectionLimits::default()));
    drop(connections.admit(address(1)).unwrap());
    assert!(connections.counts.lock().by_address.is_empty());
}
