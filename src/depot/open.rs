//! Opening a store: a folder of this machine, or a bucket.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, RetryConfig};

use super::{Depot, DepotError};
use crate::config;

/// Connecting takes no longer.
const CONNECT: Duration = Duration::from_secs(5);
/// Whoever uses the store tries again, and says so; the client itself gives a hiccup one chance.
const RETRIES: usize = 1;

// === impl Depot ===

impl Depot {
    /// `folder` is used where the configuration names neither a folder nor a bucket.
    pub fn open(config: &config::ObjectStore, folder: &FilePath) -> Result<Self, DepotError> {
        let prefix = Path::from(config.prefix.as_str());
        if config.bucket.is_none() {
            let folder = config.folder.as_deref().unwrap_or(folder);
            let failed = |error| DepotError::File { path: folder.to_owned(), error };
            make_folder(folder).map_err(failed)?;
            // What is said to be there is on the disk: originals are removed then.
            let store = LocalFileSystem::new_with_prefix(folder)?
                .with_automatic_cleanup(true)
                .with_fsync(true);
            let folder = prefix.parts().fold(folder.to_owned(), |at, part| at.join(part.as_ref()));
            let store = Arc::new(store);
            return Ok(Self { store, multipart: None, folder: Some(folder), prefix });
        }
        let store = Arc::new(s3(config)?.build()?);
        Ok(Self { store: store.clone(), multipart: Some(store), folder: None, prefix })
    }

    /// Reads the credentials of a bucket. Nothing is made or asked.
    pub fn check(config: &config::ObjectStore) -> Result<(), DepotError> {
        if config.bucket.is_some() {
            s3(config)?.build()?;
        }
        Ok(())
    }
}

fn s3(config: &config::ObjectStore) -> Result<AmazonS3Builder, DepotError> {
    let is_plain = config.endpoint.as_deref().is_some_and(|url| url.starts_with("http://"));
    // For the beginning of an answer, and for each part of it: a long file takes as long as whoever
    // reads it does.
    let options = ClientOptions::new()
        .with_timeout_disabled()
        .with_read_timeout(config.timeout.0)
        .with_connect_timeout(CONNECT.min(config.timeout.0))
        .with_allow_http(is_plain);
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(1),
        base: 2.0,
    };
    let retry = RetryConfig { backoff, max_retries: RETRIES, retry_timeout: config.timeout.0 * 2 };
    let mut builder = AmazonS3Builder::from_env()
        .with_region(&config.region)
        .with_bucket_name(config.bucket.as_deref().unwrap_or_default())
        .with_virtual_hosted_style_request(!config.path_style)
        .with_client_options(options)
        .with_retry(retry);
    if let Some(endpoint) = &config.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(path) = &config.credentials_file {
        let failed = |error| DepotError::File { path: path.clone(), error };
        let text = std::fs::read_to_string(path).map_err(failed)?;
        let value = |name: &str| value(&text, name);
        let (Some(id), Some(secret)) = (value("aws_access_key_id"), value("aws_secret_access_key"))
        else {
            return Err(DepotError::Credentials(path.clone()));
        };
        builder = builder.with_access_key_id(id).with_secret_access_key(secret);
        if let Some(token) = value("aws_session_token") {
            builder = builder.with_token(token);
        }
    }
    Ok(builder)
}

/// As in the files of Amazon's own tools.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = text.lines().filter_map(|line| line.split_once('='));
    let (_, value) = pairs.find(|(key, _)| key.trim() == name)?;
    Some(value.trim()).filter(|value| !value.is_empty())
}

/// Its owner's alone.
pub fn make_folder(folder: &FilePath) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers each request with so many bytes, one by one.
    async fn drip(listener: TcpListener, bytes: usize, pause: Duration) {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 65_536];
            let _ = stream.read(&mut request).await;
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\nETag: \"1\"\r\n\
                 Last-Modified: Sat, 28 Nov 2026 08:00:00 GMT\r\nConnection: close\r\n\r\n"
            );
            let _ = stream.write_all(head.as_bytes()).await;
            for _ in 0..bytes {
                // Its pace is what the test is about.
                tokio::time::sleep(pause).await;
                if stream.write_all(b"x").await.is_err() {
                    break;
                }
            }
        }
    }

    #[tokio::test]
    async fn an_object_may_take_longer_than_a_part_of_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(drip(listener, 30, Duration::from_millis(50)));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("s3");
        std::fs::write(&file, "aws_access_key_id = a\naws_secret_access_key = b\n").unwrap();
        let store = config::ObjectStore {
            bucket: Some("one".to_owned()),
            endpoint: Some(format!("http://{address}")),
            credentials_file: Some(file),
            timeout: "500ms".parse().unwrap(),
            ..config::ObjectStore::default()
        };
        let depot = Depot::open(&store, folder.path()).unwrap();
        let object = depot.get("name", 1000).await.unwrap().unwrap();
        assert_eq!(object.len(), 30);
    }

    #[test]
    fn what_a_folder_has_taken_is_on_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let depot = Depot::open(&config::ObjectStore::default(), folder.path()).unwrap();
        let told = format!("{:?}", depot.store);
        assert!(told.contains("fsync: true"), "{told}");
    }

    #[test]
    fn credentials_are_found_as_amazons_tools_write_them() {
        let text = "[default]\naws_access_key_id = AKIA1\naws_secret_access_key=a/b=c\n\n";
        assert_eq!(value(text, "aws_access_key_id"), Some("AKIA1"));
        assert_eq!(value(text, "aws_secret_access_key"), Some("a/b=c"));
        assert_eq!(value(text, "aws_session_token"), None);
    }
}
