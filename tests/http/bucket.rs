//! A real S3 server (s3s-fs, which checks signatures), and a way to it that fails as it is told.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use stentor::config::{Config, ObjectStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::support::{PATIENCE, built};

/// What becomes of requests on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Open,
    /// Nobody listens, as far as anybody can tell.
    Down,
    /// This status is answered.
    Status(u16),
    /// Nothing is answered.
    Slow,
}

pub struct Bucket {
    child: Child,
    pub folder: tempfile::TempDir,
    address: SocketAddr,
    way: watch::Sender<Way>,
    /// Connections that weren't answered.
    silent: Arc<AtomicUsize>,
}

const KEY: &str = "AKIATEST";
const SECRET: &str = "a secret of the tests";
pub const NAME: &str = "recordings";

/// Where `.ci/test-tools` puts it.
fn program() -> PathBuf {
    built("../tools/bin/s3s-fs")
}

// === impl Bucket ===

impl Bucket {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(NAME)).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(program())
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .args(["--access-key", KEY, "--secret-key", SECRET])
            .arg(folder.path())
            .env("RUST_LOG", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}: .ci/test-tools", program().display()));
        let behind = SocketAddr::from(([127, 0, 0, 1], port));
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(behind).await.is_err() {
            assert!(Instant::now() < deadline, "s3s-fs doesn't listen");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (way, receiver) = watch::channel(Way::Open);
        let silent = Arc::<AtomicUsize>::default();
        tokio::spawn(serve(listener, behind, receiver, silent.clone()));
        Self { child, folder, address, way, silent }
    }

    /// Connections that weren't answered so far.
    pub fn silent(&self) -> usize {
        self.silent.load(Relaxed)
    }

    pub fn set(&self, way: Way) {
        self.way.send_replace(way);
    }

    /// Both stores are in it. `secret`: what the daemon believes to be the secret.
    pub fn configure(&self, config: &mut Config, state: &Path) {
        config.recording.chunks = self.store(state, "one");
        config.recording.files = self.store(state, "two");
    }

    pub fn store(&self, state: &Path, prefix: &str) -> ObjectStore {
        let file = state.join("s3");
        let text = format!("aws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n");
        std::fs::write(&file, text).unwrap();
        ObjectStore {
            bucket: Some(NAME.to_owned()),
            endpoint: Some(format!("http://{}", self.address)),
            prefix: prefix.to_owned(),
            credentials_file: Some(file),
            timeout: "500ms".parse().unwrap(),
            ..ObjectStore::default()
        }
    }

    /// Of all of it, as Apache Arrow understands it: whether a folder is there, this server fails
    /// to say.
    pub fn uri(&self) -> String {
        let (secret, address) = (SECRET.replace(' ', "%20"), self.address);
        format!(
            "s3://{KEY}:{secret}@{NAME}?scheme=http&endpoint_override={address}&region=us-east-1"
        )
    }

    /// Objects and whatever else the server keeps, below its root.
    pub fn entries(&self) -> Vec<String> {
        let root = self.folder.path();
        let names = files_in(root).into_iter();
        names.map(|path| path.strip_prefix(root).unwrap().display().to_string()).collect()
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Files in a folder and below.
pub fn files_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    paths.flat_map(|path| if path.is_dir() { files_in(&path) } else { vec![path] }).collect()
}

async fn serve(
    listener: TcpListener,
    behind: SocketAddr,
    way: watch::Receiver<Way>,
    silent: Arc<AtomicUsize>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(pass(stream, behind, way.clone(), silent.clone()));
    }
}

/// A connection goes the way that there was when it began, as long as that is so.
async fn pass(
    mut stream: TcpStream,
    behind: SocketAddr,
    mut way: watch::Receiver<Way>,
    silent: Arc<AtomicUsize>,
) {
    let now = *way.borrow_and_update();
    let passing = async {
        match now {
            Way::Open => {
                let Ok(mut to) = TcpStream::connect(behind).await else { return };
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut to).await;
            }
            Way::Down => {}
            Way::Slow => {
                silent.fetch_add(1, Relaxed);
                std::future::pending().await
            }
            Way::Status(status) => {
                let mut bytes = [0; 65_536];
                let _ = stream.read(&mut bytes).await;
                let answer = format!(
                    "HTTP/1.1 {status} As told\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
                let _ = stream.write_all(answer.as_bytes()).await;
                // What still comes is taken, so that the answer isn't lost with a reset.
                while stream.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
            }
        }
    };
    tokio::select! {
        () = passing => {}
        _ = way.changed() => {}
    }
}
