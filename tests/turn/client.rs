//! A TURN client whose messages turn-types writes and reads.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use turn_types::attribute::{
    ChannelNumber, Data, Lifetime, RequestedTransport, XorPeerAddress, XorRelayedAddress,
};
use turn_types::channel::ChannelData;
use turn_types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, DATA, REFRESH, SEND};
use turn_types::stun::attribute::{ErrorCode, Nonce, Realm, Username};
use turn_types::stun::message::{
    IntegrityAlgorithm, LongTermKeyCredentials, Message, MessageClass, MessageIntegrityCredentials,
    MessageWriteVec, Method, TransactionId,
};
use turn_types::stun::prelude::{AttributeWrite, MessageWrite as _, MessageWriteExt as _};

pub enum Wire {
    Udp(UdpSocket),
    Tcp(TcpStream, Vec<u8>),
}

pub struct Client {
    pub wire: Wire,
    username: String,
    password: String,
    /// Realm and nonce, once known.
    challenge: Option<(String, String)>,
}

/// The code of an error response.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused(u16);

const PATIENCE: Duration = Duration::from_secs(10);

pub fn refused(code: u16) -> Refused {
    Refused(code)
}

/// The first request of someone new.
pub fn stranger() -> Vec<u8> {
    let mut message = Message::builder_request(ALLOCATE, MessageWriteVec::new());
    message.add_attribute(&RequestedTransport::new(RequestedTransport::UDP)).unwrap();
    message.finish()
}

// === impl Wire ===

impl Wire {
    /// The same connection, for somebody else to speak over.
    pub fn share(&self) -> Self {
        match self {
            Self::Udp(socket) => Self::Udp(socket.try_clone().unwrap()),
            Self::Tcp(stream, _) => Self::Tcp(stream.try_clone().unwrap(), Vec::new()),
        }
    }

    pub fn connect(server: SocketAddr, tcp: bool) -> Self {
        if tcp {
            let stream = TcpStream::connect(server).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            return Self::Tcp(stream, Vec::new());
        }
        let any: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0)).unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self::Udp(socket)
    }

    fn send(&mut self, bytes: &[u8]) {
        match self {
            Self::Udp(socket) => assert_eq!(socket.send(bytes).unwrap(), bytes.len()),
            Self::Tcp(stream, _) => {
                stream.write_all(bytes).unwrap();
                let padding = bytes.len().next_multiple_of(4) - bytes.len();
                stream.write_all(&[0; 3][..padding]).unwrap();
            }
        }
    }

    /// One message or ChannelData, without padding.
    fn receive(&mut self) -> Vec<u8> {
        match self {
            Self::Udp(socket) => {
                let mut bytes = vec![0; 2000];
                let length = socket.recv(&mut bytes).unwrap();
                bytes.truncate(length);
                bytes
            }
            Self::Tcp(stream, held) => loop {
                if let Some(head) = held.first_chunk::<4>() {
                    let body = usize::from(u16::from_be_bytes([head[2], head[3]]));
                    let length = if head[0] < 0x40 { 20 + body } else { 4 + body };
                    let padded = length.next_multiple_of(4);
                    if held.len() >= padded {
                        let mut frame: Vec<u8> = held.drain(..padded).collect();
                        frame.truncate(length);
                        return frame;
                    }
                }
                let mut bytes = [0; 4096];
                let length = stream.read(&mut bytes).unwrap();
                assert!(length > 0, "the server closed the connection");
                held.extend_from_slice(&bytes[..length]);
            },
        }
    }
}

// === impl Client ===

impl Client {
    pub fn new(wire: Wire, (username, password): &(String, String)) -> Self {
        Self { wire, username: username.clone(), password: password.clone(), challenge: None }
    }

    /// Gives the relayed address.
    pub fn allocate(&mut self) -> Result<SocketAddr, Refused> {
        let answer = self
            .ask(ALLOCATE, |_| vec![Box::new(RequestedTransport::new(RequestedTransport::UDP))])?;
        let message = Message::from_bytes(&answer).unwrap();
        let relayed = message.attribute::<XorRelayedAddress>().unwrap();
        Ok(relayed.addr(message.transaction_id()))
    }

    pub fn refresh(&mut self, seconds: u32) -> Result<u32, Refused> {
        let answer = self.ask(REFRESH, |_| vec![Box::new(Lifetime::new(seconds))])?;
        Ok(Message::from_bytes(&answer).unwrap().attribute::<Lifetime>().unwrap().seconds())
    }

