//! Object stores: a folder, or S3. Names are those that this module is given, below the
//! configured prefix.

mod leftovers;
mod open;
#[cfg(test)]
mod tests;
mod upload;

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload};
use std::ops::Range;
use tokio::io::AsyncWriteExt as _;

pub use open::make_folder;
pub use upload::{NoNotes, Notes, Unfinished};

use crate::hex::hex;

/// Cheap to clone; clones are the same store.
#[derive(Clone)]
pub struct Depot {
    store: Arc<dyn ObjectStore>,
    /// Of S3: uploads in parts that can be named, and so be found again.
    multipart: Option<Arc<dyn MultipartStore>>,
    /// Where it is a folder of this machine.
    folder: Option<PathBuf>,
    prefix: Path,
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    pub bytes: u64,
    /// Hexadecimal.
    pub sha256: String,
}

/// Why a store did not do what it was asked. The store's fault or the way's, mostly, and to be
/// tried again.
#[derive(Debug, thiserror::Error)]
pub enum DepotError {
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: std::io::Error },
    #[error("{0}")]
    Store(#[from] object_store::Error),
    #[error("expected lines with aws_access_key_id and aws_secret_access_key in {}", .0.display())]
    Credentials(PathBuf),
    #[error("{name} has {bytes} bytes, expected {most} at most")]
    TooLarge { name: String, bytes: u64, most: u64 },
}

type Done<T> = Result<T, DepotError>;

// === impl Depot ===

impl Depot {
    /// Writes an object as a whole, over one that is there.
    pub async fn put(&self, name: &str, bytes: impl Into<Bytes>) -> Done<()> {
        let payload = PutPayload::from_bytes(bytes.into());
        self.store.put(&self.path(name), payload).await?;
        Ok(())
    }

    /// False where there is one already: it stays as it is.
    pub async fn put_new(&self, name: &str, bytes: impl Into<Bytes>) -> Done<bool> {
        let payload = PutPayload::from_bytes(bytes.into());
        let options = PutOptions::from(PutMode::Create);
        match self.store.put_opts(&self.path(name), payload, options).await {
            Ok(_) => Ok(true),
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. },
            ) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// A small object. None: there is none.
    pub async fn get(&self, name: &str, most: u64) -> Done<Option<Bytes>> {
        let found = match self.store.get(&self.path(name)).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            found => found?,
        };
        if found.meta.size > most {
            let (name, bytes) = (name.to_owned(), found.meta.size);
            return Err(DepotError::TooLarge { name, bytes, most });
        }
        Ok(Some(found.bytes().await?))
    }

    /// How long the object is. None: there is none.
    pub async fn size(&self, name: &str) -> Done<Option<u64>> {
        match self.store.head(&self.path(name)).await {
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            found => Ok(Some(found?.size)),
        }
    }

    /// Brings an object into a file. None: there is none.
    pub async fn fetch(&self, name: &str, file: &FilePath) -> Done<Option<Checked>> {
        let found = match self.store.get(&self.path(name)).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            found => found?,
        };
        let failed = |error| DepotError::File { path: file.to_owned(), error };
        let mut output = tokio::fs::File::create(file).await.map_err(failed)?;
        let (mut stream, mut hash, mut bytes) = (found.into_stream(), Hash::default(), 0);
        while let Some(part) = stream.next().await {
            let part = part?;
            hash.update(&part);
            bytes += part.len() as u64;
            output.write_all(&part).await.map_err(failed)?;
        }
        output.flush().await.map_err(failed)?;
        Ok(Some(Checked { bytes, sha256: hash.finish() }))
    }

    /// Part of an object, as it comes: nothing is read that nobody takes.
    pub async fn stream(
        &self,
        name: &str,
        range: Range<u64>,
    ) -> Done<BoxStream<'static, Result<Bytes, object_store::Error>>> {
        let options = object_store::GetOptions {
            range: Some(object_store::GetRange::Bounded(range)),
            ..Default::default()
        };
        Ok(self.store.get_opts(&self.path(name), options).await?.into_stream())
    }

    /// One that isn't there is gone, too.
    pub async fn delete(&self, name: &str) -> Done<()> {
        match self.store.delete(&self.path(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Names of what is in a folder and below, without this store's prefix.
    pub async fn list(&self, folder: &str) -> Done<Vec<String>> {
        self.names(self.store.list(Some(&self.path(folder)))).await
    }

    /// Those in a folder that come after a name there.
    pub async fn list_after(&self, folder: &str, name: &str) -> Done<Vec<String>> {
        let (folder, after) = (self.path(folder), self.path(folder).join(name));
        self.names(self.store.list_with_offset(Some(&folder), &after)).await
    }

    async fn names(
        &self,
        mut found: BoxStream<'static, Result<ObjectMeta, object_store::Error>>,
    ) -> Done<Vec<String>> {
        let mut names = Vec::new();
        while let Some(meta) = found.next().await {
            let location = meta?.location;
            let parts = location.prefix_match(&self.prefix).into_iter().flatten();
            names.push(parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/"));
        }
        Ok(names)
    }

    /// Everything in a folder and below.
    pub async fn delete_all(&self, folder: &str) -> Done<()> {
        self.delete_these(self.list(folder).await?).await
    }

    /// Many at once, as the store takes them: S3 by the thousand. One that can't go keeps none of
    /// the others.
    pub async fn delete_these(&self, names: impl IntoIterator<Item = String>) -> Done<()> {
        let paths: Vec<_> = names.into_iter().map(|name| Ok(self.path(&name))).collect();
        let mut deleting = self.store.delete_stream(stream::iter(paths).boxed());
        let mut failed = Ok(());
        while let Some(deleted) = deleting.next().await {
            match deleted {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => failed = failed.and(Err(error.into())),
            }
        }
        failed
    }

    fn path(&self, name: &str) -> Path {
        name.split('/').fold(self.prefix.clone(), |path, part| path.join(part))
    }
}

/// A SHA-256 in the making.
pub struct Hash(digest::Context);

// === impl Hash ===

impl Default for Hash {
    fn default() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }
}

impl Hash {
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub fn finish(self) -> String {
        hex(self.0.finish().as_ref())
    }
}
