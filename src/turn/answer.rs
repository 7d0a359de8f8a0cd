//! Answers to requests, appended to a buffer.

use std::net::SocketAddr;

use super::allocation::Allocation;
use super::refusal::Refusal;
use super::request::{
    ADDRESS_ERROR_CODE, Family, LIFETIME, NONCE, REALM, RESERVATION_TOKEN, Request,
    UNKNOWN_ATTRIBUTES, XOR_RELAYED_ADDRESS,
};
use crate::stun::{ERROR, SUCCESS, Writer, XOR_MAPPED_ADDRESS};

/// With which answers to proven clients are signed.
type Key = [u8; 16];

/// To a binding request, which needs no proof.
pub fn bound(request: &Request<'_>, client: SocketAddr, out: &mut Vec<u8>) {
    if !request.unknown().is_empty() {
        return refused(request, Refusal::UnknownAttribute, None, None, out);
    }
    let mut writer = success(request, out);
    writer.xor_address(XOR_MAPPED_ADDRESS, client);
    writer.fingerprint();
}

pub fn allocated(
    request: &Request<'_>,
    client: SocketAddr,
    allocation: &Allocation,
    out: &mut Vec<u8>,
) {
    let mut writer = success(request, out);
    for relay in &allocation.relays {
        writer.xor_address(XOR_RELAYED_ADDRESS, relay.address);
    }
    let both = request.additional_family.is_some();
    let missing = [Family::V4, Family::V6].into_iter().find(|f| allocation.relay(*f).is_none());
    if let (true, Some(family)) = (both, missing) {
        // RFC 8656, 7.2: the client learns which of the two it didn't get.
        writer.attribute(ADDRESS_ERROR_CODE, &[family.number(), 0, 4, 40]);
    }
    writer.attribute(LIFETIME, &allocation.granted.to_be_bytes());
    if let Some(token) = &allocation.reservation {
        writer.attribute(RESERVATION_TOKEN, token);
    }
    writer.xor_address(XOR_MAPPED_ADDRESS, client);
    sign(&mut writer, &allocation.caller.key);
}

/// `granted` is in seconds.
pub fn refreshed(request: &Request<'_>, granted: u32, key: &Key, out: &mut Vec<u8>) {
    let mut writer = success(request, out);
    writer.attribute(LIFETIME, &granted.to_be_bytes());
    sign(&mut writer, key);
}

pub fn done(request: &Request<'_>, key: &Key, out: &mut Vec<u8>) {
    sign(&mut success(request, out), key);
}

/// `challenge` is realm and nonce, for who must prove themselves first.
pub fn refused(
    request: &Request<'_>,
    refusal: Refusal,
    challenge: Option<(&str, &str)>,
    key: Option<&Key>,
    out: &mut Vec<u8>,
) {
    let message_type = request.message_type | ERROR;
    let mut writer = Writer::begin(out, message_type, &request.transaction_id);
    writer.error_code(refusal.code(), &refusal.to_string());
    if let (Some((realm, nonce)), true) = (challenge, refusal.is_challenge()) {
        writer.attribute(REALM, realm.as_bytes());
        writer.attribute(NONCE, nonce.as_bytes());
    }
    if refusal == Refusal::UnknownAttribute {
        let kinds = request.unknown().iter();
        let list: Vec<u8> = kinds.flat_map(|kind| kind.to_be_bytes()).collect();
        writer.attribute(UNKNOWN_ATTRIBUTES, &list);
    }
    match key {
        Some(key) => sign(&mut writer, key),
        None => writer.fingerprint(),
    }
}

fn success<'a>(request: &Request<'_>, out: &'a mut Vec<u8>) -> Writer<'a> {
    Writer::begin(out, request.message_type | SUCCESS, &request.transaction_id)
}

fn sign(writer: &mut Writer<'_>, key: &Key) {
    writer.integrity(key);
    writer.fingerprint();
}