    pub fn create_permission(&mut self, peer: SocketAddr) -> Result<(), Refused> {
        self.ask(CREATE_PERMISSION, |id| vec![Box::new(XorPeerAddress::new(peer, id))]).map(|_| ())
    }

    pub fn channel_bind(&mut self, channel: u16, peer: SocketAddr) -> Result<(), Refused> {
        self.ask(CHANNEL_BIND, |id| {
            vec![Box::new(ChannelNumber::new(channel)), Box::new(XorPeerAddress::new(peer, id))]
        })
        .map(|_| ())
    }

    pub fn send_indication(&mut self, peer: SocketAddr, data: &[u8]) {
        let mut message = Message::builder_indication(SEND, MessageWriteVec::new());
        let id = message.transaction_id();
        message.add_attribute(&XorPeerAddress::new(peer, id)).unwrap();
        message.add_attribute(&Data::new(data)).unwrap();
        self.wire.send(&message.finish());
    }

    pub fn receive_data(&mut self) -> (SocketAddr, Vec<u8>) {
        let bytes = self.wire.receive();
        let message = Message::from_bytes(&bytes).unwrap();
        assert!(message.has_method(DATA) && message.has_class(MessageClass::Indication));
        let peer = message.attribute::<XorPeerAddress>().unwrap();
        let data = message.attribute::<Data>().unwrap().data().to_vec();
        (peer.addr(message.transaction_id()), data)
    }

    pub fn send_channel(&mut self, channel: u16, data: &[u8]) {
        let mut bytes = vec![0; 4 + data.len()];
        ChannelData::new(channel, data).write_into_unchecked(&mut bytes);
        self.wire.send(&bytes);
    }

    pub fn receive_channel(&mut self) -> (u16, Vec<u8>) {
        let bytes = self.wire.receive();
        let channel = ChannelData::parse(&bytes).unwrap();
        (channel.id(), channel.data().to_vec())
    }

    /// Asks, and once more with credentials if it must.
    fn ask(
        &mut self,
        method: Method,
        attributes: impl Fn(TransactionId) -> Vec<Box<dyn AttributeWrite>>,
    ) -> Result<Vec<u8>, Refused> {
        if self.challenge.is_none() {
            let answer = self.ask_once(method, &attributes);
            let message = Message::from_bytes(&answer).unwrap();
            assert_eq!(message.attribute::<ErrorCode>().unwrap().code(), 401);
            let realm = message.attribute::<Realm>().unwrap().realm().to_owned();
            let nonce = message.attribute::<Nonce>().unwrap().nonce().to_owned();
            self.challenge = Some((realm, nonce));
        }
        let answer = self.ask_once(method, &attributes);
        let message = Message::from_bytes(&answer).unwrap();
        if let Ok(error) = message.attribute::<ErrorCode>() {
            return Err(Refused(error.code()));
        }
        message.validate_integrity(&self.credentials()).unwrap();
        Ok(answer)
    }

    fn ask_once(
        &mut self,
        method: Method,
        attributes: &impl Fn(TransactionId) -> Vec<Box<dyn AttributeWrite>>,
    ) -> Vec<u8> {
        let mut message = Message::builder_request(method, MessageWriteVec::new());
        let id = message.transaction_id();
        for attribute in attributes(id) {
            message.add_attribute(attribute.as_ref()).unwrap();
        }
        if let Some((realm, nonce)) = &self.challenge {
            message.add_attribute(&Username::new(&self.username).unwrap()).unwrap();
            message.add_attribute(&Realm::new(realm).unwrap()).unwrap();
            message.add_attribute(&Nonce::new(nonce).unwrap()).unwrap();
            let credentials = self.credentials();
            message.add_message_integrity(&credentials, IntegrityAlgorithm::Sha1).unwrap();
        }
        self.wire.send(&message.finish());
        loop {
            let bytes = self.wire.receive();
            if Message::from_bytes(&bytes).is_ok_and(|answer| answer.transaction_id() == id) {
                return bytes;
            }
        }
    }

    fn credentials(&self) -> MessageIntegrityCredentials {
        let realm = self.challenge.as_ref().map(|(realm, _)| realm.clone()).unwrap_or_default();
        LongTermKeyCredentials::new(self.username.clone(), self.password.clone(), realm).into()
    }
}
