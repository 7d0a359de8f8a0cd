//! Files into a store: in parts where they are large, a few at a time.

use std::path::Path as FilePath;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{MultipartUpload as _, ObjectStoreExt as _, PutPayload};
use serde::{Deserialize, Serialize};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

use super::{Checked, Depot, DepotError, Done, Hash};

/// An upload in parts that was begun: whoever finds it may end it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    pub name: String,
    pub upload: String,
}

/// Where an upload that begins is written down.
pub trait Notes: Sync {
    fn note(&self, upload: Unfinished) -> BoxFuture<'_, Done<()>>;
}

/// Of what is in one piece, or is made again anyway.
pub struct NoNotes;

/// Bytes of a part: S3 takes no smaller one, but for the last, and 10,000 of them.
const PART: usize = 16 << 20;
/// Parts on their way.
const AT_ONCE: usize = 3;

// === impl Depot ===

impl Depot {
    /// Writes a file. An upload in parts is told to `notes` before its first part.
    pub async fn put_file(&self, name: &str, file: &FilePath, notes: &dyn Notes) -> Done<Checked> {
        let failed = |error| DepotError::File { path: file.to_owned(), error };
        let mut input = File::open(file).await.map_err(failed)?;
        let path = self.path(name);
        let first = part(&mut input).await.map_err(failed)?;
        if first.len() < PART {
            let mut hash = Hash::default();
            hash.update(&first);
            let bytes = first.len() as u64;
            self.store.put(&path, PutPayload::from_bytes(first)).await?;
            return Ok(Checked { bytes, sha256: hash.finish() });
        }
        let Some(store) = self.multipart.clone() else {
            return self.put_large(&path, first, input, file).await;
        };
        let upload = store.create_multipart(&path).await?;
        let unfinished = Unfinished { name: name.to_owned(), upload: upload.clone() };
        let sent = async {
            notes.note(unfinished).await?;
            let sending = Sending { store: &store, path: &path, upload: &upload };
            sending.send(first, input, file).await
        };
        let sent = sent.await;
        if sent.is_err() {
            // What can't be ended now is found by its note.
            let _ = store.abort_multipart(&path, &upload).await;
        }
        sent
    }

    /// Ends an upload that nobody goes on with.
    pub async fn abort(&self, unfinished: &Unfinished) -> Done<()> {
        let Some(store) = &self.multipart else { return Ok(()) };
        let path = self.path(&unfinished.name);
        match store.abort_multipart(&path, &unfinished.upload).await {
            // It was completed, or ended by somebody else.
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Into a folder: under another name until it is whole.
    async fn put_large(
        &self,
        path: &Path,
        first: Bytes,
        mut input: File,
        file: &FilePath,
    ) -> Done<Checked> {
        let failed = |error| DepotError::File { path: file.to_owned(), error };
        let mut upload = self.store.put_multipart(path).await?;
        let sent = async {
            let (mut bytes, mut hash, mut next) = (0, Hash::default(), first);
            while !next.is_empty() {
                bytes += next.len() as u64;
                hash.update(&next);
                upload.put_part(PutPayload::from_bytes(next)).await?;
                next = part(&mut input).await.map_err(failed)?;
            }
            upload.complete().await?;
            Ok(Checked { bytes, sha256: hash.finish() })
        };
        let sent: Done<Checked> = sent.await;
        if sent.is_err() {
            let _ = upload.abort().await;
        }
        sent
    }
}

impl Notes for NoNotes {
    fn note(&self, _upload: Unfinished) -> BoxFuture<'_, Done<()>> {
        Box::pin(async { Ok(()) })
    }
}

struct Sending<'a> {
    store: &'a Arc<dyn MultipartStore>,
    path: &'a Path,
    upload: &'a String,
}

// === impl Sending ===

impl Sending<'_> {
    async fn send(&self, first: Bytes, mut input: File, file: &FilePath) -> Done<Checked> {
        let failed = |error| DepotError::File { path: file.to_owned(), error };
        let (mut bytes, mut hash, mut next, mut count) = (0, Hash::default(), first, 0);
        let mut parts: Vec<Option<PartId>> = Vec::new();
        let mut sending = FuturesUnordered::new();
        while !next.is_empty() {
            bytes += next.len() as u64;
            hash.update(&next);
            let (index, payload) = (count, PutPayload::from_bytes(next));
            sending.push(async move {
                let part = self.store.put_part(self.path, self.upload, index, payload).await;
                part.map(|part| (index, part))
            });
            count += 1;
            parts.push(None);
            if sending.len() >= AT_ONCE
                && let Some(sent) = sending.next().await
            {
                let (index, part) = sent?;
                parts[index] = Some(part);
            }
            next = part(&mut input).await.map_err(failed)?;
        }
        while let Some(sent) = sending.next().await {
            let (index, part) = sent?;
            parts[index] = Some(part);
        }
        let parts = parts.into_iter().flatten().collect();
        self.store.complete_multipart(self.path, self.upload, parts).await?;
        Ok(Checked { bytes, sha256: hash.finish() })
    }
}

/// Up to [`PART`] bytes; none at the end.
async fn part(input: &mut File) -> std::io::Result<Bytes> {
    let mut bytes = Vec::with_capacity(PART);
    input.take(PART as u64).read_to_end(&mut bytes).await?;
    Ok(bytes.into())
}
