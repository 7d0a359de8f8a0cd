//! Just enough of WHIP's HTTP for tests with peers that are not ours: one thread a request.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::contribution::testing::{Seen, wait};
use crate::contribution::{Contributed, Contribution, WhipCommand};

pub type Source = Arc<Mutex<Box<dyn Contribution>>>;

/// Serves until the process ends; gives the URL to publish to.
pub fn serve(source: Source, seen: Arc<Seen>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/whip", listener.local_addr().unwrap());
    let sessions = Arc::new(AtomicU64::new(0));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (source, seen) = (Arc::clone(&source), Arc::clone(&seen));
            let session = format!("s{}", sessions.fetch_add(1, Ordering::Relaxed));
            std::thread::spawn(move || answer(&stream, &source, &seen, session));
        }
    });
    url
}

fn answer(stream: &TcpStream, source: &Source, seen: &Seen, new: String) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let (method, path) = line.split_once(' ').unwrap();
    let (method, path) = (method.to_owned(), path.split(' ').next().unwrap().to_owned());
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        let header = header.trim().to_ascii_lowercase();
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if header.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let body = String::from_utf8(body).unwrap();
    let session = path.rsplit('/').next().unwrap().to_owned();
    let send = |command| source.lock().unwrap().handle(command);
    let (status, extra, text) = match method.as_str() {
        "POST" => {
            send(WhipCommand::Offer { session: new.clone(), sdp: body });
            let reply = reply_to(seen, &new);
            let location = format!("Location: /whip/{new}\r\nContent-Type: application/sdp\r\n");
            match reply {
                Ok(sdp) => ("201 Created", location, sdp),
                Err(reason) => ("406 Not Acceptable", String::new(), reason),
            }
        }
        "PATCH" => {
            send(WhipCommand::Trickle { session, fragment: body });
            ("204 No Content", String::new(), String::new())
        }
        "DELETE" => {
            send(WhipCommand::Close { session });
            ("200 OK", String::new(), String::new())
        }
        _ => ("204 No Content", String::new(), String::new()),
    };
    let mut stream = stream;
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\n{extra}Access-Control-Allow-Origin: *\r\n\
         Access-Control-Allow-Methods: POST, PATCH, DELETE\r\n\
         Access-Control-Allow-Headers: *\r\nAccess-Control-Expose-Headers: Location\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    );
}

fn reply_to(seen: &Seen, session: &str) -> Result<String, String> {
    let mut found = Vec::new();
    wait("an answer", || {
        found = seen.collect(|e| match e {
            Contributed::WhipAnswer { session: s, sdp } if s == session => Some(Ok(sdp.clone())),
            Contributed::WhipRefused { session: s, reason, .. } if s == session => {
                Some(Err(reason.clone()))
            }
            _ => None,
        });
        !found.is_empty()
    });
    found.remove(0)
}
